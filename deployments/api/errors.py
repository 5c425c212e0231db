"""Every error as RFC 9457 problem+json: one table from class to status, looked up by ancestry.

Called by the error boundary and by the batch route (for the reason of one bad item). A 4xx shows the error's
own sentence; a 5xx shows a fixed one, so nothing internal leaves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from data.errors import (
    AuthError,
    CapacityError,
    ClaimRejectedError,
    ConflictError,
    CorruptDataError,
    DeadlineError,
    ForbiddenError,
    IndexUnavailableError,
    InvalidValueError,
    ModelUnavailableError,
    NotFoundError,
    QueryLimitError,
    RateLimitedError,
    RequestError,
    StoreUnavailableError,
    UnavailableError,
)
from deployments.api.context import REQUEST_ID

PROBLEM_TYPE = "application/problem+json"


class MalformedBodyError(RequestError):
    """The body is not JSON in UTF-8."""


class BodyTooLargeError(RequestError):
    """The body is longer than this service reads."""


class MediaTypeError(RequestError):
    """The body is not declared as JSON, or is encoded in a way that is not read here."""


class SchemaMisfitError(RequestError):
    """The body is JSON but does not fit the schema; ``errors`` lists {field, reason} of the misfits."""

    def __init__(self, message: str, errors: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(message, errors)
        self.errors = list(errors)

    def __str__(self) -> str:
        return str(self.args[0])


class PreconditionFailedError(RequestError):
    """The thing is not, or no longer, what ``If-Match`` says it is."""


class NotReadyError(UnavailableError):
    """A part without which nothing is answered is down; ``failing`` names them."""

    def __init__(self, message: str, failing: Sequence[str] = ()) -> None:
        super().__init__(message, failing)
        self.failing = list(failing)


class Kind(NamedTuple):
    """How a class of errors is answered."""

    status: int
    slug: str
    retryable: bool = False


#: Class → answer. A class that is not listed is answered as its nearest listed ancestor.
KINDS: dict[type[BaseException], Kind] = {
    MalformedBodyError: Kind(400, "malformed-body"),
    BodyTooLargeError: Kind(413, "body-too-large"),
    MediaTypeError: Kind(415, "unsupported-media-type"),
    SchemaMisfitError: Kind(422, "schema-misfit"),
    ClaimRejectedError: Kind(422, "claim-rejected"),
    InvalidValueError: Kind(400, "invalid-value"),
    NotFoundError: Kind(404, "not-found"),
    ConflictError: Kind(409, "conflict"),
    PreconditionFailedError: Kind(412, "precondition-failed"),
    QueryLimitError: Kind(400, "query-limit"),
    AuthError: Kind(401, "unauthorised"),
    ForbiddenError: Kind(403, "forbidden"),
    RateLimitedError: Kind(429, "rate-limited", retryable=True),
    RequestError: Kind(400, "bad-request"),
    NotReadyError: Kind(503, "not-ready", retryable=True),
    StoreUnavailableError: Kind(503, "store-unavailable", retryable=True),
    IndexUnavailableError: Kind(503, "index-unavailable", retryable=True),
    ModelUnavailableError: Kind(503, "model-unavailable", retryable=True),
    CapacityError: Kind(503, "saturated", retryable=True),
    UnavailableError: Kind(503, "unavailable", retryable=True),
    DeadlineError: Kind(504, "deadline-exceeded"),
    CorruptDataError: Kind(500, "corrupt-data"),
    Exception: Kind(500, "internal"),
}

#: What a client is told of a fault on our side, by status.
_FIXED_DETAIL = {
    500: "Something went wrong on our side: quote the request id when you report it.",
    503: "A part of the service is away or full: send this request again after Retry-After seconds.",
    504: "The time allowed for the request ran out: send fewer claims at once, or try again later.",
}
_ROUTING = {
    404: ("unknown-route", "There is no such route: /openapi.json lists those there are."),
    405: (
        "method-not-allowed",
        "This route does not answer that method: the Allow header lists those it does.",
    ),
}


def kind_of(exc: BaseException) -> Kind:
    """Return how an exception is answered: the entry of its nearest ancestor."""
    for cls in type(exc).__mro__:
        if cls in KINDS:
            return KINDS[cls]
    return KINDS[Exception]


def clean(text: str) -> str:
    """Return text that UTF-8 can carry, bounded: a sender's words may come back in an error."""
    return text[:500].encode("utf-8", "replace").decode()


def problem(exc: BaseException) -> Response:
    """Return the problem+json response of an exception."""
    if isinstance(exc, HTTPException):
        return _routing_problem(exc)
    kind = kind_of(exc)
    detail = _FIXED_DETAIL.get(kind.status) or clean(str(exc))
    extra: dict[str, Any] = {}
    if isinstance(exc, SchemaMisfitError) and exc.errors:
        extra["errors"] = [{key: clean(value) for key, value in entry.items()} for entry in exc.errors]
    if oauth_error := getattr(exc, "oauth_error", None):
        extra["error"] = oauth_error
    if isinstance(exc, NotReadyError):
        detail = clean(str(exc.args[0]))
        extra["failing"] = exc.failing
    headers = dict(getattr(exc, "headers", {}))
    if kind.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="kite"'
    if kind.retryable:
        headers["Retry-After"] = str(max(1, math.ceil(getattr(exc, "retry_after_s", 1.0))))
    return _response(kind.status, kind.slug, detail, extra=extra, headers=headers)


def _routing_problem(exc: HTTPException) -> Response:
    slug, detail = _ROUTING.get(exc.status_code, ("http-error", HTTPStatus(exc.status_code).description))
    return _response(exc.status_code, slug, detail, extra={}, headers=dict(exc.headers or {}))


def _response(
    status: int, slug: str, detail: str, *, extra: dict[str, Any], headers: dict[str, str]
) -> Response:
    body = {
        "type": f"urn:brahminy-kite:problem:{slug}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": slug,
        "request_id": REQUEST_ID.get(),
        **extra,
    }
    return Response(msgspec.json.encode(body), status, headers=headers, media_type=PROBLEM_TYPE)
