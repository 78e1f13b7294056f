"""Each convolution of our nets with its activation: PyTorch's kernels beside those compiled for its sizes.

    python benchmarks/convolution_speed.py [--nets burgess ...] [--batch 64] [--rounds 9] [--out DIR]

Both work on images that lie channels last, with one thread a core, and take turns; the figures are medians over rounds.
Backward is what forward and backward take together, less forward. The operations are those of the products alone, and
the peak is the best matrix product of this process. "first call" is what it takes to compile a layer, both ways.
"""

import argparse
import copy
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import train_speed
from torch import Tensor, nn

from unbraid import runs
from unbraid.files import write_json
from unbraid.models import acceleration
from unbraid.models.chain_kernels import backward_kernel, forward_kernel
from unbraid.processors import cores, threads
from unbraid.surroundings import denormals_flushed, memory_kept

_CALLS = 20  # a turn
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def layers(net: str, batch: int) -> list[tuple[nn.Sequential, tuple[int, ...]]]:
    """(convolution and the activation after it, shape of what it is given) of each convolution of a net."""
    of = train_speed.config(net, batch)
    model = runs.build_model(of, runs.load_data(of).image_shape)
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def seen(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        shapes[layer] = tuple(given[0].shape)

    hooks = [layer.register_forward_pre_hook(seen) for layer in model.modules() if isinstance(layer, _CONVOLUTIONS)]
    with torch.no_grad():
        model(torch.zeros(batch, *model.image_shape), torch.zeros(batch, of.latent_dim))
    found = []
    for half in (model.encoder, model.decoder):
        chain = [*half.children()]
        for layer, after in zip(chain, [*chain[1:], None], strict=True):
            if isinstance(layer, _CONVOLUTIONS):
                follows = [after] if isinstance(after, nn.ReLU | nn.ELU) else []
                found.append((nn.Sequential(layer, *follows), shapes[layer]))
    for hook in hooks:
        hook.remove()
    return found


def milliseconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    for _ in range(_CALLS):
        call()
    return 1e3 * (time.perf_counter() - began) / _CALLS


def compare(layer: nn.Sequential, shape: tuple[int, ...], of_images: bool, rounds: int, peak: float) -> dict[str, Any]:
    plain: nn.Sequential = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ours = copy.deepcopy(plain)
    acceleration.accelerate(ours)
    x = torch.rand(shape).contiguous(memory_format=torch.channels_last).requires_grad_(of_images)
    gradient = torch.rand_like(plain(x)).contiguous(memory_format=torch.channels_last)

    def train(net: nn.Module) -> Tensor:
        out: Tensor = net(x)
        torch.autograd.backward(out, gradient, inputs=[*net.parameters(), *([x] if of_images else [])])
        net.zero_grad()
        x.grad = None
        return out

    for kernels in (forward_kernel, backward_kernel):
        kernels.cache_clear()
    began = time.perf_counter()
    train(ours)
    first = time.perf_counter() - began
    times: dict[str, list[float]] = {"plain": [], "ours": [], "plain_trained": [], "ours_trained": []}
    for _ in range(rounds):
        for name, net in (("plain", plain), ("ours", ours)):
            with torch.no_grad():
                times[name].append(milliseconds(lambda net=net: net(x)))  # type: ignore[misc]
            times[f"{name}_trained"].append(milliseconds(lambda net=net: train(net)))  # type: ignore[misc]
    median = {name: float(np.median(found)) for name, found in times.items()}
    convolution: Any = layer[0]
    k, _ = convolution.kernel_size
    pixels = min(gradient[0, 0].numel(), x[0, 0].numel())  # windows
    flops = 2 * len(x) * pixels * convolution.weight.numel()
    backward = {name: median[f"{name}_trained"] - median[name] for name in ("plain", "ours")}
    record = {
        "layer": " ".join(str(layer).split()),
        "given": list(shape),
        "forward_ms": {name: round(median[name], 3) for name in backward},
        "backward_ms": {name: round(value, 3) for name, value in backward.items()},
        "ours_over_plain": round(median["plain_trained"] / median["ours_trained"], 2),
        "forward_share_of_peak": round(flops / median["ours"] / 1e6 / peak, 2),
        "backward_share_of_peak": round((1 + of_images) * flops / backward["ours"] / 1e6 / peak, 2),
        "first_call_s": round(first, 2),
    }
    kind = f"{convolution.in_channels} -> {convolution.out_channels}, {k}x{k}"
    print(
        f"  {kind:18} at {shape[2]}x{shape[3]}: {median['plain_trained']:6.2f} -> {median['ours_trained']:5.2f} ms, "
        f"{record['forward_share_of_peak']:.0%} and {record['backward_share_of_peak']:.0%} of the peak",
        flush=True,
    )
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    convolutional = [net for net in train_speed.NETS if not net.endswith(("mlp", "_fc"))]
    parser.add_argument("--nets", nargs="+", default=convolutional, choices=convolutional)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    memory_kept()
    records: dict[str, list[dict[str, Any]]] = {}
    with threads(cores()), denormals_flushed():
        peak = max(train_speed.speeds(train_speed.products(2.0), 0.5).values())
        for net in chosen.nets:
            print(net)
            found = layers(net, chosen.batch)
            records[net] = [
                compare(layer, shape, number > 0, chosen.rounds, peak) for number, (layer, shape) in enumerate(found)
            ]
    name = f"{datetime.date.today().isoformat()}-{cores()}-cores-convolution_speed.json"
    result = {"torch": torch.__version__, "batch": chosen.batch, "peak_gflop_per_s": round(peak), "nets": records}
    write_json(chosen.out / name, result)


if __name__ == "__main__":
    main()
