"""The commands report, export and demo, as they are typed."""

import re
import shutil
from pathlib import Path

import pytest
from small_runs import small_run

from unbraid import runs
from unbraid.cli import main


@pytest.fixture
def run(tmp_path: Path) -> Path:
    small_run("beta_vae", tmp_path / "run")
    return tmp_path / "run"


def test_report(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--out", str(tmp_path / "pages" / "page.html")]) == 0
    assert re.search(r"page\.html  \d\.\d MB: open it in a browser", capsys.readouterr().out)
    assert (tmp_path / "pages" / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_report_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--serve", "--port", "0"]):
        assert main(["report", str(tmp_path), *more]) == 2
        assert "is not a run folder, and there is none in it" in capsys.readouterr().err


def test_export(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run)]) == 0
    assert re.search(
        r"decoder\.onnx  [\d,]+ bytes; differs from PyTorch by logits \S+, x_hat \S+\n", capsys.readouterr().out
    )
    assert {file.name for file in (run / runs.EXPORT).iterdir()} == {"encoder.onnx", "decoder.onnx"}


def test_export_of_two_runs_into_one_folder_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "other")
    assert main(["export", str(run), str(tmp_path / "other"), "--out", str(tmp_path / "both")]) == 2
    assert "--out is for one run" in capsys.readouterr().err
    assert not (tmp_path / "both").exists()


def test_the_demo_ends_with_its_page(
    tmp_path: Path, dsprites_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("unbraid.cli.demo.finish", lambda run: None)  # its figures, which take longest
    assert main(["demo", "--steps", "3", "--out", str(tmp_path / "demo"), "--device", "cpu"]) == 0
    page = tmp_path / "demo" / runs.REPORT
    assert f"in any browser: {page}" in capsys.readouterr().out
    assert "pos_x" in page.read_text(encoding="utf-8")
