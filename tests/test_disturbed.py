"""Surroundings that work against the program: full disks, no permission, no home, no terminal, Ctrl-C at any moment."""

import ctypes
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

from unbraid import runs
from unbraid.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals, limits and modes of POSIX")


def slow(*cases: Any) -> list[Any]:
    """For the slow suite, beside others like them."""
    return [pytest.param(case, marks=pytest.mark.slow) for case in cases]


SMALL = ["--data", "balls", "--size", "8", "--model", "balls_conv", "--latent-dim", "3", "--batch-size", "8"]
SMALL += ["--device", "cpu", "--log-every", "50"]
PATIENCE = 200.0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disturbed") / "run"
    assert main(["train", *SMALL, "--steps", "60", "--no-figures", "--out", str(folder)]) == 0
    np.save(folder.parent / "images.npy", np.zeros((20, 8, 8), np.uint8))
    (folder.parent / "pictures").mkdir()
    for n, shades in enumerate(np.random.default_rng(0).integers(0, 256, (300, 40, 40), np.uint8)):
        Image.fromarray(shades).save(folder.parent / "pictures" / f"{n}.png")
    return folder


@pytest.fixture(scope="module")
def stopped(trained: Path) -> Path:
    """A run that a Ctrl-C ended on its way."""
    folder = trained.parent / "stopped"
    with start("train", *SMALL, "--steps", 100_000, "--out", folder) as process:
        while runs.steps_done(folder) < 100 if folder.is_dir() else process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and (folder / runs.CHECKPOINT).exists()
    return folder


def start(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "unbraid", *map(str, arguments)]
    # Python renames compiled files that a limit has cut short into place, and everything after would stumble over them
    options["env"] = {**options.get("env", os.environ), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8", **options}
    )


def done(*arguments: object, **options: Any) -> tuple[int, str, str]:
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def refused(*arguments: object, **options: Any) -> str:
    """The last line of standard error, where the program refused with it and without a traceback."""
    code, _, err = done(*arguments, **options)
    *_, last = err.splitlines()
    assert code == 2 and last.startswith("unbraid: ") and "Traceback" not in err, err
    return last


def files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def environment(**changes: str | None) -> dict[str, str]:
    kept = {**os.environ, **{name: value for name, value in changes.items() if value is not None}}
    return {name: value for name, value in kept.items() if changes.get(name, "") is not None}


# ---- disks ----


def at_most_bytes(size: int) -> Callable[[], None]:
    """No file of the program may grow beyond it: what a full disk is to whoever writes."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def unprivileged() -> None:
    """In the child: modes bind root too, who else may write everywhere."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        libc.prctl(28, 1, 0, 0, 0)  # PR_SET_SECUREBITS, SECBIT_NOROOT: the program to be started gains none back
        libc.capset(ctypes.byref((ctypes.c_uint32 * 2)(0x20080522, 0)), ctypes.byref((ctypes.c_uint32 * 6)()))


needs_modes = pytest.mark.skipif(
    not sys.platform.startswith("linux") and (not hasattr(os, "geteuid") or os.geteuid() == 0),
    reason="modes do not bind root, and only Linux lets it drop that",
)


