"""The Hub: what is pushed loads again, from a stand-in that keeps folders as the Hub keeps repositories."""

import fnmatch
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from small_runs import small_run

import unbraid
from unbraid import hub, pictures, runs
from unbraid.cli import main
from unbraid.config import resolve
from unbraid.errors import UnbraidError
from unbraid.metrics import Result
from unbraid.runs import Run


class Hub:
    """Repositories as folders, behind the calls of huggingface_hub."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.private: dict[str, bool] = {}

    def api(self, **options: Any) -> "Hub":
        assert options["library_name"] == "unbraid"
        return self

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> str:
        if not re.fullmatch(r"[\w-]+/[\w.-]+", repo_id):
            raise HFValidationError(f"Repo id must be in the form user/name: '{repo_id}'")
        (self.root / repo_id).mkdir(parents=True, exist_ok=exist_ok)
        self.private[repo_id] = private
        return f"https://hub.test/{repo_id}"

    def upload_folder(
        self, *, repo_id: str, folder_path: Path, commit_message: str, delete_patterns: list[str] | None = None
    ) -> None:
        for name in self.list_repo_files(repo_id):
            if any(fnmatch.fnmatch(name, pattern) for pattern in delete_patterns or ()):
                (self.root / repo_id / name).unlink()
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)

    def list_repo_files(self, repo_id: str, *, revision: str | None = None) -> list[str]:
        folder = self.root / repo_id
        return [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]

    def snapshot_download(
        self, repo_id: str, *, revision: str | None, token: str | None, local_dir: Path, allow_patterns: list[str]
    ) -> str:
        if not (self.root / repo_id).is_dir():
            raise LocalEntryNotFoundError("Cannot reach the Hub,\nand there is no copy here")
        for name in self.list_repo_files(repo_id):
            if any(fnmatch.fnmatch(name, pattern) for pattern in allow_patterns):
                (local_dir / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.root / repo_id / name, local_dir / name)
        return str(local_dir)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    found = Hub(tmp_path / "there")
    monkeypatch.setattr(huggingface_hub, "HfApi", found.api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", found.snapshot_download)
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = small_run("beta_vae", tmp_path_factory.mktemp("hub") / "run")
    pictures.draw_curves(run)
    runs.write_scores(run.path, {"mig": Result(0.625, {})}, 0)
    return run


def test_what_is_pushed_loads_again(there: Hub, trained: Run) -> None:
    assert hub.push(trained.path, "someone/squares") == "https://hub.test/someone/squares"
    again = unbraid.hub.load("someone/squares", device="cpu")
    assert again.config == trained.config and again.facts == trained.facts
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.decode(z), trained.decode(z))
    assert runs.read_scores(again.path)["metrics"]["mig"]["score"] == 0.625
    assert there.private == {"someone/squares": False}


def test_a_run_in_the_place_of_another_has_nothing_of_it(there: Hub, trained: Run, tmp_path: Path) -> None:
    hub.push(trained.path, "someone/squares")
    (there.root / "someone/squares/notes.txt").write_text("of whoever has the repository")
    hub.load("someone/squares", device="cpu")
    shutil.copytree(trained.path, tmp_path / "run")
    (tmp_path / "run" / runs.SCORES).unlink()
    shutil.rmtree(tmp_path / "run" / runs.FIGURES)
    hub.push(tmp_path / "run", "someone/squares")
    assert sorted(there.list_repo_files("someone/squares")) == [
        "README.md", "config.yaml", "log.csv", "notes.txt", "run.json", "weights.safetensors"
    ]  # fmt: skip
    assert runs.read_scores(hub.load("someone/squares", device="cpu").path) == {}


def test_offline_what_was_loaded_is_there(there: Hub, trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.push(trained.path, "someone/squares")
    hub.load("someone/squares", device="cpu")

    def unreached(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(there, "list_repo_files", unreached)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: None)
    again = hub.load("someone/squares", device="cpu")
    assert runs.read_scores(again.path)["metrics"]["mig"]["score"] == 0.625


def test_the_card(there: Hub, trained: Run) -> None:
    hub.push(trained.path, "someone/squares")
    text = (there.root / "someone/squares/README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    found = yaml.safe_load(head)
    assert found["library_name"] == "unbraid" and "beta_vae" in found["tags"]
    assert found["model-index"][0]["results"][0]["metrics"] == [{"type": "mig", "name": "mig", "value": 0.625}]
    assert 'unbraid.hub.load("someone/squares")' in body and "| mig | 0.625 |" in body and "1x16x16" in body
    assert resolve(yaml.safe_load(body.split("```yaml\n")[1].split("```")[0])) == trained.config
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", body):
        assert (there.root / "someone/squares" / picture).is_file()
    assert "training_curves.png" in body


def test_nothing_but_the_run_goes_there(there: Hub, trained: Run, tmp_path: Path) -> None:
    """No checkpoints, events or stray files, and no folders of whoever trained it."""
    shutil.copytree(trained.path, tmp_path / "run")
    (tmp_path / "run" / "secret.txt").write_text("secret")
    config = {**trained.config.flat(), "data": "images", "path": str(tmp_path / "home" / "faces")}
    runs.write_config(tmp_path / "run", resolve(config))
    assert main(["push", str(tmp_path / "run"), "someone/squares", "--private"]) == 0
    names = {file.relative_to(there.root / "someone/squares").as_posix() for file in there.root.rglob("*.*")}
    assert names == {
        "README.md", "config.yaml", "run.json", "weights.safetensors", "log.csv", "scores.json",
        "figures/training_curves.png",
    }  # fmt: skip
    assert str(tmp_path) not in (there.root / "someone/squares/config.yaml").read_text()
    assert resolve(yaml.safe_load((there.root / "someone/squares/config.yaml").read_text())).options["path"] == "faces"
    assert there.private == {"someone/squares": True}


@pytest.mark.parametrize(
    ("place", "left"),
    [
        ("~/pictures/faces", "faces"),
        ("../faces/", "faces"),
        ("C:\\Users\\me\\faces", "faces"),
        ("faces", "faces"),
        ("/", ""),
    ],
)
def test_of_a_place_the_last_name_goes_there(there: Hub, trained: Run, tmp_path: Path, place: str, left: str) -> None:
    shutil.copytree(trained.path, tmp_path / "run")
    runs.write_config(tmp_path / "run", resolve({**trained.config.flat(), "data": "images", "path": place}))
    hub.push(tmp_path / "run", "someone/squares")
    pushed = resolve(yaml.safe_load((there.root / "someone/squares/config.yaml").read_text()))
    assert pushed.options["path"] == left and pushed.options["factors"] == "all"


def test_what_others_put_there_is_checked(there: Hub, trained: Run, tmp_path: Path) -> None:
    hub.push(trained.path, "someone/squares")
    repository = there.root / "someone/squares"
    (repository / "evil.py").write_text("raise SystemExit")
    (repository / "weights.safetensors").write_bytes(b"\x80\x02cos\nsystem\n")
    with pytest.raises(UnbraidError, match="cannot read"):
        hub.load("someone/squares")
    assert not list(tmp_path.joinpath("cache").rglob("evil.py"))
    (repository / "config.yaml").write_text("!!python/object/apply:os.system [exit]")
    with pytest.raises(UnbraidError, match="is not a config in YAML"):
        hub.load("someone/squares")


@pytest.mark.parametrize("repo", ["someone/none", "../../x", "..", "/etc/passwd"])
def test_what_is_not_there(there: Hub, repo: str) -> None:
    with pytest.raises(UnbraidError) as refused:
        hub.load(repo)
    assert repo in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_not_taken(there: Hub, trained: Run, tmp_path: Path) -> None:
    with pytest.raises(UnbraidError, match='the Hub does not give or take "squares": Repo id must be'):
        hub.push(trained.path, "squares")
    shutil.copytree(trained.path, tmp_path / "run")
    runs.write_facts(tmp_path / "run", {**trained.facts, "state": "stopped"})
    with pytest.raises(UnbraidError, match=r"is not finished \(stopped\)"):
        hub.push(tmp_path / "run", "someone/squares")


def test_out_of_order(there: Hub, trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        response: Any = SimpleNamespace(headers={}, request=None)
        raise HfHubHTTPError("503 Service\nUnavailable", response=response)

    monkeypatch.setattr(there, "create_repo", refused)
    with pytest.raises(UnbraidError, match='the Hub does not give or take "someone/squares": 503 Service Unavailable'):
        hub.push(trained.path, "someone/squares")


def test_without_a_network(there: Hub, trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class ConnectError(Exception):
        pass

    def unreached(*_: Any, **__: Any) -> None:
        raise ConnectError("no route\nto host")

    ConnectError.__module__ = "httpx"
    monkeypatch.setattr(there, "create_repo", unreached)
    with pytest.raises(UnbraidError, match="the Hub is not reached: no route to host"):
        hub.push(trained.path, "someone/squares")
    ConnectError.__module__ = "elsewhere"
    with pytest.raises(ConnectError):
        hub.push(trained.path, "someone/squares")


def test_without_the_extra(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UnbraidError, match=r'pip install "unbraid\[hub\]"'):
        hub.push(trained.path, "someone/squares")
