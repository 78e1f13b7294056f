"""Pictures whose headers say anything: good ones with parts repeated, exchanged, or put in between, sums set right."""

import struct
import zlib
from collections.abc import Callable
from random import Random

Part = tuple[bytes, bytes]  # its kind and its content

LENGTHS = [0, 1, 2, 8, 64, 5_000, 5_792, 8_000, 8_192, 16_384, 65_535]
TIMES = [0, 1, 2, 3, 10, 70, 1_000]
RARELY = 50  # among so many cases one of the costly ones
MANY, LARGEST = 300_000, 2**22  # parts, and bytes of them together


def exif(random: Random) -> bytes:
    """Tags that all tell of the same bytes."""
    many, size = random.choice([1, 3, 100, 3_000]), random.choice([1, 100, 30_000, 2**31])
    tags = b"".join(struct.pack("<HHII", 1_000 + tag, random.choice([2, 7, 99]), size, 8) for tag in range(many))
    turned = struct.pack("<HHIHH", 0x112, 3, 1, random.randrange(10), 0)
    return b"II*\0" + struct.pack("<IH", 8, many + 1) + tags + turned + bytes(4)


def bomb(random: Random) -> bytes:
    return zlib.compress(bytes(random.choice([100, 2**16, 2**24])), 9)


def content(random: Random, like: bytes) -> bytes:
    return random.choice([b"", b"\0", like, like * 2, like[:-1], random.randbytes(20), exif(random), bomb(random)])


