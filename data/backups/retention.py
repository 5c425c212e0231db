"""Which backups may go: keep the last n, and one a day, week and month for as long as is asked.

Called by ``tasks.backup prune``. Invariant: what a kept backup needs is kept, a snapshot goes only when it is
deleted by name, and the newest backup always stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from data.backups.creation import Place
from data.backups.manifest import BACKUPS, SEGMENTS, Catalogue, Manifest, read_catalogue
from data.backups.source import backup_lock
from data.backups.stream import Piece, piece_segments, pieces_of
from data.errors import ConflictError, CorruptDataError, InvalidValueError


@dataclass(frozen=True, slots=True)
class Policy:
    """How many backups stay: the ``last`` ones, and the newest of each of so many days, weeks and months."""

    last: int = 7
    daily: int = 7
    weekly: int = 4
    monthly: int = 12

    def __post_init__(self) -> None:
        """Refuse numbers that would keep nothing."""
        if self.last < 1 or min(self.daily, self.weekly, self.monthly) < 0:
            raise InvalidValueError(
                "Retention keeps at least the last backup, and no negative number of others."
            )


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed: backups, how many files, and their bytes."""

    backups: tuple[str, ...]
    files: int
    size_bytes: int
    dry_run: bool


def expired(backups: Sequence[Manifest], policy: Policy) -> list[str]:
    """Return the ids of the backups that may go, oldest first. Days, ISO weeks and months are in UTC."""
    newest_first = sorted(backups, key=lambda one: one.id, reverse=True)
    kept = {one.id for one in newest_first[: policy.last]}
    kept |= {one.id for one in backups if one.kind == "snapshot"}
    periods: list[tuple[int, Callable[[datetime], tuple[int, ...]]]] = [
        (policy.daily, lambda at: (at.year, at.month, at.day)),
        (policy.weekly, lambda at: tuple(at.isocalendar()[:2])),
        (policy.monthly, lambda at: (at.year, at.month)),
    ]
    for number, period_of in periods:
        newest: dict[tuple[int, ...], str] = {}
        for one in newest_first:
            newest.setdefault(period_of(datetime.fromisoformat(one.created_at)), one.id)
        kept |= set(list(newest.values())[:number])
    kept = needed_by(backups, kept)
    return sorted(one.id for one in backups if one.id not in kept)


def needed_by(backups: Sequence[Manifest], kept: set[str]) -> set[str]:
    """Return the kept backups with all that they build on."""
    parents = {one.id: one.parent.id for one in backups if one.parent is not None}
    needed, waiting = set(kept), sorted(kept)
    while waiting:
        parent = parents.get(waiting.pop())
        if parent is not None and parent not in needed:
            needed.add(parent)
            waiting.append(parent)
    return needed


def prune(place: Place, policy: Policy, *, dry_run: bool = False) -> Pruned:
    """Remove what the policy lets go: backups, segments that nothing left needs, and covered streamed pieces.

    Raises:
        ConflictError: a backup of this home is at work. CorruptDataError: a manifest is damaged, so that
        nobody knows what it needs.
    """
    with backup_lock(place.home):
        catalogue = _whole(place)
        gone = expired(catalogue.backups, policy)
        return _remove(place, catalogue, gone, dry_run=dry_run)


def delete_backup(place: Place, backup_id: str, *, dry_run: bool = False) -> Pruned:
    """Remove one backup.

    Raises:
        NotFoundError: there is none of this id. ConflictError: another one builds on it, or one is at work.
    """
    with backup_lock(place.home):
        catalogue = _whole(place)
        catalogue.find(backup_id)
        children = [one.id for one in catalogue.backups if one.parent and one.parent.id == backup_id]
        if children:
            raise ConflictError(f"The backup {children[0]} builds on {backup_id}: delete that one first.")
        return _remove(place, catalogue, [backup_id], dry_run=dry_run)


def _whole(place: Place) -> Catalogue:
    catalogue = read_catalogue(place.target, place.sealer)
    for one in catalogue.damaged:
        raise CorruptDataError(
            f"The backup file {one.path} is damaged, so nobody knows what it needs: remove its folder first."
        )
    return catalogue


def _remove(place: Place, catalogue: Catalogue, gone: Sequence[str], *, dry_run: bool) -> Pruned:
    kept = [one for one in catalogue.backups if one.id not in set(gone)]
    pieces = pieces_of(place.target)
    covered = [piece for piece in pieces if is_covered(piece, kept)]
    waiting = [piece for piece in pieces if piece not in covered]
    sizes = {item.path: item.size for item in place.target.files(BACKUPS)}
    # The manifest first: a backup that is half removed is none, and what is left of it goes with the next.
    alive = {one.id for one in kept}
    paths = [one.path for one in catalogue.backups if one.id in set(gone)]
    paths += [path for path in sizes if path.split("/")[1] not in alive and path not in paths]
    paths += _free_segments(place, catalogue, kept, waiting=waiting)
    sizes |= {item.path: item.size for item in place.target.files(SEGMENTS)}
    paths += [piece.path for piece in covered]
    sizes |= {piece.path: piece.size for piece in covered}
    if not dry_run:
        for path in paths:
            place.target.delete(path)
    return Pruned(tuple(gone), len(paths), sum(sizes.get(path, 0) for path in paths), dry_run)


def is_covered(piece: Piece, kept: Sequence[Manifest]) -> bool:
    """Return whether two backups hold a piece's rows: the one before leads on if the newest is damaged."""
    heads = sorted((one.head.seq for one in kept if one.lineage == piece.lineage), reverse=True)
    if not heads:
        return True  # nothing is left that these rows could follow
    return len(heads) > 1 and piece.last_seq <= heads[1]


def _free_segments(
    place: Place, catalogue: Catalogue, kept: Sequence[Manifest], *, waiting: Sequence[Piece]
) -> list[str]:
    """Return the segments that only removed backups named. Unknown ones stay: a follower may write them."""
    used = {file.path for one in kept for file in one.files if file.role == "segment"}
    named = {file.path for one in catalogue.backups for file in one.files if file.role == "segment"}
    free = named - used
    if free:
        read = (piece_segments(place.target, place.sealer, piece) for piece in waiting)
        free -= {place.sealer.stored_name(ref.uri) for refs in read for ref in refs}
    return sorted(free)
