"""From the bytes of a request to values of ``data.datasets``: bodies, pages, filters. For the vector routes.

Bodies are decoded straight into the structs of ``api.vector_schemas``, numbers included; what does not fit is
told by field, as everywhere. msgspec takes no NaN and no infinity, so none comes further.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from starlette.requests import Request

from data.datasets.ports import FilterValue, NewVector, OnDuplicate, SearchOptions
from data.datasets.records import IndexSettings, VectorRecord
from data.errors import InvalidValueError
from data.knowledge import text_sha256
from deployments.api.context import tenant_of
from deployments.api.errors import MalformedBodyError, SchemaMisfitError
from deployments.api.knowledge_requests import idempotency_key
from deployments.api.reading import check_media_type, misfit
from deployments.api.vector_schemas import CHOICES, IndexFields, SearchOptionsFields, VectorRequest

Body = TypeVar("Body", bound=msgspec.Struct)
Choice = TypeVar("Choice", bound=StrEnum)

#: Things on one page of a list when the caller names no number, and at most.
DEFAULT_PAGE, MAX_PAGE = 100, 1_000
#: Largest offset or page.
MAX_OFFSET = 2**31 - 1
_MISSING = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_ENUM = re.compile(r"Invalid enum value")
_NOT_FINITE = re.compile(rb"NaN|-?Infinity")
_BYTE = re.compile(r"\(byte (\d+)\)")
_TOO_DEEP = "The body is nested too deeply: metadata and filters have at most a few hundred levels."
_TYPES = re.compile(r"`([a-z| ]+)`")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}


@cache
def _decoder(shape: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


async def read_body(request: Request, shape: type[Body]) -> Body:
    """Return the body as a ``shape``.

    Raises:
        MediaTypeError: it is not declared as JSON in UTF-8, or is compressed.
        MalformedBodyError: it is not JSON. SchemaMisfitError: it does not fit.
    """
    check_media_type(request)
    return decode_as(shape, await request.body())


def decode_as(shape: type[Body], body: bytes) -> Body:
    """Return JSON bytes as a ``shape``.

    Raises:
        MalformedBodyError: it is not JSON. SchemaMisfitError: it does not fit.
    """
    if not body:
        raise MalformedBodyError("The body is empty: send JSON.")
    try:
        found: Body = _decoder(shape).decode(body)
    except RecursionError:
        raise MalformedBodyError(_TOO_DEEP) from None
    except msgspec.ValidationError as exc:
        raise _misfit(str(exc)) from None
    except msgspec.DecodeError as exc:
        raise _malformed(body, str(exc)) from None
    except UnicodeDecodeError:
        raise MalformedBodyError("The body is not valid UTF-8.") from None
    return found


def _malformed(body: bytes, fault: str) -> MalformedBodyError | SchemaMisfitError:
    found = _BYTE.search(fault)
    at = int(found[1]) if found else len(body)
    if number := _NOT_FINITE.search(body[max(0, at - 2) : at + 12]):
        return misfit("body", f"holds {number[0].decode()} near byte {at}: send finite numbers only")
    return MalformedBodyError(f"The body is not valid JSON near byte {at}: it may be cut short.")


def _misfit(fault: str) -> SchemaMisfitError:
    """Return msgspec's refusal (``… - at `$.vectors[0].id```) as a misfit of that field."""
    what, _, place = fault.rpartition(" - at `$")
    if not what:
        what, place = fault, "`"
    path = place[:-1].removeprefix(".")
    if found := _MISSING.fullmatch(what):
        return misfit(_under(path, found[1]), "Field required")
    if found := _UNKNOWN.fullmatch(what):
        return misfit(_under(path, found[1][:64]), "is not a known field")
    if _ENUM.match(what):
        choices = CHOICES.get(path.rpartition(".")[2], ())
        return misfit(path, f"must be one of {', '.join(choices)}")
    if what == "Number out of range":
        return misfit(path, "must be a finite number of no more than 64 bits")
    if "regex" in what:
        return misfit(path, "must not hold control characters")
    return misfit(path or "body", _in_words(what))


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _in_words(what: str) -> str:
    told = _TYPES.sub(lambda found: " or ".join(_WORDS.get(one, one) for one in found[1].split(" | ")), what)
    return told.replace("Expected ", "must be ", 1).replace(", got ", ", not ")


