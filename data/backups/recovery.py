"""After a disaster: the newest good backup, the rows streamed since, the views built again, and a report.

Called by ``kite recover``. Invariant: what the report says was counted in the restored home, not taken from
the backup.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from data.backups.creation import Place
from data.backups.manifest import Catalogue, read_catalogue
from data.backups.plan import Plan, plan
from data.backups.restoration import EVERYTHING, Restored, restore
from data.backups.source import ledger_path
from data.backups.stream import piece_segments, pieces_of
from data.backups.worker import segment_content
from data.clock import SystemClock
from data.errors import CorruptDataError, NotFoundError
from data.ledger import Ledger
from data.views.library import Library, ViewState

#: Rows read at a time while the views are built.
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came back.

    ``refused`` are backups, and streamed pieces, that could not be used and why; ``lost_after_seq`` is the
    position after which streamed rows exist that could not be read (``None``: nothing is known to be lost).
    ``chain_rows`` is the length of the ledger's chain as walked, ``seconds`` the time of each step.
    """

    restored: Restored
    refused: tuple[str, ...]
    lost_after_seq: int | None
    chain_rows: int
    views: dict[str, ViewState]
    seconds: dict[str, float]


def recover(place: Place) -> Recovered:
    """Bring a home back from the newest backup that is whole, and everything streamed after it.

    Raises:
        NotFoundError: the target holds no backup. CorruptDataError: none of them is whole; names a file of
        each. StoreUnavailableError: a keeper has the home.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "restore"):
        catalogue = read_catalogue(place.target, place.sealer)
        restored, chosen, refused = _newest_good(place, catalogue)
    with _timed(seconds, "verify"):
        rows = verified_length(place.home, chosen, restored)
    with _timed(seconds, "views"):
        views = rebuild_views(place.home)
    streamed = pieces_of(place.target, chosen.backup.lineage)
    reach = max((piece.last_seq for piece in streamed), default=0)
    lost = restored.end.seq if reach > restored.end.seq else None
    return Recovered(restored, tuple(refused), lost, rows, views, seconds)


def rebuild_views(home: Path) -> dict[str, ViewState]:
    """Bring the views up to the ledger, as the keeper does at its start, and return their states.

    Raises:
        CorruptDataError: a segment is damaged. StoreUnavailableError: a keeper has the views open.
    """
    ledger = Ledger(ledger_path(home), SystemClock())
    try:
        head = ledger.head()
        library = Library(home, newest=head)
        try:
            after = library.applied_seq()
            while page := ledger.read(after, _PAGE) if after < head else []:
                library.apply(page)
                after = page[-1].seq
            return library.states()
        finally:
            library.close()
    finally:
        ledger.close()


def verified_length(home: Path, chosen: Plan, restored: Restored) -> int:
    """Walk the restored ledger's chain, compare it with the manifests, and return its length.

    Raises:
        CorruptDataError: the chain does not hold, or the counts differ.
    """
    ledger = Ledger(ledger_path(home), SystemClock())
    try:
        rows = ledger.verify()
        last = ledger.read(restored.end.seq - 1, 1) if rows else []
    finally:
        ledger.close()
    promised: Counter[str] = Counter()
    for manifest in chosen.chain:
        promised.update(manifest.rows)
    short = {kind: number for kind, number in promised.items() if restored.rows.get(kind, 0) < number}
    ends_well = not last or last[-1].sha256.hex() == restored.end.sha256
    if rows != sum(restored.rows.values()) + restored.kept_access or short or not ends_well:
        raise CorruptDataError(
            f"The restored ledger has {rows} rows and does not match the manifest of {chosen.backup.id}."
        )
    return rows


def _newest_good(place: Place, catalogue: Catalogue) -> tuple[Restored, Plan, list[str]]:
    refused = [f"{one.path}: {one.reason}" for one in catalogue.damaged]
    for manifest in reversed(catalogue.backups):
        try:
            chosen = plan(place, catalogue, backup_id=manifest.id, latest=True)
            restored, chosen = _as_far_as_possible(place, chosen, refused)
        except (CorruptDataError, NotFoundError) as exc:
            refused.append(str(exc))
            continue
        return restored, chosen, refused
    if refused:
        raise CorruptDataError(f"No backup is whole: {' '.join(refused)}")
    raise NotFoundError("The target holds no backup: there is nothing to recover from.")


def _as_far_as_possible(place: Place, chosen: Plan, refused: list[str]) -> tuple[Restored, Plan]:
    """Restore with as many streamed pieces as are sound; the backups themselves must be."""
    while True:
        try:
            return restore(place, chosen, scope=EVERYTHING), chosen
        except (CorruptDataError, NotFoundError) as exc:
            number = _first_damaged(place, chosen, str(exc))
            if number is None:
                raise
            refused.append(str(exc))
            chosen = replace(chosen, pieces=chosen.pieces[:number])


def _first_damaged(place: Place, chosen: Plan, told: str) -> int | None:
    """Return which streamed piece, or segment of one, stood in the way; ``None``: it was none of them."""
    for number, piece in enumerate(chosen.pieces):
        if piece.path in told:
            return number
        try:
            for ref in piece_segments(place.target, place.sealer, piece):
                for _ in segment_content(place.target, place.sealer, ref):
                    pass
        except (CorruptDataError, NotFoundError):
            return number
    return None


@contextmanager
def _timed(
    seconds: dict[str, float], step: str, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    started = clock()
    yield
    seconds[step] = round(clock() - started, 3)
