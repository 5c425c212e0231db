"""Compaction: what was superseded or deleted up to a horizon is erased from the ledger for good.

Called by the keeper. A row of the ledger (``ledger.compact``) says that it is to be done; the rest follows
from the rows before it, so that whoever is killed in between goes on where he was, and a ledger restored
from backups does it again. Invariant: what any view shows as of the horizon or later stays as it was;
positions, times, keys and the hash chain stay too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from data import changes, segments
from data.changes import SegmentRef
from data.datasets.changes import DELETE_DATASET, PUT_VECTORS, ids_written, read_vector_ids
from data.durable import sync_folder
from data.ledger import Entry, Ledger
from data.redaction import is_erased, redacted

#: Stores whose things replace each other; what was said (verdicts, feedback) is never superseded.
STORES = frozenset({"document", "fact", "source", "pattern", "graph", "dataset"})
#: Store of what a segment holds, by the segment's kind.
_STORE_OF = {"documents": "document", "facts": "fact", "sources": "source", "graph": "graph"}
#: Entries read, and payloads replaced, at a time: bounds how long a writer waits.
_PAGE, _BATCH = 5_000, 1_000


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did, or would do.

    ``horizon`` is the position up to which the past is gone; ``payloads`` and ``segments`` count what is
    erased or rewritten; bytes are those of the ledger with its journal, and of the segments' folder.
    ``copies`` are files that may still hold what was erased, for a person to decide on.
    """

    horizon: int
    payloads: int
    payload_bytes: int
    segments: int
    bytes_before: int
    bytes_after: int
    dry_run: bool
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Superseded:
    """What can go: rows by position with the size of their payload, and segments with the rows they keep."""

    payloads: dict[int, int]
    segments: dict[int, tuple[SegmentRef, list[int]]]


def superseded(ledger: Ledger, home: Path, horizon: int) -> Superseded:
    """Return what was replaced or removed at or before ``horizon``.

    Raises:
        CorruptDataError: a segment is damaged.
    """
    fold = _Fold(home)
    for entry in _entries(ledger, horizon):
        fold.take(entry)
    return fold.gone()


class _Fold:
    """What is there after some rows, and which rows made what is not there any more."""

    def __init__(self, home: Path) -> None:
        self._home = home
        #: A thing's digest -> the row that made it, and its number in the segment (-1: the row itself).
        self._live: dict[bytes, tuple[int, int]] = {}
        self._sizes: dict[int, int] = {}
        self._loads: dict[int, tuple[SegmentRef, set[int]]] = {}
        self._payloads: dict[int, int] = {}
        #: Of each row with vectors: how many of them are still there; and the rows of each dataset.
        self._vectors: dict[int, int] = {}
        self._batches: dict[bytes, list[int]] = {}

    def take(self, entry: Entry) -> None:
        store, _, verb = entry.kind.partition(".")
        if entry.kind == "segment.load":
            self._load(entry, changes.read_segment_ref(entry.payload))
        elif store == "vectors" and not is_erased(entry.payload):
            self._write_vectors(entry)
        elif store in STORES:
            if entry.kind == DELETE_DATASET:
                for seq in self._batches.pop(_thing(entry, store, entry.key), ()):
                    self._forget_vectors(seq)
            thing = _thing(entry, store, entry.key)
            self._end(thing)
            if verb == "put":
                self._live[thing] = (entry.seq, -1)
                if not is_erased(entry.payload):
                    self._sizes[entry.seq] = len(entry.payload)

    def gone(self) -> Superseded:
        loads = {
            seq: (ref, sorted(kept))
            for seq, (ref, kept) in self._loads.items()
            if len(kept) < (min(1, ref.rows) if ref.kind == "graph" else ref.rows)
        }
        return Superseded(self._payloads, loads)

    def _load(self, entry: Entry, ref: SegmentRef) -> None:
        kept: set[int] = set()
        self._loads[entry.seq] = (ref, kept)
        for number, name in enumerate(_names(self._home, entry, ref)):
            thing = _thing(entry, _STORE_OF[ref.kind], name)
            self._end(thing)
            self._live[thing] = (entry.seq, number)
            kept.add(number)

    def _write_vectors(self, entry: Entry) -> None:
        """Take in vectors: a row goes when all of its own are replaced or removed, or their dataset is."""
        is_put = entry.kind == PUT_VECTORS
        ids = ids_written(entry.payload) if is_put else read_vector_ids(entry.payload)
        things = {_thing(entry, entry.kind.partition(".")[0], f"{entry.key}/{one}") for one in ids}
        for thing in things:
            self._end(thing)
            if is_put:
                self._live[thing] = (entry.seq, -1)
        self._sizes[entry.seq] = len(entry.payload)
        if is_put:
            self._vectors[entry.seq] = len(things)
        self._batches.setdefault(_thing(entry, "dataset", entry.key), []).append(entry.seq)

    def _forget_vectors(self, seq: int) -> None:
        self._vectors.pop(seq, None)
        if seq in self._sizes:
            self._payloads[seq] = self._sizes.pop(seq)

    def _end(self, thing: bytes) -> None:
        seq, number = self._live.pop(thing, (0, -1))
        if seq in self._vectors:
            self._vectors[seq] -= 1
            if not self._vectors[seq]:
                self._forget_vectors(seq)
        elif number >= 0:
            self._loads[seq][1].discard(number)
        elif seq in self._sizes:
            self._payloads[seq] = self._sizes.pop(seq)


