"""Who is let in, as the API asks for it; plain Python.

The guard in front of the routes asks a ``Door`` about every credential. ``OpenDoor`` is that of an
installation on loopback without keys; ``KeyedDoor`` that of every other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from data.access.principal import Principal
from data.access.roles import Role
from data.claims import DEFAULT_TENANT
from data.errors import AuthError


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
    """Lets in whoever ``authenticate`` knows.

    ``refresh`` brings the list of keys up to date where it is too old; it may block, so it runs in a thread.
    ``blocked`` raises for an address from which too much was refused; ``refused`` counts one more.
    """

    def __init__(
        self,
        authenticate: Callable[[Credential], Principal],
        *,
        is_fresh: Callable[[], bool],
        refresh: Callable[[], None],
        blocked: Callable[[str], None],
        refused: Callable[[str], None],
    ) -> None:
        self._authenticate = authenticate
        self._is_fresh = is_fresh
        self._refresh = refresh
        self._blocked = blocked
        self._refused = refused

    async def admit(self, credential: Credential) -> Principal:
        """Return who it is; see ``Door``."""
        self._blocked(credential.address)
        if not self._is_fresh():
            await asyncio.to_thread(self._refresh)
        try:
            return self._authenticate(credential)
        except AuthError:
            self._refused(credential.address)
            raise
