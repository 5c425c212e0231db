"""A field index as a file, so that a large dataset is opened without reading all its records.

Called by whoever opens and closes a dataset. The file is a cache beside the record store: rows never change
and are never used twice, so an old file is still right about the rows it has; those that are gone are taken
out and those written since are added after loading. Invariant: a file is used only if every byte of it is as
it was written, by this format.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from data.datasets.fields import FieldIndex
from data.datasets.store import RecordStore

#: First bytes of a file: another layout has others.
_MAGIC = b"kite-fields-1\n"
_DIGEST = 32
_READ = 1 << 20
#: Records read at a time.
_PAGE = 5_000
_LOG = logging.getLogger(__name__)


def save_fields(index: FieldIndex, path: Path, store: RecordStore) -> int:
    """Write the index of a store to a file in one step; return its bytes.

    Nothing may be written to the index meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    digest = hashlib.sha256()
    with draft.open("wb") as stream:
        for block in _blocks(index, store.identity()):
            digest.update(block)
            stream.write(block)
        stream.write(digest.digest())
        stream.flush()
        os.fsync(stream.fileno())
        size = stream.tell()
    draft.replace(path)
    return size


def open_fields(store: RecordStore, path: Path | None = None) -> FieldIndex:
    """Return the field index of a store: from its file where that is whole, the rest from the records."""
    index = _loaded(path, store) if path else None
    if index is None:
        index = FieldIndex(store.records_by_row, store.contents_by_row)
    live, known = store.live_rows(), index.live_rows()
    index.remove(known - live)
    missing = live - known
    # Rows rise, so what a file does not have was written after it.
    after = missing.min() - 1 if missing else None
    while after is not None:
        rows, records = store.scan_records(after, _PAGE)
        if not records:
            break
        index.add(rows, records)
        after = int(rows[-1])
    return index


def _loaded(path: Path, store: RecordStore) -> FieldIndex | None:
    try:
        with path.open("rb") as stream:
            if _is_whole(stream):
                parts = _parts(stream)
                if next(parts)["identity"] == store.identity():
                    return FieldIndex.restored(store.records_by_row, store.contents_by_row, parts)
        _LOG.warning("The field index %s is damaged or of another store: it is filled again.", path.name)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, KeyError, ValueError) as exc:
        _LOG.warning("The field index %s cannot be read (%s): it is filled again.", path.name, exc)
    return None


def _blocks(index: FieldIndex, identity: int) -> Iterator[bytes]:
    yield _MAGIC
    for part in chain([{"identity": identity}], index.dump()):
        body = msgspec.msgpack.encode(part)
        yield len(body).to_bytes(8, "big")
        yield body


def _is_whole(stream: BinaryIO) -> bool:
    """Return whether the stream is one that was written to its end; it is left behind the first bytes."""
    left = stream.seek(0, os.SEEK_END) - _DIGEST
    stream.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        block = stream.read(min(left, _READ))
        digest.update(block)
        left -= len(block)
    whole = left == 0 and stream.read() == digest.digest()
    stream.seek(0)
    return whole and stream.read(len(_MAGIC)) == _MAGIC


def _parts(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    end = stream.seek(0, os.SEEK_END) - _DIGEST
    stream.seek(len(_MAGIC))
    while stream.tell() < end:
        size = int.from_bytes(stream.read(8), "big")
        yield msgspec.msgpack.decode(stream.read(size), type=dict[str, Any])
