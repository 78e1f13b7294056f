"""One picture in a file -> uint8 [C, size, size]: PNG, JPEG, TIFF, WebP and GIF alone, and none too large."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.data import image_costs
from unbraid.errors import UnbraidError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".gif")
CROPS = ("centre", "pad")
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF")
_LARGE = 2**22  # pixels; larger pictures are decoded one at a time, so that many cores do not fill the memory
_ONE_AT_A_TIME = threading.Lock()
_WHITE = (255, 255, 255)


def read(path: Path, *, size: int, crop: str, channels: int, cut: int = 0) -> np.ndarray:
    """The picture, upright as its EXIF says, square: its middle ("centre") or all of it between white bars ("pad").

    Of an animation the first frame; of 16 bits the upper 8; CMYK, palettes and others as RGB; what is transparent
    shows white. `channels` is 1 (grey, luma of Rec. 601) or 3; the middle is at most `cut` pixels wide where that is
    given. Raises UnbraidError with the reason where there is no such picture.
    """
    return _decoded(path, lambda image: _square(image, size, crop, channels, cut))


def whole(path: Path, largest: tuple[int, int]) -> np.ndarray:
    """The picture, uint8 [H, W, 3], shrunk until it fits into (width, height); see `read` for the rest."""

    def shrunk(image: Any) -> np.ndarray:
        image.draft(None, (2 * largest[0], 2 * largest[1]))
        image = _as(_eight_bits(image), "RGB")
        image.thumbnail(largest)
        return np.asarray(image, np.uint8)

    return _decoded(path, shrunk)


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 [N, H, W] or [N, H, W, 3] -> the same with height and width `size`, by Lanczos."""
    from PIL import Image

    made = np.empty((len(images), size, size, *images.shape[3:]), np.uint8)
    for small, image in zip(made, images, strict=True):
        small[:] = Image.fromarray(np.ascontiguousarray(image)).resize((size, size), Image.Resampling.LANCZOS)
    return made


def _decoded(path: Path, make: Callable[[Any], np.ndarray]) -> np.ndarray:
    from PIL import UnidentifiedImageError

    try:
        with image_costs.opened(path, _FORMATS) as image:
            if image.width * image.height > _LARGE:
                with _ONE_AT_A_TIME:
                    return make(image)
            return make(image)
    except UnbraidError:
        raise
    except UnidentifiedImageError:
        raise UnbraidError("it is no PNG, JPEG, TIFF, WebP or GIF, or a broken one") from None
    except Exception as error:  # decoders raise anything at all on broken files
        raise UnbraidError(" ".join(str(error).split())[:200] or type(error).__name__) from None


def _square(image: Any, size: int, crop: str, channels: int, cut: int) -> np.ndarray:
    from PIL import Image, ImageOps

    if not cut:
        image.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at down to an eighth of its size
    image = _eight_bits(image)
    ImageOps.exif_transpose(image, in_place=True)
    image = _as(image, "L" if channels == 1 else "RGB")
    resample = {"resample": Image.Resampling.LANCZOS, "reducing_gap": 3.0}
    if crop == "centre":
        side = min(*image.size, cut or max(image.size))
        left, top = ((length - side) / 2 for length in image.size)
        square = image.resize((size, size), box=(left, top, left + side, top + side), **resample)
    else:
        width, height = (max(1, round(size * length / max(image.size))) for length in image.size)
        square = Image.new(image.mode, (size, size), "white")
        square.paste(image.resize((width, height), **resample), ((size - width) // 2, (size - height) // 2))
    array = np.asarray(square, np.uint8)
    return array[None] if channels == 1 else np.moveaxis(array, 2, 0)


def _eight_bits(image: Any) -> Any:
    """Grey or RGB in 8 bits, without transparency."""
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise UnbraidError("it holds 32-bit numbers: save it with 8 or 16 bits")
        return _with_exif_of(image, Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)))
    if image.mode == "F":
        raise UnbraidError("it holds floating-point numbers: save it with 8 or 16 bits")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        opaque, shown = Image.new("RGB", image.size, _WHITE), _as(image, "RGBA")
        opaque.paste(shown, mask=shown)
        return _with_exif_of(image, opaque)
    return image if image.mode in ("L", "RGB") else _with_exif_of(image, image.convert("RGB"))


def _as(image: Any, mode: str) -> Any:
    """The image itself where it has this mode: Pillow copies it."""
    return image if image.mode == mode else image.convert(mode)


def _with_exif_of(image: Any, changed: Any) -> Any:
    changed.info["exif"] = image.info.get("exif", b"")
    return changed
