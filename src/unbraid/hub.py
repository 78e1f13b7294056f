"""Runs on the Hugging Face Hub: pushed with a card that says what they are, loaded as warily as any folder."""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml

from unbraid import __version__, runs
from unbraid.config import Config
from unbraid.data.cache import cache_folder
from unbraid.errors import UnbraidError
from unbraid.runs import Run

_FILES = (runs.CONFIG, runs.FACTS, runs.WEIGHTS, runs.LOG, runs.STATISTICS, runs.SCORES)
_PLACES = ("path", "source", "painting")  # options of data sets that say where their files are
_SHOWN = ("traversals.png", "traversals.gif", "reconstructions.png", "mutual_information.png", "training_curves.png")


def push(path: str | Path, repo: str, *, private: bool = False, token: str | None = None) -> str:
    """Uploads the finished run at `path` to the model repository `repo` ("user/name"); returns its address.

    What goes there: config, facts, weights, log, statistics, scores, the figures of the whole run and a card made from
    them. Of a path in the config only the last name goes. `token` defaults to the one that `hf auth login` keeps.
    Raises UnbraidError where the run is not finished or the Hub refuses.
    """
    folder = Path(path)
    run = runs.load(folder, "cpu")
    if runs.state(folder) != "finished":
        raise UnbraidError(f"{folder} is not finished ({runs.state(folder)}): a run is pushed whole")
    with _reached(repo) as hub, tempfile.TemporaryDirectory() as made:
        staged = Path(made)
        pushed = [*_FILES, *(f"{runs.FIGURES}/{name}" for name in _SHOWN)]
        for name in pushed:
            if (folder / name).is_file():
                (staged / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(folder / name, staged / name)
        config = _without_places(run.config)
        runs.write_config(staged, config)
        (staged / "README.md").write_text(card(staged, config, repo), encoding="utf-8", newline="\n")
        api = hub.HfApi(token=token, library_name="unbraid", library_version=__version__)
        address = api.create_repo(repo, private=private, exist_ok=True)
        # of a run that was there before, what this one does not have goes: its scores would be taken for this one's
        api.upload_folder(
            repo_id=repo,
            folder_path=staged,
            commit_message=f"A run of unbraid {__version__}",
            delete_patterns=pushed,
        )
        return str(address)


def load(repo: str, *, revision: str | None = None, device: str = "auto", token: str | None = None) -> Run:
    """The run in the model repository `repo` ("user/name"), downloaded into the cache folder.

    Only the files of a run are fetched, none of which can run code, and they are checked as those of any folder.
    Raises UnbraidError where there is no such run or the Hub is not reached.
    """
    folder = cache_folder() / "hub" / f"{repo.replace('/', '--')}{f'@{revision}' if revision else ''}"
    with _reached(repo) as hub:
        if not folder.resolve().is_relative_to((cache_folder() / "hub").resolve()):
            raise UnbraidError(f'"{repo}" is no name of a repository: it is user/name')
        hub.snapshot_download(repo, revision=revision, token=token, local_dir=folder, allow_patterns=list(_FILES))
    with suppress(UnbraidError), _reached(repo) as hub:  # offline the folder stays as it was loaded last
        api = hub.HfApi(token=token, library_name="unbraid", library_version=__version__)
        there = api.list_repo_files(repo, revision=revision)
        for name in _FILES:
            if name not in there:  # the download leaves what an earlier revision had
                (folder / name).unlink(missing_ok=True)
    return runs.load(folder, device)


@contextmanager
def _reached(repo: str) -> Iterator[Any]:
    """The library of the Hub; what goes wrong with it or on the way is one sentence."""
    try:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError:
        raise UnbraidError('the Hub needs an extra: pip install "unbraid[hub]"') from None
    try:
        yield huggingface_hub
    except UnbraidError:
        raise
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        why = " ".join(str(error).split())[:300]
        raise UnbraidError(f'the Hub does not give or take "{repo}": {why}') from None
    except Exception as error:  # of the library below, whose name and errors change with versions
        if not type(error).__module__.startswith(("httpx", "requests")):
            raise
        raise UnbraidError(f"the Hub is not reached: {' '.join(str(error).split())[:300]}") from None


def _without_places(config: Config) -> Config:
    """The config without the folders of whoever trained it."""
    options = {
        name: PureWindowsPath(value).name if name in _PLACES and isinstance(value, str) else value
        for name, value in config.options.items()
    }
    return dataclasses.replace(config, options=options)


def card(folder: Path, config: Config, repo: str) -> str:
    """The model card of the run in `folder`, as Markdown: what it was trained on and how, scores, pictures, loading."""
    facts, scores = runs.read_facts(folder), runs.read_scores(folder).get("metrics", {})
    head = yaml.safe_dump(
        {
            "library_name": "unbraid",
            "tags": ["disentanglement", "vae", config.objective, config.data],
            "model-index": [
                {
                    "name": repo,
                    "results": [
                        {
                            "task": {"type": "disentanglement"},
                            "dataset": {"type": config.data, "name": config.data},
                            "metrics": [
                                {"type": name, "name": name, "value": found["score"]} for name, found in scores.items()
                            ],
                        }
                    ],
                }
            ],
        },
        sort_keys=False,
        allow_unicode=True,
    )
    shape = "x".join(map(str, facts.get("image_shape", ())))
    parts = [
        f"---\n{head}---\n\n# {repo}",
        f"A variational autoencoder with {config.latent_dim} latents of {shape} images (channels, height, width), "
        f"trained with the objective `{config.objective}` on `{config.data}` for {config.steps:,} steps by "
        f"unbraid {facts.get('unbraid', __version__)}.",
        "```python\nimport unbraid\n\n"
        f'run = unbraid.hub.load("{repo}")\n'
        "mean, logvar = run.encode(images)  # uint8, or floats from 0 to 1\n```",
    ]
    if scores:
        rows = "\n".join(f"| {name} | {found['score']:.3f} |" for name, found in scores.items())
        parts.append(f"## Scores\n\n| metric | score |\n| --- | --- |\n{rows}")
    pictures = [name for name in _SHOWN if (folder / runs.FIGURES / name).is_file()]
    if pictures:
        shown = "\n\n".join(f"![{Path(name).stem.replace('_', ' ')}]({runs.FIGURES}/{name})" for name in pictures)
        parts.append(f"## Pictures\n\n{shown}")
    parts.append(f"## Config\n\n```yaml\n{config.to_yaml()}```")
    return "\n\n".join(parts) + "\n"
