"""What a backup is: values, and the manifest that is written last and names every file with its SHA-256.

Used by everything in ``data.backups``. Invariant: a manifest's file is the canonical JSON of its value, so a
byte that is altered anywhere in it is found; a backup exists when its manifest does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from data.backups.sealing import Sealer
from data.backups.targets import Target
from data.errors import CorruptDataError, InvalidValueError, NotFoundError

#: Raised with every change of the layout that older software cannot read.
FORMAT = 1
#: Folders of the target.
BACKUPS, SEGMENTS, STREAM = "backups", "segments", "stream"
_MANIFEST = "manifest.json"

Kind = Literal["full", "incremental", "differential", "snapshot"]
KINDS: tuple[Kind, ...] = ("full", "incremental", "differential", "snapshot")

#: Names that a restore may write under a home; nothing else, whatever a manifest says.
_HOME_NAMES = re.compile(r"(segments/[\w.-]+|views/[\w.-]+|vectors/passages/([\w-][\w.-]*/)?[\w-][\w.-]*)\Z")
_PART_NAMES = re.compile(r"ledger/\d{20}-\d{20}\Z")


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of the ledger: positions, and the chain's SHA-256 (hex) before the first and after the last."""

    first_seq: int
    last_seq: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a backup.

    ``path`` is where it lies in the target, ``size`` and ``sha256`` are those of the stored bytes; ``name``
    is what it is (``ledger/FIRST-LAST``, or its path under the home), ``content_sha256`` that of the content.
    ``applied_seq`` is the position of a view's file.
    """

    role: Literal["ledger", "segment", "view"]
    name: str
    path: str
    size: int
    sha256: str
    content_sha256: str
    span: Span | None = None
    applied_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Parent:
    """The backup that another one builds on, and the SHA-256 of its manifest."""

    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the ledger: ``sha256`` (hex) closes the chain there; ``ts`` is empty before any row."""

    seq: int
    sha256: str
    ts: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup: the rows after ``after`` up to ``head``, with the segments that they point to.

    ``lineage`` names the history of the home: it changes when a home is restored. ``rows`` counts the rows
    by kind of change.
    """

    id: str
    kind: Kind
    created_at: str
    software: str
    lineage: str
    after: Position
    head: Position
    rows: dict[str, int]
    files: tuple[StoredFile, ...]
    parent: Parent | None = None
    name: str | None = None
    key_id: str | None = None
    format: int = FORMAT

    @property
    def path(self) -> str:
        """Where the manifest lies in the target."""
        return manifest_path(self.id)


@dataclass(frozen=True, slots=True)
class _Envelope:
    manifest: msgspec.Raw
    sha256: str
    authenticated: str | None


@dataclass(frozen=True, slots=True)
class _Format:
    format: int


@dataclass(frozen=True, slots=True)
class Damaged:
    """A backup whose manifest cannot be used, and why."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The backups of a target, oldest first, and those whose manifests are damaged."""

    backups: tuple[Manifest, ...] = ()
    damaged: tuple[Damaged, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)

    def find(self, backup_id: str) -> Manifest:
        """Return a backup.

        Raises:
            NotFoundError: there is none of this id. CorruptDataError: its manifest is damaged.
        """
        for one in self.damaged:
            if one.id == backup_id:
                raise CorruptDataError(f"The backup file {one.path} is damaged: {one.reason}.")
        for manifest in self.backups:
            if manifest.id == backup_id:
                return manifest
        raise NotFoundError(f"There is no backup {backup_id!r}: look at the list of backups.")

    def newest(self) -> Manifest:
        """Return the newest backup.

        Raises:
            NotFoundError: there is none. CorruptDataError: the newest one's manifest is damaged.
        """
        ids = [manifest.id for manifest in self.backups] + [one.id for one in self.damaged]
        if not ids:
            raise NotFoundError("The target holds no backup: create one first.")
        return self.find(max(ids))

    def chain(self, manifest: Manifest) -> tuple[Manifest, ...]:
        """Return the backups that make up one, from its full backup to itself.

        Raises:
            CorruptDataError: one of them is missing, damaged, or not the one it was built on.
        """
        found = [manifest]
        while (parent := found[0].parent) is not None:
            try:
                before = self.find(parent.id)
            except NotFoundError as exc:
                raise CorruptDataError(
                    f"The backup {found[0].id} builds on {parent.id}, which is missing."
                ) from exc
            if self.digests[before.id] != parent.sha256 or before.head != found[0].after:
                text = f"The backup file {before.path} is not the one that {found[0].id} was built on."
                raise CorruptDataError(text)
            found.insert(0, before)
        return tuple(found)