class TestDisks:
    def test_full_while_codes_are_written(self, trained: Path, tmp_path: Path) -> None:
        for name, size in (("codes.csv", 100), ("images.npy", 3_000)):
            source = trained.parent / "images.npy"
            if name == "images.npy":
                assert main(["encode", str(trained), str(source), "-o", str(tmp_path / "codes.csv")]) == 0
            command = (
                ["encode", trained, source] if name == "codes.csv" else ["decode", trained, tmp_path / "codes.csv"]
            )
            before = files(tmp_path)
            env = environment(UNBRAID_CACHE=str(tmp_path.parent / "cache"))
            last = refused(*command, "-o", tmp_path / name, preexec_fn=at_most_bytes(size), env=env)
            assert f"the system refused {tmp_path / name}" in last or "cannot" in last
            assert files(tmp_path) == before, "nothing half written is left"

    def test_full_while_a_run_is_written(self, tmp_path: Path) -> None:
        last = refused("train", *SMALL, "--steps", 20, "--out", tmp_path / "run", preexec_fn=at_most_bytes(5_000))
        assert f"the system refused {tmp_path / 'run'}" in last and "File too large" in last
        assert not (tmp_path / "run" / runs.WEIGHTS).exists() and not list((tmp_path / "run").glob("*.tmp"))

    @pytest.mark.parametrize(
        "name", ["study", *slow("report", "export", "figures", "score", "demo", "table", "train --data")]
    )
    def test_full_while_anything_else_is_written(self, trained: Path, tmp_path: Path, name: str) -> None:
        copytree(trained, tmp_path / "run")
        copytree(trained, tmp_path / "stopped")
        before = {file: (tmp_path / file).read_bytes() for file in files(tmp_path)}
        env = environment(UNBRAID_CACHE=str(tmp_path.parent / "cache"))
        command = commands(trained, tmp_path)[name]
        last = refused(*command, env=env, cwd=tmp_path, preexec_fn=at_most_bytes(300))
        assert "File too large" in last
        assert {file: (tmp_path / file).read_bytes() for file in before} == before, "what was there is whole"
        assert all(file.endswith(".lock") for file in files(tmp_path) - before.keys()), "nothing half written is left"

    def test_full_where_standard_output_goes(self) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("there is no device that is always full")
        with Path("/dev/full").open("w") as full:
            code, _, err = done("objectives", stdout=full)
        assert code == 2 and err == "unbraid: the system refused: No space left on device\n"

    @needs_modes
    def test_no_permission(self, trained: Path, tmp_path: Path) -> None:
        copytree(trained, tmp_path / "run")
        (tmp_path / "closed").mkdir(0o500)
        (tmp_path / "run").chmod(0o500)
        before = files(tmp_path)
        for command in (
            ["train", *SMALL, "--steps", 5, "--out", tmp_path / "closed" / "run"],
            ["encode", trained, "balls", "-o", tmp_path / "closed" / "codes.csv"],
            ["figures", tmp_path / "run"],
        ):
            assert "ermission denied" in refused(*command, preexec_fn=unprivileged)
        (tmp_path / "run").chmod(0o700)
        assert files(tmp_path) == before

    @needs_modes
    def test_what_may_not_be_read(self, trained: Path, tmp_path: Path) -> None:
        copytree(trained, tmp_path / "run")
        for name in (runs.WEIGHTS, runs.FACTS, runs.CONFIG):
            (tmp_path / "run" / name).chmod(0)
            last = refused(
                "decode", tmp_path / "run", tmp_path / "z.npy", "-o", tmp_path / "x", preexec_fn=unprivileged
            )
            assert name in last
            (tmp_path / "run" / name).chmod(0o600)

    @needs_modes
    def test_a_cache_that_is_read_only(self, tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir(0o500)
        (tmp_path / "pictures").mkdir()
        for n in range(3):
            Image.new("L", (9, 9), 40 * n).save(tmp_path / "pictures" / f"{n}.png")
        env = environment(UNBRAID_CACHE=str(tmp_path / "cache" / "here"))
        last = refused("data", "show", tmp_path / "pictures", env=env, cwd=tmp_path, preexec_fn=unprivileged)
        assert "cache" in last


# ---- users and terminals ----


class TestSurroundings:
    @pytest.mark.parametrize("name", ["score", *slow("train", "report", "study", "data")])
    def test_no_home(self, trained: Path, tmp_path: Path, name: str) -> None:
        fonts = matplotlib.get_cachedir()  # which matplotlib lists once
        env = environment(HOME=None, XDG_CACHE_HOME=None, XDG_CONFIG_HOME=None, MPLCONFIGDIR=fonts)
        copytree(trained, tmp_path / "run")
        (tmp_path / "study.yaml").write_text("base: {data: balls, size: 8, model: balls_conv, steps: 5, device: cpu}\n")
        commands: dict[str, dict[str, list[object]]] = {  # what each says
            "score": {"kl": ["score", tmp_path / "run", "--metrics", "kl"]},
            "train": {"traversals.png": ["train", *SMALL, "--steps", 5, "--out", "new"]},
            "report": {"page.html": ["report", tmp_path / "run", "-o", "page.html"]},
            "study": {"1 of 1 runs finished": ["study", "study.yaml"], "finished": ["table", "runs/study"]},
            "data": {"dsprites": ["data", "list"]},
        }
        for said, command in commands[name].items():
            code, out, err = done(*command, env=env, cwd=tmp_path)
            assert code == 0 and said in out and "Traceback" not in err, err

    @pytest.mark.parametrize("closed", [*slow((0,), (0, 1)), (0, 1, 2)], ids=str)
    def test_no_terminal_at_all(self, trained: Path, tmp_path: Path, closed: tuple[int, ...]) -> None:
        """As of a job that was started with its input and outputs closed."""
        copytree(trained, tmp_path / "run")
        script = "exec " + " ".join(f"{n}{'<' if n == 0 else '>'}&-" for n in closed) + ' "$@"'
        command = ["/bin/sh", "-c", script, "sh", sys.executable, "-m", "unbraid"]
        score = subprocess.run([*command, "score", tmp_path / "run", "--metrics", "kl"], timeout=PATIENCE, check=False)
        assert score.returncode == 0 and "kl" in runs.read_scores(tmp_path / "run")["metrics"]
        refusal = subprocess.run([*command, "score", tmp_path / "none"], timeout=PATIENCE, check=False)
        assert refusal.returncode == 2

    @pytest.mark.parametrize(
        "language",
        [
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            *slow(
                {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
                {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
            ),
        ],
        ids=str,
    )
    def test_languages_without_unicode(self, trained: Path, tmp_path: Path, language: Mapping[str, str]) -> None:
        run, codes = tmp_path / "größer 测试 run", tmp_path / "códes π.csv"
        copytree(trained, run)
        env = environment(**language, UNBRAID_CACHE=str(tmp_path / "cäche"))
        options = {"env": env, "encoding": "latin-1"}
        assert done("encode", run, trained.parent / "images.npy", "-o", codes, **options)[0] == 0
        assert done("decode", run, codes, "-o", tmp_path / "gemälde", **options)[0] == 0
        assert len(files(tmp_path / "gemälde")) == 20
        assert "Traceback" not in refused("figures", tmp_path / "none β", **options)

    def test_spaces_and_unicode_in_every_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        home = tmp_path / "Ein Ordner, mit 'Zeichen' 🎈"
        home.mkdir()
        monkeypatch.setenv("UNBRAID_CACHE", str(home / "cache"))
        np.save(home / "bilder β.npy", np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8))
        data = ["--data", str(home / "bilder β.npy"), "--model", "balls_conv", "--latent-dim", "3", "--device", "cpu"]
        assert main(["train", *data, "--batch-size", "8", "--steps", "9", "--out", str(home / "lauf 1")]) == 0
        assert main(["encode", str(home / "lauf 1"), str(home / "bilder β.npy"), "-o", str(home / "ç.parquet")]) == 0
        assert main(["decode", str(home / "lauf 1"), str(home / "ç.parquet"), "-o", str(home / "ç")]) == 0
        assert (home / "lauf 1" / runs.FIGURES / "traversals.png").exists() and len(files(home / "ç")) == 30


# ---- Ctrl-C ----


def commands(trained: Path, folder: Path) -> dict[str, list[object]]:
    images = trained.parent / "images.npy"
    return {
        "train": ["train", *SMALL, "--steps", 100_000, "--out", folder / "new"],
        "figures": ["figures", folder / "run"],
        "score": ["score", folder / "run"],
        "encode": ["encode", folder / "run", "balls", "-o", folder / "codes.parquet"],
        "decode": ["decode", folder / "run", images.with_name("z.npy"), "-o", folder / "pictures"],
        "study": ["study", "balls", "--steps", 500, "--out", folder / "study", "--jobs", 1],
        "demo": ["demo", "--out", folder / "demo"],
        "objectives": ["objectives"],
        "help": ["train", "--help"],
        "data": ["data", "show", "balls", "--out", folder / "sheet.png"],
        "data build": ["data", "build", "dsprites"],
        "train --data": [
            "train",
            "--data",
            trained.parent / "pictures",
            "--size",
            32,
            "--steps",
            9_000,
            "--out",
            "own",
        ],
        "train --resume": ["train", "--resume", folder / "stopped"],
        "report": ["report", folder / "run", folder / "stopped", "-o", folder / "report.html"],
        "export": ["export", folder / "run"],
        "table": ["table", folder, "--csv"],
        "select": ["select", folder / "seeds"],
        "push": ["push", folder / "run", "someone/name"],
    }


class FailingHub(ThreadingHTTPServer):
    def __init__(self, late: float) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.late = late  # seconds


class HubHandler(BaseHTTPRequestHandler):
    """Answers as the Hub does to the making of a repository, each time a while late, and then gives up."""

    server: FailingHub

    def do_POST(self) -> None:
        time.sleep(self.server.late)
        made = self.path.endswith("/repos/create")
        self.send_response(200 if made else 503)
        self.end_headers()
        self.wfile.write(b'{"url": "http://127.0.0.1/someone/name"}' if made else b"{}")

    do_GET = do_HEAD = do_POST

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def hub(late: float) -> Iterator[dict[str, str]]:
    """What a process needs in its environment to take a server of this machine for the Hub."""
    with FailingHub(late) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_TOKEN": "hf_none"}
        finally:
            server.shutdown()


@pytest.mark.slow  # the Hub's library tries again and again; what is said in the end is tested in test_hub.py
def test_a_hub_that_is_out_of_order_or_not_there(trained: Path, tmp_path: Path) -> None:
    copytree(trained, tmp_path / "run")
    before = files(tmp_path)
    with hub(late=0.0) as where:
        err = refused("push", tmp_path / "run", "someone/name", env=environment(**where))
        assert 'the Hub does not give or take "someone/name"' in err and "503" in err
    err = refused("push", tmp_path / "run", "someone/name", env=environment(**where))  # nobody listens any more
    assert "the Hub is not reached" in err
    assert files(tmp_path) == before


def interrupted(trained: Path, stopped: Path, folder: Path, name: str, moment: float) -> None:
    """Ctrl-C so many seconds after the program's first line; before it the interpreter starts, which is not ours."""
    copytree(trained, folder / "run")
    copytree(stopped, folder / "stopped")
    for seed in range(3):
        config = runs.read_config(copytree(trained, folder / "seeds" / f"{seed}"))
        runs.write_config(folder / "seeds" / f"{seed}", replace(config, seed=seed))
    np.save(trained.parent / "z.npy", np.zeros((100_000, 3), np.float32))
    before = {**dict.fromkeys(files(folder)), "z.npy": None}
    program = (
        "import sys; sys.stderr.write('begun\\n'); sys.stderr.flush()\n"
        "from unbraid.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, *map(str, commands(trained, folder)[name])]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with ExitStack() as around:
        env = environment(UNBRAID_CACHE=str(folder / "cache"), **around.enter_context(hub(late=1.0)))
        process = around.enter_context(subprocess.Popen(command, **pipes, cwd=folder, env=env, start_new_session=True))
        assert process.stderr is not None and process.stderr.readline() == "begun\n"
        time.sleep(0.05 + moment)
        finished = process.poll() is not None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err and "Exception ignored" not in err, err
    if not finished and process.returncode != 0:  # 0: the work was done at that very moment
        *_, last = err.splitlines()
        assert process.returncode == 130 and last.startswith("unbraid: "), err
    half = [file for file in files(folder) - before.keys() if file.endswith(".tmp") or "/." in f"/{file}"]
    assert [file for file in half if not file.endswith(".lock")] == []


@pytest.mark.parametrize(
    ("name", "moment"), [pytest.param("train", 0.0, marks=pytest.mark.slow), ("train", 1.5), ("encode", 0.4)]
)
def test_an_interrupt(trained: Path, stopped: Path, tmp_path: Path, name: str, moment: float) -> None:
    interrupted(trained, stopped, tmp_path, name, moment)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("name", list(commands(Path(), Path())))
def test_an_interrupt_at_any_moment_of_any_command(
    trained: Path, stopped: Path, tmp_path: Path, name: str, number: int
) -> None:
    interrupted(trained, stopped, tmp_path, name, random.Random(f"{name} {number}").expovariate(0.4))


@pytest.mark.parametrize(
    "then",
    [
        "from unbraid.progress import progress\nwith progress('work', 3): time.sleep(9)",
        "from unbraid.surroundings import interrupts\nwith interrupts(): time.sleep(9)",
    ],
    ids=["work", "training"],
)
def test_an_interrupt_that_a_library_swallows(then: str) -> None:
    """As one does that tries an import and takes any failure for its absence."""
    body = "try: os.kill(os.getpid(), signal.SIGINT); time.sleep(9)\nexcept BaseException: pass\n" + then
    program = (
        "import os, signal, sys, time\n"
        "import unbraid.cli\n"
        f"def swallowing():\n{textwrap.indent(body, '    ')}\n"
        "unbraid.cli.main = swallowing\n"
        "from unbraid.__main__ import main; sys.exit(main())"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 130 and ended.stderr.splitlines()[-1] == "unbraid: interrupted"


@pytest.mark.parametrize(("hangs", "presses"), [(False, 1), pytest.param(True, 1, marks=pytest.mark.slow), (False, 8)])
def test_an_interrupt_waits_for_the_end_of_an_import(tmp_path: Path, hangs: bool, presses: int) -> None:
    """In which an exception could end the process with an abort, as PyTorch's does; not for ever where one hangs."""
    (tmp_path / "library.py").write_text(
        "import os, signal, sys, time\n"
        f"for _ in range({presses}): os.kill(os.getpid(), signal.SIGINT); time.sleep(.03)\n"
        f"time.sleep({60 if hangs else 2})\n"
        "print('imported', file=sys.stderr)\n"
    )
    program = (
        "import sys, time\n"
        "import unbraid.cli\n"
        "def importing():\n"
        "    try: import library; time.sleep(60)\n"
        "    finally: time.sleep(.1); print('tidied', file=sys.stderr)\n"
        "unbraid.cli.main = importing\n"
        "from unbraid.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=40)
    assert ended.returncode == 130
    assert ended.stderr.split() == [*([] if hangs else ["imported"]), "tidied", "unbraid:", "interrupted"]
