"""One picture after the other: every kind that the formats hold, and files that are none."""

import os
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import costs
import numpy as np
import pytest
from PIL import Image

from unbraid.data import image_files
from unbraid.errors import UnbraidError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (8, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)


def read(path: Path, *, size: int = 8, crop: str = "centre", channels: int = 3, cut: int = 0) -> np.ndarray:
    """[size, size, channels]"""
    image = image_files.read(path, size=size, crop=crop, channels=channels, cut=cut)
    assert image.shape == (channels, size, size) and image.dtype == np.uint8
    return np.moveaxis(image, 0, 2)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF", "a.webp", "a.gif"])
def test_lossless_formats_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name == "a.webp" else {}
    path = saved(tmp_path / name, Image.fromarray(GREY), **options)
    assert np.array_equal(read(path, channels=1)[..., 0], GREY)
    assert np.array_equal(read(path), np.repeat(GREY[..., None], 3, axis=2))
    if name != "a.gif":
        assert np.array_equal(read(saved(path, Image.fromarray(COLOUR), **options)), COLOUR)


def test_jpeg_comes_back_nearly(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(0, 64, 2), np.arange(0, 192, 6)).astype(np.uint8)
    found = read(saved(tmp_path / "a.jpg", Image.fromarray(smooth), quality=95), size=32, channels=1)
    assert np.abs(found[..., 0].astype(int) - smooth).max() < 6


def test_the_content_counts_and_not_the_suffix(tmp_path: Path) -> None:
    assert np.array_equal(read(saved(tmp_path / "a.jpg", Image.fromarray(COLOUR), format="PNG")), COLOUR)


def test_grey_of_a_colour_is_its_luma(tmp_path: Path) -> None:
    found = read(saved(tmp_path / "a.png", Image.fromarray(COLOUR)), channels=1)[..., 0]
    assert np.abs(found - COLOUR @ [0.299, 0.587, 0.114]).max() <= 1


class TestKinds:
    def test_sixteen_bits_are_scaled_rather_than_clipped(self, tmp_path: Path) -> None:
        levels = RNG.integers(0, 65536, (8, 8)).astype(np.uint16)
        for name in ("a.png", "a.tif"):
            found = read(saved(tmp_path / name, Image.fromarray(levels)), channels=1)[..., 0]
            assert np.array_equal(found, np.rint(levels / 257))

    def test_sixteen_bits_in_colour(self, tmp_path: Path) -> None:
        rows = b"".join(b"\0" + struct.pack(">3H", 65535, 0x8000, 0) * 2 for _ in range(2))
        (tmp_path / "a.png").write_bytes(png(2, 2, rows, depth=16, kind=2))
        assert read(tmp_path / "a.png", size=2)[0, 0].tolist() == [255, 128, 0]

    def test_a_palette_with_and_without_transparency(self, tmp_path: Path) -> None:
        image = Image.fromarray((GREY > 128).astype(np.uint8), "P")
        image.putpalette([10, 20, 30, 200, 100, 50])
        assert set(map(tuple, read(saved(tmp_path / "a.png", image)).reshape(-1, 3).tolist())) == {
            (10, 20, 30),
            (200, 100, 50),
        }
        found = read(saved(tmp_path / "a.png", image, transparency=0))
        assert (found[GREY <= 128] == 255).all() and (found[GREY > 128] == [200, 100, 50]).all()

    def test_what_is_transparent_shows_white(self, tmp_path: Path) -> None:
        alpha = np.where(GREY > 128, 255, 0).astype(np.uint8)
        rgba = Image.fromarray(np.dstack([COLOUR, alpha]))
        found = read(saved(tmp_path / "a.png", rgba))
        assert np.array_equal(found[alpha == 255], COLOUR[alpha == 255]) and (found[alpha == 0] == 255).all()
        grey = Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(alpha)))
        found = read(saved(tmp_path / "a.png", grey), channels=1)[..., 0]
        assert np.array_equal(found, np.where(alpha, GREY, 255))
        half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
        assert np.abs(read(saved(tmp_path / "a.png", half)).astype(int) - 127).max() <= 1

    def test_black_and_white(self, tmp_path: Path) -> None:
        found = read(saved(tmp_path / "a.png", Image.fromarray(GREY > 128)), channels=1)[..., 0]
        assert np.array_equal(found, np.where(GREY > 128, 255, 0))

    def test_cmyk(self, tmp_path: Path) -> None:
        image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
        assert read(saved(tmp_path / "a.tif", image))[0, 0].tolist() == [0, 255, 255]
        found = read(saved(tmp_path / "a.jpg", image))[0, 0]
        assert found[0] < 10 and found[1] > 245 and found[2] > 245

    def test_of_an_animation_the_first_frame(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
        for name in ("a.gif", "a.webp", "a.png", "a.tif"):
            options = {"lossless": True} if name == "a.webp" else {}
            path = saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:], **options)
            assert read(path)[4, 4].tolist() == [255, 0, 0]

    @pytest.mark.parametrize("values", [np.full((4, 4), 70000, np.int32), np.full((4, 4), 0.5, np.float32)])
    def test_numbers_that_are_no_levels_are_refused(self, tmp_path: Path, values: np.ndarray) -> None:
        path = saved(tmp_path / "a.tif", Image.fromarray(values))
        with pytest.raises(UnbraidError, match="save it with 8 or 16 bits"):
            read(path)


