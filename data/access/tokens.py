"""JSON Web Tokens: those of an outside issuer are verified, those of this installation made and verified.

Called by the authenticator. Invariant: the algorithm decides which key may be used, never the token: a shared
secret verifies HS256 alone, a public key only what its kind is for (RFC 8725 §3.1, §3.2).
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from configs.schema import JwtSettings
from data.access.compact import Compact, refuse, take_apart
from data.access.jwks import Fetch, IssuerKeys
from data.access.records import SYSTEM_TENANT, KeyRecord
from data.access.roles import Role
from data.claims import TenantId, tenant_id
from data.errors import ConfigError, InvalidValueError
from data.ports import Clock

#: What this installation calls itself in its own tokens.
OWN = "kite"
#: Fewest bytes of a shared secret (RFC 7518 §3.2: as many as the hash has).
MIN_SECRET_BYTES = 32
#: Longest subject that is taken, characters.
MAX_SUBJECT_CHARS = 200
#: Most tokens whose signature was found good that are remembered: about 1 MB.
REMEMBERED = 4096
#: Beyond this no moment is believed, seconds since the epoch (the year 5138).
_LATEST_S = 1e11


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a good token of an outside issuer says: who (``jwt:ISSUER/SUB``), for which tenant, as what."""

    subject: str
    tenant: TenantId
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class OwnClaims:
    """What a good token of this installation says; what its key may do now is the directory's to say."""

    key_id: str
    tenant: TenantId | None
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token given out, and for how many seconds it is good."""

    token: str
    expires_in_s: int
    roles: tuple[Role, ...]


class JwtVerifier:
    """Verifies the tokens of the issuer that the settings name. Any thread.

    Raises:
        ConfigError: settings that cannot be kept: no issuer, no key for an algorithm, a weak secret.
    """

    def __init__(
        self,
        settings: JwtSettings,
        clock: Clock,
        *,
        fetch: Fetch,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_settings(settings)
        self._settings = settings
        self._clock = clock
        self._algorithms = _algorithms(settings.algorithms)
        self._secret = _oct_key(_shared_secret(settings.secret_file)) if settings.secret_file else None
        self._keys = (
            IssuerKeys(settings.jwks, fetch=fetch, ttl_s=settings.jwks_ttl_s, monotonic=monotonic)
            if settings.jwks
            else None
        )
        self._good: dict[bytes, Any] = {}

    def verify(self, parts: Compact) -> TokenClaims:
        """Return what a token says once all of it holds.

        Raises:
            CredentialError: it does not. UnavailableError: the issuer's keys could never be read.
        """
        settings = self._settings
        algorithm = self._algorithms.get(parts.alg)
        if algorithm is None:
            refuse("algorithm")
        key = self._key(parts)
        if key is None:
            refuse("no such key")
        self._check_signature(algorithm, parts, key)
        _check_times(parts.claims, self._clock.now_s(), settings.leeway_s)
        if parts.claims.get("iss") != settings.issuer:
            refuse("issuer")
        _check_audience(parts.claims, settings.audience)
        roles = _roles(parts.claims.get(settings.roles_claim))
        return TokenClaims(
            f"jwt:{settings.issuer}/{_subject(parts.claims)}",
            _tenant(parts.claims.get(settings.tenant_claim)),
            roles,
        )

    def would_wait(self, parts: Compact) -> bool:
        """Return whether ``verify`` would read the issuer's keys now, which takes time."""
        asks = parts.alg in self._algorithms and parts.alg != "HS256"
        return asks and self._keys is not None and self._keys.would_read(parts.alg, parts.kid)

    def _check_signature(self, algorithm: Any, parts: Compact, key: Any) -> None:
        """Check a signature once a token and key: a token comes many times, and this costs the most.

        Keys that are read anew are other objects, so that a token is checked again under them.
        """
        digest = hashlib.sha256(parts.signed + b"." + parts.signature).digest()
        if self._good.get(digest) is key:
            return
        _check_signature(algorithm, parts, key)
        if len(self._good) >= REMEMBERED:
            self._good.clear()
        self._good[digest] = key

    def _key(self, parts: Compact) -> Any | None:
        if parts.alg == "HS256":
            return self._secret
        return self._keys.find(parts.alg, parts.kid) if self._keys else None


