"""Files of the passage vectors: one folder a version, a manifest written last.

Called by ``data.views.vectors``. Invariant: the manifest is replaced only after every file it names is
durable, so a crash leaves the old version whole; nothing is parsed before its SHA-256 has been checked.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from data.claims import TenantId
from data.errors import CorruptDataError
from data.segments import durable_write

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Stored:
    """One tenant's table: the index's bytes; by row passage, document, when it was added and removed."""

    tenant: TenantId
    index: bytes
    ids: list[str]
    documents: list[str]
    added: list[int]
    removed: list[int]


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Rows:
    ids: list[str]
    documents: list[str]
    added: list[int]
    removed: list[int]


@dataclass(frozen=True, slots=True)
class _Part:
    tenant: TenantId
    index: _File
    rows: _File


@dataclass(frozen=True, slots=True)
class _Manifest:
    version: str
    applied_seq: int
    identity: dict[str, Any]
    parts: list[_Part]
    sha256: str = ""


def save_tables(folder: Path, identity: dict[str, Any], applied_seq: int, tables: Sequence[Stored]) -> None:
    """Write a new version and make it the current one; older ones are removed."""
    version = _unused(folder, f"v{applied_seq:020d}")
    parts = []
    for number, table in enumerate(tables):
        rows = msgspec.json.encode(_Rows(table.ids, table.documents, table.added, table.removed))
        index = _put(folder / version, f"{number}.index", table.index)
        parts.append(_Part(table.tenant, index, _put(folder / version, f"{number}.rows", rows)))
    manifest = _Manifest(version, applied_seq, identity, parts)
    durable_write(folder / _MANIFEST, msgspec.json.encode(_sealed(manifest)))
    for old in folder.glob("v*"):
        if old.name != version:
            shutil.rmtree(old)


def load_tables(folder: Path, identity: dict[str, Any]) -> tuple[int, list[Stored]]:
    """Return the position and tables of the current version; (0, []) when there is none that can be used.

    A damaged version, or one made with another embedder, is as good as none: the ledger builds it again.
    """
    try:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=_Manifest)
        if manifest.identity != identity or _sealed(manifest) != manifest:
            return 0, []
        return manifest.applied_seq, [_read(folder / manifest.version, part) for part in manifest.parts]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, CorruptDataError):
        return 0, []


def tenants_in(folder: Path) -> set[TenantId]:
    """Return the tenants that the current version has vectors of; none where there is no version."""
    try:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return set()
    return {part.tenant for part in manifest.parts}


def _unused(folder: Path, name: str) -> str:
    """Return a name of no version there: an index built anew stands for the position of the one before it."""
    number = 0
    while (folder / (unused := f"{name}.{number}" if number else name)).exists():
        number += 1
    return unused


def _put(folder: Path, name: str, content: bytes) -> _File:
    durable_write(folder / name, content)
    return _File(name, hashlib.sha256(content).hexdigest())


def _read(folder: Path, part: _Part) -> Stored:
    index, rows = _verified(folder, part.index), _verified(folder, part.rows)
    table = msgspec.json.decode(rows, type=_Rows)
    return Stored(part.tenant, index, table.ids, table.documents, table.added, table.removed)


def _verified(folder: Path, file: _File) -> bytes:
    content = (folder / file.name).read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise CorruptDataError(f"The vector file {file.name} does not match its SHA-256.")
    return content


def _sealed(manifest: _Manifest) -> _Manifest:
    """Return the manifest with its own SHA-256, so that a flipped digit in it is noticed too."""
    bare = msgspec.json.encode(replace(manifest, sha256=""), order="sorted")
    return replace(manifest, sha256=hashlib.sha256(bare).hexdigest())