class TestShape:
    def test_exif_turns_the_picture_upright(self, tmp_path: Path) -> None:
        upright = Image.fromarray(GREY)
        stored = {6: upright.rotate(90), 8: upright.rotate(-90), 3: upright.rotate(180)}
        for orientation, image in stored.items():
            for name in ("a.png", "a.webp", "a.tif"):
                exif = Image.Exif()
                exif[0x0112] = orientation
                options = {"lossless": True} if name == "a.webp" else {}
                path = saved(tmp_path / name, image, exif=exif, **options)
                assert np.array_equal(read(path, channels=1)[..., 0], GREY), (orientation, name)

    def test_exif_counts_for_every_kind_of_pixel(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        levels = GREY.astype(np.uint16) * 257
        for image in (Image.fromarray(np.rot90(levels)), Image.fromarray(np.rot90(GREY)).convert("RGBA")):
            path = saved(tmp_path / "a.png", image, exif=exif)
            assert np.array_equal(read(path, channels=1)[..., 0], GREY)

    def test_the_middle_of_a_wide_picture(self, tmp_path: Path) -> None:
        wide = np.repeat([[10, 20, 30]], 8, axis=0).repeat(8, axis=1).astype(np.uint8)  # 8 x 24
        for image in (wide, wide.T):
            assert (read(saved(tmp_path / "a.png", Image.fromarray(image)), channels=1) == 20).all()

    def test_bars_beside_a_tall_picture(self, tmp_path: Path) -> None:
        tall = Image.new("L", (4, 8), 7)
        found = read(saved(tmp_path / "a.png", tall), crop="pad", channels=1)[..., 0]
        assert (found[:, 2:6] == 7).all() and (found[:, :2] == 255).all() and (found[:, 6:] == 255).all()

    def test_a_cut_around_the_middle(self, tmp_path: Path) -> None:
        image = np.zeros((12, 10), np.uint8)
        image[4:8, 3:7] = 200
        assert (read(saved(tmp_path / "a.png", Image.fromarray(image)), size=4, channels=1, cut=4) == 200).all()

    def test_an_area_is_averaged_when_it_shrinks(self, tmp_path: Path) -> None:
        chequered = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
        found = read(saved(tmp_path / "a.png", Image.fromarray(chequered)), size=16, channels=1)
        assert np.abs(found.astype(int) - 127).max() < 4

    @pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (1, 2)])
    @pytest.mark.parametrize("crop", image_files.CROPS)
    def test_of_the_least_size(self, tmp_path: Path, shape: tuple[int, int], crop: str) -> None:
        path = saved(tmp_path / "a.png", Image.fromarray(np.full(shape, 9, np.uint8)))
        assert (read(path, crop=crop, channels=1) == 9).any()

    def test_a_jpeg_is_decoded_small_and_still_the_same_picture(self, tmp_path: Path) -> None:
        row = np.linspace(0, 255, 2048)
        path = saved(tmp_path / "a.jpg", Image.fromarray(np.tile(row, (2048, 1)).astype(np.uint8)), quality=95)
        expected = row.reshape(32, 64).mean(1)
        assert np.abs(read(path, size=32, channels=1)[16, :, 0] - expected).max() < 4


