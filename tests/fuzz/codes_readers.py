"""Tables of codes for the fuzzing: small good ones of three latents, and how they are read."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import parquet_lies
from spoiling import Reader, saved

LATENTS = 3
CODES = np.random.default_rng(0).normal(size=(6, LATENTS)).astype(np.float32)
NAMES = np.array([f"{n}.png" for n in range(6)])
CELLS = [
    "image",
    "z0",
    "z1",
    "z2",
    "z3",
    "0.5",
    "-1e9",
    "1e999",
    "nan",
    "",
    '"',
    '"a\nb"',
    "x" * 5_000,
    "\0",
    "é",
    "7" * 400,
]


def read(path: Path) -> None:
    from unbraid.codes import tables

    table = tables.read(path, LATENTS)
    parts = list(table.parts)
    assert all(part.codes.shape == (len(part.index), LATENTS) for part in parts)
    assert sum(len(part.codes) for part in parts) == max(table.n, 0)


def csv() -> bytes:
    rows = [f"{name},{','.join(map(str, row))}" for name, row in zip(NAMES, CODES, strict=True)]
    return "\n".join(["image,z0,z1,z2", *rows, ""]).encode()


def lying_csv(random: Random) -> bytes:
    head = random.choice(["image,z0,z1,z2", "z2,z1,z0", "z0,z1,z2,z0", "image,z0,z1,z2,z3", "\ufeffz0,z1,z2", ""])
    rows = [",".join(random.choices(CELLS, k=random.randrange(6))) for _ in range(random.randrange(7))]
    text = random.choice(["\n", "\r\n", "\r"]).join([head, *rows])
    return text.encode(random.choice(["utf-8", "utf-8", "utf-16", "latin1"]), errors="replace")


def parquet() -> list[bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {f"z{n}": column for n, column in enumerate(CODES.T)}
    named = pa.table({"image": NAMES.tolist(), **columns}), pa.table({"image": range(6), **columns}), pa.table(columns)
    return [
        saved(lambda s, t=table, c=compression: parquet.write_table(t, s, compression=c))
        for table in named
        for compression in ("none", "snappy", "zstd", "gzip")
    ]


def npz() -> list[bytes]:
    return [
        saved(lambda s: np.savez(s, codes=CODES, image=NAMES)),
        saved(lambda s: np.savez_compressed(s, codes=CODES.astype(float), image=np.arange(6))),
        saved(lambda s: np.savez(s, codes=CODES)),
    ]


PLACES = [
    "a",
    "a.png",
    "a/b",
    "a.png/b",
    ".",
    "./",
    "..",
    "../x",
    "/etc/x",
    "~",
    "con",
    "C:x",
    "\\x",
    "a//b",
    "a/./b",
    "...",
]
PLACES += [
    "x" * 300,
    "x" * 1_001,
    "d/" * 400,
    "\u202e",
    " ",
    "é",
    "e\u0301",
    "\t",
    "1",
    "007",
    ".png",
    "a.",
    "-rf",
    "*",
]


def named_csv(random: Random) -> bytes:
    """Sound codes of images with any names."""
    names = random.choices(PLACES, k=random.randrange(1, 5))
    return "".join(["image,z0,z1,z2\n", *(f'"{name}",0,0,0\n' for name in names)]).encode()


def decoded(path: Path) -> None:
    """As `unbraid decode`, but for the net: into a folder, outside of which nothing may be."""
    from unbraid.codes import pictures, tables

    table = tables.read(path, LATENTS)
    blank = ((part.index, np.zeros((len(part.codes), 1, 2, 2), np.float32)) for part in table.parts)
    made = path.parent / "made"
    try:
        pictures.write(made, (max(table.n, 1), 1, 2, 2), blank)
        assert sum(file.is_file() for file in made.rglob("*")) == max(table.n, 0)
    finally:
        left = {file.name for file in path.parent.iterdir()} - {path.name, made.name}
        shutil.rmtree(made, ignore_errors=True)
        assert not left, left


READERS: dict[str, Callable[[], Reader]] = {
    "codes_csv": lambda: Reader("codes.csv", [csv()], lying_csv, read),
    "codes_parquet": lambda: Reader("codes.parquet", parquet(), parquet_lies.lying(parquet()), read),
    "codes_to_pictures": lambda: Reader("codes.csv", [csv()], named_csv, decoded),
    "codes_npz": lambda: Reader("codes.npz", npz(), read=read),
}
