"""Thrift's compact protocol, read and written again with the kind of every value, to make Parquet files that lie."""

from typing import Any

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
Fields = dict[int, tuple[int, Any]]  # by number: the kind and the value; of a list, the value is (kind, items)


def varint(value: int) -> bytes:
    """Zigzag, as Thrift writes a whole number."""
    return unsigned(value << 1 if value >= 0 else ~(value << 1))


def unsigned(value: int) -> bytes:
    out = b""
    while value >= 128:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def written(kind: int, value: Any) -> bytes:
    if kind in (1, 2):
        return b""
    if kind == 3:
        return bytes([value])
    if kind == BINARY:
        return unsigned(len(value)) + value
    if kind == LIST:
        inner, items = value
        return bytes([0xF0 | inner]) + unsigned(len(items)) + b"".join(written(inner, item) for item in items)
    if kind == STRUCT:
        return b"".join(bytes([k]) + varint(number) + written(k, v) for number, (k, v) in value.items()) + b"\0"
    return varint(value)


class Reader:
    def __init__(self, content: bytes) -> None:
        self.left = content

    def take(self, count: int) -> bytes:
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def unsigned(self) -> int:
        byte = self.take(1)[0]
        return byte if byte < 128 else byte - 128 + 128 * self.unsigned()

    def number(self) -> int:
        value = self.unsigned()
        return value // 2 if value % 2 == 0 else -(value + 1) // 2

    def value(self, kind: int) -> Any:
        if kind in (1, 2):
            return None
        if kind == 3:
            return self.take(1)[0]
        if kind == BINARY:
            return self.take(self.unsigned())
        if kind == LIST:
            head = self.take(1)[0]
            count = self.unsigned() if head // 16 == 15 else head // 16
            return head % 16, [self.value(head % 16) for _ in range(count)]
        return self.structure() if kind == STRUCT else self.number()

    def structure(self) -> Fields:
        found: Fields = {}
        number = 0
        while head := self.take(1)[0]:
            number = number + head // 16 if head // 16 else self.number()
            found[number] = head % 16, self.value(head % 16)
        return found


def footer(content: bytes) -> Fields:
    """Of a file."""
    return Reader(content[_start(content) : -8]).structure()


def with_footer(content: bytes, fields: Fields) -> bytes:
    new = written(STRUCT, fields)
    return content[: _start(content)] + new + len(new).to_bytes(4, "little") + b"PAR1"


def _start(content: bytes) -> int:
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")