def erase(ledger: Ledger, home: Path, gone: Superseded) -> None:
    """Take it out of the ledger, page by page, and write what is left of each segment."""
    positions = sorted(gone.payloads)
    for first, last in pairwise([*range(0, len(positions), _BATCH), len(positions)]):
        ledger.replace_payloads([(seq, redacted(_payload(ledger, seq))) for seq in positions[first:last]])
    for seq, (ref, kept) in sorted(gone.segments.items()):
        rest = segments.write_rest(home, ref, kept)
        said = msgspec.json.encode(rest, order="sorted")
        ledger.replace_payloads([(seq, redacted(_payload(ledger, seq), said))], [ref.uri])


def remove_discarded(ledger: Ledger, home: Path) -> None:
    """Remove the segments that no row points to any more."""
    discarded = ledger.discarded()
    if not discarded:
        return
    used = {
        changes.read_segment_ref(entry.payload).uri
        for entry in _entries(ledger, ledger.head())
        if entry.kind == "segment.load"
    }
    for uri in discarded:
        if uri not in used:
            (home / uri).unlink(missing_ok=True)
    sync_folder(home / segments.FOLDER)


def size_of(ledger: Ledger, home: Path) -> int:
    """Return the bytes of the ledger with its journal, and of the segments."""
    folder = home / segments.FOLDER
    files = folder.iterdir() if folder.is_dir() else ()
    return ledger.size_bytes() + sum(file.stat().st_size for file in files if file.is_file())


def old_copies(home: Path) -> tuple[str, ...]:
    """Return files under the home that may hold what was erased: copies made before a restore or a change."""
    found = [
        *(home / "ledger").glob("ledger.sqlite.before-*"),
        *(home / "ledger").glob("ledger.sqlite.format-*"),
    ]
    return tuple(sorted(str(file.relative_to(home)) for file in found))


def _entries(ledger: Ledger, until: int) -> Iterator[Entry]:
    after = 0
    while after < until and (page := ledger.read(after, min(_PAGE, until - after))):
        yield from page
        after = page[-1].seq


def _payload(ledger: Ledger, seq: int) -> bytes:
    return ledger.read(seq - 1, 1)[0].payload


def _names(home: Path, entry: Entry, ref: SegmentRef) -> Sequence[str]:
    """Return the ids in a segment; a graph is one thing, called as its row, and nothing once it is empty."""
    if ref.kind == "graph":
        return [entry.key] if ref.rows else []
    return segments.ids_in(home, ref)


def _thing(entry: Entry, store: str, name: str) -> bytes:
    """Return what stands for a thing in memory: a digest, for there may be millions."""
    whole = msgspec.json.encode((entry.tenant, store, name))
    return hashlib.blake2b(whole, digest_size=16).digest()
