"""The outside of a JSON Web Token: taken apart strictly, before anything in it is believed. Pure.

Called by ``data.access.tokens``. Invariant: no part of a header but the algorithm, the key's name and the
type is ever used; a header that would have one look elsewhere for keys is refused.

Source: RFC 7515 (JWS), RFC 7519 (JWT) and the advice of RFC 8725 (JWT best current practices).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from data.errors import CredentialError

#: What a caller is told of any token that is refused.
REFUSED = "The token is not valid: get a new one from its issuer, for this service."
#: Longest token that is read, bytes.
MAX_BYTES = 8 * 1024
#: What a header may say: anything else (keys, addresses of keys, extensions) is refused, not passed over.
_HEADER = frozenset({"alg", "kid", "typ", "cty"})
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_COMPACT = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Compact:
    """A token taken apart. ``signed`` is what ``signature`` is over; nothing is verified yet."""

    alg: str
    kid: str | None
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def refuse(why: str) -> NoReturn:
    """Refuse a token; ``why`` goes to the audit.

    Raises:
        CredentialError: always.
    """
    raise CredentialError(REFUSED, f"token: {why}")


def take_apart(token: str) -> Compact:
    """Return the parts of a token.

    Raises:
        CredentialError: it is too long, no token, says a thing twice, or has a header that is not read here.
    """
    if len(token) > MAX_BYTES:
        refuse("too long")
    found = _COMPACT.fullmatch(token)
    if found is None:
        refuse("malformed")
    header, claims = _object(_bytes(found[1])), _object(_bytes(found[2]))
    if strange := sorted(set(header) - _HEADER):
        refuse(f"header {strange[0][:20]!a}")
    alg, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(alg, str) or not isinstance(kid, str | None):
        refuse("header")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        refuse("type")
    signed = token[: found.end(2)].encode("ascii")
    return Compact(alg, kid, claims, signed, _bytes(found[3]))


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        refuse("malformed")


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        refuse("malformed")
    if not isinstance(value, dict):
        refuse("malformed")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        refuse("a name twice")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
