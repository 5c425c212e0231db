"""Bringing a home back: everything, or one tenant; as of any position or moment that backups reach.

Called by ``tasks.backup`` and recovery. Everything is read, checked and written beside the old state; only
then is it swapped in. Invariant: a damaged backup, a full disk or a kill leaves the old state in force.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.backups.access import Carried, carry_access
from data.backups.creation import Place
from data.backups.derived import usable
from data.backups.manifest import Position, StoredFile
from data.backups.parts import Row
from data.backups.plan import Plan, planned_rows
from data.backups.source import START, ledger_path, writable
from data.backups.staging import Staging, rows_of_tenant
from data.backups.swap import require_empty, swap_in
from data.backups.worker import Runner, Worker, opened, segment_content, side_by_side
from data.changes import SegmentRef, read_segment_ref
from data.claims import TenantId
from data.errors import CorruptDataError
from data.home_lock import hold_home


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, or would do.

    ``end`` is the last position, ``rows`` counts by kind of change, ``views`` the views' files that need not
    be rebuilt, ``old_ledger`` where the ledger before is kept. ``kept_access`` counts the rows of keys and
    tenants that were written after ``end``, so that what was revoked or erased since stays so;
    ``access_note`` says where that could not be known.
    """

    backups: tuple[str, ...]
    pieces: int
    end: Position
    rows: dict[str, int]
    segments: int
    views: int
    dry_run: bool
    old_ledger: str | None = None
    kept_access: int = 0
    access_note: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is restored. ``tenant``: only that one's rows, numbered anew, into an empty home."""

    tenant: TenantId | None = None
    dry_run: bool = False


EVERYTHING = Scope()


def restore(
    place: Place, chosen: Plan, *, scope: Scope = EVERYTHING, runner: Runner | None = None
) -> Restored:
    """Read and check everything chosen, then put it in the place of what the home holds.

    Raises:
        CorruptDataError: a file of the backup is damaged or missing; it is named and nothing was changed.
        StoreUnavailableError: a keeper has the home, or it cannot be written to. ConflictError: one tenant
        was asked for, and the home is not empty. UnavailableError: the target cannot be used.
    """
    runner = runner or Worker(None, place.target, place.sealer)
    if scope.dry_run:
        return _tried(place, chosen, scope.tenant, runner)
    with writable(place.home), hold_home(place.home):
        if scope.tenant is not None:
            require_empty(place.home)
        staging = Staging(place.home)
        try:
            views = stage(place, chosen, staging, tenant=scope.tenant, runner=runner)
            kept = Carried(0) if scope.tenant else carry_access(ledger_path(place.home), staging)
            old = swap_in(place.home, staging)
        finally:
            staging.discard()
    report = _report(chosen, staging.end, staging.rows, len(staging.loads), views=views, old=old)
    return replace(report, kept_access=kept.rows, access_note=kept.note)


def stage(place: Place, chosen: Plan, staging: Staging, *, tenant: TenantId | None, runner: Runner) -> int:
    """Fill a staging folder and return how many views' files it has.

    Raises:
        CorruptDataError: a file of the backup is damaged or missing; names it.
    """
    pages = planned_rows(place, chosen)
    staging.fill(pages if tenant is None else rows_of_tenant(pages, tenant))
    files = chosen.files()
    stored = {file.name: file for file in files if file.role == "segment"}
    views = usable(files, staging.end.seq) if tenant is None else []
    target, sealer = place.target, place.sealer
    # The largest first: nobody waits for it at the end.
    contents = [
        (file.name, opened(target, sealer, file)) for file in sorted(views, key=lambda one: -one.size)
    ]
    contents += [
        (uri, segment_content(target, sealer, ref, file=stored.get(uri)))
        for uri, ref in sorted(staging.loads.items())
    ]
    side_by_side(lambda one: staging.write(*one), contents)
    read = {stored[uri].path for uri in staging.loads if uri in stored} | {file.path for file in views}
    _require_sound(runner, [file for file in files if file.role != "ledger" and file.path not in read])
    return len(views)


def _tried(place: Place, chosen: Plan, tenant: TenantId | None, runner: Runner) -> Restored:
    """Read and check everything, and write nothing."""
    pages: Iterable[list[Row]] = planned_rows(place, chosen)
    if tenant is not None:
        pages = rows_of_tenant(pages, tenant)
    end, rows, loads = START, Counter[str](), dict[str, SegmentRef]()
    for page in pages:
        for row in page:
            entry = row.entry
            end = Position(entry.seq, entry.sha256.hex(), entry.ts)
            rows[entry.kind] += 1
            if entry.kind == "segment.load":
                ref = read_segment_ref(entry.payload)
                loads[ref.uri] = ref
    files = chosen.files()
    stored = {file.name for file in files if file.role == "segment"}
    _require_sound(runner, [file for file in files if file.role != "ledger"])
    for uri, ref in sorted(loads.items()):
        if uri not in stored:
            for _ in segment_content(place.target, place.sealer, ref):
                pass
    views = len(usable(files, end.seq)) if tenant is None else 0
    return _report(chosen, end, rows, len(loads), views=views, dry_run=True)


def _require_sound(runner: Runner, files: Sequence[StoredFile]) -> None:
    for checked in runner.check(files):
        if checked.fault is not None:
            raise CorruptDataError(checked.fault)


def _report(  # noqa: PLR0913 - everything there is to tell
    chosen: Plan,
    end: Position,
    rows: Counter[str],
    segments: int,
    *,
    views: int,
    dry_run: bool = False,
    old: Path | None = None,
) -> Restored:
    return Restored(
        tuple(manifest.id for manifest in chosen.chain),
        len(chosen.pieces),
        end,
        dict(sorted(rows.items())),
        segments,
        views,
        dry_run,
        str(old) if old else None,
    )
