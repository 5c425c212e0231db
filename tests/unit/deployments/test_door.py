"""The closed door: fails shut, renews beside requests, and counts what it refuses by address."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from data.access.authenticator import Authenticator
from data.access.directory import AccessDirectory
from data.access.keys import KeyWish, new_key
from data.access.records import AccessChanges, KeyRecord
from data.access.roles import Role
from data.access.tokens import TokenIssuer
from data.claims import TenantId
from data.errors import AuthError, RateLimitedError, StoreUnavailableError
from deployments.door import Credential, KeyedDoor
from tests.fakes import FakeClock

PEPPER = b"p" * 32


@dataclass
class Keeper:
    """A keeper that knows the keys it is given, counts how often it is asked, and may be away."""

    keys: list[KeyRecord] = field(default_factory=list)
    asked: int = 0
    away: bool = False

    def changes(self, after_seq: int) -> AccessChanges:
        self.asked += 1
        if self.away:
            raise StoreUnavailableError("the keeper is away")
        return AccessChanges(len(self.keys), tuple(self.keys[after_seq:]))


class Entrance:
    """A door over :class:`Keeper`; ``age_s`` is the clock that tells how old its knowledge is."""

    def __init__(self) -> None:
        self.keeper, self.clock, self.age_s = Keeper(), FakeClock(), 0.0
        self.refused: list[str] = []
        self.blocked = False
        directory = AccessDirectory(self.keeper.changes, refresh_s=0.5, monotonic=lambda: self.age_s)
        issuer = TokenIssuer(b"t" * 32, self.clock, ttl_s=3600.0)
        authenticator = Authenticator(directory, PEPPER, self.clock, issuer=issuer)
        self.door = KeyedDoor(authenticator, directory, blocked=self._blocked, refused=self._refused)

    def _blocked(self, address: str) -> None:
        if self.blocked:
            raise RateLimitedError(f"Too many refused from {address}.", 5.0)

    async def _refused(self, address: str) -> None:
        self.refused.append(address)

    def key(self) -> str:
        wish = KeyWish("test", TenantId("default"), (Role.READER,))
        text, record = new_key(wish, PEPPER, self.clock.now_s())
        self.keeper.keys.append(record)
        return text

    async def admit(self, key: str | None) -> str:
        principal = await self.door.admit(Credential(None, key, None, "192.0.2.7"))
        return principal.subject


@pytest.fixture
def entrance() -> Entrance:
    return Entrance()


def test_fresh_knowledge_is_answered_from_without_asking(entrance: Entrance) -> None:
    """Twenty requests, one question to the keeper."""
    key = entrance.key()

    async def come() -> set[str]:
        return {await entrance.admit(key) for _ in range(20)}

    assert len(asyncio.run(come())) == 1
    assert entrance.keeper.asked == 1


def test_ageing_knowledge_is_renewed_beside_the_request(entrance: Entrance) -> None:
    """Who comes meanwhile does not wait for the keeper, even when it is away."""
    key = entrance.key()

    async def come() -> None:
        await entrance.admit(key)
        entrance.age_s += 0.7
        entrance.keeper.away = True
        await entrance.admit(key)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run(come())
    assert entrance.keeper.asked == 2


def test_door_shuts_when_the_keeper_is_away_for_a_second(entrance: Entrance) -> None:
    """Nobody is let in on what was known longer ago, for a key may have been revoked since."""
    key = entrance.key()

    async def come() -> None:
        await entrance.admit(key)
        entrance.keeper.away = True
        entrance.age_s += 1.0
        await entrance.admit(key)

    with pytest.raises(StoreUnavailableError):
        asyncio.run(come())
    assert entrance.refused == []


def test_new_key_is_asked_for_before_it_is_refused(entrance: Entrance) -> None:
    """It is known to the keeper and not yet here."""

    async def come() -> str:
        await entrance.admit(entrance.key())
        return await entrance.admit(entrance.key())

    assert asyncio.run(come()).startswith("key:")
    assert entrance.refused == []


@pytest.mark.parametrize("key", [None, "kite_nonsense", "kite_AAAAAAAAAAAA_" + "B" * 36])
def test_refusal_is_counted_by_address(entrance: Entrance, key: str | None) -> None:
    """Whatever was wrong with the credential."""
    with pytest.raises(AuthError):
        asyncio.run(entrance.admit(key))
    assert entrance.refused == ["192.0.2.7"]


def test_blocked_address_is_not_even_looked_at(entrance: Entrance) -> None:
    """A good key from it waits, too: guessing must not pay."""
    key = entrance.key()
    entrance.blocked = True
    with pytest.raises(RateLimitedError):
        asyncio.run(entrance.admit(key))
    assert entrance.keeper.asked == 0
