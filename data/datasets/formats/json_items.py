"""The items of a JSON array of any size, each as its own bytes. Called by ``formats.text``.

Only brackets, commas and quotes are looked at; whether an item is JSON is seen by whoever decodes it, so a
broken item leaves its neighbours readable. Invariant: no more than one item and one buffer are held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from data.datasets.formats.streams import BUFFER_BYTES, MAX_LINE_BYTES
from data.errors import InvalidValueError

_MARK = re.compile(rb'["{}\[\],]')
#: Within an item commas tell nothing, and a vector has hundreds.
_INNER = re.compile(rb'["{}\[\]]')
_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*+"', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*")
_BOM = b"\xef\xbb\xbf"


def items_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield the items of the array that a file holds.

    Raises:
        InvalidValueError: it holds no array, or one that is never closed, or more than one value.
    """
    window = _Window(file)
    if window.skip_to_value() != b"[":
        raise InvalidValueError("The file is not a JSON array: it must begin with [ (use jsonl for lines).")
    window.at += 1
    number, closed = 0, window.skip_to_value() == b"]"
    while not closed:
        number += 1
        item, closed = window.item(number)
        yield item
    window.at += closed and number == 0
    if window.skip_to_value():
        raise InvalidValueError("The file goes on after the end of its JSON array: it must hold one array.")


class _Window:
    """The part of a file that is being looked at; ``at`` is where, within ``held``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.held = file.read(BUFFER_BYTES).removeprefix(_BOM)
        self.at = 0

    def more(self) -> bool:
        """Drop what lies behind, read on; return whether there was anything."""
        part = self._file.read(BUFFER_BYTES)
        self.held = self.held[self.at :] + part
        self.at = 0
        return bool(part)

    def skip_to_value(self) -> bytes:
        """Move over white space; return the byte that follows, empty at the end."""
        while True:
            found = _SPACE.match(self.held, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.held):
                return self.held[self.at : self.at + 1]
            if not self.more():
                return b""

    def item(self, number: int) -> tuple[bytes, bool]:
        """Return the item that begins here and whether the array ends behind it; move behind both."""
        depth, seen = 0, 0  # ``seen``: how far the item has been looked at
        while True:
            mark, behind = self._next_mark(_INNER if depth else _MARK, self.at + seen, number)
            if depth == 0 and mark in b",]":
                item = self.held[self.at : behind - 1].strip()
                self.at = behind
                return item, mark == b"]"
            depth += (mark in b"[{") - (mark in b"]}")
            seen = behind - self.at

    def _next_mark(self, marks: re.Pattern[bytes], start: int, number: int) -> tuple[bytes, int]:
        """Return the next of these marks, a string as a whole, from ``start`` on and where it ends."""
        offset = start - self.at
        while True:
            found = marks.search(self.held, self.at + offset)
            if found is not None and found[0] == b'"':
                found = _STRING.match(self.held, found.start())
                if found is not None:
                    return b'"', found.end()
            elif found is not None:
                return found[0], found.end()
            if len(self.held) - self.at > MAX_LINE_BYTES:
                raise InvalidValueError(f"Item {number} is longer than {MAX_LINE_BYTES // 2**20} MiB.")
            if not self.more():
                raise InvalidValueError(
                    f"The JSON array is never closed: the file is cut short at or after item {number}."
                )
