"""Taking a backup of a home while it is written to.

Called by ``tasks.backup``. Invariant: the manifest is written after every file it names, and what it stands
for is exactly the ledger up to the position that was its head when the backup began.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from configs.version import VERSION
from data.backups.derived import ViewFile, copies_of_views
from data.backups.manifest import (
    BACKUPS,
    Catalogue,
    Kind,
    Manifest,
    Parent,
    StoredFile,
    encode_manifest,
    read_catalogue,
    require_key,
)
from data.backups.sealing import Sealer
from data.backups.source import START, LedgerSource, backup_lock, ledger_path, lineage_of, writable
from data.backups.targets import Target
from data.backups.worker import FileJob, PartJob, Runner, Worker, part_name
from data.changes import SegmentRef
from data.errors import CorruptDataError, InvalidValueError
from data.ports import Clock


@dataclass(frozen=True, slots=True)
class Wanted:
    """The backup asked for. ``name`` is a snapshot's; ``views`` adds copies of what takes long to rebuild."""

    kind: Kind
    name: str | None = None
    views: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """What was done: the backup, why it is a full one where another kind was asked for, and bytes written."""

    manifest: Manifest
    instead: str | None
    written_bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """What a backup is made of and goes to."""

    home: Path
    target: Target
    sealer: Sealer


def create(place: Place, clock: Clock, *, wanted: Wanted, runner: Runner | None = None) -> Created:
    """Take a backup. An incremental or differential one without a backup to build on becomes a full one.

    Raises:
        CorruptDataError: the ledger or a segment is damaged. ConflictError: another backup of this home is at
        work. StoreUnavailableError: the ledger was compacted meanwhile. NotFoundError: the home has no
        ledger. UnavailableError: the target cannot be used.
        InvalidValueError: a snapshot without a name.
    """
    if (wanted.kind == "snapshot") != (wanted.name is not None):
        raise InvalidValueError(
            "A snapshot needs a name (and only a snapshot has one): say what it is taken before."
        )
    home = place.home
    with writable(home), LedgerSource(ledger_path(home)) as source, backup_lock(home):
        catalogue = read_catalogue(place.target, place.sealer)
        lineage = lineage_of(home)
        parent, instead = _parent(wanted.kind, catalogue, lineage, source, place.sealer)
        kind: Kind = "full" if instead else wanted.kind
        created_at = _moment(clock, catalogue)
        backup_id = f"{created_at.replace('-', '').replace(':', '').replace('.', '')}-{kind}"
        with _views_copied(home, wanted) as views:
            # After the views: what these hold is then never ahead of the position that is pinned here.
            head, after = source.head(), parent.head if parent else START
            refs = source.segments(after.seq, head.seq)
            jobs = _part_jobs(backup_id, source, after.seq, head.seq)
            jobs += _segment_jobs(place, refs, catalogue, parent=parent)
            jobs += [_view_job(backup_id, one) for one in views]
            with source.unchanged(refs, after.seq, head.seq):
                copied = (runner or Worker(home, place.target, place.sealer)).copy(jobs)
        manifest = Manifest(
            backup_id,
            kind,
            created_at,
            VERSION,
            lineage,
            after,
            head,
            source.counts(after.seq, head.seq),
            tuple(one.file for one in copied),
            Parent(parent.id, catalogue.digests[parent.id]) if parent else None,
            wanted.name,
            place.sealer.key_id,
        )
        content = encode_manifest(manifest, place.sealer)
        place.target.write(manifest.path, [content])
    return Created(manifest, instead, sum(one.written_bytes for one in copied) + len(content))


def _parent(
    kind: Kind, catalogue: Catalogue, lineage: str, source: LedgerSource, sealer: Sealer
) -> tuple[Manifest | None, str | None]:
    """Return what the backup builds on, or why nothing can be built on."""
    if kind in {"full", "snapshot"}:
        return None, None
    kinds = {"full"} if kind == "differential" else {"full", "incremental", "differential"}
    fitting = [one for one in catalogue.backups if one.lineage == lineage and one.kind in kinds]
    if not fitting:
        return None, "there is no backup of this home's history to build on"
    parent = fitting[-1]
    if parent.key_id != sealer.key_id:
        return None, "the backup to build on has another key"
    try:
        require_key(parent, sealer)
        catalogue.chain(parent)
    except CorruptDataError as exc:
        return None, str(exc)
    here = source.at(parent.head.seq)
    if here != parent.head:
        return None, f"the ledger has another history than the backup {parent.id}"
    return parent, None


@contextmanager
def _views_copied(home: Path, wanted: Wanted) -> Iterator[list[ViewFile]]:
    """Lend copies of the views, if they are wanted; what a backup that was killed left behind goes too."""
    folder = home / "ledger" / "backing-up"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield copies_of_views(home, folder) if wanted.views else []
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _part_jobs(backup_id: str, source: LedgerSource, after: int, until: int) -> list[PartJob | FileJob]:
    jobs: list[PartJob | FileJob] = []
    for first, last in source.parts(after, until):
        start = source.at(first)
        if start is None:
            raise CorruptDataError(f"The ledger has no row at seq {first}: restore it from a backup.")
        path = f"{BACKUPS}/{backup_id}/{part_name(first + 1, last)}.parquet"
        jobs.append(PartJob(path, start, last))
    return jobs


def _segment_jobs(
    place: Place, segments: Sequence[SegmentRef], catalogue: Catalogue, *, parent: Manifest | None
) -> list[PartJob | FileJob]:
    """Return the jobs for segments; a backup that builds on none reads back what it finds in the target."""
    known = known_segments(catalogue, place.sealer)
    return [segment_job(place, ref, known=known.get(ref.uri), read_back=parent is None) for ref in segments]


def segment_job(
    place: Place, ref: SegmentRef, *, known: StoredFile | None = None, read_back: bool = False
) -> FileJob:
    """Return the job that copies a segment of the home, unless the target has it (``known``)."""
    path = place.sealer.stored_name(ref.uri)
    return FileJob("segment", ref.uri, path, str(place.home / ref.uri), ref.sha256, known, read_back)


def known_segments(catalogue: Catalogue, sealer: Sealer) -> dict[str, StoredFile]:
    """Return the segments that backups under the same key have stored, by name."""
    return {
        file.name: file
        for manifest in catalogue.backups
        if manifest.key_id == sealer.key_id
        for file in manifest.files
        if file.role == "segment"
    }


def _view_job(backup_id: str, one: ViewFile) -> FileJob:
    return FileJob(
        "view", one.name, f"{BACKUPS}/{backup_id}/{one.name}", str(one.path), applied_seq=one.applied_seq
    )


def _moment(clock: Clock, catalogue: Catalogue) -> str:
    """Return the time, later than that of every backup: ids must sort in the order of creation."""
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(clock.now_s() * 1e6))
    stamps = [datetime.fromisoformat(one.created_at) for one in catalogue.backups]
    if stamps:
        now = max(now, max(stamps) + timedelta(microseconds=1))
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
