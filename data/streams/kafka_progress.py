"""How far a consumer is with one partition of a Kafka topic, as a note beside its committed offset. Pure.

Kafka remembers of a partition one number: everything below it was read. ``data.streams.kafka_stream`` wants
more: what above it is settled already, and how often each of the rest was given out. Both fit into the text
that Kafka keeps with a committed offset, so they change with it, in one step.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field

#: How far settled entries may lie above the first that is not, and how many may be given out and not settled:
#: so a note stays below the 4,096 bytes that a broker takes (``offset.metadata.max.bytes``).
SPAN, MOST_GIVEN = 8_192, 256


@dataclass(slots=True)
class Progress:
    """One partition. ``open`` are the entries that were read and not settled, by offset: times given out."""

    open: dict[int, int] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    before: dict[int, int] = field(default_factory=dict)
    next: int = -1

    @property
    def low(self) -> int:
        """Return the offset below which everything is settled; -1 where nothing is known."""
        return next(iter(self.open), self.next)

    def learn(self, offset: int, note: str) -> None:
        """Take over what was committed, by whoever had the partition before, or by this consumer."""
        self.done, before = _decoded(note, offset) if offset >= 0 else (set(), {})
        self.before = {each: count for each, count in before.items() if each >= self.next}
        self.next = max(self.next, offset)
        for each in [each for each in self.open if each < offset or each in self.done]:
            del self.open[each]

    def add(self, offset: int) -> bool:
        """Note that an entry was read; false where it is settled already. Offsets rise."""
        self.next = offset + 1
        if offset in self.done:
            return False
        self.open[offset] = self.before.pop(offset, 0)
        return True

    def settle(self, offsets: Iterable[int]) -> None:
        """Note that entries are settled."""
        self.done.update(each for each in offsets if self.open.pop(each, None) is not None)
        low = self.low
        self.done = {each for each in self.done if each > low}

    def is_suspect(self, offset: int) -> bool:
        """Say whether another consumer took the entry and did not settle it: it may be why it died."""
        return self.open.get(offset, 0) > 0

    def has_room(self, offset: int) -> bool:
        """Say whether an entry may be given out, for all that its note would then hold."""
        return offset - self.low < SPAN and sum(count > 0 for count in self.open.values()) < MOST_GIVEN

    def note(self) -> str:
        """Return the text that :meth:`learn` takes: what is settled above ``low``, and what was given out."""
        low = self.low
        bits = sum(1 << (each - low) for each in self.done if each >= low)
        settled = base64.b64encode(bits.to_bytes((bits.bit_length() + 7) // 8, "little")).decode()
        counts = {**self.before, **self.open}
        given = ",".join(
            f"{each - low}:{counts[each]}" for each in sorted(counts) if each >= low and counts[each]
        )
        return f"{settled}|{given}"


def after(progress: Progress, offsets: Iterable[int]) -> Progress:
    """Return what a partition will be once some of its entries are settled."""
    later = Progress(dict(progress.open), set(progress.done), dict(progress.before), progress.next)
    later.settle(offsets)
    return later


def _decoded(note: str, low: int) -> tuple[set[int], dict[int, int]]:
    """Read a note; one that is not ours says nothing."""
    # Some clients count the end of a C string in.
    settled, _, given = note.rstrip("\0").partition("|")
    try:
        bits = int.from_bytes(base64.b64decode(settled, validate=True), "little")
        pairs = [each.split(":") for each in given.split(",") if each]
        counts = {low + int(offset): int(count) for offset, count in pairs}
    except (ValueError, binascii.Error):
        return set(), {}
    return {low + place for place in range(bits.bit_length()) if bits >> place & 1}, counts
