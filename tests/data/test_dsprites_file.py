"""Reading the published file: small imitations in its exact format, and one of full size."""

import hashlib
import sys
import warnings
import zipfile

import numpy as np
import pytest

from unbraid.data import dsprites_file, load
from unbraid.data.dsprites_file import read
from unbraid.errors import UnbraidError

SIZES = (3, 2, 2, 2, 3)
N = 72


class Trap:
    """Unpickling it is the mistake that this package must not make."""

    def __reduce__(self):
        return (sys.exit, ("the metadata was unpickled",))


def contents(seed=0):
    classes = np.stack(np.unravel_index(np.arange(N), (1, *SIZES)), axis=1).astype(np.int64)
    images = np.random.default_rng(seed).integers(0, 2, (N, 64, 64), dtype=np.uint8)
    return {"imgs": images, "latents_classes": classes, "latents_values": classes.astype(np.float64)}


def write_npz(path, arrays):
    np.savez_compressed(path, metadata=np.array({"trap": Trap()}, dtype=object), **arrays)
    return path


def write_hdf5(path, arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("imgs", data=arrays["imgs"], compression="gzip", chunks=(len(arrays["imgs"]) // 32, 2, 4))
        file["latents/classes"], file["latents/values"] = arrays["latents_classes"], arrays["latents_values"]
    return path


WRITERS = pytest.mark.parametrize(("suffix", "write"), [(".npz", write_npz), (".hdf5", write_hdf5)])


@WRITERS
@pytest.mark.parametrize("at_once", [10, 23_040])
def test_images_come_back_as_written(tmp_path, monkeypatch, suffix, write, at_once):
    monkeypatch.setattr(dsprites_file, "_IMAGES_AT_ONCE", at_once)
    arrays = contents()
    path = write(tmp_path / f"dsprites{suffix}", arrays)
    with pytest.warns(UserWarning, match="is not the published dSprites file"):
        pixels = read(path, SIZES)
    assert np.array_equal(pixels.images(np.arange(N))[:, 0], arrays["imgs"] * 255)
    assert read(path, SIZES) is pixels


@WRITERS
def test_the_published_checksum_silences_the_warning(tmp_path, monkeypatch, suffix, write):
    path = write(tmp_path / f"dsprites{suffix}", contents())
    monkeypatch.setitem(dsprites_file.PUBLISHED_MD5, suffix, hashlib.md5(path.read_bytes()).hexdigest())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read(path, SIZES)) == N


@WRITERS
def test_a_file_written_anew_is_read_anew(tmp_path, suffix, write):
    with pytest.warns(UserWarning):
        before = read(write(tmp_path / f"dsprites{suffix}", contents(seed=0)), SIZES)
        after = read(write(tmp_path / f"dsprites{suffix}", contents(seed=1)), SIZES)
    assert not np.array_equal(before.rows, after.rows)


@WRITERS
def test_other_contents_are_refused(tmp_path, suffix, write):
    path = tmp_path / f"other{suffix}"
    with pytest.raises(UnbraidError, match=r"uint8 \[72, 64, 64\] .* not uint8 \[737280, 64, 64\]"):
        load("dsprites", source=str(write(path, contents())))
    shuffled = contents()
    shuffled["latents_classes"] = shuffled["latents_classes"][::-1]
    with pytest.raises(UnbraidError, match="not in the published order"):
        read(write(path, shuffled), SIZES)
    with pytest.raises(UnbraidError, match="must be 0 or 1, not 255"):
        read(write(path, contents() | {"imgs": contents()["imgs"] * np.uint8(255)}), SIZES)
    with pytest.raises(UnbraidError, match="float64"):
        read(write(path, contents() | {"imgs": contents()["imgs"].astype(float)}), SIZES)


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
def test_broken_and_missing_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"broken{suffix}"
    with pytest.raises(UnbraidError, match="cannot be read as the published dSprites file"):
        read(path, SIZES)
    path.write_bytes(b"not an archive")
    with pytest.raises(UnbraidError, match=f"cannot be read as {suffix}"):
        read(path, SIZES)


def test_an_npz_cut_short_damaged_or_pickled_is_refused(tmp_path):
    whole = write_npz(tmp_path / "whole.npz", contents()).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    for broken in (whole[: len(whole) // 2], bytes(damaged)):
        (tmp_path / "broken.npz").write_bytes(broken)
        with pytest.raises(UnbraidError, match="cannot be read"):
            read(tmp_path / "broken.npz", SIZES)
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    with pytest.raises(UnbraidError, match="imgs"):
        read(tmp_path / "empty.npz", SIZES)
    pickled = write_npz(tmp_path / "pickled.npz", contents() | {"imgs": np.array([Trap()], dtype=object)})
    with pytest.raises(UnbraidError, match="holds no array of numbers imgs"):
        read(pickled, SIZES)


def test_without_h5py_the_sentence_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "dsprites.hdf5").write_bytes(b"")
    with pytest.raises(UnbraidError, match=r"unbraid\[hdf5\]"):
        read(tmp_path / "dsprites.hdf5", SIZES)


def test_an_unknown_source_is_refused():
    with pytest.raises(UnbraidError, match='source must be "drawn" or the path'):
        load("dsprites", source="drwan")


@pytest.mark.slow
@WRITERS
def test_a_full_size_file_of_our_own_drawing_reads_as_the_drawing(tmp_path, dsprites_cache, suffix, write):
    drawn = load("dsprites")
    images = np.empty((len(drawn), 64, 64), np.uint8)
    for start in range(0, len(drawn), 10_240):
        images[start : start + 10_240] = drawn.images(np.arange(start, start + 10_240))[:, 0] // np.uint8(255)
    classes = np.pad(drawn.factors(np.arange(len(drawn))), ((0, 0), (1, 0)))
    arrays = {"imgs": images, "latents_classes": classes, "latents_values": classes.astype(np.float64)}
    path = write(tmp_path / f"dsprites{suffix}", arrays)
    with pytest.warns(UserWarning, match="128,328,864 lit pixels, published 128,328,862"):
        again = load("dsprites", source=str(path))
    assert np.array_equal(again.pixels.rows, drawn.pixels.rows)
    path.unlink()
