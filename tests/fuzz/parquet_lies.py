"""Parquet files whose footer says anything: good ones with some of its numbers, kinds and fields changed."""

from collections.abc import Callable, Iterator
from random import Random

import thrift_files as thrift

NUMBERS = [0, 1, 2, 3, 4, 6, 100, -1, 2**15, 2**20, 2**31 - 1, 2**31, -(2**31), 2**40, 2**63 - 1, -(2**63)]


def lying(good: list[bytes]) -> Callable[[Random], bytes]:
    def lying(random: Random) -> bytes:
        content = random.choice(good)
        fields = thrift.footer(content)
        for _ in range(random.randint(1, 3)):
            change(random, *random.choice(list(places(fields))))
        return thrift.with_footer(content, fields)

    return lying


def places(fields: thrift.Fields) -> Iterator[tuple[thrift.Fields, int]]:
    """All fields within: the structure and the number."""
    for number, (kind, value) in fields.items():
        yield fields, number
        inner = value[1] if kind == thrift.LIST else [value]
        for each in inner:
            if isinstance(each, dict):
                yield from places(each)


def change(random: Random, fields: thrift.Fields, number: int) -> None:
    kind, value = fields[number]
    what = random.choice(["value", "value", "value", "value", "kind", "gone", "moved"])
    if what == "gone":
        del fields[number]
    elif what == "moved":
        fields[random.choice([1, 2, 5, 9, 11, 14, 99])] = fields.pop(number)
    elif kind in (thrift.I32, thrift.I64):
        fields[number] = (kind, random.choice(NUMBERS)) if what == "value" else (thrift.I32 + thrift.I64 - kind, value)
    elif kind == thrift.BINARY:
        fields[number] = kind, random.choice([b"", b"path", value * 2, b"\\xff", b"x" * 5000])
    elif kind == thrift.LIST:
        inner, items = value
        fields[number] = kind, (inner, random.choice([[], items[:-1], items * 2, items * 300]))