class TokenIssuer:
    """Makes and verifies this installation's own access tokens, HS256 under ``key`` (32 bytes). Any thread.

    A token is good for at most ``ttl_s`` seconds.
    """

    def __init__(self, key: bytes, clock: Clock, *, ttl_s: float) -> None:
        self._key = _oct_key(key)
        self._algorithm = _algorithms(("HS256",))["HS256"]
        self._clock = clock
        self._ttl_s = ttl_s

    def issue(self, record: KeyRecord, roles: Sequence[Role]) -> AccessToken:
        """Return a token for the bearer of a key, with ``roles``; it ends with the key at the latest."""
        from joserfc import jws

        now_s = self._clock.now_s()
        left_s = self._ttl_s if record.expires_s is None else min(self._ttl_s, record.expires_s - now_s)
        claims = {
            "iss": OWN,
            "aud": OWN,
            "sub": f"key:{record.id}",
            "jti": secrets.token_hex(16),
            "iat": int(now_s),
            "exp": int(now_s + left_s),
            "tenant": record.tenant,
            "roles": list(roles),
        }
        header = {"alg": "HS256", "typ": "at+jwt"}
        token = jws.serialize_compact(header, json.dumps(claims), self._key, algorithms=["HS256"])
        return AccessToken(token, max(0, int(left_s)), tuple(roles))

    def verify(self, parts: Compact) -> OwnClaims:
        """Return what one of this installation's tokens says.

        Raises:
            CredentialError: it is none, was altered, or has ended.
        """
        if parts.alg != "HS256":
            refuse("algorithm")
        _check_signature(self._algorithm, parts, self._key)
        _check_times(parts.claims, self._clock.now_s(), 0.0)
        _check_audience(parts.claims, OWN)
        subject, tenant = _subject(parts.claims), parts.claims.get("tenant")
        roles = _roles(parts.claims.get("roles"))
        return OwnClaims(subject.removeprefix("key:"), None if tenant is None else _tenant(tenant), roles)


def is_own(parts: Compact) -> bool:
    """Return whether a token says that it is this installation's; that it is, ``TokenIssuer`` finds out."""
    return parts.claims.get("iss") == OWN


@lru_cache(maxsize=1024)
def read(token: str) -> Compact:
    """Return a token's parts; see ``data.access.compact.take_apart``. The last ones are remembered."""
    return take_apart(token)


def _check_settings(settings: JwtSettings) -> None:
    if not settings.issuer or settings.issuer == OWN:
        raise ConfigError(f"auth.jwt.issuer: name the issuer of the tokens; {OWN!r} is this installation.")
    if not settings.audience:
        raise ConfigError("auth.jwt.audience: name the audience that tokens must be for.")
    if "HS256" in settings.algorithms and not settings.secret_file:
        raise ConfigError("auth.jwt.secret_file: HS256 needs the secret that it is shared with.")
    if set(settings.algorithms) - {"HS256"} and not settings.jwks:
        raise ConfigError("auth.jwt.jwks: name the file or https address of the issuer's public keys.")


def _shared_secret(path: str) -> bytes:
    try:
        secret = Path(path).expanduser().read_bytes().strip()
    except OSError as exc:
        raise ConfigError(f"auth.jwt.secret_file: {path} cannot be read: {exc}") from exc
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(f"auth.jwt.secret_file: a secret has at least {MIN_SECRET_BYTES} bytes.")
    if b"-----BEGIN" in secret or b'"kty"' in secret:
        raise ConfigError("auth.jwt.secret_file: this is a key pair's key, no shared secret.")
    return secret


def _algorithms(names: Sequence[str]) -> dict[str, Any]:
    from joserfc.jws import JWSRegistry

    return {name: JWSRegistry.algorithms[name] for name in names}


def _oct_key(secret: bytes) -> Any:
    from joserfc.jwk import OctKey

    return OctKey.import_key(secret)


def _check_signature(algorithm: Any, parts: Compact, key: Any) -> None:
    from joserfc.errors import JoseError

    try:
        algorithm.check_key(key)
        good = algorithm.verify(parts.signed, parts.signature, key)
    except (JoseError, ValueError):
        good = False
    if good is not True:
        refuse("signature")


def _check_times(claims: dict[str, Any], now_s: float, leeway_s: float) -> None:
    for name in ("exp", "nbf", "iat"):
        moment = claims.get(name)
        if moment is None and name != "exp":
            continue
        if isinstance(moment, bool) or not isinstance(moment, int | float) or not 0 <= moment < _LATEST_S:
            refuse(name)
    if now_s >= claims["exp"] + leeway_s:
        refuse("expired")
    if max(claims.get("nbf") or 0, claims.get("iat") or 0) > now_s + leeway_s:
        refuse("not yet")


def _check_audience(claims: dict[str, Any], audience: str) -> None:
    told = claims.get("aud")
    if audience != told and not (isinstance(told, list) and audience in told):
        refuse("audience")


def _subject(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS:
        refuse("subject")
    if not subject.isprintable():  # it stands in logs and in the audit
        refuse("subject")
    return subject


def _tenant(claim: object) -> TenantId:
    try:
        found = tenant_id(claim) if isinstance(claim, str) else SYSTEM_TENANT
    except InvalidValueError:
        refuse("tenant")
    if found == SYSTEM_TENANT:
        refuse("tenant")
    return found


def _roles(claim: object) -> tuple[Role, ...]:
    named = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    roles = tuple(role for role in Role if role in named)
    if not roles:
        refuse("roles")
    return roles
