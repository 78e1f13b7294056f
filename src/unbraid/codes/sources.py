"""Where the images come from."""

import os
from pathlib import Path

from unbraid import data
from unbraid.data import image_files, image_list
from unbraid.data.image_list import Pictures
from unbraid.data.images import stored
from unbraid.errors import UnbraidError
from unbraid.runs import Run
from unbraid.types import Dataset


def open_images(run: Run, *sources: str) -> Dataset:
    """A data set by its name, a folder or a table of pictures, a file of arrays, or files of pictures.

    The data set that the run was trained on comes with the options it was trained with. Pictures are made what the run
    takes: as large, as colourful, and cropped as those that it saw.
    """
    if len(sources) == 1 and not _is_picture(sources[0]):
        return _open_one(run, sources[0])
    for source in sources:
        if not (_is_picture(source) and Path(source).is_file()):
            raise UnbraidError(f"{source} is not a file of a picture ({', '.join(image_files.SUFFIXES)})")
    paths = [Path(os.path.abspath(source)) for source in sources]  # noqa: PTH100 - a link keeps its own name
    root = Path(os.path.commonpath([path.parent for path in paths]))
    return _read(run, Pictures(root, [path.relative_to(root).as_posix() for path in paths]))


def _is_picture(source: str) -> bool:
    return source.lower().endswith(image_files.SUFFIXES)


def _open_one(run: Run, source: str) -> Dataset:
    if source == run.config.data:
        return run.data
    name, options = data.at(source)
    if name != "images":
        return data.load(name, **options)
    path = Path(options["path"])
    if path.is_dir():
        return _read(run, image_list.below(path))
    if not path.is_file():
        raise UnbraidError(f"there is nothing at {source}")
    return _read(run, image_list.named_by(path, "none"))


def _read(run: Run, pictures: Pictures) -> Dataset:
    channels, height, width = run.model.image_shape
    if height != width or channels not in (1, 3):
        raise UnbraidError(
            f"pictures are read as squares, grey or in colour, and this run takes images {[channels, height, width]}: "
            "give an array of those"
        )
    crop = str(run.config.options.get("crop", "centre"))
    return stored(pictures, "images", size=height, crop=crop, colour="grey" if channels == 1 else "rgb")
