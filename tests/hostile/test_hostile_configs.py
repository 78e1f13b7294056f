"""Config files that were made to harm: read as they are meant, or refused in one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import costs
import pytest
import yaml
from fuzzing import FEW, MANY, accepted, cases, edited, edits, read_config, read_study, values, written
from hypothesis import given
from hypothesis import strategies as st

from unbraid import config
from unbraid.config import resolve
from unbraid.study.presets import PRESETS

resource = pytest.importorskip("resource", reason="needs POSIX, which tells how much memory was used")

GOOD = [
    resolve(settings).to_yaml().encode()
    for settings in (
        {},
        {"data": "balls", "model": "balls_conv", "objective": "factor_vae", "lr": "cosine(1e-3, 0, steps=10)"},
        {"objective": "unfold", "likelihood": "gaussian", "optimizer": "rmsprop", "beta": "piecewise(0, 1, 9, 2)"},
    )
]
STUDIES = [path.read_bytes() for path in PRESETS.values()]
NAMES = sorted({field.name for field in config.general_fields()} | {p.name for _, _, p in config.table_parameters()})
CALLS = st.builds(  # schedules, mostly of a right form
    "{}({})".format,
    st.sampled_from(["linear", "cosine", "exponential", "piecewise", "constant", "eval", "__import__"]),
    st.lists(st.integers(-9, 10**6) | st.floats() | st.text(max_size=5), max_size=6).map(
        lambda each: ", ".join(map(str, each))
    ),
)


BOMBS = [
    b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 120)),
    b"beta: !!python/object/apply:os.system ['touch sprung']\n",
    b"!!python/object/new:subprocess.Popen [[touch, sprung]]\n",
    b"beta: !!python/name:os.system\n",
    b"beta: !!binary aGVsbG8=\n",
    b"%TAG ! tag:yaml.org,2002:python/\n---\nbeta: !object/apply:os.system ['touch sprung']\n",
    b"<<: *a\n",
    b"? {beta: 1}\n: 2\n",
    b"beta: 1\n---\nbeta: 2\n",
    b"[" * 90_000,
    b"{a: " * 20_000,
    b"- " * 40_000,
    b"a: " + b"[1, " * 20_000,
    b"steps: " + b"9" * 90_000,
    b"beta: 0x" + b"f" * 90_000,
    b"beta: " + b"1:" * 40_000 + b"1",
    b"beta: " + b"1:" * 200 + b"1.5",
    b"lr: 'linear(" + b"(" * 90_000 + b"'",
    b"lr: 'linear(" + b"9" * 900 + b", 1, 2)'",
    b"".join(b"name%d: 1\n" % n for n in range(8_000)),
    b"x" * 90_000 + b": 1\n",
    b"device: '" + b"x" * 90_000 + b"'\n",
    b'data: "\\ud800"\n',
    b'device: "cuda\\0"\n',
    b'device: "cpu\\e[31m"\n',
    b'"a\\nb\\e[2J": 1\n',
    b"beta: 2026-01-01\n",
    b"steps: .inf\n",
    b"beta: .nan\n",
    b"latent_dim: 1e300\n",
    b"latent_dim: 1000000000000\nmodel: mlp\nwidth: 1000000000000\n",
    b"model: mlp\nwidth: -5\n",
    b"\xff\xfe\x00",
    b"\x00" * 1_000,
    b"steps: 10\nbeta: " + b"1" * 10_000_000,
    b"a: b\n" * 20_000,
]


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str, float, int]]:
    """Exit code, standard error, seconds and kibibytes at most of `train --dry-run --config` with each of BOMBS.

    By one program for all of them, so that its memory is theirs.
    """
    folder = tmp_path_factory.mktemp("bombs")
    for number, content in enumerate(BOMBS):
        written(folder / f"{number}.yaml", content)
    program = (
        "import contextlib, io, json, re, sys, time\n"
        "from pathlib import Path\n"
        "from unbraid.cli import main\n"
        "import unbraid.training, unbraid.tables\n"
        "endings = []\n"
        "for number in range(int(sys.argv[1])):\n"
        "    began = time.process_time()\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as err:\n"
        "        code = main(['train', '--dry-run', '--config', f'{number}.yaml'])\n"
        # Linux's rusage would count the memory of the process that started this one, too
        "    most = int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "    endings.append([code, err.getvalue(), time.process_time() - began, most])\n"
        "json.dump(endings, sys.stdout)\n"
    )
    command = [sys.executable, "-c", program, str(len(BOMBS))]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=costs.PATIENCE * len(BOMBS)
    )
    assert len(list(folder.iterdir())) == len(BOMBS), "nothing else is written, nothing was run"
    return [tuple(ending) for ending in json.loads(done.stdout)]


@pytest.mark.parametrize("number", range(len(BOMBS)), ids=lambda number: repr(BOMBS[number][:30]))
def test_a_bomb_is_refused_in_one_line_and_at_once(endings: list[tuple[int, str, float, int]], number: int) -> None:
    code, said, seconds, kibibytes = endings[number]
    assert code == 2 and said.startswith("unbraid: ") and said.count("\n") == 1
    assert said.rstrip("\n").isprintable() and len(said) < 2_100
    assert seconds < costs.SECONDS and 1024 * kibibytes < costs.MEMORY


def check(number: int, folder: Path) -> None:
    """So many cases of configs, a quarter of each kind, and of studies."""

    @cases(number // 4)
    @given(st.sampled_from(GOOD), edits)
    def bytes_of_good_ones_changed(good: bytes, changes: list[tuple[float, int, bytes]]) -> None:
        written(folder / "run.yaml", edited(good, changes))
        accepted(lambda: read_config(folder))

    @cases(number // 4)
    @given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), values | CALLS, max_size=6))
    def other_values(settings: dict[str, object]) -> None:
        try:
            content = yaml.safe_dump(settings, allow_unicode=True).encode("utf-8", "surrogatepass")
        except ValueError:  # a number that Python does not print
            return
        written(folder / "run.yaml", content)
        accepted(lambda: read_config(folder))
        accepted(lambda: resolve(settings))

    @cases(number // 4)
    @given(
        st.lists(st.sampled_from([*"{}[]:,-?!&*#|>'\"% \n\t", "beta", "1", "<<", "0x", "e9", "---", "!!"]), max_size=40)
    )
    def signs_of_yaml(parts: list[str]) -> None:
        written(folder / "run.yaml", "".join(parts).encode())
        accepted(lambda: read_config(folder))

    @cases(number // 4)
    @given(st.sampled_from(["lr", "beta", "tau", "opened"]), CALLS | st.text(max_size=40))
    def schedules(name: str, text: str) -> None:
        accepted(lambda: resolve({"objective": "unfold", name: text}))

    @cases(number)
    @given(st.sampled_from(STUDIES), edits)
    def studies(good: bytes, changes: list[tuple[float, int, bytes]]) -> None:
        written(folder / "study.yaml", edited(good, changes))
        accepted(lambda: read_study(folder))

    for kind in (bytes_of_good_ones_changed, other_values, signs_of_yaml, schedules, studies):
        kind()


def test_generated(tmp_path: Path) -> None:
    check(FEW, tmp_path)


@pytest.mark.slow
def test_many_generated(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    check(MANY, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20
