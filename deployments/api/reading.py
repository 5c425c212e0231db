"""From the bytes of a request to valid questions. Called by the routes; what follows may trust its input.

JSON is decoded by msgspec; what that refuses gets a second reading by the standard library, because a lone
surrogate or a NaN in one item of a batch should be blamed on that item and not on its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from data.claims import DEFAULT_TENANT, Claim, ClaimContext, TenantId, make_claim, normalise
from data.errors import ClaimRejectedError, InvalidValueError
from data.evidence_filter import NO_FILTER, EvidenceFilter
from data.questions import DEFAULT_ALPHA, Question
from deployments.api.errors import MalformedBodyError, MediaTypeError, SchemaMisfitError
from deployments.api.schemas import (
    MAX_CONTEXT_KEY_CHARS,
    MAX_CONTEXT_KEYS,
    AnswerOptions,
    ContextFields,
    EvidenceFilterFields,
    VerifyRequest,
)

Model = TypeVar("Model", bound=BaseModel)
SeqAt = Callable[[str], Awaitable[int]]

_NO_CONTEXT = ClaimContext()
#: pydantic's error types whose own message would not tell a sender what to do.
_REASONS = {
    "extra_forbidden": "is not a known field",
    "missing": "is required",
    "finite_number": "must be a finite number",
    "string_unicode": "holds a lone surrogate, which is not a character",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question together with what its sender wants to see of the answer."""

    question: Question
    with_latency: bool = False


async def json_body(request: Request) -> Any:
    """Return the decoded body.

    Raises:
        MediaTypeError: it is not declared as JSON in UTF-8, or is compressed.
        MalformedBodyError: it is not JSON, or not UTF-8, or nested too deeply.
    """
    check_media_type(request)
    return decode(await request.body())


def decode(body: bytes) -> Any:
    """Return the value that JSON bytes stand for.

    Raises:
        MalformedBodyError: see :func:`json_body`.
    """
    if not body:
        raise MalformedBodyError("The body is empty: send JSON.")
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise MalformedBodyError(
            "The body is nested too deeply: the deepest request has four levels."
        ) from None
    except ValueError:
        return _decode_tolerantly(body)


