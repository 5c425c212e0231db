"""Rows of a file as knowledge: documents, facts, sources or ClaimReviews, or the reason why not.

Used by imports. A bad row is a value: it is set aside with its reason and its neighbours go in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from data.changes import check_fact
from data.claim_reviews import read_review
from data.documents import document_id, split
from data.errors import InvalidValueError
from data.fact_checks import in_words
from data.knowledge import Document, Fact, Source

RowKind = Literal["documents", "facts", "sources", "claimreviews"]
ROW_KINDS: tuple[RowKind, ...] = get_args(RowKind)

#: Names under which other people's files keep the same thing (BEIR corpora use ``_id``).
_ALIASES = {"_id": "id", "content": "text", "date": "published_at"}
_DOCUMENT_FIELDS = frozenset({"id", "text", "title", "url", "source", "published_at", "metadata"})


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not taken, as it stood in the file, and why."""

    row: str
    reason: str


def kind_of(columns: Iterable[str]) -> RowKind:
    """Return what rows with these columns hold.

    Raises:
        InvalidValueError: they fit none of the kinds.
    """
    present = {_ALIASES.get(column, column) for column in columns}
    if "claimReviewed" in present or "reviewRating" in present:
        return "claimreviews"
    if {"subject", "predicate"} <= present:
        return "facts"
    if "text" in present:
        return "documents"
    if {"id", "name"} <= present:
        return "sources"
    raise InvalidValueError(
        "The rows are neither documents (text), facts (subject, predicate, object) nor sources (id, name) "
        "nor ClaimReviews (claimReviewed, reviewRating): "
        f"their columns are {', '.join(sorted(present)) or 'none'}."
    )


def read_row(kind: RowKind, row: Mapping[str, Any]) -> Document | Fact | Source:
    """Return the value that a row holds.

    Raises:
        InvalidValueError: it does not hold one; the text says what is missing or wrong.
    """
    fields = {
        _ALIASES.get(key, key): value for key, value in row.items() if value is not None and value != ""
    }
    try:
        if kind == "claimreviews":
            return read_review(row)
        if kind == "documents":
            return _document(fields)
        if kind == "facts":
            fact = msgspec.convert(_fact_fields(fields), Fact, strict=False)
            check_fact(fact)
            return fact
        return msgspec.convert(fields, Source, strict=False)
    except msgspec.ValidationError as exc:
        raise InvalidValueError(f"{exc}.") from exc


def _document(fields: dict[str, Any]) -> Document:
    extra = {key: str(value) for key, value in fields.items() if key not in _DOCUMENT_FIELDS}
    known = {key: value for key, value in fields.items() if key in _DOCUMENT_FIELDS}
    metadata = known.pop("metadata", None)
    if isinstance(metadata, Mapping):
        extra.update((str(key), str(value)) for key, value in metadata.items() if value is not None)
    if not isinstance(known.get("text"), str):
        raise InvalidValueError("The row has no text.")
    known["id"] = str(known.get("id") or document_id(known["text"]))
    document = msgspec.convert({**known, "metadata": extra}, Document, strict=False)
    if not split(document) or not any(char.isalnum() for char in document.text):
        raise InvalidValueError("The text has no words.")
    return document


def _value_in_words(fields: dict[str, Any]) -> str:
    try:
        return in_words(float(fields["value"]), fields.get("unit"))
    except (TypeError, ValueError):  # refused with its own reason when the fact is made
        return str(fields["value"])


def _fact_fields(fields: dict[str, Any]) -> dict[str, Any]:
    if "object" in fields:
        fields = {**fields, "object": str(fields["object"])}
    elif "value" in fields:
        fields = {**fields, "object": _value_in_words(fields)}
    if "id" not in fields:
        fields = {**fields, "id": document_id("\x1f".join(str(fields[key]) for key in sorted(fields)))}
    return {key: value for key, value in fields.items() if key in Fact.__dataclass_fields__}
