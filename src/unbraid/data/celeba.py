"""CelebA: faces of celebrities with forty attributes."""

import os
from array import array
from pathlib import Path

import numpy as np

from unbraid.data.cache import cache_folder
from unbraid.data.image_list import Pictures
from unbraid.data.images import stored
from unbraid.data.stored import Stored
from unbraid.errors import UnbraidError

_IMAGES, _ATTRIBUTES = "img_align_celeba", "list_attr_celeba.txt"
_CUT = 148  # pixels, of 178 x 218
_MOST = 202_599  # faces
_LARGEST, _LONGEST = 2**25, 2**12  # bytes of the file of attributes, which has 26 million; characters of its lines


def celeba(*, source: str = "", size: int = 64) -> Stored:
    """CelebA (Liu 2015), aligned: the middle 148 x 148 pixels of each face, as uint8 [3, size, size]; 202,599 images.

    The factors are the forty attributes, 0 (no) or 1 (yes), in the order of their file; faces share them, so `indices`
    refuses them. `source` is the folder that holds img_align_celeba (the unpacked .jpg files) and list_attr_celeba.txt;
    "" looks in the cache folder. Its licence asks for a download by hand, so there is no other. Raises UnbraidError
    where something is missing.
    """
    if not 1 <= size <= _CUT:
        raise UnbraidError(f"size must be from 1 to {_CUT} pixels, not {size}")
    folder = Path(os.path.expanduser(source)) if source else cache_folder() / "celeba"  # noqa: PTH111
    for name, is_there in ((_IMAGES, Path.is_dir), (_ATTRIBUTES, Path.is_file)):
        if not is_there(folder / name):
            raise UnbraidError(
                f"{folder} lacks {name}: fetch img_align_celeba.zip (unpack it) and {_ATTRIBUTES} from "
                "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, and put both there or say where by source="
            )
    names, columns = _attributes(folder / _ATTRIBUTES)
    return stored(
        Pictures(folder / _IMAGES, names, columns), "celeba", size=size, crop="centre", colour="rgb", cut=_CUT
    )


def _attributes(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """(names of files, attribute -> -1 or 1 of each): a count, a line of names, a line for each file."""
    names: list[str] = []
    values = array("b")
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST:,} bytes")
        with path.open(encoding="utf-8") as stream:
            lines = iter(lambda: stream.readline(_LONGEST), "")
            count, attributes = int(next(lines, "")), next(lines, "").split()
            if not 0 < count <= _MOST or not attributes:
                raise ValueError(
                    f"it speaks of {count:,} files and {len(attributes)} attributes (1 to {_MOST:,} files)"
                )
            for cells in filter(None, map(str.split, lines)):
                row = list(map(int, cells[1:]))
                if len(row) != len(attributes) or not {*row} <= {-1, 1} or len(names) == count:
                    raise ValueError(f"line {len(names) + 3} is too much, or does not hold -1 or 1 for each attribute")
                names.append(cells[0])
                values.extend(row)
        if len(names) != count:
            raise ValueError(f"it speaks of {count:,} files and names {len(names):,}")
    except (OSError, ValueError) as error:
        raise UnbraidError(f"{path} is not {_ATTRIBUTES} of CelebA: {' '.join(str(error).split())[:200]}") from None
    if any("/" in name or "\\" in name or name.startswith(".") for name in names):
        raise UnbraidError(f"{path} is not {_ATTRIBUTES} of CelebA: it names files outside of {_IMAGES}")
    return names, {name: np.array(values[place :: len(attributes)]) for place, name in enumerate(attributes)}
