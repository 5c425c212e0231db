"""Checking a backup: every byte of every file, the chain, and that nothing is missing.

Called by ``tasks.backup``, the restore (as its dry run) and recovery. Invariant: a backup without a fault can
be restored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from data.backups.creation import Place
from data.backups.manifest import Catalogue, Manifest, Position, StoredFile, require_key
from data.backups.parts import position_after
from data.backups.sealing import Sealer
from data.backups.stream import Piece, piece_rows, piece_segments, pieces_of, tail
from data.backups.worker import Checked, Runner, segment_content
from data.errors import CorruptDataError, NotFoundError


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that is damaged or missing, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What reading a backup in full showed; ``chain`` are the backups it consists of."""

    id: str
    chain: tuple[str, ...]
    files: int
    size_bytes: int
    faults: tuple[Fault, ...]


def verify_backup(catalogue: Catalogue, backup_id: str, *, sealer: Sealer, runner: Runner) -> Verified:
    """Read every byte of a backup and of those it builds on.

    Raises:
        NotFoundError: there is no such backup. InvalidValueError: the key is missing, or another one.
    """
    for one in catalogue.damaged:
        if one.id == backup_id:
            return Verified(backup_id, (), 0, 0, (Fault(one.path, one.reason),))
    manifest = catalogue.find(backup_id)
    require_key(manifest, sealer)
    try:
        chain = catalogue.chain(manifest)
    except CorruptDataError as exc:
        return Verified(backup_id, (), 0, 0, (Fault(_broken_link(catalogue, manifest), str(exc)),))
    files = files_of(chain)
    checked = runner.check(files)
    faults = [Fault(one.path, one.fault) for one in checked if one.fault is not None]
    for manifest in chain:
        faults += _gaps(manifest)
    if not faults:
        faults = _differences(chain, files, checked)
    size = sum(file.size for file in files)
    return Verified(backup_id, tuple(one.id for one in chain), len(files) + len(chain), size, tuple(faults))


def check_stream(place: Place, catalogue: Catalogue) -> list[Fault]:
    """Read every byte of every streamed file; where the newest backup leads on to them, follow the chain."""
    pieces = pieces_of(place.target)
    faults = {}
    for piece in pieces:
        try:
            for ref in piece_segments(place.target, place.sealer, piece):
                for _ in segment_content(place.target, place.sealer, ref):
                    pass
        except (CorruptDataError, NotFoundError) as exc:
            faults[piece.path] = Fault(piece.path, str(exc))
    if catalogue.backups and not faults:
        newest = catalogue.backups[-1]
        faults = _breaks(
            place, tail([p for p in pieces if p.lineage == newest.lineage], newest.head), newest.head
        )
    return [fault for _, fault in sorted(faults.items())]


def _breaks(place: Place, pieces: Sequence[Piece], position: Position) -> dict[str, Fault]:
    for piece in pieces:
        try:
            for page in piece_rows(place.target, place.sealer, piece, start=position):
                position = position_after(page, position)
        except CorruptDataError as exc:
            return {piece.path: Fault(piece.path, str(exc))}
    return {}


def files_of(chain: Sequence[Manifest]) -> list[StoredFile]:
    """Return the files of a chain of backups, each once."""
    return list({file.path: file for manifest in chain for file in manifest.files}.values())


def _gaps(manifest: Manifest) -> list[Fault]:
    """Return where a manifest's parts do not lead from its beginning to its head."""
    seq, sha256 = manifest.after.seq, manifest.after.sha256
    for span in sorted((file.span for file in manifest.files if file.span), key=lambda one: one.first_seq):
        if (span.first_seq, span.before) != (seq + 1, sha256):
            return [Fault(manifest.path, f"it has no part that begins at seq {seq + 1}")]
        seq, sha256 = span.last_seq, span.after
    if (seq, sha256) != (manifest.head.seq, manifest.head.sha256):
        return [Fault(manifest.path, f"its parts end at seq {seq}, not at its head {manifest.head.seq}")]
    return []


def _differences(
    chain: Sequence[Manifest], files: Sequence[StoredFile], checked: Sequence[Checked]
) -> list[Fault]:
    """Return manifests that count other rows than their parts hold, or lack a segment that a row names."""
    found = {one.path: one for one in checked}
    stored = {file.name for file in files if file.role == "segment"}
    faults = []
    for manifest in chain:
        parts = [found[file.path] for file in manifest.files if file.role == "ledger"]
        rows: Counter[str] = Counter()
        for part in parts:
            rows.update(part.rows)
        if dict(rows) != manifest.rows:
            faults.append(Fault(manifest.path, "it counts other rows than its parts hold"))
        missing = sorted({name for part in parts for name in part.segments} - stored)
        faults += [Fault(manifest.path, f"it lacks the segment {name}") for name in missing]
    return faults


def _broken_link(catalogue: Catalogue, manifest: Manifest) -> str:
    """Return the manifest at which the chain of backups breaks."""
    damaged = {one.id: one.path for one in catalogue.damaged}
    present = {one.id: one for one in catalogue.backups}
    while manifest.parent is not None:
        before = present.get(manifest.parent.id)
        if before is None:
            return damaged.get(manifest.parent.id, manifest.path)
        if catalogue.digests[before.id] != manifest.parent.sha256 or before.head != manifest.after:
            return before.path
        manifest = before
    return manifest.path