def png(width: int, height: int, rows: bytes, *, depth: int = 8, kind: int = 0) -> bytes:
    """A PNG file put together by hand, so that it may lie."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def truncated(image: Image.Image, format: str) -> bytes:
    stream = BytesIO()
    image.save(stream, format)
    return stream.getvalue()[: len(stream.getvalue()) // 2]


NOISE_GREY = RNG.integers(0, 256, (64, 64), dtype=np.uint8)
NOISE = Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"not a picture",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) print",
        b"\x89PNG\r\n\x1a\n",
        png(0, 0, b""),
        png(0, 8, b""),
        png(8, 8, b""),
        png(2**31 - 1, 2**31 - 1, b"\0"),
        png(60_000, 60_000, bytes(1000)),
        *(truncated(NOISE, format) for format in ("PNG", "JPEG", "TIFF", "WEBP", "GIF")),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnbraidError) as refused:
        read(tmp_path / "a.png")
    assert str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("kind", "head", "size", "count"),
    [
        (b"iCCP", b"x\0\0", 2**28, 1),
        (b"iTXt", b"x\0\1\0\0\0", 2**28, 1),
        (b"zTXt", b"x\0\0", 2**28, 1),
        (b"zTXt", b"x\0\0", 2**20 - 1, 100),
    ],
)
def test_a_png_whose_comments_unfold_far_is_refused(
    tmp_path: Path, kind: bytes, head: bytes, size: int, count: int
) -> None:
    """Pillow's own bounds, which nothing here may lift."""
    content, good = head + zlib.compress(bytes(size), 9), png(8, 8, bytes(72))
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    (tmp_path / "bomb.png").write_bytes(good[:33] + chunk * count + good[33:])  # after its header
    with pytest.raises(UnbraidError, match=r"Decompressed data too large|Too much memory used in text chunks"):
        read(tmp_path / "bomb.png")


def test_a_jpeg_of_thousands_of_scans_is_refused(tmp_path: Path) -> None:
    Image.new("L", (64, 64), 128).save(tmp_path / "bomb.jpg", progressive=True)
    content = (tmp_path / "bomb.jpg").read_bytes()
    assert np.array_equal(read(tmp_path / "bomb.jpg"), np.full((8, 8, 3), 128))
    scans = content[content.index(b"\xff\xda") : -2]
    (tmp_path / "bomb.jpg").write_bytes(content[:-2] + 3_000 * scans + b"\xff\xd9")
    with pytest.raises(UnbraidError, match=r"it is drawn over in [0-9,]+ scans, more than 64"):
        read(tmp_path / "bomb.jpg")


def plain(scans: int, side: int = 64) -> bytes:
    """A JPEG that is not progressive, of three parts of a picture, which are drawn one after the other, in turn."""
    stream = BytesIO()
    Image.fromarray(NOISE_GREY).save(stream, "JPEG")
    content = stream.getvalue()
    frame, scan = content.index(b"\xff\xc0"), content.index(b"\xff\xda")
    tables = content[frame + 2 + 11 : scan]
    parts = b"".join(bytes([part, 0x11, 0]) for part in (1, 2, 3))
    head = content[:frame] + b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, side, side, 3) + parts + tables
    pixels = content[scan + 10 : -2]
    each = [b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1 + n % 3, 0, 0, 63, 0) + pixels for n in range(scans)]
    return head + b"".join(each) + b"\xff\xd9"


