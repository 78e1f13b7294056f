"""The cache of the drawn dSprites under bad luck: two builders at once, damage, no room."""

import errno
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unbraid.data import dsprites_cache
from unbraid.data.dsprites_cache import SHA256, cache_file, cache_folder, drawn
from unbraid.errors import UnbraidError

USE = "from unbraid.data.dsprites_cache import cache_file, drawn; print(drawn(cache_file()).rows.sum())"


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("UNBRAID_CACHE", str(folder))
    yield folder
    drawn.cache_clear()
    shutil.rmtree(folder, ignore_errors=True)  # 377 MB that nobody wants kept


def checksum():
    with cache_file().open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_two_processes_may_draw_at_once(empty_cache):
    builders = [
        subprocess.Popen([sys.executable, "-c", USE], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
    ]
    sums = [builder.communicate(timeout=120)[0] for builder in builders]
    assert sums[0] == sums[1] != b"" and checksum() == SHA256
    assert {path.suffix for path in empty_cache.iterdir()} <= {".bits", ".lock"}


def test_a_damaged_file_is_noticed_and_drawn_again(empty_cache):
    drawn(cache_file())
    drawn.cache_clear()
    with cache_file().open("rb+") as file:
        file.seek(200_000_000)
        file.write(b"\xff\xff\xff\xff")
    assert checksum() != SHA256
    drawn(cache_file())
    assert checksum() == SHA256

    drawn.cache_clear()
    with cache_file().open("rb+") as file:
        file.truncate(300_000_000)
    drawn(cache_file())
    assert checksum() == SHA256


def test_a_sound_file_is_not_drawn_again(dsprites_cache, monkeypatch):
    monkeypatch.setattr(sys.modules["unbraid.data.dsprites_cache"], "draw", None)
    drawn.cache_clear()
    assert drawn(cache_file()) is drawn(cache_file())
    with pytest.raises(ValueError, match="read-only"):
        drawn(cache_file()).rows[0, 0] = 1


def test_a_full_disk_leaves_one_clear_sentence_and_no_debris(empty_cache, monkeypatch):
    def draw(shape, scale, orientation):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dsprites_cache, "draw", draw)
    with pytest.raises(UnbraidError, match=r"\(377 MB\) cannot be kept in .*No space left.* set UNBRAID_CACHE"):
        drawn(cache_file())
    assert {path.suffix for path in empty_cache.iterdir()} <= {".lock"}


def test_a_folder_that_cannot_be_made_leaves_one_clear_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UnbraidError, match=r"cannot be kept in .* set UNBRAID_CACHE to another folder"):
        drawn(cache_file())


def test_the_folder_is_the_users_unless_the_environment_names_one(monkeypatch, tmp_path):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("UNBRAID_CACHE")
    assert "unbraid" in cache_folder().parts or cache_folder().parent.name == "unbraid"


@pytest.mark.parametrize("chosen", [None, "~/kept"])
def test_without_a_home(monkeypatch, chosen):
    def homeless(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.delenv("UNBRAID_CACHE", raising=False)
    if chosen:
        monkeypatch.setenv("UNBRAID_CACHE", chosen)
    with pytest.raises(UnbraidError, match="there is no home folder to keep a cache in: set UNBRAID_CACHE"):
        cache_folder()
