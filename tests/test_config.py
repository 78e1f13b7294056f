"""A run's settings: one set of names for YAML, flags and keywords; whatever does not fit is one sentence."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from unbraid import config as configs
from unbraid.cli import main
from unbraid.config import Config, general_fields, read, resolve, table_parameters
from unbraid.data import DATASETS, from_arrays
from unbraid.errors import UnbraidError
from unbraid.models import ARCHITECTURES
from unbraid.objectives import OBJECTIVES
from unbraid.optimizers import OPTIMIZERS
from unbraid.probability import LIKELIHOODS
from unbraid.schedules import linear

words = st.text("abcdefgh_1 ", min_size=1, max_size=8)


def refusal(values: dict[object, object]) -> str:
    with pytest.raises(UnbraidError) as refused:
        resolve(values)
    sentence = str(refused.value)
    assert "\n" not in sentence and len(sentence) < 800
    return sentence


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "run.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


class TestResolve:
    def test_defaults(self) -> None:
        config = resolve({})
        assert (config.data, config.model, config.objective, config.steps) == (
            "dsprites",
            "burgess",
            "beta_vae",
            10_000,
        )
        assert config.section("objective") == {"beta": 4.0}

    def test_all_options_of_the_choice_and_no_others(self) -> None:
        config = resolve({"objective": "factor_vae", "data": "balls", "n_balls": 2, "optimizer": "sgd"})
        assert config.section("objective") == {"gamma": 10.0}
        assert config.section("data") == {"n_balls": 2, "size": 32, "friction": 0.0, "gravity": 0.0, "shuffled": False}
        assert config.section("optimizer") == {"momentum": 0.0}
        assert set(config.options) == {"gamma", "n_balls", "size", "friction", "gravity", "shuffled", "momentum"}

    def test_a_published_schedule_stands_in_for_the_number_of_the_signature(self) -> None:
        assert resolve({"objective": "annealed_vae"}).options["capacity"] == "linear(0, 25, steps=100000)"

    def test_latents_are_the_architectures_own_unless_told(self) -> None:
        assert resolve({}).latent_dim == 10
        assert resolve({"model": "balls_conv"}).latent_dim == 32
        assert resolve({"model": "balls_conv", "latent_dim": 3}).latent_dim == 3

    def test_is_frozen(self) -> None:
        config = resolve({})
        with pytest.raises(dataclasses.FrozenInstanceError):
            config.steps = 5
        with pytest.raises(TypeError):
            config.options["beta"] = 5.0

    def test_made_by_hand_it_has_the_defaults_of_its_choices(self) -> None:
        assert resolve(Config(steps=5).flat()) == resolve({"steps": 5})

    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("steps", "1000", 1000),
            ("steps", "1_000", 1000),
            ("steps", "1e3", 1000),
            ("steps", 1e3, 1000),
            ("steps", "1000.0", 1000),
            ("steps", np.int64(1000), 1000),
            ("seed", str(2**70 + 1), 2**70 + 1),
            ("seed", 2**53 + 1, 2**53 + 1),
            ("lr", "5e-4", 5e-4),
            ("lr", 1, 1.0),
            ("lr", np.float32(0.5), 0.5),
            ("beta", " 7 ", 7.0),
            ("beta", linear(0, 4, steps=10), "linear(0, 4, steps=10)"),
            ("beta", "linear(0,4.0,10)", "linear(0, 4, steps=10)"),
            ("lr", "cosine(1e-3, 0, steps=10)", "cosine(0.001, 0, steps=10)"),
        ],
    )
    def test_numbers_may_be_text_and_schedules_calls(self, name: str, text: object, value: object) -> None:
        found = resolve({name: text}).flat()[name]
        assert found == value and type(found) is type(value)

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"steps": 2.5}, "steps must be a whole number, not 2.5"),
            ({"steps": "1e4.5"}, "steps must be a whole number, not '1e4.5'"),
            ({"steps": "many"}, "steps must be a whole number, not 'many'"),
            ({"steps": "linear(0, 1, steps=5)"}, "steps must be a whole number, not 'linear(0, 1, steps=5)'"),
            ({"steps": True}, "steps must be a whole number, not True"),
            ({"steps": float("nan")}, "steps must be a whole number, not nan"),
            ({"steps": [5]}, "steps must be a whole number, not [5]"),
            ({"steps": None}, "steps must be a whole number, not None"),
            ({"steps": ""}, "steps must be a whole number, not ''"),
            ({"steps": 10**400}, "steps must be a whole number, not 1000000000"),
            ({"steps": 10**5000}, "steps must be a whole number, not a number of thousands of digits"),
            ({"steps": 0}, "steps must be at least 1, not 0"),
            ({"latent_dim": -1}, "latent_dim must be at least 1, not -1"),
            ({"batch_size": 1}, "batch_size must be at least 2, not 1"),
            ({"batch_size": 3, "objective": "unfold"}, "batch_size must be at least 4 with unfold, not 3"),
            ({"log_every": 0}, "log_every must be at least 1, not 0"),
            ({"seed": -1}, "seed must be at least 0, not -1"),
            ({"clip": "-1"}, "clip must not be negative, and -1.0 is"),
            ({"aux_lr": -1}, "aux_lr must not be negative, and -1.0 is"),
            ({"prune": -0.1}, "prune must not be negative, and -0.1 is"),
            ({"checkpoint_minutes": -1}, "checkpoint_minutes must not be negative, and -1.0 is"),
            ({"lr": 0}, "lr must be above 0, not 0.0"),
            ({"optimizer": "adagrad", "adagrad_start": -1}, "adagrad_start must not be negative, and -1.0 is"),
            ({"adam_eps": -1e-8}, "adam_eps must not be negative, and -1e-08 is"),
            ({"optimizer": "adamw", "weight_decay": -0.1}, "weight_decay must not be negative, and -0.1 is"),
            ({"optimizer": "muon", "muon_momentum": 1}, "muon_momentum must be at least 0 and below 1, not 1.0"),
            ({"lr": "inf"}, "lr must be a number or a schedule, not 'inf'"),
            ({"lr": 1 + 0j}, "lr must be a number or a schedule, not (1+0j)"),
            ({"clip": "linear(1, 2, steps=3)"}, "clip must be a number, not 'linear(1, 2, steps=3)'"),
            ({"beta": True}, "beta must be a number or a schedule, not True"),
            ({"beta": "0x10"}, "beta must be a number or a schedule, not '0x10'"),
            ({"beta": {"a": 1}}, "beta must be a number or a schedule, not {'a': 1}"),
            ({"beta": "linear(0, 1"}, '"linear(0, 1" is neither a number nor a schedule'),
            ({"beta": "linea(0, 1, steps=3)"}, 'no schedule called "linea"; did you mean "linear"?'),
            ({"n_balls": "1.5", "data": "balls"}, "n_balls must be a whole number, not '1.5'"),
            ({"source": 5}, "source must be text, not 5"),
            ({"data": 5}, "data must be text, not 5"),
            ({"device": None}, "device must be text, not None"),
        ],
    )
    def test_a_wrong_value_is_named(self, values: dict[object, object], sentence: str) -> None:
        assert sentence in refusal(values)

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"objective": "beta_va"}, 'there is no objective called "beta_va"; did you mean "beta_vae"? (allowed: '),
            ({"model": "burges"}, 'there is no model called "burges"; did you mean "burgess"? (allowed: '),
            (
                {"data": "dsprite"},
                'there is no data set or folder called "dsprite"; did you mean "dsprites"? (allowed: ',
            ),
            ({"likelihood": "bernouli"}, 'there is no likelihood called "bernouli"; did you mean "bernoulli"?'),
            ({"optimizer": "adan"}, 'there is no optimizer called "adan"; did you mean "adam"?'),
            ({"bta": 3}, 'there is no setting called "bta"; did you mean "beta"? (this run takes: '),
            ({"batchsize": 3}, 'there is no setting called "batchsize"; did you mean "batch_size"?'),
            ({"capcity": 3}, 'there is no setting called "capcity"; did you mean "capacity"?'),
            ({"options": {}}, 'there is no setting called "options"'),
            ({5: 3}, 'there is no setting called "5"'),
        ],
    )
    def test_an_unknown_name_gets_the_nearest(self, values: dict[object, object], sentence: str) -> None:
        assert sentence in refusal(values)

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            (
                {"gamma": 3},
                '"gamma" is an option of objective annealed_vae, objective factor_vae, and this run has objective '
                "beta_vae: drop it or choose one of those",
            ),
            (
                {"n_balls": 3},
                '"n_balls" is an option of data balls, and this run has data dsprites: drop it or choose one of those',
            ),
            (
                {"momentum": 0.9},
                '"momentum" is an option of optimizer rmsprop, optimizer sgd, and this run has optimizer adam: '
                "drop it or choose one of those",
            ),
        ],
    )
    def test_an_option_of_another_entry_is_told_where_it_belongs(
        self, values: dict[object, object], sentence: str
    ) -> None:
        assert refusal(values) == sentence

    @settings(max_examples=40)
    @given(st.dictionaries(words, st.none() | st.floats(), min_size=1, max_size=3))
    def test_anything_else_is_refused_too(self, values: dict[object, object]) -> None:
        refusal(values)

    @settings(max_examples=60)
    @given(
        st.sampled_from(["steps", "lr", "beta", "seed", "data", "device", "clip"]),
        st.text() | st.floats() | st.integers() | st.booleans() | st.binary() | st.lists(st.integers()),
    )
    def test_any_value_is_taken_or_refused_in_a_sentence(self, name: str, value: object) -> None:
        try:
            config = resolve({name: value})
        except UnbraidError as error:
            assert "\n" not in str(error).replace(str(value), "")
        else:
            assert resolve(yaml.safe_load(config.to_yaml())) == config


class TestNames:
    """Over all tables: a flat name must mean one thing."""

    def test_no_option_belongs_to_two_sections_or_is_a_general_name(self) -> None:
        sections: dict[str, set[str]] = {}
        for section, _, parameter in table_parameters():
            sections.setdefault(parameter.name, set()).add(section)
        assert {name: found for name, found in sections.items() if len(found) > 1} == {}
        assert sections.keys() & {field.name for field in general_fields()} == set()

    def test_no_option_is_a_flag_of_its_own_or_a_word_of_python(self) -> None:
        names = {parameter.name for _, _, parameter in table_parameters()}
        assert names & {"config", "out", "resume", "dry_run", "no_figures", "help", "options", "show_progress"} == set()
        assert all(name.isidentifier() and name == name.lower() for name in names)

    def test_one_option_of_two_entries_is_of_one_type(self) -> None:
        types: dict[str, set[type]] = {}
        for _, _, parameter in table_parameters():
            types.setdefault(parameter.name, set()).add(parameter.type)
        assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {}
        assert all(kinds < {bool, int, float, str} for kinds in types.values())

    def test_every_general_field_explains_itself(self) -> None:
        assert all(field.metadata["help"] for field in general_fields())

    def test_every_table_entry_resolves_and_round_trips(self) -> None:
        combinations = itertools.chain(
            ({"data": name} for name in DATASETS),
            ({"model": name} for name in ARCHITECTURES),
            ({"objective": name} for name in OBJECTIVES),
            ({"likelihood": name} for name in LIKELIHOODS),
            ({"optimizer": name} for name in OPTIMIZERS),
        )
        for choice in combinations:
            config = resolve(choice)
            assert resolve(config.flat()) == config
            assert resolve(yaml.safe_load(config.to_yaml())) == config


class TestYaml:
    def test_reads_back_what_it_writes(self, tmp_path: Path) -> None:
        values = {"objective": "annealed_vae", "lr": "cosine(1e-3, 0, steps=10)", "gamma": 1e-5, "clip": 1 / 3}
        config = resolve({**values, "data": "dsprites", "source": "~/a: 'quoted' \"path\" # β.npz", "seed": 2**64})
        assert resolve(read(written(tmp_path, config.to_yaml()))) == config

    def test_each_choice_stands_before_its_options(self) -> None:
        names = list(yaml.safe_load(resolve({"data": "balls", "objective": "factor_vae"}).to_yaml()))
        assert names[:2] == ["data", "n_balls"]
        assert names.index("gamma") == names.index("objective") + 1

    @settings(max_examples=60)
    @given(st.floats(min_value=1e-30, max_value=1e30), st.integers(0, 2**63), st.floats(0, 1e9))
    def test_every_number_reads_back_exactly(self, lr: float, seed: int, beta: float) -> None:
        config = resolve({"lr": lr, "seed": seed, "beta": beta})
        assert resolve(yaml.safe_load(config.to_yaml())) == config

    def test_is_the_same_as_keywords_and_flags(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        values = {"data": "balls", "size": 8, "model": "balls_conv", "lr": "cosine(1e-3, 0, steps=77)"}
        values |= {"objective": "annealed_vae", "gamma": 35, "capacity": "linear(0, 9, steps=50)", "steps": 77}
        values |= {"latent_dim": 3, "optimizer": "adamw", "adam_beta1": 0.5}
        flags = [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        file = written(tmp_path, "".join(f"{name}: {value}\n" for name, value in values.items()))
        assert resolve(read(file)) == resolve(values)
        printed = []
        for arguments in (flags, ["--config", str(file)]):
            assert main(["train", "--dry-run", *arguments]) == 0
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]
        assert resolve(yaml.safe_load(printed[0].partition("\n\n")[0])) == resolve(values)

    def test_flags_override_the_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = written(tmp_path, "data: balls\nmodel: balls_conv\nbeta: 2\nsteps: 5\n")
        assert main(["train", "--dry-run", "--config", str(file), "--beta", "9"]) == 0
        found = yaml.safe_load(capsys.readouterr().out.partition("\n\n")[0])
        assert (found["beta"], found["steps"]) == (9.0, 5)

    @pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "\ufeff"])
    def test_an_empty_file_is_all_defaults(self, tmp_path: Path, text: str) -> None:
        assert resolve(read(written(tmp_path, text))) == resolve({})

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("a: &x [1]\nb: *x\n", "aliases (*name) are not allowed"),
            ("steps: !!int '5'\n", "tags (!name) are not allowed"),
            ("steps: !!int ''\n", "tags (!name) are not allowed"),
            ("device: !!python/object/apply:os.system [true]\n", "tags (!name) are not allowed"),
            ("!!python/object/new:dict {}\n", "tags (!name) are not allowed"),
            ("%TAG ! tag:yaml.org,2002:\n---\nsteps: !bool x\n", "tags (!name) are not allowed"),
            ("beta: 1\nsteps: 3\nbeta: 2\n", "beta occurs more than once"),
            ("[" * 5000, "is not a config in YAML"),
            ("{a: 1", "is not a config in YAML"),
            ("a: b: c", "is not a config in YAML"),
            ("a: 1\n---\na: 2", "is not a config in YAML"),
            ("a: \x01", "is not a config in YAML"),
            ("a: 2001-99-99", "is not a config in YAML"),
            (f"beta: {'9' * 6000}", "is not a config in YAML"),
            (b"\xff\xfeb\x00", "is not a config in YAML"),
            ("? [1]\n: 2", "is not a config in YAML"),
            ("- beta\n- 3\n", "must hold lines of the form `name: value`"),
            ("beta", "must hold lines of the form `name: value`"),
            ("1: 2\n", "must hold lines of the form `name: value`"),
            ("# " + "x" * 100_000, "is larger than a config can be"),
        ],
    )
    def test_what_is_no_config_is_refused(self, tmp_path: Path, text: str | bytes, why: str) -> None:
        file = written(tmp_path, text)
        with pytest.raises(UnbraidError) as refused:
            read(file)
        sentence = str(refused.value)
        assert why in sentence and sentence.startswith(str(file)) and "\n" not in sentence

    def test_a_hexadecimal_of_thousands_of_digits_is_refused_quickly(self, tmp_path: Path) -> None:
        values = read(written(tmp_path, "beta: 0x" + "f" * 90_000))
        assert refusal(values) == "beta must be a number or a schedule, not a number of thousands of digits"

    def test_a_missing_file_and_a_folder(self, tmp_path: Path) -> None:
        for path, why in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "irectory")):
            with pytest.raises(UnbraidError, match=rf"cannot read the config .*{why}"):
                read(path)

    @settings(max_examples=60)
    @given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
    def test_any_bytes_are_read_or_refused(self, tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
        file = written(tmp_path_factory.getbasetemp(), data)
        try:
            assert isinstance(read(file), dict)
        except UnbraidError as error:
            assert str(file) in str(error)


def test_given_data_has_no_options() -> None:
    config = resolve({"data": configs.GIVEN_DATA})
    assert config.section("data") == {}
    assert '"n_balls" is an option of data balls, and this run has data given' in refusal(
        {"data": "given", "n_balls": 2}
    )


class TestOwnImages:
    def test_a_path_is_the_data_set_that_reads_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "faces").mkdir()
        config = resolve({"data": "faces", "size": 32})
        assert (config.data, config.options["path"]) == ("images", str(tmp_path / "faces"))
        assert config == resolve({"data": "images", "path": str(tmp_path / "faces"), "size": 32})
        assert resolve(config.flat()) == config
        assert resolve({"data": "a/b.npz"}).options["path"] == str(tmp_path / "a" / "b.npz")
        assert "data=faces says the path already: drop path" in refusal({"data": "faces", "path": "x"})

    def test_the_likelihood_of_published_data_is_the_published_one(self) -> None:
        for name in DATASETS.keys() - {"images", "arrays"}:
            assert resolve({"data": name}).likelihood == "bernoulli"
        assert resolve({"data": "balls", "likelihood": "gaussian"}).likelihood == "gaussian"

    @pytest.mark.parametrize(("binary", "likelihood", "options"), [(True, "bernoulli", {}), (False, "gaussian", 0.25)])
    def test_the_likelihood_of_own_images_waits_for_them(self, binary: bool, likelihood: str, options: object) -> None:
        waiting = resolve({"data": "images"})
        assert waiting.likelihood == "auto" and waiting.section("likelihood") == {}
        images = np.full((2, 4, 4), 255 if binary else 100, np.uint8)
        fitted = configs.fitted(waiting, from_arrays(images))
        assert fitted.likelihood == likelihood and fitted.section("likelihood").get("sigma", {}) == options
        assert configs.fitted(fitted, from_arrays(255 - images // 2)) is fitted

    def test_a_deviation_needs_a_likelihood_that_has_one(self) -> None:
        assert '"sigma" is an option of likelihood gaussian' in refusal({"data": "images", "sigma": 0.1})
