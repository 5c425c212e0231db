"""Every error a caller of Brahminy Kite may meet, in one tree.

    KiteError
    ├─ RequestError            the caller can mend it (4xx)
    │  ├─ ClaimRejectedError       a claim that cannot be verified as written
    │  ├─ InvalidValueError        a field with a value outside its bounds
    │  ├─ NotFoundError            no such thing, or not this tenant's
    │  ├─ QueryLimitError          a query that needs more time or memory than one may have
    │  ├─ ConflictError            it exists already, or changed meanwhile
    │  │  └─ QuotaError             as many things of a kind as the tenant may keep
    │  ├─ AuthError                no credential, or one that is not good
    │  │  └─ CredentialError           carries, for the audit alone, what was not good about it
    │  ├─ ForbiddenError           who asks is known, and may not do this
    │  └─ RateLimitedError         too many requests; carries retry_after_s
    ├─ UnavailableError        try again later (503)
    │  ├─ StoreUnavailableError    the keeper or one of its views is away
    │  ├─ IndexUnavailableError    a vector index is away
    │  ├─ ModelUnavailableError    the models actor is away
    │  └─ CapacityError            saturated; carries retry_after_s
    ├─ DeadlineError           out of time (504)
    ├─ ConfigError             a setting stops the start; one line
    └─ CorruptDataError        checksum, chain or manifest mismatch (500); never retried

Programming mistakes stay ``TypeError``/``ValueError`` and reach a client as a blank 500. Arguments are
positional and passed whole to ``super().__init__``, so every error survives pickling between processes.
"""

from __future__ import annotations

from configs.errors import ConfigError, KiteError

__all__ = [
    "AuthError",
    "CapacityError",
    "ClaimRejectedError",
    "ConfigError",
    "ConflictError",
    "CorruptDataError",
    "CredentialError",
    "DeadlineError",
    "ForbiddenError",
    "IndexUnavailableError",
    "InvalidValueError",
    "KiteError",
    "ModelUnavailableError",
    "NotFoundError",
    "QueryLimitError",
    "QuotaError",
    "RateLimitedError",
    "RequestError",
    "StoreUnavailableError",
    "UnavailableError",
]


class RequestError(KiteError):
    """The request is at fault and can be mended by its sender."""


class ClaimRejectedError(RequestError):
    """The claim cannot be verified as written (empty, too long, not text)."""


class InvalidValueError(RequestError):
    """A field has a value outside its stated bounds."""


class NotFoundError(RequestError):
    """The thing does not exist, or belongs to another tenant."""


class QueryLimitError(RequestError):
    """A query needs more time or memory than one query may have."""


class ConflictError(RequestError):
    """The thing exists already, or was changed by somebody else meanwhile."""


class AuthError(RequestError):
    """No credential came with the request, or one that does not permit it."""


class CredentialError(AuthError):
    """A credential is refused; ``reason`` says why in a word, for the audit and nobody else."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class QuotaError(ConflictError):
    """The tenant has as many things of a kind as it may keep; HTTP 409, for deleting one mends it."""


class ForbiddenError(RequestError):
    """Who asks is known, and may not do this."""


class UnknownTenantError(ForbiddenError):
    """It acts for a tenant of which nothing is known here."""


class RateLimitedError(RequestError):
    """Too many requests; ``retry_after_s`` says when to come back, ``headers`` how the limits stand."""

    def __init__(
        self, message: str, retry_after_s: float = 1.0, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message, retry_after_s, headers)
        self.retry_after_s = retry_after_s
        self.headers = headers or {}

    def __str__(self) -> str:
        return str(self.args[0])


class UnavailableError(KiteError):
    """A part of the service is away for now; the same request may succeed later."""


class StoreUnavailableError(UnavailableError):
    """The keeper or one of its views cannot be reached."""


class IndexUnavailableError(UnavailableError):
    """A vector index cannot be reached."""


class ModelUnavailableError(UnavailableError):
    """The models actor cannot be reached, or a model file is missing."""


class CapacityError(UnavailableError):
    """The service is saturated; ``retry_after_s`` says when to come back."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message, retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


class DeadlineError(KiteError):
    """The time allowed for the request ran out."""


class CorruptDataError(KiteError):
    """Stored bytes do not match their checksum, chain or manifest."""
