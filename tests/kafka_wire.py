"""Numbers, strings and lists as Kafka's protocol writes them, for the broker of ``tests.kafka_server``."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


class Reader:
    """Reads a request from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def raw(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def _number(self, form: str, size: int) -> int:
        (value,) = struct.unpack(form, self.raw(size))
        return int(value)

    def i8(self) -> int:
        return self._number(">b", 1)

    def i16(self) -> int:
        return self._number(">h", 2)

    def i32(self) -> int:
        return self._number(">i", 4)

    def i64(self) -> int:
        return self._number(">q", 8)

    def uvarint(self) -> int:
        value = shift = 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def text(self) -> str:
        """Return a string; one that is null is empty."""
        return self.raw(max(0, self.i16())).decode()

    def blob(self) -> bytes:
        return self.raw(max(0, self.i32()))

    def items(self, read: Callable[[], Item]) -> list[Item]:
        return [read() for _ in range(max(0, self.i32()))]

    def by_topic(self, partition: Callable[[str], bytes]) -> bytes:
        """Answer each partition of each topic, in turn."""

        def topic() -> bytes:
            name = self.text()
            return text(name) + items(self.items(lambda: partition(name)))

        return items(self.items(topic))

    def short_text(self) -> str:
        return self.raw(max(0, self.uvarint() - 1)).decode()

    def short_items(self, read: Callable[[], Item]) -> list[Item]:
        return [read() for _ in range(max(0, self.uvarint() - 1))]

    def tags(self) -> None:
        for _ in range(self.uvarint()):
            self.uvarint()
            self.raw(self.uvarint())


def i8(value: int) -> bytes:
    return struct.pack(">b", value)


def i16(value: int) -> bytes:
    return struct.pack(">h", value)


def i32(value: int) -> bytes:
    return struct.pack(">i", value)


def i64(value: int) -> bytes:
    return struct.pack(">q", value)


def uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(value: int) -> bytes:
    return uvarint(value << 1 if value >= 0 else (-value << 1) - 1)


def text(value: str | None) -> bytes:
    if value is None:
        return i16(-1)
    raw = value.encode()
    return i16(len(raw)) + raw


def blob(value: bytes) -> bytes:
    return i32(len(value)) + value


def items(values: Iterable[bytes]) -> bytes:
    written = list(values)
    return i32(len(written)) + b"".join(written)


def short_text(value: str) -> bytes:
    raw = value.encode()
    return uvarint(len(raw) + 1) + raw


def short_items(values: Iterable[bytes]) -> bytes:
    written = list(values)
    return uvarint(len(written) + 1) + b"".join(written)


def exactly(connection: socket.socket, size: int) -> bytes:
    """Return so many bytes of a connection."""
    found = b""
    while len(found) < size:
        more = connection.recv(size - len(found))
        if not more:
            raise EOFError
        found += more
    return found


#: No tagged fields.
TAGS = b"\0"
