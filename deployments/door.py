"""Who is let in, as the API asks for it; plain Python.

The guard in front of the routes asks a ``Door`` about every credential. ``OpenDoor`` is that of an
installation on loopback without keys; ``KeyedDoor`` that of every other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from data.access.authenticator import Authenticator
from data.access.directory import AccessDirectory
from data.access.keys import Refusal
from data.access.principal import Principal
from data.access.roles import Role
from data.access.tokens import AccessToken
from data.claims import DEFAULT_TENANT
from data.errors import AuthError, CredentialError, UnknownTenantError

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Credential:
    """What came with a request: two headers, the tenant it wants to act for, and where it came from."""

    authorization: str | None
    api_key: str | None
    tenant: str | None
    address: str


class Door(Protocol):
    """Finds out who sends a request."""

    async def admit(self, credential: Credential) -> Principal:
        """Return who it is.

        Raises:
            AuthError: no credential, or one that is not good. ForbiddenError: its tenant is suspended.
            RateLimitedError: too many refused from this address. UnavailableError: it cannot be told now.
        """
        ...


#: Whoever comes, where no credential is asked for.
ANYBODY = Principal("open", DEFAULT_TENANT, Role.ADMIN, installation=True)


class OpenDoor:
    """Lets everybody in as the administrator, whatever they show."""

    async def admit(self, credential: Credential) -> Principal:
        """Return the administrator."""
        del credential
        return ANYBODY


class KeyedDoor:
    """Lets in whoever the authenticator knows. One event loop only.

    The directory behind it is renewed beside the requests while it is young enough to be answered from; only
    a door that nobody came to for a second lets the first one wait. ``blocked`` raises for an address from
    which too much was refused, ``refused`` counts one more.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        directory: AccessDirectory,
        *,
        blocked: Callable[[str], None],
        refused: Callable[[str], Awaitable[None]],
    ) -> None:
        self._authenticator = authenticator
        self._directory = directory
        self._blocked = blocked
        self._refused = refused
        self._renewal: asyncio.Task[None] | None = None

    async def admit(self, credential: Credential) -> Principal:
        """Return who it is; see ``Door``."""
        self._blocked(credential.address)
        await self.renew()
        return await self._attempt(lambda: self._told(credential), credential.address)

    async def grant(self, client_id: str, secret: str, *, address: str, scope: str) -> AccessToken:
        """Return an access token for a key; see ``Authenticator.grant``."""
        self._blocked(address)
        await self.renew()

        async def tell() -> AccessToken:
            return self._authenticator.grant(client_id, secret, address=address, scope=scope)

        return await self._attempt(tell, address)

    async def _attempt(self, tell: Callable[[], Awaitable[Answer]], address: str) -> Answer:
        """Ask; where key or tenant is not known, ask again with what the keeper knows now: it may be new."""
        try:
            try:
                return await tell()
            except (CredentialError, UnknownTenantError) as exc:
                if isinstance(exc, CredentialError) and exc.reason != Refusal.UNKNOWN:
                    raise
            await asyncio.to_thread(self._directory.refresh, anew=True)
            return await tell()
        except AuthError:
            await self._refused(address)
            raise

    async def renew(self) -> None:
        """See to it that the directory can be asked, waiting for the keeper only where it must.

        Raises:
            StoreUnavailableError: what is known is too old, and the keeper is away.
        """
        if self._directory.is_fresh():
            return
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(asyncio.to_thread(self._directory.refresh))
            self._renewal.add_done_callback(_heard)
        if not self._directory.is_alive():
            await asyncio.shield(self._renewal)

    async def _told(self, credential: Credential) -> Principal:
        if self._authenticator.would_wait(credential.authorization):
            return await asyncio.to_thread(self._known, credential)
        return self._known(credential)

    def _known(self, credential: Credential) -> Principal:
        return self._authenticator.authenticate(
            credential.authorization,
            credential.api_key,
            address=credential.address,
            wanted_tenant=credential.tenant,
        )


def _heard(renewal: asyncio.Task[None]) -> None:
    """Take note of how a renewal ended: lookups say themselves when what is known is too old."""
    if not renewal.cancelled():
        renewal.exception()
