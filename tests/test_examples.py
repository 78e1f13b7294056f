"""Every script in examples/ runs, draws what it says, and learns something."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unbraid import load
from unbraid.cli import main
from unbraid.study import file, grid

EXAMPLES = Path(__file__).parents[1] / "examples"
README = EXAMPLES.parent / "README.md"


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], str]:
    """Runs an example in an empty folder; what it prints."""

    def run(name: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", str(EXAMPLES / name)], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def pictures(folder: Path) -> dict[str, bool]:
    """Name -> whether there is anything to see on it."""
    return {file.name: np.array(Image.open(file).convert("L")).std() > 10 for file in folder.glob("*.png")}


@pytest.mark.slow  # what test_picture_folder does, in short
def test_own_images(run: Callable[[str], str], tmp_path: Path) -> None:
    assert "digits.png" in run("own_images.py")
    assert pictures(tmp_path) == {"digits.png": True}


def test_own_objective(run: Callable[[str], str]) -> None:
    found = re.search(r"'correlation': (\d\.\d+)", run("own_objective.py"))
    assert found is not None and 0.3 < float(found[1]) <= 1


def test_beta_is_a_study_of_four_runs() -> None:
    assert [cell.config.options["beta"] for cell in grid.cells(file.read(EXAMPLES / "beta.yaml"), "")] == [
        0.5,
        1,
        4,
        16,
    ]


def test_picture_folder(run: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example, and then the README's command on the folder that it leaves."""
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    printed = run("picture_folder.py")
    numbers = re.search(r"likelihood gaussian, (\d) of 6 latents in use\n.*explicitness (\d\.\d\d) of 1", printed)
    assert numbers is not None
    assert int(numbers[1]) >= 3 and float(numbers[2]) > 0.9  # pixels alone tell nearly every digit
    assert pictures(tmp_path / "runs" / "digits" / "figures")["traversals.png"]
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert len(list((tmp_path / "digits").glob("*.png"))) == 1797
    command = re.search(r"^unbraid (train --data digits/table\.csv .*)$", README.read_text(encoding="utf-8"), re.M)
    assert command is not None
    monkeypatch.chdir(tmp_path)
    assert main(command[1].split()) == 0
    assert load(tmp_path / "runs" / "d2").log["recon"][-1] < -10  # 11.7 at step 100


def test_python_api(run: Callable[[str], str], tmp_path: Path) -> None:
    numbers = re.search(r"reconstruction (\d+) -> (\d+) nats.*\nmig (0\.\d\d), irs (0\.\d\d)", run("python_api.py"))
    assert numbers is not None
    before, after, mig, irs = map(float, numbers.groups())
    assert after < before / 2
    assert mig > 0.5 and irs > 0.7  # one coordinate a latent; turned by 45 degrees mig would be near 0
    assert pictures(tmp_path) == {"latents_against_positions.png": True, "traversals.png": True}


def test_score_your_codes(run: Callable[[str], str]) -> None:
    header, *lines = run("score_your_codes.py").splitlines()
    perfect, mixed, unknown = (dict(zip(header.split(), map(float, line.split()[-5:]), strict=True)) for line in lines)
    assert min(perfect.values()) > 0.95
    assert mixed["infoe"] > 0.95 and max(mixed["mig"], mixed["infom"]) < 0.6
    assert unknown["mig"] < 0.05 and unknown["infoe"] < 0.05


@pytest.mark.slow
def test_transformer(run: Callable[[str], str]) -> None:
    found = re.findall(r"([\d.]+)$|([\d.]+) of 16$", run("transformer.py"), re.MULTILINE)
    one, two, eight, error = (float(a or b) for a, b in found)
    assert one < two < eight and eight > 0.7 and error < 2.5  # the mean image alone is 3.1 away


def test_every_example_is_tested() -> None:
    tested = re.findall(r'run\("(\w+\.py)"\)', Path(__file__).read_text(encoding="utf-8"))
    assert sorted(file.name for file in EXAMPLES.glob("*.py")) == sorted(tested)
