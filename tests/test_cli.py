"""The command line: exit codes, one sentence for a mistake, and runs that outlive whatever ends them."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import data_files
import pytest
import yaml
from small_runs import log_rows, same_run

from unbraid import __version__, runs, tables
from unbraid.cli import COMMANDS, main
from unbraid.cli.meanings import OPTIONS

SMALL = ["--data", "balls", "--size", "8", "--model", "balls_conv", "--latent-dim", "3", "--batch-size", "8"]
SMALL += ["--device", "cpu", "--log-every", "50"]
LONG = [*SMALL, "--steps", "1500", "--checkpoint-minutes", "0.001"]
PATIENCE = 120.0

needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")


def unbraid(*arguments: str, **options: object) -> "subprocess.Popen[str]":
    program = "from unbraid.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls the program in this process: exit code, standard output, standard error."""

    def said(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return said


@pytest.fixture
def refused(said: Callable[..., tuple[int, str, str]]) -> Callable[..., str]:
    """Calls the program with what it must refuse: the sentence."""

    def refused(*arguments: str | Path) -> str:
        code, out, err = said(*arguments)
        assert code == 2 and out == "" and err.startswith("unbraid: ") and err.count("\n") == 1
        return err.removeprefix("unbraid: ").rstrip("\n")

    return refused


class TestHelp:
    @pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
    def test_names_the_commands_without_importing_torch(self, arguments: list[str]) -> None:
        program = (
            "import sys; from unbraid.cli import main\n"
            "assert main(sys.argv[1:]) == 0\n"
            "heavy = {'torch', 'numpy', 'matplotlib', 'scipy', 'sklearn', 'rich', 'yaml'} & sys.modules.keys()\n"
            "assert not heavy, heavy\n"
        )
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) >= COMMANDS.keys()

    @pytest.mark.parametrize("command", COMMANDS)
    def test_of_each_command(self, said: Callable[..., tuple[int, str, str]], command: str) -> None:
        code, out, err = said(command, "--help")
        assert code == 0 and out.startswith(f"usage: unbraid {command}") and err == ""

    def test_of_training_has_every_setting(self, said: Callable[..., tuple[int, str, str]]) -> None:
        from unbraid.config import general_fields, table_parameters

        shown = said("train", "--help")[1].split()
        names = {field.name for field in general_fields()} | {p.name for _, _, p in table_parameters()}
        assert {f"--{name.replace('_', '-')}" for name in names} <= set(shown)
        assert {p.name for _, _, p in table_parameters()} == OPTIONS.keys(), "each says what it means"

    def test_version(self, said: Callable[..., tuple[int, str, str]]) -> None:
        assert said("--version") == (0, f"unbraid {__version__}\n", "")

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            (["objectives"], ["beta_vae", "Higgins 2017", "gamma=1000"]),
            (["models"], ["burgess", "swift"]),
            (["metrics"], ["mig", "dcimig", "reconstruction"]),
            (["data", "list"], ["dsprites", "n_balls=1"]),
        ],
    )
    def test_lists(self, said: Callable[..., tuple[int, str, str]], command: list[str], words: list[str]) -> None:
        code, out, err = said(*command)
        assert code == 0 and err == "" and all(word in out for word in words)


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ("trian", 'there is no command called "trian"; did you mean "train"? (allowed: data, '),
            ("train --betta 4", 'there is no argument "--betta" here; did you mean "--beta"? (see `unbraid train'),
            ("train --betta=4", 'there is no argument "--betta" here; did you mean "--beta"? (see `unbraid train'),
            ("train 5", 'there is no argument "5" here'),
            ("--verzion", 'there is no argument "--verzion" here; did you mean "--version"?'),
            ("train --steps", "argument --steps: expected one argument"),
            ("train --steps x", "steps must be a whole number, not 'x'"),
            ("train --objective beta_va", 'there is no objective called "beta_va"; did you mean "beta_vae"?'),
            ("train --model swft", 'there is no model called "swft"; did you mean "swift"?'),
            ("train --data ball", 'there is no data set or folder called "ball"; did you mean "balls"?'),
            (
                "train --data dsprites --n-balls 2",
                '"n_balls" is an option of data balls, and this run has data dsprites',
            ),
            ("train --gamma 3", '"gamma" is an option of objective annealed_vae, objective factor_vae'),
            ("train --device warp", 'there is no device called "warp"'),
            ("train --device cuda:77", 'the device "cuda:77" is not on this machine'),
            ("train --threads 9999", "threads must be at most 1024, not 9999"),
            ("train --data given", "images passed in from Python"),
            ("train --config nowhere.yaml", "cannot read the config nowhere.yaml: No such file or directory"),
            ("train --resume nowhere", "nowhere is not a run folder: it holds no config.yaml"),
            ("train --resume x --steps 5 --out y", "takes the settings of the run as they are: drop --steps, --out"),
            ("train --resume x --dry-run --config z", "drop --config, --dry-run"),
            ("train --data balls --model swift --size 20", "swift cannot take 20x20 images"),
            ("study", "the following arguments are required: STUDY"),
            ("study bals", 'there is no study called "bals"; did you mean "balls"?'),
            ("study balls --jobs many", "argument --jobs: invalid int value: 'many'"),
            ("study balls --jobs 0", "jobs must be at least 1, not 0"),
            ("study balls --steps -3", "steps must be at least 1, not -3"),
            ("study balls --seeds 0", "seeds must be from 1"),
            ("study balls --seeds 100001", "seeds must be from 1 to 100,000"),
            ("study balls --engine rai", 'there is no engine called "rai"; did you mean "ray"'),
            ("study balls --address 10.0.0.1:6379", "for 10.0.0.1:6379 add --engine ray"),
            ("study balls --engine ray --gpus inf", "gpus must be a share of one, such as 0.25, or a whole number"),
            ("study balls --dry-run --engine rai", 'there is no engine called "rai"'),
            ("study nowhere.yaml", "cannot read the study nowhere.yaml: No such file or directory"),
            ("table nowhere", "nowhere is not the folder of a study: it holds no run"),
            ("demo --steps 0", "steps must be at least 1, not 0"),
            ("demo --steps some", "steps must be a whole number, not 'some'"),
            ("figures", "the following arguments are required: RUN"),
            ("figures nowhere", "nowhere is not a run folder"),
            ("figures nowhere --theme pink", "argument --theme: invalid choice: 'pink'"),
            ("score nowhere", "nowhere is not a run folder"),
            ("select nowhere", "nowhere holds 0 finished run(s)"),
            ("data", "the following arguments are required: ACTION"),
            ("data shwo balls", "argument ACTION: invalid choice: 'shwo'"),
            ("data show ball", 'there is no data set or folder called "ball"; did you mean "balls"?'),
            ("data show balls n_bals=2", 'balls has no option "n_bals"; did you mean "n_balls"?'),
            ("data show balls n_balls", "n_balls must be a whole number, not ''"),
            ("data show balls n_balls=9", "n_balls must be from 1 to 5"),
        ],
    )
    def test_is_one_sentence(
        self,
        refused: Callable[..., str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: str,
        sentence: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert sentence in refused(*arguments.split())
        assert list(tmp_path.iterdir()) == [], "nothing is left behind"

    def test_what_the_system_refuses(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert "cannot write the run folder" in refused("train", *SMALL, "--out", tmp_path / "file" / "run")
        assert "file" in refused("train", "--config", tmp_path / "file" / "run.yaml")

    def test_by_the_program_itself_without_a_traceback(self) -> None:
        process = unbraid("train", "--betta", "4")
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2 and out == "" and err.count("\n") == 1 and "Traceback" not in err

    def test_a_fault_of_the_program_shows_where_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(COMMANDS, "models", ("list", lambda parser: parser.set_defaults(run=lambda chosen: 1 / 0)))
        with pytest.raises(ZeroDivisionError):
            main(["models"])

    def test_more_images_at_once_than_fit(self, refused: Callable[..., str], tmp_path: Path) -> None:
        sentence = refused("train", *SMALL, "--batch-size", "999999999999", "--out", tmp_path / "run")
        assert sentence == "there is not enough memory: try a smaller batch_size, model or image"

    @pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
    def test_no_memory(self, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        def run(chosen: object) -> None:
            raise error

        monkeypatch.setitem(COMMANDS, "models", ("list", lambda parser: parser.set_defaults(run=run)))
        assert refused("models") == "there is not enough memory: try a smaller batch_size, model or image"


def test_scores_say_which_way_is_better(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["mig", "unsupervised", "reconstruction", "kl"]
    tables.show_scores("balls", {name: {"score": 0.5, "parts": {}} for name in names})
    lines = capsys.readouterr().out.splitlines()
    low = [line.split()[0] for line in lines if "lower is better" in line]
    assert low == ["unsupervised", "reconstruction"]


@needs_signals
class TestPipes:
    @pytest.mark.parametrize("command", [["--version"], ["objectives"], ["train", "--help"]])
    def test_a_reader_that_leaves_early(self, command: list[str]) -> None:
        process = unbraid(*command, env={**os.environ, "PYTHONUNBUFFERED": ""})
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait(PATIENCE) == 0
        process.stderr.close()

    def test_a_terminal_that_knows_no_greek(self) -> None:
        process = unbraid("metrics", env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and err == "" and out.isascii()


class TestDryRun:
    def test_prints_the_config_and_trains_nothing(
        self, said: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        code, out, err = said("train", "--dry-run", *SMALL, "--beta", "linear(0, 4, steps=10)")
        config, _, counts = out.partition("\n\n")
        found = yaml.safe_load(config)
        assert code == 0 and err == "" and found["beta"] == "linear(0, 4, steps=10)" and found["latent_dim"] == 3
        assert counts.startswith("# parameters: encoder 4,234, decoder ")
        assert list(tmp_path.iterdir()) == []

    def test_what_it_prints_is_a_config(self, said: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
        _, out, _ = said("train", "--dry-run", *SMALL, "--objective", "annealed_vae")
        (tmp_path / "again.yaml").write_text(out)
        assert said("train", "--dry-run", "--config", tmp_path / "again.yaml")[1] == out

    def test_refuses_what_training_would(self, refused: Callable[..., str]) -> None:
        assert "swift cannot take 8x8 images" in refused("train", "--dry-run", *SMALL, "--model", "swift")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert main(["train", *SMALL, "--steps", "100", "--out", str(folder)]) == 0
    return folder


class TestRun:
    def test_train_ends_with_figures(self, trained: Path) -> None:
        assert runs.state(trained) == "finished"
        names = {file.name for file in (trained / runs.FIGURES).iterdir()}
        assert {"traversals.png", "reconstructions.png", "training_curves.png", "traversals.gif", "z2.gif"} <= names
        assert runs.read_statistics(trained)["factor_names"] == ["x_1", "y_1"]

    def test_without_figures(self, said: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
        code, out, err = said("train", *SMALL, "--steps", "3", "--no-figures", "--out", tmp_path / "run")
        assert code == 0 and out.strip() == str(tmp_path / "run") and "train: 3/3 steps" in err
        assert not (tmp_path / "run" / runs.FIGURES).exists()

    def test_into_a_folder_with_a_run(self, refused: Callable[..., str], trained: Path) -> None:
        assert f"go on with `unbraid train --resume {trained}`" in refused("train", *SMALL, "--out", trained)

    def test_figures_again(self, said: Callable[..., tuple[int, str, str]], trained: Path) -> None:
        (trained / runs.FIGURES / "traversals.png").unlink()
        code, out, _ = said("figures", trained, "--image", "5", "--theme", "dark")
        assert code == 0 and "traversals.png" in out
        assert (trained / runs.FIGURES / "traversals.png").exists()

    def test_figures_of_scores(self, said: Callable[..., tuple[int, str, str]], trained: Path) -> None:
        assert said("score", trained, "--metrics", "mig")[0] == 0
        drawn = trained / runs.FIGURES / "score-mig-mutual_information.png"
        drawn.unlink()
        assert said("figures", trained)[0] == 0 and drawn.exists()

    def test_what_is_of_an_unfinished_run_says_so(
        self, said: Callable[..., tuple[int, str, str]], trained: Path, tmp_path: Path
    ) -> None:
        from shutil import copytree

        run = copytree(trained, tmp_path / "run")
        tensors, _ = runs.load_tensors(run / runs.WEIGHTS)
        runs.save_tensors(run / runs.CHECKPOINT, tensors, {"step": 30})
        (run / runs.WEIGHTS).unlink()
        runs.write_facts(run, {**runs.read_facts(run), "state": "stopped", "step": 30})
        for command, what in ((["figures", run], "figures"), (["score", run, "--metrics", "kl", "--json"], "scores")):
            code, out, err = said(*command)
            assert code == 0 and "not finished" not in out
            assert err.startswith(f"{run} is not finished: the {what} are of step 30 of 100\n")
        assert "not finished" not in said("score", trained, "--metrics", "kl")[2]

    def test_an_image_that_is_not_there(self, said: Callable[..., tuple[int, str, str]], trained: Path) -> None:
        for image in ("-1", "99999999"):
            code, _, err = said("figures", trained, "--image", image)
            assert code == 2 and "the image must be one from 0 to 1,048,575 of the data set" in err

    def test_a_span_that_is_none(self, said: Callable[..., tuple[int, str, str]], trained: Path) -> None:
        for span in ("-1", "0", "nan", "inf", "1e+30"):
            code, _, err = said("figures", trained, "--span", span)
            assert code == 2 and f"span must be a number above 0, at most 1,000, not {span}" in err

    def test_score(self, said: Callable[..., tuple[int, str, str]], trained: Path) -> None:
        code, out, _ = said("score", trained, "--metrics", "irs", "--json")
        scores = json.loads(out)[str(trained)]
        assert code == 0 and 0 <= scores["irs"]["score"] <= 1
        assert runs.read_scores(trained)["metrics"]["irs"]["score"] == scores["irs"]["score"]
        code, out, _ = said("score", trained, "--metrics", "irs", "--points", "300", "--json")
        assert code == 0 and runs.read_scores(trained)["points"] == 300
        assert json.loads(out)[str(trained)]["irs"]["score"] != scores["irs"]["score"]
        before = json.loads((trained / "scores-1.json").read_text())
        assert before["metrics"]["irs"]["score"] == scores["irs"]["score"], "nothing is lost"
        assert said("score", trained, "--metrics", "irs", "--seed", "7")[0] == 0
        assert json.loads((trained / "scores-2.json").read_text())["points"] == 300
        for points in ("-5", "1"):
            code, _, err = said("score", trained, "--points", points)
            assert code == 2 and f"points must be 0, which means every image, or a number from 10, not {points}" in err
        code, _, err = said("score", trained, "--metrics", "mgi")
        assert code == 2 and 'there is no metric called "mgi"; did you mean "mig"?' in err
        code, _, err = said("score", trained, "--metrics", "mig_chen")
        assert code == 2 and "mig_chen needs discrete factors" in err

    def test_damaged_run_folders(self, refused: Callable[..., str], trained: Path, tmp_path: Path) -> None:
        from shutil import copytree

        copytree(trained, tmp_path / "run")
        (tmp_path / "run" / runs.WEIGHTS).write_bytes(b"junk")
        for command in ("figures", "score"):
            assert "cannot read" in refused(command, tmp_path / "run")

    def test_data_show(self, said: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
        code, out, _ = said("data", "show", "balls", "n_balls=2", "size=8", "--out", tmp_path / "sheet.png")
        assert code == 0 and "1,048,576 images, 8x8, grey" in out and "y_2" in out
        assert (tmp_path / "sheet.png").stat().st_size > 1000

    def test_own_images(
        self, said: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
        monkeypatch.chdir(tmp_path)
        data_files.pictures(tmp_path / "my faces", 40)
        code, out, err = said("data", "show", "my faces", "size=8")
        assert code == 0 and "my faces: 40 images, 8x8, 3 channels" in out and "0 duplicates" in out
        assert "no ground-truth factors" in out and (tmp_path / "my faces-sheet.png").stat().st_size > 1000
        monkeypatch.chdir(tmp_path / "my faces")
        assert said("data", "show", ".", "size=8")[0] == 0
        assert not list(Path().glob("*sheet*")), "none of its pictures"
        monkeypatch.chdir(tmp_path)
        small = ["--data", "my faces", "--size", "8", "--model", "mlp", "--batch-size", "8", "--steps", "5"]
        code, out, err = said("train", *small, "--out", "run")
        assert code == 0 and "likelihood gaussian, sigma 0.25, as the images are in shades or colours" in err
        monkeypatch.chdir(tmp_path / "run")
        config = yaml.safe_load(Path("config.yaml").read_text())
        assert config["likelihood"] == "gaussian" and config["path"] == str(tmp_path / "my faces")
        assert said("score", ".", "--metrics", "kl")[0] == 0  # found from another folder
        code, out, err = said("train", *small, "--data", "../my faces", "--dry-run")
        assert code == 0 and "likelihood: gaussian\nsigma: 0.25\n" in out

    def test_the_words_of_a_table(
        self, said: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
        monkeypatch.chdir(tmp_path)
        data_files.pictures(tmp_path, 4)
        rows = "".join(f"00{n}.png,{'red' if n % 3 else 'blue'},{30 * (n % 2)},{n / 2}\n" for n in range(4))
        (tmp_path / "t.csv").write_text(f"path,colour,angle,depth\n{rows}")
        code, out, _ = said("data", "show", "t.csv", "size=8")
        assert (
            code == 0 and re.search(r"colour +2: blue, red +2 +\n", out) and re.search(r"angle +2: 0, 30 +2 +\n", out)
        )
        assert re.search(r"depth +0 to 1.5 +continuous", out) and (tmp_path / "t-sheet.png").is_file()

    def test_one_image_and_a_factor_that_never_changes(
        self, said: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
        monkeypatch.chdir(tmp_path)
        data_files.pictures(tmp_path, 2)
        (tmp_path / "t.csv").write_text("path,lit,angle,depth\n000.png,on,0,.5\n001.png,on,1,.5\n")
        out = said("data", "show", "t.csv", "size=8")[1]
        assert "2 images, " in out and "so that no latent can follow it: lit, depth\n" in out
        (tmp_path / "t.csv").write_text("path,lit\n000.png,on\n")
        out = said("data", "show", "t.csv", "size=8")[1]
        assert "t.csv: 1 image, 8x8" in out and "\n0 duplicates" in out and "follow" not in out
        (tmp_path / "t.csv").write_text("path\n000.png\n000.png\n")
        assert "\n1 duplicate\n" in said("data", "show", "t.csv", "size=8")[1]

    def test_own_images_that_are_none(
        self, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "empty").mkdir()
        (tmp_path / "x.npz").write_bytes(b"junk")
        assert "holds no pictures" in refused("train", "--data", "empty")
        assert "x.npz cannot be read as .npz" in refused("train", "--data", "x.npz")
        assert '"no/where" is no data: give a folder of images' in refused("train", "--data", "no/where")
        assert "the system" not in refused("data", "show", "nowhere.csv")

    def test_data_build(self, said: Callable[..., tuple[int, str, str]]) -> None:
        assert said("data", "build", "balls")[:2] == (0, "balls: 1,048,576 images ready\n")


TWO_RUNS = """\
base: {data: balls, size: 8, model: balls_conv, batch_size: 8, latent_dim: 3}
grid: {lr: [0.001, 1.0e+30]}
"""


def test_a_study_from_its_plan_to_its_table(said: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    file, out = tmp_path / "two.yaml", tmp_path / "out"
    file.write_text(TWO_RUNS)
    settings = [file, "--out", out, "--steps", "5", "--seed", "3", "--jobs", "1", "--device", "cpu"]
    code, planned, _ = said("study", *settings, "--dry-run")
    assert code == 0 and "lr_0.001" in planned and "2 runs, 0 of them finished" in planned and not out.exists()
    code, printed, _ = said("study", *settings)
    assert code == 1 and "the loss stopped being a number" in printed and "1 of 2 runs finished" in printed
    (sound,) = out.glob("lr_0.001-*")
    assert runs.read_config(sound).seed == 3 and runs.steps_done(sound) == 5
    code, table, _ = said("table", out, "--where", "state==finished and lr<1", "--sort", "lr")
    assert code == 0 and sound.name in table and "1e+30" not in table
    assert said("table", out, "--where", "lr<0")[1] == "none of the 2 runs is one where lr<0\n"
    code, _, err = said("table", sound)
    assert code == 2 and "it is a run itself, so give the folder around it" in err
    assert said("table", out, "--csv", tmp_path / "all.csv")[0] == 0
    with (tmp_path / "all.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == ["finished", "failed"]
    assert [float(row["lr"]) for row in rows] == [1e-3, 1e30] and rows[1]["final.loss"] == ""
    assert said("table", out, "--csv")[0] == 0
    assert (out / "table.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()
    file.write_text(TWO_RUNS.replace(", 1.0e+30", ""))
    assert said("study", *settings)[0] == 0
    assert said("study", *settings, "--print")[1] == file.read_text()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, str]]]:
    """The finished run, and how its processes ended: exit code and standard error."""
    folder = tmp_path_factory.mktemp("disturbed") / "run"
    endings = []
    for number, arguments in (
        (signal.SIGKILL, ["train", *LONG, "--no-figures", "--out", str(folder)]),
        (signal.SIGINT, ["train", "--resume", str(folder), "--no-figures"]),
        (signal.SIGTERM, ["train", "--resume", str(folder), "--no-figures"]),
    ):
        began = time.time()
        with unbraid(*arguments) as process:
            while not checkpoint_after(folder, began):
                assert process.poll() is None and time.time() - began < PATIENCE
                time.sleep(0.01)
            process.send_signal(number)
            _, said = process.communicate(timeout=PATIENCE)
        endings.append((process.returncode, said))
    assert main(["train", "--resume", str(folder), "--no-figures"]) == 0
    return folder, endings


@needs_signals
class TestDisturbed:
    """One run through everything: killed, interrupted, terminated, and resumed each time."""

    def test_it_is_an_undisturbed_run(self, story: tuple[Path, list[tuple[int, str]]], tmp_path: Path) -> None:
        assert main(["train", *LONG, "--no-figures", "--out", str(tmp_path / "run")]) == 0
        assert same_run(story[0], tmp_path / "run")
        assert [int(row["step"]) for row in log_rows(story[0])] == list(range(50, 1501, 50))

    def test_the_exit_codes(self, story: tuple[Path, list[tuple[int, str]]]) -> None:
        assert [code for code, _ in story[1]] == [-signal.SIGKILL, 130, 130]

    def test_the_words(self, story: tuple[Path, list[tuple[int, str]]]) -> None:
        folder, endings = story
        for _, said in endings[1:]:
            *_, empty, last = said.splitlines()
            assert empty == "" or empty.startswith("train: ")
            assert last.startswith("unbraid: stopped at step ")
            assert last.endswith(f" of 1,500, everything is kept: `unbraid train --resume {folder}` goes on")
            assert "Traceback" not in said

    def test_time_is_counted_over_all_parts(self, story: tuple[Path, list[tuple[int, str]]]) -> None:
        with (story[0] / runs.LOG).open() as stream:
            seconds = [float(row["seconds"]) for row in csv.DictReader(stream)]
        assert seconds == sorted(seconds)

    def test_before_anything_began(self) -> None:
        """Ctrl-C while PyTorch is being imported."""
        program = (
            "import _thread, sys; from unbraid.cli import main\n"
            "sys.meta_path.insert(0, type('Stop', (), {'find_spec': lambda *_: _thread.interrupt_main()})())\n"
            "raise SystemExit(main(['objectives']))\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
        assert (done.returncode, done.stderr) == (130, "\nunbraid: interrupted\n")


def checkpoint_after(folder: Path, began: float) -> bool:
    file = folder / runs.CHECKPOINT
    return file.exists() and file.stat().st_mtime > began


def test_where_no_latent_is_in_use_it_says_what_may_help(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "factor_names": [],
        "normalised_mutual_information": [],
        "posterior_variance": [1.0],
        "kl_per_latent": [0.0],
    }
    for active in (0, 1):
        tables.show_latents(found | {"reconstruction": 1.0, "kl": 0.0, "elbo": -1.0, "active_latents": active})
        assert ("such as a lower beta, or more steps" in capsys.readouterr().out) == (active == 0)


def test_pictures_of_latents_stand_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "figures").mkdir()
    for name in (
        *(f"z{n}.{kind}" for n in range(12) for kind in ("gif", "png")),
        "a.png",
        "b4.png",
        "b7.png",
        "b8.png",
    ):
        (tmp_path / "figures" / name).touch()
    tables.show_folder(tmp_path)
    names = [line.strip() for line in capsys.readouterr().out.split("\n")[2:-1]]
    whole = ["a.png", "b4.png", "b7.png", "b8.png", "z0.gif ... z11.gif", "z0.png ... z11.png"]
    assert names == [f"figures/{name}" for name in whole]