def changed(parts: list[Part], kinds: list[bytes], random: Random) -> list[Part]:
    parts = list(parts)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(parts))
        kind, inner = parts[at]
        many = MANY if random.randrange(RARELY) == 0 else random.choice(TIMES)
        what = random.choice(["again", "gone", "moved", "content", "length", "new"])
        if what == "again":
            parts[at:at] = [parts[at]] * min(many, LARGEST // (len(inner) + 1))
        elif what == "gone" and len(parts) > 1:
            del parts[at]
        elif what == "moved":
            parts.insert(random.randrange(len(parts)), parts.pop(at))
        elif what == "content":
            parts[at] = kind, content(random, inner)
        elif what == "length" and len(inner) >= 4:
            place = random.randrange(min(12, len(inner) - 3))
            lie = random.choice([struct.pack(">H", random.choice(LENGTHS)), struct.pack(">I", random.choice(LENGTHS))])
            parts[at] = kind, (inner[:place] + lie + inner[place + len(lie) :])[: len(inner)]
        else:
            new = content(random, inner) if many < 10_000 else b"x"
            parts[at:at] = [(random.choice(kinds), new)] * min(many, LARGEST // (len(new) + 1))
    return parts


# ---- JPEG: segments, the last of them a scan with the pixels behind it ----

MARKERS = [bytes([marker]) for marker in (0xE0, 0xE1, 0xE2, 0xEE, 0xFE, 0xDB, 0xC4, 0xC0, 0xC2, 0xDD, 0xDA, 0xD0, 0xD9)]


def jpeg_parts(file: bytes) -> list[Part]:
    parts, place = [], 2
    while place + 4 < len(file):
        kind, length = file[place + 1 : place + 2], int.from_bytes(file[place + 2 : place + 4], "big")
        end = len(file) - 2 if kind == b"\xda" else place + 2 + length
        parts.append((kind, file[place + 4 : end]))
        place = end
    return parts


def jpeg_file(parts: list[Part], random: Random) -> bytes:
    filling = b"\xff" * random.choice([0, 0, 1, 9, MANY if random.randrange(RARELY) == 0 else 0])
    made = [
        b"\xff" + kind + struct.pack(">H", 12 if kind == b"\xda" else min(65_535, len(inner) + 2)) + inner
        for kind, inner in parts
    ]
    return b"\xff\xd8" + filling + b"".join(made) + random.choice([b"\xff\xd9", b"", b"\xff\xd9" + b"\xff\xda" * 100])


# ---- PNG: chunks ----

CHUNKS = [
    b"IHDR",
    b"IDAT",
    b"IEND",
    b"PLTE",
    b"tRNS",
    b"eXIf",
    b"iCCP",
    b"zTXt",
    b"tEXt",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"prVt",
]


def png_parts(file: bytes) -> list[Part]:
    parts, place = [], 8
    while place < len(file):
        length = int.from_bytes(file[place : place + 4], "big")
        parts.append((file[place + 4 : place + 8], file[place + 8 : place + 8 + length]))
        place += length + 12
    return parts


def png_file(parts: list[Part], random: Random) -> bytes:
    made = [
        struct.pack(">I", len(inner)) + kind + inner + struct.pack(">I", zlib.crc32(kind + inner))
        for kind, inner in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


# ---- WebP: chunks of RIFF ----


def webp_parts(file: bytes) -> list[Part]:
    parts, place = [], 12
    while place + 8 <= len(file):
        length = int.from_bytes(file[place + 4 : place + 8], "little")
        parts.append((file[place : place + 4], file[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    return parts


def webp_file(parts: list[Part], random: Random) -> bytes:
    made = b"".join(kind + struct.pack("<I", len(inner)) + inner + bytes(len(inner) % 2) for kind, inner in parts)
    return b"RIFF" + struct.pack("<I", random.choice([len(made) + 4] * 9 + [8])) + b"WEBP" + made


RIFF = [b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"XMP ", b"ICCP", b"junk"]


# ---- GIF: a head, and blocks of which each is kept whole ----


def gif_parts(file: bytes) -> list[Part]:
    head = 13 + (3 << ((file[10] & 7) + 1) if file[10] & 128 else 0)
    picture = file.index(b",", head)
    return [(b"", file[:head]), (b"", file[head:picture]), (b"", file[picture:])]


def gif_file(parts: list[Part], random: Random) -> bytes:
    """What is new comes in pieces, of one byte or of many."""
    made = []
    for kind, inner in parts:
        step = random.choice([1, 255]) if kind else 1
        pieces = (inner[start : start + step] for start in range(0, len(inner), step))
        made.append(kind + b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0" if kind else inner)
    return b"".join(made)


EXTENSIONS = [b"!\xfe", b"!\xff", b"!\xf9", b"!\x01"]


# ---- TIFF: tags ----

TAGS = [
    254,
    256,
    257,
    258,
    259,
    262,
    266,
    273,
    274,
    277,
    278,
    279,
    284,
    317,
    320,
    322,
    323,
    324,
    325,
    338,
    339,
    347,
    513,
]
NUMBERS = [0, 1, 2, 3, 5, 6, 7, 8, 16, 32, 64, 4_096, 5_792, 40_000, 2**16, 2**31, 2**32 - 1, 32_773, 50_000, 34_925]


def tiff_parts(file: bytes) -> list[Part]:
    """Twelve bytes for each tag, and before them all else."""
    place = int.from_bytes(file[4:8], "little")
    tags = [file[start : start + 12] for start in range(place + 2, place + 2 + 12 * file[place], 12)]
    return [(b"", file[8:]), *((b"t", tag) for tag in tags)]


def tiff_file(parts: list[Part], random: Random) -> bytes:
    before = b"".join(inner for kind, inner in parts if not kind)
    tags = [tag for kind, tag in parts if kind and len(tag) == 12]
    for _ in range(random.randint(0, 3)):
        lie = struct.pack("<HHII", random.choice(TAGS), random.choice([1, 3, 4, 16]), 1, random.choice(NUMBERS))
        tags.insert(random.randrange(len(tags) + 1), lie)
    tags = tags[: 2**16 - 1]
    ends = bytes(len(before) % 2)
    return (
        b"II*\0"
        + struct.pack("<I", 8 + len(before) + len(ends))
        + before
        + ends
        + struct.pack("<H", len(tags))
        + b"".join(tags)
        + bytes(4)
    )


FORMATS: dict[str, tuple[Callable[[bytes], list[Part]], Callable[[list[Part], Random], bytes], list[bytes]]] = {
    "JPEG": (jpeg_parts, jpeg_file, MARKERS),
    "PNG": (png_parts, png_file, CHUNKS),
    "WEBP": (webp_parts, webp_file, RIFF),
    "GIF": (gif_parts, gif_file, EXTENSIONS),
    "TIFF": (tiff_parts, tiff_file, [b"t"]),
}


def lying(format: str, good: list[bytes]) -> Callable[[Random], bytes]:
    taken, put, kinds = FORMATS[format]
    parts = [taken(file) for file in good]

    def lying(random: Random) -> bytes:
        return put(changed(random.choice(parts), kinds, random), random)

    return lying