def _decode_tolerantly(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise MalformedBodyError(f"The body is not valid UTF-8 at byte {exc.start}.") from None
    except json.JSONDecodeError as exc:
        raise MalformedBodyError(
            f"The body is not valid JSON at line {exc.lineno}, column {exc.colno}: it may be cut short."
        ) from None
    except RecursionError:
        raise MalformedBodyError(
            "The body is nested too deeply: the deepest request has four levels."
        ) from None
    except ValueError:
        raise MalformedBodyError("The body holds a number too long to be read.") from None


def media_type_of(request: Request) -> str:
    """Return the media type of the body, in small letters, without its parameters.

    Raises:
        MediaTypeError: it is not in UTF-8, or is compressed.
    """
    media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "')
    if charset and charset not in {"utf-8", "utf8"}:
        raise MediaTypeError("Send the body in UTF-8: no other charset is read.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise MediaTypeError("Send the body as it is: compressed bodies are not read.")
    return media_type.strip()


def check_media_type(request: Request) -> None:
    """Refuse a body that is not declared as JSON in UTF-8.

    Raises:
        MediaTypeError: it is something else, or compressed.
    """
    media_type = media_type_of(request)
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise MediaTypeError("Send the body as JSON, with Content-Type: application/json.")


def fit(model: type[Model], value: Any) -> Model:
    """Return ``value`` as a ``model``.

    Raises:
        SchemaMisfitError: names every field that does not fit, and why.
    """
    if not isinstance(value, dict):
        raise SchemaMisfitError(f"The body must be a JSON object with the fields of {model.__name__}.")
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise _misfit(exc) from None
    except UnicodeError:
        raise SchemaMisfitError("A field name holds a lone surrogate, which is not a character.") from None


def _misfit(exc: ValidationError) -> SchemaMisfitError:
    found = exc.errors(include_url=False, include_context=False, include_input=False)
    entries = [
        {"field": _field(e["loc"]), "reason": _REASONS.get(e["type"], e["msg"].removeprefix("Value error, "))}
        for e in found[:20]
    ]
    first = entries[0]
    sentence = f"{first['field']}: {first['reason']}"
    if len(found) > 1:
        sentence += f" (and {len(found) - 1} more)"
    return SchemaMisfitError(sentence + ".", entries)


def _field(path: tuple[int | str, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part[:64]}" if text else part[:64]
    return text or "body"


def misfit(field: str, reason: str) -> SchemaMisfitError:
    """Return the error of one field that does not fit."""
    return SchemaMisfitError(f"{field}: {reason}.", [{"field": field, "reason": reason}])


def chosen_frameworks(names: Sequence[str] | None, known: Sequence[str], field: str) -> tuple[str, ...]:
    """Return the frameworks asked for, all of them when none are named.

    Raises:
        SchemaMisfitError: one is unknown, or named twice.
    """
    if names is None:
        return tuple(known)
    for index, name in enumerate(names):
        if name not in known:
            raise misfit(f"{field}[{index}]", f"is not a framework: use some of {', '.join(known)}")
        if name in names[:index]:
            raise misfit(f"{field}[{index}]", f"names {name} a second time: name each framework once")
    return tuple(names)


def chosen_weights(weights: Sequence[float] | None, frameworks: Sequence[str]) -> dict[str, float]:
    """Return weights by framework; empty when none are given.

    Raises:
        SchemaMisfitError: there is not one a framework, or all are 0.
    """
    if weights is None:
        return {}
    if len(weights) != len(frameworks):
        raise misfit(
            "framework_weights",
            f"has {len(weights)} numbers for {len(frameworks)} frameworks: give one for each",
        )
    if not any(weights):
        raise misfit("framework_weights", "are all 0: give at least one framework a weight above 0")
    return dict(zip(frameworks, weights, strict=True))


def claim_of(text: str, tenant: TenantId, context: ClaimContext = _NO_CONTEXT) -> Claim:
    """Return the claim, or blame the field ``claim``.

    Raises:
        ClaimRejectedError: the text cannot be verified as written.
    """
    try:
        return make_claim(text, tenant=tenant, context=context)
    except ClaimRejectedError as exc:
        raise ClaimRejectedError(f"claim: {exc}") from None


class QuestionReader:
    """Turns decoded items into questions. One a request: each moment's ledger position is looked up once."""

    def __init__(self, frameworks: tuple[str, ...], seq_at: SeqAt, tenant: TenantId = DEFAULT_TENANT) -> None:
        self._frameworks = frameworks
        self._seq_at = seq_at
        self._tenant = tenant
        self._positions: dict[str, int] = {}

    @property
    def tenant(self) -> TenantId:
        """Whose claims these are."""
        return self._tenant

    async def read(self, item: Any) -> Asked:
        """Return the question an item asks.

        Raises:
            SchemaMisfitError: a field does not fit.
            ClaimRejectedError: the claim cannot be verified as written.
        """
        asked = fit(VerifyRequest, item)
        ask = await self.questions(asked)
        question = ask(claim_of(asked.claim, self._tenant, read_context(asked.context)))
        return Asked(question, with_latency="latency" in (asked.include or ()))

    async def questions(self, asked: AnswerOptions) -> Callable[[Claim], Question]:
        """Return what makes a claim a question with these options.

        Raises:
            SchemaMisfitError: an option does not fit.
        """
        frameworks = chosen_frameworks(asked.frameworks, self._frameworks, "frameworks")
        return partial(
            Question,
            frameworks=frameworks,
            weights=chosen_weights(asked.framework_weights, frameworks),
            alpha=DEFAULT_ALPHA if asked.alpha is None else asked.alpha,
            as_of=await self._position(asked.as_of),
            risk=asked.risk,
            admits=read_filter(asked.evidence_filter),
        )

    async def _position(self, as_of: int | str | None) -> int | None:
        if as_of is None or isinstance(as_of, int):
            return as_of
        moment = moment_of(as_of)
        if moment not in self._positions:
            self._positions[moment] = await self._seq_at(moment)
        return self._positions[moment]


def moment_of(text: str) -> str:
    """Return an ISO day as it is, and an instant in UTC (one without a zone is taken as UTC)."""
    try:
        if len(text) == 10:
            return date.fromisoformat(text).isoformat()
        instant = datetime.fromisoformat(text)
        aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise misfit(
            "as_of",
            "is not an ISO 8601 day or instant, as 2024-05-31 or 2024-05-31T12:00:00Z, nor a position",
        ) from None


def read_filter(fields: EvidenceFilterFields | None) -> EvidenceFilter:
    """Return which evidence a body admits.

    Raises:
        SchemaMisfitError: a day that is none, or a window that ends before it begins.
    """
    if fields is None:
        return NO_FILTER
    try:
        return EvidenceFilter(
            since=fields.since,
            until=fields.until,
            entities=tuple(dict.fromkeys(fields.entities or ())),
            sources=tuple(dict.fromkeys(fields.sources or ())),
        )
    except InvalidValueError as exc:
        raise misfit("evidence_filter", str(exc).rstrip(".")) from None


def read_context(fields: ContextFields | None) -> ClaimContext:
    """Return the context that a body gives.

    Raises:
        SchemaMisfitError: too many further keys, or a date that is none.
    """
    if fields is None:
        return _NO_CONTEXT
    extra = fields.__pydantic_extra__ or {}
    if len(extra) > MAX_CONTEXT_KEYS or any(len(key) > MAX_CONTEXT_KEY_CHARS for key in extra):
        raise misfit(
            "context",
            f"has more than {MAX_CONTEXT_KEYS} further keys, or one over {MAX_CONTEXT_KEY_CHARS} characters",
        )
    return ClaimContext(
        speaker=_tidy(fields.speaker),
        date=_day(fields.date),
        place=_tidy(fields.place),
        domain=_tidy(fields.domain),
        source_url=_tidy(fields.source_url),
        extra={normalise(key): normalise(extra[key]) for key in sorted(extra)},
    )


def _tidy(text: str | None) -> str | None:
    return (normalise(text) or None) if text else None


def _day(text: str | None) -> str | None:
    if not text:
        return None
    try:
        return (date if len(text) == 10 else datetime).fromisoformat(text).isoformat()[:10]
    except ValueError:
        raise misfit("context.date", "is not an ISO 8601 day, as 2024-05-31") from None