def id_seed(request: Request) -> str:
    """Return what the ids of a request's things are made from: the same whenever its key is sent again."""
    key = idempotency_key(request)
    return uuid4().hex if key is None else f"{tenant_of(request)} {key}"


def id_made(seed: str, number: int = 0) -> str:
    """Return an id for something that came without one: 32 hex digits."""
    return hashlib.sha256(f"{seed} {number}".encode()).hexdigest()[:32]


def new_vector(body: VectorRequest, given_id: str) -> NewVector:
    """Return the vector that a body stands for; ``given_id`` is its id where the body names none.

    When it was made and changed is for whoever keeps it to say.
    """
    record = VectorRecord(
        id=body.id or given_id,
        document_id=body.document_id,
        chunk_id=body.chunk_id,
        content=body.content,
        content_hash=hash_of(body.content_hash, body.content),
        metadata=body.metadata or {},
        content_type=body.content_type,
        language=body.language,
        chunk_index=body.chunk_index,
        chunk_count=body.chunk_count,
        model=body.model,
    )
    return NewVector(record, body.values)


def hash_of(given: str | None, content: str | None) -> str | None:
    """Return what tells equal contents: the hash that was sent, else that of the content."""
    return given or (text_sha256(content) if content else None)


def on_duplicate(skip_existing: bool | None, overwrite: bool | None) -> OnDuplicate:  # noqa: FBT001 - fields
    """Return what happens to a vector whose id is there.

    Raises:
        SchemaMisfitError: both were asked for.
    """
    if skip_existing and overwrite:
        raise misfit("overwrite", "cannot go with skip_existing: send one of the two")
    return "skip" if skip_existing else "overwrite" if overwrite else "fail"


def settings_of(fields: IndexFields, before: IndexSettings) -> IndexSettings:
    """Return index settings with the fields that were sent in place of those before."""
    sent = {name: getattr(fields, name) for name in IndexFields.__struct_fields__}
    return replace(before, **{name: value for name, value in sent.items() if value is not None})


def options_of(fields: SearchOptionsFields | None) -> SearchOptions:
    """Return search options; what was left out has its default."""
    if fields is None:
        return SearchOptions()
    floors = [score for score in (fields.threshold, fields.min_score) if score is not None]
    return SearchOptions(
        top_k=fields.top_k or 10,
        filters=fields.filters or None,
        metric=fields.metric_type,
        min_score=max(floors, default=None),
        max_distance=fields.max_distance,
        include_content=fields.include_content is not False,
        include_metadata=fields.include_metadata is not False,
        include_values=bool(fields.include_values),
        deduplicate=bool(fields.deduplicate),
        group_by_document=bool(fields.group_by_document),
        rerank=bool(fields.rerank),
        ef_search=fields.ef_search,
        nprobe=fields.nprobe,
        exact=bool(fields.exact),
    )


def read_count(query: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """Return a whole number of a query string.

    Raises:
        InvalidValueError: it is none from ``least`` to ``most``.
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        raise InvalidValueError(f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def read_choice(query: Mapping[str, str], name: str, among: type[Choice]) -> Choice | None:
    """Return a word of a query string, ``None`` where it is left out.

    Raises:
        InvalidValueError: it is none of these.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        return among(text)
    except ValueError:
        raise InvalidValueError(f"{name} is not known: use one of {', '.join(among)}.") from None


def read_flag(query: Mapping[str, str], name: str) -> bool:
    """Return a truth value of a query string, false where it is left out.

    Raises:
        InvalidValueError: it is neither true nor false.
    """
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise InvalidValueError(f"{name} must be true or false.")
    return text == "true"


def read_filters(query: Mapping[str, str]) -> FilterValue | None:
    """Return the filter of a query string: a JSON object, or SQL-like text.

    Raises:
        InvalidValueError: it begins as a JSON object and is none.
    """
    text = query.get("filters", "").strip()
    if not text.startswith("{"):
        return text or None
    try:
        found: dict[str, Any] = msgspec.json.decode(text.encode("utf-8", "replace"), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as exc:
        where = _BYTE.search(str(exc))
        at = f"position {where[1]}" if where else f"position {len(text)}"
        raise InvalidValueError(f"filters is not a JSON object: it breaks off at {at}.") from None
    return found or None
