"""Reading every byte of a ledger and its segments, to find what a disk has changed.

Called by the keeper and by ``tasks.check_ledger``. Invariant: nothing is written; every fault is named with
the file or the position it lies in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data import segments
from data.chain import GENESIS, Entry, follow
from data.changes import read_segment_ref
from data.errors import CorruptDataError, KiteError
from data.ledger import Ledger
from data.redaction import is_redacted

_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What was read, and every fault found in words; the chain is followed up to its first fault."""

    rows: int
    redacted: int
    segments: int
    faults: tuple[str, ...]


def checked(ledger: Ledger, home: Path) -> Checked:
    """Read everything."""
    faults: list[str] = []
    try:
        faults += [f"The ledger's file is damaged: {text}." for text in ledger.faults_in_tables()]
    except KiteError as exc:
        faults.append(str(exc))
    rows, redacted, refs = 0, 0, dict[str, str]()
    try:
        for page in _pages(ledger):
            rows += len(page)
            redacted += sum(is_redacted(entry.payload) for entry in page)
            for entry in page:
                if entry.kind == "segment.load":
                    ref = read_segment_ref(entry.payload)
                    refs[ref.uri] = _fault_in(home, entry) if ref.uri not in refs else refs[ref.uri]
    except KiteError as exc:
        faults.append(str(exc))
    return Checked(rows, redacted, len(refs), (*faults, *(fault for fault in refs.values() if fault)))


def _pages(ledger: Ledger) -> Iterator[list[Entry]]:
    previous, after = GENESIS, 0
    while page := ledger.read(after, _PAGE):
        previous = follow(previous, page, after=after)
        after = page[-1].seq
        yield page


def _fault_in(home: Path, entry: Entry) -> str:
    try:
        segments.verified_bytes(home, read_segment_ref(entry.payload))
    except CorruptDataError as exc:
        return f"{exc} (the ledger points to it at seq {entry.seq})"
    return ""
