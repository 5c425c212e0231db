"""What an administrator says of a framework, as it is kept: the payload of ``framework.put``. Pure.

Called by the desk of frameworks, by the access view, and by ``data.changes``, which lists the readers with
all others. Invariant: the last word on a framework counts; no word on it means that the settings do.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from data.access.records import SYSTEM_TENANT, FrameworkRecord
from data.errors import CorruptDataError, InvalidValueError
from data.knowledge import Change
from data.redaction import content_of

PUT_FRAMEWORK = "framework.put"
#: Longest name of a framework, characters, and its largest weight.
MAX_NAME_CHARS, MAX_WEIGHT = 64, 1e6


def put_framework(record: FrameworkRecord, *, actor: str = "system") -> Change:
    """Store the word on a framework.

    Raises:
        InvalidValueError: it cannot be kept.
    """
    check_framework(record)
    return Change(PUT_FRAMEWORK, record.id, msgspec.json.encode(record, order="sorted"), SYSTEM_TENANT, actor)


def read_framework(payload: bytes) -> FrameworkRecord:
    """Return the record of a ``framework.put`` payload."""
    try:
        return msgspec.json.decode(content_of(payload), type=FrameworkRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CorruptDataError(f"A payload of a framework cannot be read: {exc}.") from exc


def check_framework(record: FrameworkRecord) -> None:
    """Raise ``InvalidValueError`` for a record that cannot be kept."""
    if not (record.id.isidentifier() and len(record.id) <= MAX_NAME_CHARS):
        raise InvalidValueError(f"{record.id[:80]!r} is no name of a framework.")
    weight = record.weight
    if weight is not None and not (math.isfinite(weight) and 0.0 <= weight <= MAX_WEIGHT):
        raise InvalidValueError(f"weight: {weight:g} is not 0 to {MAX_WEIGHT:g}.")


#: The kind of change and the reader of its payload.
READERS: dict[str, Callable[[bytes], object] | None] = {PUT_FRAMEWORK: read_framework}
