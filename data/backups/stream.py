"""Streaming: the ledger's new rows go to the target every few seconds, as small files.

Called by ``tasks.backup stream`` (writing) and by recovery (reading). A piece is named by its positions and
by the SHA-256 of its stored bytes, ``stream/LINEAGE/FIRST-LAST-SHA256``. Invariant: the pieces of a lineage
follow a backup of it without a gap, and a segment is stored before the row that points to it.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from data.backups.creation import Place, known_segments, segment_job
from data.backups.manifest import STREAM, Catalogue, Position, read_catalogue
from data.backups.parts import Row, read_part, write_part
from data.backups.sealing import Sealer
from data.backups.source import LedgerSource, ledger_path, lineage_of
from data.backups.targets import READ_BYTES, Target
from data.backups.worker import Tally, Worker, spool, verified_rows
from data.changes import SegmentRef, read_segment_ref
from data.errors import ConflictError, CorruptDataError, InvalidValueError, NotFoundError

#: Rows of one piece at most.
PIECE_ROWS = 10_000
_NAMES = re.compile(rf"{STREAM}/([0-9a-f]+)/(\d{{20}})-(\d{{20}})-([0-9a-f]{{64}})\Z")


@dataclass(frozen=True, slots=True)
class Piece:
    """A streamed file: its place, its positions, and the SHA-256 (hex) and size of its stored bytes."""

    path: str
    lineage: str
    first_seq: int
    last_seq: int
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """What is authenticated when the piece is sealed."""
        return piece_name(self.lineage, self.first_seq, self.last_seq)


@dataclass(frozen=True, slots=True)
class Streamed:
    """What a step copied: rows, pieces and bytes, and the position up to which the target now has all."""

    seq: int
    rows: int
    pieces: int
    written_bytes: int


class Follower:
    """Copies what is new in a ledger to the target, one step at a time. One a home.

    Raises:
        NotFoundError: no backup of this home's history is there to follow: create one first.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lineage = lineage_of(place.home)
        catalogue = read_catalogue(place.target, place.sealer)
        self._known = known_segments(catalogue, place.sealer)
        self._source = LedgerSource(ledger_path(place.home))
        self._position = self._beginning(catalogue)

    def step(self) -> Streamed:
        """Copy everything up to the ledger's head.

        Raises:
            ConflictError: the home was restored meanwhile. UnavailableError: the target cannot be used; the
            next step goes on where this one stopped.
        """
        if lineage_of(self._place.home) != self._lineage:
            raise ConflictError("The home has been restored since streaming began: start it again.")
        head = self._source.head()
        before, pieces, written = self._position.seq, 0, 0
        while self._position.seq < head.seq:
            written += self._copy(min(head.seq, self._position.seq + PIECE_ROWS))
            pieces += 1
        return Streamed(head.seq, head.seq - before, pieces, written)

    def close(self) -> None:
        """Close the ledger."""
        self._source.close()

    def _beginning(self, catalogue: Catalogue) -> Position:
        heads = [one.head for one in catalogue.backups if one.lineage == self._lineage]
        if not heads:
            raise NotFoundError("There is no backup of this home to follow: create a full one first.")
        best = max(heads, key=lambda head: head.seq)
        after = tail(pieces_of(self._place.target, self._lineage), best)
        seq = after[-1].last_seq if after else best.seq
        here = self._source.at(seq)
        if here is None or self._source.at(best.seq) != best:
            raise CorruptDataError(f"The ledger in {self._place.home} is not the one that was backed up.")
        return here

    def _copy(self, until: int) -> int:
        place, after = self._place, self._position
        refs = self._source.segments(after.seq, until)
        jobs = [segment_job(place, ref, known=self._known.get(ref.uri)) for ref in refs]
        name = piece_name(self._lineage, after.seq + 1, until)
        with spool() as plain, spool() as sealed:
            with self._source.unchanged(refs, after.seq, until):
                copied = Worker(place.home, place.target, place.sealer).copy(jobs)
                span = write_part(plain, self._source.rows(after.seq, until), after)
            self._known.update({one.file.name: one.file for one in copied})
            plain.seek(0)
            stored = Tally(place.sealer.seal(name, iter(lambda: plain.read(READ_BYTES), b"")))
            for chunk in stored:
                sealed.write(chunk)
            sealed.seek(0)
            place.target.write(f"{name}-{stored.sha256}", iter(lambda: sealed.read(READ_BYTES), b""))
        self._position = self._source.at(span.last_seq) or self._position
        return stored.size + sum(one.written_bytes for one in copied)


def piece_name(lineage: str, first_seq: int, last_seq: int) -> str:
    """Return what a piece is called, but for its SHA-256."""
    return f"{STREAM}/{lineage}/{first_seq:020d}-{last_seq:020d}"


def pieces_of(target: Target, lineage: str | None = None) -> list[Piece]:
    """Return the pieces of a lineage, or of all, sorted by position."""
    pieces = []
    for item in target.files(f"{STREAM}/{lineage}" if lineage else STREAM):
        if matched := _NAMES.match(item.path):
            name, first, last, sha256 = matched.groups()
            pieces.append(Piece(item.path, name, int(first), int(last), sha256, item.size))
    return pieces


def tail(pieces: Sequence[Piece], head: Position) -> list[Piece]:
    """Return the pieces that lead on from a position without a gap, in order."""
    found: list[Piece] = []
    seq = head.seq
    for piece in sorted(pieces, key=lambda one: (one.first_seq, -one.last_seq)):
        # A follower that was started again may overlap what it had written.
        if piece.first_seq <= seq + 1 and piece.last_seq > seq:
            found.append(piece)
            seq = piece.last_seq
    return found


def piece_rows(target: Target, sealer: Sealer, piece: Piece, *, start: Position) -> Iterator[list[Row]]:
    """Yield the rows of a piece that come after ``start``, once all of it is known to be sound.

    Raises:
        CorruptDataError: it is damaged, or does not follow. NotFoundError: it is gone.
    """
    with _sound(target, sealer, piece) as draft:
        yield from verified_rows(draft, start, piece.path)


def piece_segments(target: Target, sealer: Sealer, piece: Piece) -> list[SegmentRef]:
    """Return the segments that rows of a piece point to. Raises as :func:`piece_rows` does."""
    with _sound(target, sealer, piece) as draft:
        entries = (row.entry for page in read_part(draft) for row in page)
        return [read_segment_ref(entry.payload) for entry in entries if entry.kind == "segment.load"]


@contextmanager
def _sound(target: Target, sealer: Sealer, piece: Piece) -> Iterator[IO[bytes]]:
    with spool() as draft:
        stored = Tally(target.read(piece.path))
        try:
            for chunk in sealer.open(piece.name, stored):
                draft.write(chunk)
        except (CorruptDataError, InvalidValueError) as exc:
            raise CorruptDataError(f"The backup file {piece.path} is damaged: {exc}") from exc
        if stored.sha256 != piece.sha256:
            raise CorruptDataError(f"The backup file {piece.path} does not match its SHA-256.")
        draft.seek(0)
        yield draft


@contextmanager
def stream_lock(home: Path) -> Iterator[None]:
    """Let one follower at a time stream a home.

    Raises:
        ConflictError: another one does.
    """
    with (home / "ledger" / "stream.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ConflictError(f"{home} is being streamed already: one follower is enough.") from exc
        yield
