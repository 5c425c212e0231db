"""What went wrong, as the error of ``data.errors`` that caused it. Called by both clients."""

from __future__ import annotations

import httpx
import msgspec

from data.errors import (
    AuthError,
    CapacityError,
    DeadlineError,
    ForbiddenError,
    KiteError,
    NotFoundError,
    RateLimitedError,
    RequestError,
    UnavailableError,
)
from deployments.client.patience import retry_after_s

REQUEST_HEADER = "X-Request-ID"
#: The class for an answer that is not in the service's own words: a proxy's, say.
_BY_STATUS: dict[int, type[KiteError]] = {
    401: AuthError,
    403: ForbiddenError,
    404: NotFoundError,
    429: RateLimitedError,
    502: UnavailableError,
    503: UnavailableError,
    504: DeadlineError,
}


class Problem(msgspec.Struct):
    """The parts of a problem document that an error is made of."""

    detail: str
    code: str = ""
    request_id: str | None = None


def error_of(response: httpx.Response) -> KiteError:
    """Return the error that an answer tells of, with the service's sentence and the request's id."""
    try:
        told = msgspec.json.decode(response.content, type=Problem)
    except msgspec.DecodeError:
        told = Problem(f"The service answered {response.status_code}, and not in its own words.")
    cls = _class_of(told.code, response.status_code)
    asked_s = retry_after_s(response) or 1.0
    error = cls(told.detail, asked_s) if cls in (RateLimitedError, CapacityError) else cls(told.detail)
    error.request_id = told.request_id or response.headers.get(REQUEST_HEADER)
    return error


def trouble_of(error: httpx.TransportError, base_url: object) -> KiteError:
    """Return the error for a service that was not reached, or did not answer in time."""
    if isinstance(error, httpx.TimeoutException):
        return DeadlineError(f"{base_url} did not answer in time.")
    return UnavailableError(f"{base_url} cannot be reached: is the service running?")


def _class_of(code: str, status: int) -> type[KiteError]:
    from deployments.api.errors import KINDS  # brings the web framework: only once something goes wrong

    for cls, kind in KINDS.items():
        if kind.slug == code and issubclass(cls, KiteError):
            return cls
    return _BY_STATUS.get(status, RequestError if 400 <= status < 500 else KiteError)
