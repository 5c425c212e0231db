"""Who sends a request, told from its credential: an API key, or a token of ours or of an outside issuer.

Called by the door in front of every route. Invariant: whoever is let in has a credential that is good at this
moment, and acts for a tenant that exists and is active; why another is refused is told to the audit alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import unquote_plus

from data.access import tokens
from data.access.compact import MAX_BYTES, Compact, refuse
from data.access.directory import AccessDirectory
from data.access.keys import PREFIX, REFUSED, Refusal, check, hash_of, parse, standing
from data.access.principal import Principal
from data.access.records import KeyRecord
from data.access.roles import Role, highest, permits
from data.access.tokens import AccessToken, JwtVerifier, TokenIssuer
from data.claims import DEFAULT_TENANT, TenantId
from data.errors import AuthError, CredentialError, ForbiddenError, InvalidValueError, UnknownTenantError
from data.ports import Clock

MISSING = "No credential came with the request: send Authorization: ApiKey KEY, or a Bearer token."

#: Keys remembered as good lately.
MOST_REMEMBERED = 10_000
#: Stands for a header that did not come.
_ABSENT = "\0"


class Authenticator:
    """Tells who a caller is. Any thread.

    ``directory`` must be fresh, see there; ``verifier`` is ``None`` where no outside tokens are taken.
    """

    def __init__(
        self,
        directory: AccessDirectory,
        pepper: bytes,
        clock: Clock,
        *,
        issuer: TokenIssuer,
        verifier: JwtVerifier | None = None,
    ) -> None:
        self._directory = directory
        self._pepper = pepper
        self._clock = clock
        self._issuer = issuer
        self._verifier = verifier
        #: Id and hash of keys that were good lately, by a mark of what was shown that only this process can
        #: make: taking headers and keys apart and hashing them costs more than all the rest.
        self._lately: dict[bytes, tuple[str, str]] = {}
        self._mark_key = secrets.token_bytes(32)

    def authenticate(
        self,
        authorization: str | None,
        x_api_key: str | None,
        *,
        address: str,
        wanted_tenant: str | None = None,
    ) -> Principal:
        """Return who sends a request from ``address`` and wants to act for ``wanted_tenant``.

        Raises:
            AuthError: no credential, two, or one that is not good. ForbiddenError: it may not act for that
            tenant, or the tenant is suspended or gone. UnavailableError: it cannot be told now.
        """
        mark = self._mark(authorization, x_api_key)
        lately = self._lately.get(mark)
        if lately is not None:
            record = self._good(*lately, address)
            return self._of_key(record, highest(record.roles), wanted_tenant)
        scheme, text = credential_of(authorization, x_api_key)
        if scheme == "apikey" or text.startswith(PREFIX):
            shown = parse(text), hash_of(text, self._pepper)
            record = self._good(*shown, address)
            if len(self._lately) >= MOST_REMEMBERED:
                self._lately.clear()
            self._lately[mark] = shown
            return self._of_key(record, highest(record.roles), wanted_tenant)
        parts = tokens.read(text)
        if tokens.is_own(parts):
            return self._of_own_token(parts, address, wanted_tenant)
        if self._verifier is None:
            refuse("issuer")
        claims = self._verifier.verify(parts)
        tenant = self._acting_for(claims.tenant, wanted_tenant)
        return Principal(claims.subject, tenant, highest(claims.roles))

    def would_wait(self, authorization: str | None) -> bool:
        """Return whether ``authenticate`` would read an issuer's keys first: then call it in a thread."""
        if self._verifier is None or not authorization or len(authorization) > MAX_BYTES:
            return False
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or text.startswith(PREFIX):
            return False
        try:
            parts = tokens.read(text.strip())
        except CredentialError:
            return False
        return not tokens.is_own(parts) and self._verifier.would_wait(parts)

    def grant(self, client_id: str, client_secret: str, *, address: str, scope: str = "") -> AccessToken:
        """Return an access token for a key: OAuth 2 client credentials (RFC 6749 §4.4).

        The client's id is the key's id, its secret the key's text; ``scope`` names roles, none: the key's.

        Raises:
            AuthError: the key is not good. ForbiddenError: its tenant is suspended, or a role is more than it
            has. InvalidValueError: no such role.
        """
        record = self._good(parse(client_secret), hash_of(client_secret, self._pepper), address)
        if record.id != client_id:
            raise CredentialError(REFUSED, Refusal.WRONG)
        self._acting_for(record.tenant, None)
        return self._issuer.issue(record, _scoped(record, scope))

    def _mark(self, authorization: str | None, x_api_key: str | None) -> bytes:
        # Headers hold neither of these characters, so which of the two said what is never mixed up.
        first, second = (_ABSENT if each is None else each for each in (authorization, x_api_key))
        shown = f"{first}\n{second}".encode("utf-8", "replace")
        return hashlib.blake2b(shown, key=self._mark_key, digest_size=32).digest()

    def _good(self, key_id: str, hashed: str, address: str) -> KeyRecord:
        record = self._directory.key(key_id)
        refusal = check(record, hashed, address=address, now_s=self._clock.now_s())
        if refusal is not None or record is None:
            raise CredentialError(REFUSED, refusal or Refusal.UNKNOWN)
        return record

    def _of_key(self, record: KeyRecord, role: Role, wanted: str | None) -> Principal:
        tenant = self._acting_for(record.tenant, wanted)
        return Principal(f"key:{record.id}", tenant, role, record.tenant is None, record.id)

    def _of_own_token(self, parts: Compact, address: str, wanted: str | None) -> Principal:
        claims = self._issuer.verify(parts)
        record = self._directory.key(claims.key_id)
        if record is None or record.tenant != claims.tenant:
            refuse("key unknown")
        refusal = standing(record, address=address, now_s=self._clock.now_s())
        if refusal is not None:
            refuse(f"key {refusal}")
        told, held = highest(claims.roles), highest(record.roles)
        return self._of_key(record, told if permits(held, told) else held, wanted)

    def _acting_for(self, own: TenantId | None, wanted: str | None) -> TenantId:
        """Return the tenant that a credential acts for; ``own`` ``None``: it is of the installation."""
        if own is None and wanted is None:
            return DEFAULT_TENANT  # whatever its state: somebody must be able to resume it
        if own is not None and wanted not in {None, own}:
            raise ForbiddenError("The credential acts for its own tenant only: leave X-Kite-Tenant out.")
        name = TenantId(wanted or "") if own is None else own
        record = self._directory.tenant(name)
        if record is None or record.state == "erased":
            raise UnknownTenantError(f"There is no tenant {name[:63]!r} to act for.")
        if record.state != "active":
            raise ForbiddenError(f"The tenant {name!r} is suspended: ask the installation's administrator.")
        return name


