"""Choosing what a restore reads: which backups, which streamed pieces, and up to where.

Called by ``tasks.backup``, ``tasks.kite`` and recovery. Pure but for reading the lists of the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data.backups.creation import Place
from data.backups.manifest import Catalogue, Manifest, StoredFile, require_key
from data.backups.parts import Row, position_after
from data.backups.source import START
from data.backups.stream import Piece, piece_rows, pieces_of, tail
from data.backups.verification import files_of
from data.backups.worker import part_rows
from data.errors import CorruptDataError, InvalidValueError
from data.ledger import instant


@dataclass(frozen=True, slots=True)
class Until:
    """Where a restore ends: a position, an instant (ISO 8601, UTC), or neither (everything there is)."""

    seq: int | None = None
    ts: str | None = None

    def keeps(self, row: Row) -> bool:
        """Return whether a row belongs to the past that is asked for."""
        if self.seq is not None and row.entry.seq > self.seq:
            return False
        return self.ts is None or row.entry.ts <= self.ts


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore reads: a backup with those it builds on (oldest first), then streamed pieces."""

    chain: tuple[Manifest, ...]
    pieces: tuple[Piece, ...]
    until: Until

    @property
    def backup(self) -> Manifest:
        """The backup that is restored."""
        return self.chain[-1]

    def files(self) -> list[StoredFile]:
        """Return every file of the backups."""
        return files_of(self.chain)


def until_of(at: str | None) -> Until:
    """Return the end that a user writes: a ledger position, or an ISO day (its end) or instant.

    Raises:
        InvalidValueError: it is neither.
    """
    if at is None:
        return Until()
    return Until(seq=int(at)) if at.isdecimal() else Until(ts=instant(at))


def plan(
    place: Place,
    catalogue: Catalogue,
    *,
    backup_id: str | None = None,
    at: str | None = None,
    latest: bool = False,
) -> Plan:
    """Choose what to restore: a backup by its id, or the first that reaches ``at``, or else the newest.

    Streamed rows are added with ``latest``, or where ``at`` lies after the backup.

    Raises:
        NotFoundError: there is no such backup. CorruptDataError: a manifest is damaged.
        InvalidValueError: the key is missing, or ``at`` is no position, or one that nothing reaches.
    """
    until = until_of(at)
    backup = catalogue.find(backup_id) if backup_id else _reaching(catalogue, until)
    require_key(backup, place.sealer)
    wants_tail = latest or (at is not None and not _reaches(backup, until))
    found = tail(pieces_of(place.target, backup.lineage), backup.head) if wants_tail else []
    end = found[-1].last_seq if found else backup.head.seq
    if until.seq is not None and until.seq > end:
        raise InvalidValueError(
            f"The backups reach to seq {end}, not to {until.seq}: give an earlier position."
        )
    return Plan(catalogue.chain(backup), tuple(found), until)


def planned_rows(place: Place, chosen: Plan) -> Iterator[list[Row]]:
    """Yield the rows up to where the restore ends, each file of rows being read in full.

    Raises:
        CorruptDataError: a file is damaged, or does not follow the one before; names it.
    """
    position = START
    for manifest in chosen.chain:
        parts = [file for file in manifest.files if file.span is not None]
        for file in sorted(parts, key=lambda one: one.name):
            if file.span is None or (file.span.first_seq - 1, file.span.before) != (
                position.seq,
                position.sha256,
            ):
                raise CorruptDataError(
                    f"The backup file {manifest.path} has no part after seq {position.seq}."
                )
            for page in part_rows(place.target, place.sealer, file):
                yield _kept(page, chosen.until)
                position = position_after(page, position)
    for piece in chosen.pieces:
        for page in piece_rows(place.target, place.sealer, piece, start=position):
            yield _kept(page, chosen.until)
            position = position_after(page, position)


def _kept(page: Sequence[Row], until: Until) -> list[Row]:
    return [row for row in page if until.keeps(row)]


def _reaching(catalogue: Catalogue, until: Until) -> Manifest:
    newest = catalogue.newest()
    if until == Until():
        return newest
    if until.seq is not None:
        here = [one for one in catalogue.backups if one.lineage == newest.lineage]
        return next((one for one in here if _reaches(one, until)), newest)
    return next((one for one in catalogue.backups if _reaches(one, until)), newest)


def _reaches(backup: Manifest, until: Until) -> bool:
    """Return whether a backup holds everything up to there; at the very instant more may have come."""
    if until.seq is not None:
        return backup.head.seq >= until.seq
    return until.ts is not None and backup.head.ts > until.ts
