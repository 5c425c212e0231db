"""Rows of the ledger and the hash chain over them. Pure; ``data.ledger`` offers the same names.

Invariant: a row's SHA-256 covers every column, the payload by its own SHA-256, and the row before it. So a
payload can be taken out of the ledger for good (``data.redaction``) while the chain still holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from data.claims import TenantId
from data.errors import CorruptDataError
from data.redaction import content_of, is_redacted, payload_sha256

#: The sha256 before the first row, whatever the format.
GENESIS = hashlib.sha256(b"brahminy-kite ledger 1").digest()
#: Sets the hashes of this format apart from those of format 1, which covered payloads directly.
_DOMAIN = b"brahminy-kite ledger 2\x00"
#: Bytes of payloads in one page of rows: a row with a thousand vectors has two million.
PAGE_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger. ``ts`` is ISO 8601 UTC with microseconds; ``sha256`` closes the chain here."""

    seq: int
    ts: str
    tenant: TenantId
    actor: str
    kind: str
    key: str
    payload: bytes
    sha256: bytes


def page_of(rows: Iterable[Sequence[Any]]) -> list[Entry]:
    """Return the first rows as entries, as many as fit into memory with ease, and one at least."""
    page: list[Entry] = []
    held = 0
    for row in rows:
        page.append(Entry(*row))
        held += len(page[-1].payload)
        if held >= PAGE_BYTES:
            break
    return page


def chained(previous: bytes, entry: Entry) -> bytes:
    """Return the SHA-256 of an entry on top of the one before.

    An entry that carries the hash of format 1 (from a backup of that time) gets that one, if it holds.
    """
    digest = hashed(_DOMAIN + previous, (*_columns(entry), payload_sha256(entry.payload)))
    if digest != entry.sha256 and entry.sha256 and chained_as_format_1(previous, entry) == entry.sha256:
        return entry.sha256
    return digest


def chained_as_format_1(previous: bytes, entry: Entry) -> bytes:
    """Return the SHA-256 of an entry as format 1 had it: over the payload itself."""
    return hashed(previous, (*_columns(entry), entry.payload))


def follow(previous: bytes, entries: Iterable[Entry], *, after: int) -> bytes:
    """Return the chain's end after these entries, which come right after the position ``after``.

    Raises:
        CorruptDataError: names the first position that does not hold.
    """
    expected = after
    for entry in entries:
        expected += 1
        if entry.seq != expected:
            raise CorruptDataError(f"The ledger has no entry at seq {expected}: restore it from a backup.")
        previous = chained(previous, entry)
        if previous != entry.sha256 or not _is_whole(entry):
            raise CorruptDataError(
                f"The ledger is altered at seq {entry.seq} ({entry.kind}): restore it from a backup."
            )
    return previous


def _is_whole(entry: Entry) -> bool:
    if is_redacted(entry.payload):
        try:
            content_of(entry.payload)
        except CorruptDataError:
            return False
    return True


def _columns(entry: Entry) -> tuple[bytes, ...]:
    texts = (str(entry.seq), entry.ts, entry.tenant, entry.actor, entry.kind, entry.key)
    return tuple(text.encode() for text in texts)


def hashed(start: bytes, columns: Iterable[bytes]) -> bytes:
    """Return the SHA-256 over ``start`` and columns, each behind its length; the audit is chained so too."""
    digest = hashlib.sha256(start)
    for column in columns:
        digest.update(len(column).to_bytes(8, "big") + column)
    return digest.digest()
