"""What a picture's file may cost to read: small files can ask a decoder for minutes, or for gigabytes."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unbraid.errors import UnbraidError

_MOST_PIXELS = 2**25  # transparency takes 13 bytes a pixel
_MOST_OF_JPEG = 2**26  # is decoded small
_MOST_OF_WEBP = 2**24  # its decoder takes 26 bytes a pixel
_MOST_READS = 2**18  # a decoder takes some microseconds for each; large pictures in small tiles need half as many
_LARGEST_EXIF = 2**17  # bytes; each of its entries may repeat all of it

_JPEG, _LARGEST_JPEG = b"\xff\xd8", 2**27  # how one begins, and the most bytes
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")  # but for those that stand between pixels
_SCAN, _END, _START, _APP1 = 0xDA, 0xD9, 0xD8, 0xE1
_SCANS = bytes([0xFF, _SCAN])
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_SEGMENTS = {*range(0xC0, 0xD0), *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE}  # a decoder may look within any other
_MOST_SEGMENTS = 100_000
_PLAIN_SCANS, _PROGRESSIVE_SCANS = 4, 64  # each over the whole picture; one and ten are usual
_MOST_DRAWN = 10 * _MOST_OF_JPEG  # pixels times scans

_PNG = b"\x89PNG\r\n\x1a\n"
_PROFILE, _MOST_PROFILES = b"iCCP", 1  # each may unfold to a mebibyte
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


@contextmanager
def opened(path: Path, formats: tuple[str, ...]) -> Iterator[Any]:
    """The image of a file in one of Pillow's `formats`, not decoded yet; UnbraidError where it would cost too much."""
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.TiffImagePlugin import TiffImageFile

    with Stream(path) as stream:
        most_scans, scans = _look_at_jpeg(stream)
        _look_at_png(stream)
        with Image.open(stream, formats=formats) as image:
            pixels = image.width * image.height
            is_jpeg = isinstance(image, JpegImageFile)  # also one of several pictures, which calls its format MPO
            most = _MOST_OF_JPEG if is_jpeg else _MOST_OF_WEBP if image.format == "WEBP" else _MOST_PIXELS
            if pixels > most:
                raise UnbraidError(f"it has {pixels / 1e6:,.0f} million pixels, more than {most / 1e6:.0f}")
            most_scans = min(most_scans, max(1, _MOST_DRAWN // pixels))
            if scans > most_scans:
                raise UnbraidError(f"it is drawn over in {scans:,} scans, more than {most_scans}")
            if len(image.info.get("exif", b"")) > _LARGEST_EXIF:
                raise UnbraidError(f"its EXIF has more than {_LARGEST_EXIF:,} bytes")
            if isinstance(image, TiffImageFile):
                _look_at_tiles(image)
            yield image


def _look_at_jpeg(stream: Stream) -> tuple[int, int]:
    """(the most scans, the scans there are) of a JPEG, as far as the end of the picture; what follows may be a film.

    Compressed pixels hold no marker but those that _MARKER leaves out, and segments between them may hold anything.
    """
    most, scans, exif, place = _PLAIN_SCANS, 0, 0, len(_JPEG)
    if stream.peek(2)[:2] != _JPEG:
        return most, scans
    if stream.seek(0, io.SEEK_END) > _LARGEST_JPEG:
        raise UnbraidError(f"it is larger than {_LARGEST_JPEG:,} bytes")
    stream.seek(0)
    content = stream.read()
    stream.seek(0)
    few = content.count(_SCANS) <= _PLAIN_SCANS  # wherever they stand; then the pixels need no look, which takes long
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(content, place)
        marker = found[1][0] if found else _END
        if found is None or marker in (_END, _START):  # a second start is refused by the decoder
            return most, scans
        if marker not in _SEGMENTS:
            raise UnbraidError(f"it holds a marker that no JPEG has, {marker:02X}")
        place = found.end()
        length = int.from_bytes(content[place : place + 2], "big")
        exif += length if marker == _APP1 and content[place + 2 : place + 6] == b"Exif" else 0
        if exif > _LARGEST_EXIF:  # is put together piece by piece
            raise UnbraidError(f"its EXIF has more than {_LARGEST_EXIF:,} bytes")
        if marker in _PROGRESSIVE:
            most = _PROGRESSIVE_SCANS
        scans += marker == _SCAN
        if few and scans:
            return most, scans
        place += length
    raise UnbraidError(f"it has more than {_MOST_SEGMENTS:,} segments")


def _look_at_png(stream: Stream) -> None:
    if stream.peek(8)[:8] != _PNG:
        return
    profiles, place = 0, len(_PNG)
    while True:
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            break
        profiles += head[4:] == _PROFILE
        if profiles > _MOST_PROFILES:
            raise UnbraidError(f"it has more than {_MOST_PROFILES} profile of colours")
        place += 12 + int.from_bytes(head[:4], "big")
    stream.seek(0)


def _look_at_tiles(image: Any) -> None:
    width, height = (image.tag_v2.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
    if not (isinstance(width, int) and isinstance(height, int)):  # a tag may also hold text, which is multiplied too
        raise UnbraidError("the size of its tiles is no number")
    if width * height > _MOST_PIXELS:
        pixels = width * height / 1e6
        raise UnbraidError(f"its tiles have {pixels:,.0f} million pixels, more than {_MOST_PIXELS / 1e6:.0f}")
