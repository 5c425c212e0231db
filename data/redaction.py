"""Payloads whose content was taken out of the ledger, and how they still fit the hash chain. Pure.

Called by the chain, by ``data.changes`` when payloads are read, and by the compaction. The chain covers the
SHA-256 of a payload; a redacted payload keeps that hash and, for bulk loads, what stands in its place.
Invariant: no payload as written begins with ``MARK``, for payloads are JSON.
"""

from __future__ import annotations

import hashlib

from data.errors import CorruptDataError

#: What a redacted payload begins with; the original's SHA-256, that of the rest, and the rest follow.
MARK = b"\x00redacted\x00"
_ORIGINAL = slice(len(MARK), len(MARK) + 32)
_CHECK = slice(len(MARK) + 32, len(MARK) + 64)
_REST = slice(len(MARK) + 64, None)


def redacted(payload: bytes, rest: bytes = b"") -> bytes:
    """Return a payload without its content; ``rest`` is what is read in its place."""
    return MARK + payload_sha256(payload) + hashlib.sha256(rest).digest() + rest


def is_redacted(payload: bytes) -> bool:
    """Return whether the content was taken out, or something stands in its place."""
    return payload.startswith(MARK)


def is_erased(payload: bytes) -> bool:
    """Return whether the content was taken out and nothing stands in its place: views pass such rows over."""
    return is_redacted(payload) and not payload[_REST]


def content_of(payload: bytes) -> bytes:
    """Return what is to be read: the payload as written, or what stands in its place.

    Raises:
        CorruptDataError: what stands in its place is altered.
    """
    if not is_redacted(payload):
        return payload
    rest = payload[_REST]
    if hashlib.sha256(rest).digest() != payload[_CHECK]:
        raise CorruptDataError("What stands in place of an erased payload is altered: restore the ledger.")
    return rest


def payload_sha256(payload: bytes) -> bytes:
    """Return the SHA-256 of the payload as it was written."""
    return payload[_ORIGINAL] if is_redacted(payload) else hashlib.sha256(payload).digest()
