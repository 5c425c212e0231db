"""A claim and what is known about its making: the value that goes in.

Built by the API edge, batch jobs and sessions; every other module receives a ``Claim`` that is already
valid, so nothing downstream checks text again.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from typing import NewType

from data.errors import ClaimRejectedError, InvalidValueError

TenantId = NewType("TenantId", str)

#: The tenant of an installation that has not set up any other.
DEFAULT_TENANT = TenantId("default")
#: Knowledge that every tenant may read and none but an operator may write.
SHARED_TENANT = TenantId("shared")

#: A tenant's id: safe in a file's name, in a key of a store and in a SPARQL prefix, the same on every disk.
TENANT_ID_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
_TENANT_ID = re.compile(TENANT_ID_PATTERN, re.ASCII)

#: Longest claim accepted, in characters (API.md §1).
MAX_CLAIM_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class ClaimContext:
    """What the caller says of the claim's origin. Dates are ISO 8601 days; ``None`` where not said."""

    speaker: str | None = None
    date: str | None = None
    place: str | None = None
    domain: str | None = None
    source_url: str | None = None
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim, normalised and within bounds. Build it with :func:`make_claim`."""

    text: str
    tenant: TenantId = DEFAULT_TENANT
    context: ClaimContext = ClaimContext()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A claim that could not be verified, as a value: its batch neighbours are not harmed by it."""

    reason: str


def tenant_id(text: str) -> TenantId:
    """Return ``text`` as a tenant's id.

    Raises:
        InvalidValueError: it is not 1 to 63 small letters, digits and hyphens, the first no hyphen.
    """
    if not _TENANT_ID.fullmatch(text):
        raise InvalidValueError(
            f"The tenant id {text[:80]!r} is not 1 to 63 small letters, digits and hyphens that start with "
            "a letter or digit: choose another."
        )
    return TenantId(text)


def normalise(text: str) -> str:
    """Return ``text`` in NFC with control characters and runs of white space turned into one space."""
    composed = unicodedata.normalize("NFC", text)
    spaced = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in composed)
    return " ".join(spaced.split())


def make_claim(text: str, *, tenant: TenantId = DEFAULT_TENANT, context: ClaimContext | None = None) -> Claim:
    """Build a claim from raw text.

    Raises:
        ClaimRejectedError: empty after normalising, longer than ``MAX_CLAIM_CHARS``, or without a
            single letter or digit.
    """
    clean = normalise(text)
    if not clean:
        raise ClaimRejectedError("The claim is empty: send a sentence that can be true or false.")
    if len(clean) > MAX_CLAIM_CHARS:
        raise ClaimRejectedError(
            f"The claim has {len(clean)} characters and the limit is {MAX_CLAIM_CHARS}: "
            "shorten it, or send the text to /verify/text."
        )
    if not any(char.isalnum() for char in clean):
        raise ClaimRejectedError("The claim has no letter and no digit: there is nothing to verify.")
    return Claim(text=clean, tenant=tenant, context=context or ClaimContext())


def fingerprint(claim: Claim) -> str:
    """Return the identity of the claim's words, ignoring case and a closing full stop (hex SHA-256)."""
    return hashlib.sha256(claim.text.casefold().rstrip(" .").encode()).hexdigest()