def test_the_scans_of_a_plain_jpeg_count_too(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(plain(3))
    assert read(tmp_path / "a.jpg", size=64).std() > 10
    film = RNG.bytes(100) + b"\xff\xda" * 1_000  # as telephones put it behind their pictures
    (tmp_path / "a.jpg").write_bytes(plain(3) + film)
    assert read(tmp_path / "a.jpg", size=64).std() > 10
    marked = plain(3).replace(b"\xff\xda", b"\xff\x02\xff\xff\xff\xda", 1)  # libjpeg drops it and looks on right behind
    (tmp_path / "a.jpg").write_bytes(marked)
    with pytest.raises(UnbraidError, match="it holds a marker that no JPEG has, 02"):
        read(tmp_path / "a.jpg")
    for content in (plain(6_000, 8_000), plain(6_000).replace(b"\xff\xda", b"\xff\xfe\0\4\xff\xd9\xff\xda")):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(UnbraidError, match="it is drawn over in 6,000 scans, more than 4"):
            read(tmp_path / "a.jpg")


def test_the_scans_of_one_of_several_pictures(tmp_path: Path) -> None:
    """Pillow calls the format of such a JPEG another."""
    image = Image.new("RGB", (64, 64), "red")
    image.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[image], progressive=True)
    with Image.open(tmp_path / "a.jpg") as opened:
        assert opened.format == "MPO"
    assert read(tmp_path / "a.jpg")[4, 4, 0] > 250
    content = (tmp_path / "a.jpg").read_bytes()
    start, end = content.index(b"\xff\xda"), content.index(b"\xff\xd9")
    (tmp_path / "a.jpg").write_bytes(content[:end] + 3_000 * content[start:end] + content[end:])
    with pytest.raises(UnbraidError, match=r"it is drawn over in [0-9,]+ scans, more than 64"):
        read(tmp_path / "a.jpg")


def test_a_large_picture_has_few_scans(tmp_path: Path) -> None:
    Image.new("L", (8000, 8000)).save(tmp_path / "a.jpg", progressive=True)
    assert read(tmp_path / "a.jpg").shape == (8, 8, 3)
    content = (tmp_path / "a.jpg").read_bytes()
    again = content[content.rindex(b"\xff\xda") : -2]
    (tmp_path / "a.jpg").write_bytes(content[:-2] + 10 * again + b"\xff\xd9")
    with pytest.raises(UnbraidError, match=r"it is drawn over in 1[0-9] scans, more than 10"):
        read(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("format", "after", "part"),
    [
        ("JPEG", 2, b"\xff\xe1\x00\x03x"),
        ("JPEG", 2, b"\xff"),
        ("GIF", 13 + 3 * 64, b"\x21\xfe\x01x\x00"),
        ("PNG", 33, b"\0\0\0\0prVt" + struct.pack(">I", zlib.crc32(b"prVt"))),
    ],
    ids=["segments", "filling", "comments", "chunks"],
)
def test_a_header_of_half_a_million_parts(tmp_path: Path, format: str, after: int, part: bytes) -> None:
    """Each costs Pillow some microseconds, whatever it holds."""
    stream = BytesIO()
    Image.fromarray(GREY).save(stream, format)
    content = stream.getvalue()
    for many in (100, 500_000):
        (tmp_path / "a.png").write_bytes(content[:after] + many * part + content[after:])
        with costs.bounded():
            if many == 100:
                assert read(tmp_path / "a.png").shape == (8, 8, 3)
            else:
                with pytest.raises(
                    UnbraidError, match=r"too many parts, more than 262,144|has more than 100,000 segments"
                ):
                    read(tmp_path / "a.png")


def test_a_careful_jpeg_has_marks_between_its_pixels(tmp_path: Path) -> None:
    """As many as there are blocks: 160,000."""
    saved(tmp_path / "a.jpg", Image.new("L", (3200, 3200), 77), restart_marker_blocks=1)
    assert (read(tmp_path / "a.jpg") == 77).all()