def credential_of(authorization: str | None, x_api_key: str | None) -> tuple[str, str]:
    """Return the scheme (``apikey`` or ``bearer``) and text of the one credential that came.

    Raises:
        AuthError: there is none, there are two, or its scheme is not known.
    """
    found: set[tuple[str, str]] = set()
    if x_api_key is not None:
        found.add(("apikey", x_api_key.strip()))
    if authorization is not None:
        scheme, _, text = authorization.strip().partition(" ")
        if scheme.lower() not in {"apikey", "bearer"}:
            raise AuthError("The scheme of Authorization is not known here: use ApiKey or Bearer.")
        found.add((scheme.lower(), text.strip()))
    if not found:
        raise AuthError(MISSING)
    if len({text for _, text in found}) > 1:
        raise AuthError("Two credentials came with the request: send one.")
    scheme, text = min(found)
    if not text:
        raise AuthError(MISSING)
    return scheme, text


def client_of(authorization: str | None, form: Mapping[str, str]) -> tuple[str, str]:
    """Return id and secret of an OAuth 2 client: from ``Authorization: Basic``, or from the form's fields.

    Source: RFC 6749 §2.3.1 (both parts are form-encoded before they are joined); one of the two ways only.

    Raises:
        AuthError: neither, both, or a header that cannot be read.
    """
    in_form = "client_id" in form or "client_secret" in form
    if authorization is None:
        if not (form.get("client_id") and form.get("client_secret")):
            raise AuthError("The client's id and secret are missing: send them as Basic or in the form.")
        return form["client_id"], form["client_secret"]
    if "client_secret" in form or (in_form and form["client_id"] != _basic(authorization)[0]):
        raise AuthError("The client's credentials came twice: send them as Basic or in the form.")
    return _basic(authorization)


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, text = authorization.strip().partition(" ")
    try:
        if scheme.lower() != "basic" or len(text) > MAX_BYTES:
            raise ValueError(scheme)
        client, _, secret = base64.b64decode(text.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        raise AuthError("Authorization is not Basic with the key's id and text: send it so.") from None
    return unquote_plus(client), unquote_plus(secret)


def _scoped(record: KeyRecord, scope: str) -> tuple[Role, ...]:
    """Return the roles that a scope asks for, as far as the key has them; all of its own for none."""
    try:
        asked = tuple(Role(name) for name in scope.split())
    except ValueError:
        raise InvalidValueError(f"scope: name roles, some of {', '.join(Role)}.") from None
    held = highest(record.roles)
    if any(not permits(held, role) for role in asked):
        raise ForbiddenError("scope: the key does not have that role.")
    return tuple(role for role in Role if role in asked) or record.roles