def manifest_path(backup_id: str) -> str:
    """Return where the manifest of a backup lies."""
    return f"{BACKUPS}/{backup_id}/{_MANIFEST}"


def encode_manifest(manifest: Manifest, sealer: Sealer) -> bytes:
    """Return the manifest's file."""
    bare = msgspec.json.encode(manifest, order="sorted")
    digest = hashlib.sha256(bare).hexdigest()
    return msgspec.json.encode(
        _Envelope(msgspec.Raw(bare), digest, sealer.authenticate(bare)), order="sorted"
    )


def decode_manifest(content: bytes, sealer: Sealer) -> Manifest:
    """Return the manifest of a file; a keyed digest is checked where ``sealer`` has that key.

    Raises:
        CorruptDataError: it is altered. InvalidValueError: newer software wrote it.
    """
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
        bare = bytes(envelope.manifest)
        if msgspec.json.encode(envelope, order="sorted") != content:
            raise CorruptDataError("it is not as it was written")
        if hashlib.sha256(bare).hexdigest() != envelope.sha256:
            raise CorruptDataError("it does not match its SHA-256")
        said = msgspec.json.decode(bare, type=_Format).format
        if said > FORMAT:
            raise InvalidValueError(
                f"A backup has the format {said}, this software reads {FORMAT}: use newer software."
            )
        manifest = msgspec.json.decode(bare, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CorruptDataError(f"it is not a manifest ({exc})") from exc
    is_ours = manifest.key_id is not None and manifest.key_id == sealer.key_id
    if is_ours and sealer.authenticate(bare) != envelope.authenticated:
        raise CorruptDataError("it was not written by a holder of its key")
    _check_names(manifest.files)
    return manifest


def read_catalogue(target: Target, sealer: Sealer) -> Catalogue:
    """Return what the target holds."""
    backups, damaged, digests = [], [], {}
    for item in target.files(BACKUPS):
        backup_id = item.path.split("/")[1]
        # Only this one: copied vectors have a file of the same name, further down.
        if item.path != manifest_path(backup_id):
            continue
        content = b"".join(target.read(item.path))
        try:
            manifest = decode_manifest(content, sealer)
            if manifest.id != backup_id:
                raise CorruptDataError(f"it is the manifest of {manifest.id}")
        except CorruptDataError as exc:
            damaged.append(Damaged(backup_id, item.path, str(exc)))
            continue
        backups.append(manifest)
        digests[backup_id] = hashlib.sha256(content).hexdigest()
    backups.sort(key=lambda manifest: manifest.id)
    return Catalogue(tuple(backups), tuple(damaged), digests)


def require_key(manifest: Manifest, sealer: Sealer) -> None:
    """Raise ``InvalidValueError`` unless the key at hand opens this backup."""
    if manifest.key_id is None or manifest.key_id == sealer.key_id:
        return
    what = (
        "is sealed and no key was given" if sealer.key_id is None else f"is not sealed with {sealer.key_id}"
    )
    raise InvalidValueError(f"The backup {manifest.id} {what}: give the key {manifest.key_id}.")


def _check_names(files: Sequence[StoredFile]) -> None:
    for one in files:
        pattern = _PART_NAMES if one.role == "ledger" else _HOME_NAMES
        if not pattern.match(one.name) or (one.role == "ledger") != (one.span is not None):
            raise CorruptDataError(f"it names the file {one.name!r}, which is not part of a home")