def test_exif_that_comes_in_pieces(tmp_path: Path) -> None:
    """Pillow puts them together one by one; 20,000 of them take it half a minute."""
    image = saved(tmp_path / "a.jpg", Image.fromarray(GREY)).read_bytes()
    piece = b"\xff\xe1" + struct.pack(">H", 108) + b"Exif\0\0" + bytes(100)
    (tmp_path / "a.jpg").write_bytes(image[:2] + 20_000 * piece + image[2:])
    with costs.bounded(), pytest.raises(UnbraidError, match="its EXIF has more than 131,072 bytes"):
        read(tmp_path / "a.jpg")


def test_a_png_of_many_profiles(tmp_path: Path) -> None:
    content = b"x\0\0" + zlib.compress(bytes(2**20 - 1), 9)
    chunk = struct.pack(">I", len(content)) + b"iCCP" + content + struct.pack(">I", zlib.crc32(b"iCCP" + content))
    good = png(8, 8, bytes(72))
    (tmp_path / "a.png").write_bytes(good[:33] + chunk + good[33:])
    assert (read(tmp_path / "a.png") == 0).all()
    (tmp_path / "a.png").write_bytes(good[:33] + 5_000 * chunk + good[33:])
    with costs.bounded(), pytest.raises(UnbraidError, match="it has more than 1 profile of colours"):
        read(tmp_path / "a.png")


def test_exif_of_a_megabyte(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * 2**20
    saved(tmp_path / "a.png", Image.fromarray(GREY), exif=exif)
    with pytest.raises(UnbraidError, match="its EXIF has more than 131,072 bytes"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.tif"])
def test_what_the_largest_picture_takes(tmp_path: Path, name: str) -> None:
    """A few kilobytes of one colour, half transparent, in a process that holds nothing else."""
    options = {"a.webp": {"lossless": True}, "a.tif": {"compression": "tiff_adobe_deflate"}}.get(name, {})
    side = 4096 if name == "a.webp" else 5792
    path = saved(tmp_path / name, Image.new("RGBA", (side, side), (255, 0, 0, 128)), **options)
    command = (
        "import sys, costs; from pathlib import Path; from unbraid.data import image_files\n"
        "with costs.bounded(): image = image_files.read(Path(sys.argv[1]), size=8, crop='centre', channels=3)\n"
        "print(image[:, 4, 4].tolist(), costs.most_memory())"
    )
    tests = str(Path(costs.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", command, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": tests},
    )
    assert done.returncode == 0, done.stderr
    colour, memory = done.stdout.rsplit(" ", 1)
    assert colour in ("[254, 127, 127]", "[255, 127, 127]") and int(memory) < 5 * 2**27


def tiled(side: int, kind: int = 4) -> bytes:
    """A TIFF of 64x64 grey pixels in one deflated tile, which says that it is `side` pixels wide and high.

    `kind` is that of the number that says how wide.
    """
    tile = zlib.compress(bytes([128]) * 64 * 64)
    tags = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 0, 325: len(tile)}
    tags[324] = 8 + 2 + 12 * len(tags) + 4  # where the tile begins
    entries = b"".join(struct.pack("<HHII", tag, kind if tag == 322 else 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + tile


def test_a_small_tiff_of_huge_tiles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.tif").write_bytes(tiled(64))
    assert np.array_equal(read(tmp_path / "bomb.tif"), np.full((8, 8, 3), 128))
    (tmp_path / "bomb.tif").write_bytes(tiled(40_000))
    with pytest.raises(UnbraidError, match="its tiles have 1,600 million pixels, more than 34"):
        read(tmp_path / "bomb.tif")


def test_a_tiff_whose_tiles_are_text_wide(tmp_path: Path) -> None:
    """Of which Python would make gigabytes."""
    (tmp_path / "bomb.tif").write_bytes(tiled(2**31, kind=7))
    with costs.bounded(), pytest.raises(UnbraidError, match="the size of its tiles is no number"):
        read(tmp_path / "bomb.tif")


def test_a_decompression_bomb_is_refused_before_it_is_unfolded(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png(9_000, 9_000, bytes(9_001 * 9_000)))
    assert (tmp_path / "bomb.png").stat().st_size < 500_000
    with pytest.raises(UnbraidError, match="81 million pixels, more than 34"):
        read(tmp_path / "bomb.png")
