"""What a picture's file may cost to read: small files can ask a decoder for minutes, or for gigabytes."""

import io
import re
from pathlib import Path
from typing import Any

from unbraid.errors import UnbraidError

_MOST_PIXELS = 2**25  # transparency takes 13 bytes a pixel
_MOST_OF_JPEG = 2**26  # is decoded small
_MOST_READS = 2**18  # a decoder takes some microseconds for each; large pictures in small tiles need half as many
_LARGEST_EXIF = 2**17  # bytes; each of its entries may repeat all of it
_LARGEST_JPEG = 2**27  # bytes
_PLAIN_SCANS, _PROGRESSIVE_SCANS = 4, 64  # of a JPEG, each over the whole picture; one and ten are usual
_MOST_DRAWN = 10 * _MOST_OF_JPEG  # pixels times scans
_MOST_SEGMENTS = 100_000  # of a JPEG, with the markers that a careful writer sets between pixels
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_SCAN, _END, _ALONE = 0xDA, 0xD9, {0x01, *range(0xD0, 0xD9)}  # markers; the latter have no length
_TILE_WIDTH, _TILE_HEIGHT = 322, 323  # tags of TIFF


class Stream(io.BufferedReader):
    """A file that is read only so many times: headers can be of a million parts, of a byte each."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MOST_READS:
            raise UnbraidError(f"it is made of too many parts, more than {_MOST_READS:,}")
        return super().read(size)


def refuse_expensive(image: Any, stream: Stream) -> int:
    """The number of pixels of an image that Pillow has opened; raises UnbraidError where it is too much to decode."""
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.TiffImagePlugin import TiffImageFile

    is_jpeg = isinstance(image, JpegImageFile)  # also one of several pictures, which calls its format MPO
    pixels = int(image.width * image.height)
    most = _MOST_OF_JPEG if is_jpeg else _MOST_PIXELS
    if pixels > most:
        raise UnbraidError(f"it has {pixels / 1e6:,.0f} million pixels, more than {most / 1e6:.0f}")
    if len(image.info.get("exif", b"")) > _LARGEST_EXIF:
        raise UnbraidError(f"its EXIF has more than {_LARGEST_EXIF:,} bytes")
    if is_jpeg:
        _refuse_scans(stream, pixels, progressive=bool(image.info.get("progressive")))
    if isinstance(image, TiffImageFile):
        width, height = (image.tag_v2.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
        if not (
            isinstance(width, int) and isinstance(height, int)
        ):  # a tag may also hold text, which is multiplied too
            raise UnbraidError("the size of its tiles is no number")
        tile = width * height
        if tile > _MOST_PIXELS:
            raise UnbraidError(f"its tiles have {tile / 1e6:,.0f} million pixels, more than {_MOST_PIXELS / 1e6:.0f}")
    return pixels


def _refuse_scans(stream: Stream, pixels: int, *, progressive: bool) -> None:
    place = stream.tell()
    stream.seek(0)
    content = stream.read(_LARGEST_JPEG)
    if stream.read(1):
        raise UnbraidError(f"it is larger than {_LARGEST_JPEG:,} bytes")
    stream.seek(place)
    scans = _scans(content)
    most = min(_PROGRESSIVE_SCANS if progressive else _PLAIN_SCANS, max(1, _MOST_DRAWN // pixels))
    if scans > most:
        raise UnbraidError(f"it is drawn over in {scans:,} scans, more than {most}")


def _scans(content: bytes) -> int:
    """How many scans there are as far as the end of the picture; what follows may be a film.

    Compressed pixels hold no marker but those without a length, and segments between them may hold anything.
    """
    scans, place = 0, 0
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(content, place)
        if found is None or found[1][0] == _END:
            return scans
        scans += found[1][0] == _SCAN
        place = found.end()
        if found[1][0] not in _ALONE:
            place += int.from_bytes(content[place : place + 2], "big")
    raise UnbraidError(f"it has more than {_MOST_SEGMENTS:,} segments")
