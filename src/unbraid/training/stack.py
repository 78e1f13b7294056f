"""Many models, one program: members of a group that differ in seed and in numbers alone, stacked along a new axis."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.optim import Optimizer

from unbraid.config import GIVEN_DATA, Config
from unbraid.processors import sent
from unbraid.training.trainer import Trainer, step_along
from unbraid.types import Forward, Terms

# What the members of a stack may differ in, beside their objective's numbers.
_OWN = ("seed", "lr", "clip")

_LOOP = ("device", "threads", "steps", "log_every", "checkpoint_minutes", "logger")  # what a loop has one of

Weights = Mapping[str, Tensor]


def stackable(configs: Sequence[Config]) -> list[list[int]]:
    """Indices of the configs that can train as one program, groups in the order of their first members."""
    return _grouped([_shared(config, _OWN) for config in configs])


def in_step(configs: Sequence[Config]) -> list[list[int]]:
    """Indices of the configs that one loop can train, kind after kind, each of them a program of its own."""
    found = []
    for group in _grouped([tuple(getattr(config, name) for name in _LOOP) for config in configs]):
        kinds = stackable([configs[index] for index in group])
        found.append([group[place] for kind in kinds for place in kind])
    return found


def alike(trainers: Sequence[Trainer]) -> list[list[int]]:
    """Indices of the trainers that can step as one program.

    Those of a stackable group, and of several that differ in the options of their data, where the objective sees
    nothing of it but images.
    """
    keys: list[Hashable] = []
    for each in trainers:
        images_alone = each.linear is None and each.config.data != GIVEN_DATA
        free = (*_OWN, *each.config.section("data")) if images_alone else _OWN
        keys.append((_shared(each.config, free), each.model.image_shape, each.n_data))
    return _grouped(keys)


def _shared(config: Config, free: Sequence[str]) -> Hashable:
    """What the configs of one program have in common: all but what is free, and the numbers of their objective."""
    own = {*free, *config.section("objective")}
    return tuple((name, value) for name, value in config.flat().items() if name not in own)


def _grouped(keys: Sequence[Hashable]) -> list[list[int]]:
    found: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, []).append(index)
    return list(found.values())


class Stack:
    """Trainers of one group stepped together: their losses in one vmapped program, their sum differentiated at once.

    The parameters of the members become views of stacked ones [M, ...]: what a member logs, checkpoints and restores
    is its own as before, and its optimizer, which costs little, steps its views. Summing the losses mixes nothing, for
    no member's loss depends on another's weights. Equal to training alone but for rounding.
    """

    def __init__(self, members: Sequence[Trainer]) -> None:
        self.members = members
        first = members[0]
        self.device = first.device
        self.objective, self.likelihood, self.n_data = first.objective, first.likelihood, first.n_data
        self.posterior, self.linear = first.posterior, first.linear
        self.networks = first.networks()
        self.stacked: dict[str, dict[str, Tensor]] = {}
        for name in self.networks:
            columns: dict[str, list[torch.nn.Parameter]] = {}
            for member in members:
                for key, parameter in member.networks()[name].named_parameters():
                    columns.setdefault(key, []).append(parameter)
            self.stacked[name] = {key: _views(column) for key, column in columns.items()}
        self._joint: list[Optimizer] = []
        for member in members:
            _count_alone(member)
        sources = [member.source for member in members]  # members of one source see the same images and noise
        self.streams = {source: sources.index(source) for source in sources}
        self._stream_of = [list(self.streams).index(source) for source in sources]
        self._streams_index = torch.tensor(self._stream_of, device=self.device)

    def step(self, step: int) -> None:
        self.step_with(self.table(range(step, step + 1)), step)

    def step_with(self, table: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
        """One step of all members with a table of one row; what is logged of them, [M] or [M, L] each."""
        self.waken(table["x"][0], step)
        rates = [member.rates(step) for member in self.members]
        logs = self.advance({name: value[0] for name, value in table.items()}, rates)
        for index, member in enumerate(self.members):
            member.sum({name: value[index] for name, value in logs.items()})
        return logs

    def table(self, steps: range) -> dict[str, Tensor]:
        """What these steps take in, [K, ...] each: images, noise and permutations per stream, numbers per member."""
        inputs = [[self.members[index].inputs(step) for index in self.streams.values()] for step in steps]
        hyper = [[list(member.hyper_at(step).values()) for member in self.members] for step in steps]
        table = {
            "x": torch.stack([torch.stack([each.x for each in streams]) for streams in inputs]),
            "noise": torch.stack([torch.stack([each.noise for each in streams]) for streams in inputs]),
            "hyper": sent(torch.tensor(hyper, dtype=torch.float32), self.device),  # [K, M, n]
        }
        permutations = [[each.permutation for each in streams if each.permutation is not None] for streams in inputs]
        if permutations[0]:
            table["permutation"] = torch.stack([torch.stack(each) for each in permutations])
        return table

    def waken(self, x: Tensor, step: int) -> None:
        """Latents of each member whose turn has come at `step`, with the images x [streams, B, C, H, W] of it."""
        for member, stream in zip(self.members, self._stream_of, strict=True):
            member.waken(x[stream], step)

    def advance(self, row: Mapping[str, Tensor], rates: Sequence[Sequence[float | Tensor]]) -> dict[str, Tensor]:
        """One step of all members with a row of the table; what is logged of them, [M] or [M, L] each."""
        one_stream = len(self.streams) == 1
        x = row["x"][0] if one_stream else row["x"].index_select(0, self._streams_index)
        noise = row["noise"].index_select(0, self._streams_index)
        permutation = row["permutation"].index_select(0, self._streams_index) if "permutation" in row else None
        hyper = dict(zip(self.members[0].hyper, row["hyper"].unbind(1), strict=True))
        axes = (0, None if one_stream else 0, 0, None if permutation is None else 0, 0)
        total, logs = vmap(self._terms, in_dims=axes)(self.stacked, x, noise, permutation, hyper)  # [M]
        total.sum().backward()
        if self._joint:
            for optimizer, rate in zip(self._joint, rates[0], strict=True):
                step_along(optimizer, rate)
        else:
            self._update_each(rates)
        for weights in self.stacked.values():  # for gradients are added to those that are there
            for tensor in weights.values():
                tensor.grad = None
        return logs

    def _update_each(self, rates: Sequence[Sequence[float | Tensor]]) -> None:
        for index, (member, own) in enumerate(zip(self.members, rates, strict=True)):
            for name, network in member.networks().items():
                for key, parameter in network.named_parameters():
                    gradients = self.stacked[name][key].grad
                    parameter.grad = None if gradients is None else gradients[index]
            member.update(own)
            for network in member.networks().values():
                network.zero_grad()

    def optimizers(self) -> list[Optimizer]:
        """Those that step the weights."""
        return self._joint or [optimizer for member in self.members for optimizer, _ in member.optimizers]

    def join(self) -> None:
        """From now on one optimizer steps the stacked weights of all, where no clip and no rate sets them apart.

        Its state is the members' own, stacked; it must be there already. The members have its counts of steps as
        theirs, so that a checkpoint of one is right at any time and no step copies them; `_count_alone` ends that.
        """
        first = self.members[0]
        if any(member.config.clip or member.config.lr != first.config.lr for member in self.members):
            return
        for number, (name, weights) in enumerate(self.stacked.items()):
            joint = first.makers[number](list(weights.values()))
            for key, tensor in weights.items():
                states = [
                    member.optimizers[number][0].state[member.networks()[name].get_parameter(key)]
                    for member in self.members
                ]
                together = {
                    entry: value if entry == "step" else _stacked([state[entry] for state in states])
                    for entry, value in states[0].items()
                }
                joint.state[tensor] = together
                for index, state in enumerate(states):
                    state |= {e: value if e == "step" else value[index] for e, value in together.items()}
            self._joint.append(joint)

    def _terms(
        self,
        weights: Mapping[str, Weights],
        x: Tensor,
        noise: Tensor,
        permutation: Tensor | None,
        hyper: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(the loss that is differentiated, what is logged) of one member."""
        posterior = None if self.posterior is None else partial(self.posterior, **hyper)
        arguments = x, noise, posterior
        logits, mean, logvar, z = functional_call(self.networks["model"], dict(weights["model"]), arguments)
        aux = self._aux(weights.get("aux"))
        detached = {key: value.detach() for key, value in weights.get("aux", {}).items()}
        linear = None if self.linear is None else self.linear(x)
        frozen = self._aux(detached or None)
        forward = Forward(x, logits, mean, logvar, z, self.likelihood, self.n_data, permutation, linear, aux, frozen)
        terms: Terms = self.objective(forward, **hyper)
        total = terms.loss if terms.aux_loss is None else terms.loss + terms.aux_loss
        return total, terms.logged()

    def _aux(self, weights: Weights | None) -> Callable[[Tensor], Tensor] | None:
        if weights is None:
            return None
        return lambda z: functional_call(self.networks["aux"], dict(weights), (z,))


def _count_alone(member: Trainer) -> None:
    """Gives the member counts of steps of its own, where an optimizer of many before had one count for all of them."""
    for optimizer, _ in member.optimizers:
        for state in optimizer.state.values():
            if "step" in state:
                state["step"] = state["step"].clone()


def _views(parameters: Sequence[torch.nn.Parameter]) -> Tensor:
    """The parameters stacked [M, ...], of which they are views from now on, each with its channels where they were."""
    stacked = _stacked([parameter.detach() for parameter in parameters])
    for parameter, view in zip(parameters, stacked, strict=True):
        parameter.data = view
    return stacked.detach().requires_grad_()


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """[M, ...] in the memory layout of the tensors."""
    if tensors[0].dim() == 4 and tensors[0].is_contiguous(memory_format=torch.channels_last):
        return torch.stack([tensor.permute(0, 2, 3, 1) for tensor in tensors]).permute(0, 1, 4, 2, 3)
    return torch.stack(list(tensors))
