"""The limiter: who is charged, what a caller is told, and what holds while the store is away."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from configs.schema import LimitSettings, RateSettings
from data.access.principal import Principal
from data.access.roles import Role
from data.claims import TenantId
from data.errors import InvalidValueError, RateLimitedError, StoreUnavailableError
from data.limits.gcra import Charge, Decision
from data.limits.policy import LimitOverrides, RateLimit
from data.stores.memory import MemoryStore
from deployments.limiter import Allowance, Limiter, headers
from tests.fakes import FakeClock

ACME, OTHER = TenantId("acme"), TenantId("other")
WIDE = RateSettings(per_minute=6000.0, per_hour=1e6, per_day=1e6, burst=1000.0)


class FailingStore(MemoryStore):
    """A store that can be taken away, and counts how often it was asked."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.away = False
        self.asked = 0

    def charge(self, requests: Sequence[Sequence[Charge]]) -> list[list[Decision]]:
        """Charge, unless away."""
        self.asked += 1
        if self.away:
            raise StoreUnavailableError("gone")
        return super().charge(requests)


def rate(burst: float, **changed: float) -> RateSettings:
    values = {"per_minute": 60.0, "per_hour": 1e6, "per_day": 1e6, "burst": burst, **changed}
    return RateSettings(**values)


def limited(
    clock: FakeClock,
    settings: LimitSettings,
    *,
    store: MemoryStore | None = None,
    overrides: dict[TenantId, LimitOverrides] | None = None,
    in_thread: bool = False,
) -> Limiter:
    return Limiter(
        store or MemoryStore(clock),
        settings,
        overrides=lambda tenant: (overrides or {}).get(tenant, LimitOverrides()),
        clock=clock,
        in_thread=in_thread,
    )


def settings_of(**changed: Any) -> LimitSettings:
    return LimitSettings(**{"tenant": WIDE, "key": WIDE, "address": WIDE, **changed})


def caller(tenant: TenantId = ACME, key: str = "1") -> Principal:
    return Principal(f"key:{key}", tenant, Role.VERIFIER, key_id=key)


def wait(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def spend(limiter: Limiter, count: int, *, who: Principal | None = None, address: str = "192.0.2.1") -> int:
    """Ask one by one; return how many were let in."""

    async def ask() -> int:
        allowed = 0
        for _ in range(count):
            try:
                await limiter.charge(who or caller(), "verify", address)
                allowed += 1
            except RateLimitedError:
                pass
        return allowed

    return int(wait(ask()))


def test_charge_within_the_tenants_limit_only() -> None:
    """Keys and addresses share what their tenant has; another tenant has its own."""
    limiter = limited(FakeClock(), settings_of(tenant=rate(3.0)))

    assert spend(limiter, 2) == 2
    assert spend(limiter, 2, who=caller(key="2"), address="192.0.2.2") == 1
    assert spend(limiter, 2, who=caller(OTHER)) == 2


def test_answer_that_uses_a_limit_up_tells_one_who_was_refused_how_long_the_next_is() -> None:
    """Exactly as long; nothing to one who keeps to its limit, nor while one more call fits."""
    clock = FakeClock()
    limiter = limited(clock, settings_of(tenant=rate(2.0)))

    def full_for_s() -> float:
        return float(wait(limiter.charge(caller(), "verify", "192.0.2.1")).full_for_s)

    assert (full_for_s(), full_for_s()) == (0.0, 0.0)
    assert spend(limiter, 1) == 0
    clock.advance(1.0 + 1e-5)
    told = full_for_s()
    assert told == pytest.approx(1.0, abs=1e-4)
    clock.advance(told - 1e-3)
    assert spend(limiter, 1) == 0
    clock.advance(1e-3)
    assert spend(limiter, 1) == 1


def test_refusal_is_forgotten_so_that_one_who_goes_on_is_refused_and_audited_again() -> None:
    clock = FakeClock()
    limiter = limited(clock, settings_of(tenant=rate(1.0)))
    assert spend(limiter, 2) == 1

    told = []
    for _ in range(12):
        clock.advance(1.0 + 1e-5)
        told.append(wait(limiter.charge(caller(), "verify", "192.0.2.1")).full_for_s > 0.0)
    assert told == [True] * 9 + [False] * 3


def test_answer_to_many_units_tells_the_wait_of_one() -> None:
    clock = FakeClock()
    limiter = limited(clock, settings_of(tenant=rate(10.0)))
    assert spend(limiter, 11) == 10
    clock.advance(9.5)

    told = wait(limiter.charge(caller(), "verify", "192.0.2.1", 9.0)).full_for_s
    assert told == pytest.approx(0.5, abs=1e-5)


def test_charge_each_key_has_its_own_limit() -> None:
    """One key used up leaves the tenant's other keys alone."""
    limiter = limited(FakeClock(), settings_of(key=rate(2.0)))

    assert (spend(limiter, 5), spend(limiter, 5, who=caller(key="2"))) == (2, 2)


def test_charge_addresses_of_one_ipv6_customer_count_as_one() -> None:
    """A /64 is one subject, and so is an IPv4 address in either notation."""
    limiter = limited(FakeClock(), settings_of(address=rate(2.0)))

    assert spend(limiter, 2, address="2001:db8::1") == 2
    assert spend(limiter, 1, address="2001:db8::ffff:2") == 0
    assert spend(limiter, 1, address="2001:db8:0:1::1") == 1
    assert spend(limiter, 2, address="192.0.2.9") == 2
    assert spend(limiter, 1, address="::ffff:192.0.2.9") == 0


def test_charge_operations_have_costs_and_limits_of_their_own() -> None:
    """A limit on one operation leaves the others alone; what an operation costs is what is charged."""
    limiter = limited(
        FakeClock(), settings_of(operations={"search": rate(4.0)}, costs={"search": 2.0, "write": 5.0})
    )

    async def ask() -> tuple[Allowance, Allowance]:
        await limiter.charge(caller(), "search", "a")
        found = await limiter.charge(caller(), "search", "a")
        with pytest.raises(RateLimitedError, match="limit of the operation-search"):
            await limiter.charge(caller(), "search", "a")
        return found, await limiter.charge(caller(), "write", "a", 3)

    found, written = wait(ask())

    assert {standing.name: standing.decision.remaining for standing in found.standings} == {
        "tenant": 996.0,
        "operation-search": 0.0,
    }
    assert [standing.decision.remaining for standing in written.standings] == [981.0]


def test_charge_subjects_that_the_tenants_limit_always_stops_first_are_not_kept() -> None:
    """A key's limit nowhere below the tenant's never decides, and one below in a single number does."""
    clock = FakeClock()
    store = MemoryStore(clock)
    alike = limited(clock, settings_of(tenant=rate(9.0), key=rate(9.0)), store=store)
    spend(alike, 1)
    kept = [key for key, _ in store.scan("")]
    spend(limited(clock, settings_of(tenant=rate(9.0), key=rate(9.0, per_day=100.0)), store=store), 1)

    assert kept == ["limit:{acme}:tenant"]
    assert [key for key, _ in store.scan("")] == ["limit:{acme}:by:key:1", "limit:{acme}:tenant"]


def test_charge_refused_by_one_subject_charges_none() -> None:
    """What the key's limit refuses costs the tenant nothing."""
    limiter = limited(FakeClock(), settings_of(key=rate(2.0)))
    spend(limiter, 50)

    assert wait(limiter.usage(ACME)).windows[0].used == 2.0


def test_charge_overrides_of_a_tenant_replace_the_installations() -> None:
    """An administrator's limits hold for that tenant, its keys and its operations, from the next request."""
    small = RateLimit(60.0, 1e6, 1e6, 2.0)
    overrides = {ACME: LimitOverrides(tenant=small)}
    limiter = limited(FakeClock(), settings_of(), overrides=overrides)

    assert (spend(limiter, 5), spend(limiter, 5, who=caller(OTHER))) == (2, 5)
    overrides[ACME] = LimitOverrides(operations={"verify": RateLimit(60.0, 1e6, 1e6, 3.0)})
    assert spend(limiter, 5) == 3


def test_charge_more_than_ever_fits_is_the_requests_fault() -> None:
    """A batch larger than the limit is told so, and not to come back later."""
    limiter = limited(FakeClock(), settings_of(tenant=rate(50.0)))

    with pytest.raises(InvalidValueError, match=r"costs 51 units.*tenant never allows more than 50 at once"):
        wait(limiter.charge(caller(), "verify", "a", 51))


def test_charge_refused_says_when_to_come_back_and_how_limits_stand() -> None:
    """The error carries what the answer's headers need, through pickling too."""
    clock = FakeClock()
    limiter = limited(clock, settings_of(tenant=rate(3.0)))
    spend(limiter, 3)
    with pytest.raises(RateLimitedError, match=r"60 units a minute.*send again in 2 s") as caught:
        wait(limiter.charge(caller(), "verify", "a"))
    error = pickle.loads(pickle.dumps(caught.value))

    assert error.retry_after_s == pytest.approx(1.0, abs=1e-5)
    assert error.headers["RateLimit"] == '"tenant";r=0;t=3'
    clock.advance(error.retry_after_s)
    assert spend(limiter, 2) == 1


def test_headers_name_every_subject() -> None:
    """What each may have, what is left of it, and when all of it is back."""
    limiter = limited(FakeClock(), settings_of(key=rate(5.0), address=rate(500.0)))
    told = headers(wait(limiter.charge(caller(), "verify", "a", 2)))

    assert told == {
        "RateLimit-Policy": '"tenant";q=6000;w=60, "key";q=60;w=60, "address";q=500;w=60',
        "RateLimit": '"tenant";r=998;t=1, "key";r=3;t=2, "address";r=498;t=2',
    }


def test_failed_credentials_block_their_address_until_one_more_may_be() -> None:
    """After the allowed failures the address is refused unasked; others are not."""
    clock = FakeClock()
    limiter = limited(clock, settings_of(failures=rate(2.0)))

    async def fail(address: str) -> None:
        await limiter.failed(address)

    wait(fail("192.0.2.1"))
    wait(fail("192.0.2.1"))
    assert not limiter.is_blocked("192.0.2.1")
    with pytest.raises(RateLimitedError, match="Too many credentials"):
        wait(fail("192.0.2.1"))

    assert limiter.is_blocked("::ffff:192.0.2.1")
    assert not limiter.is_blocked("192.0.2.2")
    with pytest.raises(RateLimitedError):
        limiter.refuse_blocked("192.0.2.1")
    clock.advance(1.1)
    limiter.refuse_blocked("192.0.2.1")
    wait(fail("192.0.2.1"))


def test_failed_credentials_count_over_replicas() -> None:
    """Two limiters on one store give one address the failures of one."""
    clock = FakeClock()
    store = MemoryStore(clock)
    first, second = (limited(clock, settings_of(failures=rate(2.0)), store=store) for _ in range(2))
    wait(first.failed("a"))
    wait(second.failed("a"))

    with pytest.raises(RateLimitedError):
        wait(first.failed("a"))
    with pytest.raises(RateLimitedError):
        wait(second.failed("a"))


@pytest.mark.parametrize("in_thread", [False, True])
def test_store_away_limits_are_kept_here_and_it_is_left_alone(in_thread: bool) -> None:
    """Without the store a process keeps the limit by itself, asks the store once a second, and goes back."""
    clock = FakeClock()
    store = FailingStore(clock)
    limiter = limited(clock, settings_of(tenant=rate(3.0)), store=store, in_thread=in_thread)
    assert spend(limiter, 1) == 1
    store.away, store.asked = True, 0

    assert spend(limiter, 10) == 3
    assert (limiter.is_alone, store.asked) == (True, 1)
    clock.advance(1.0)
    store.away = False
    # Two remain of the first burst, and one more came back.
    assert spend(limiter, 10) == 3
    assert not limiter.is_alone
    limiter.close()


def test_charges_that_wait_in_a_thread_go_together() -> None:
    """Requests that arrive while the store is asked are charged in the next round trip, exactly."""
    clock = FakeClock()
    store = FailingStore(clock)
    limiter = limited(clock, settings_of(tenant=rate(40.0)), store=store, in_thread=True)

    async def ask() -> list[object]:
        asked = [limiter.charge(caller(), "verify", "a") for _ in range(64)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = wait(ask())

    assert sum(isinstance(answer, Allowance) for answer in answers) == 40
    assert sum(isinstance(answer, RateLimitedError) for answer in answers) == 24
    assert store.asked <= 3
    limiter.close()


def test_usage_tells_each_window_and_operation() -> None:
    """Used and remaining by minute, hour and day, for the tenant and for operations that have limits."""
    clock = FakeClock()
    limiter = limited(clock, settings_of(tenant=rate(10.0), operations={"search": rate(4.0), "a": rate(1.0)}))

    async def ask() -> None:
        await limiter.charge(caller(), "search", "a", 3)
        await limiter.charge(caller(), "verify", "a", 2)

    wait(ask())
    clock.advance(1.0)
    usage = wait(limiter.usage(ACME))

    assert [(each.window, each.used, each.remaining) for each in usage.windows] == [
        ("minute", 4.0, 6.0),
        ("hour", 5.0, 1e6 - 5),
        ("day", 5.0, 1e6 - 5),
    ]
    assert [each.used for each in usage.operations["search"]] == [2.0, 3.0, 3.0]
    assert [each.used for each in usage.operations["a"]] == [0.0, 0.0, 0.0]
    assert wait(limiter.usage(OTHER)).windows[0].used == 0.0


def test_policy_shows_the_tenants_own_limits() -> None:
    """Overrides are in it, and every operation that has a limit or a cost."""
    overrides = {
        ACME: LimitOverrides(
            tenant=RateLimit(1.0, 2.0, 3.0, 4.0), operations={"search": RateLimit(5.0, 6.0, 7.0, 8.0)}
        )
    }
    limiter = limited(FakeClock(), settings_of(costs={"write": 2.0}), overrides=overrides)
    policy = limiter.policy(ACME)

    assert (policy.tenant_id, policy.strategy) == ("acme", "gcra")
    assert (policy.requests_per_minute, policy.requests_per_hour) == (1.0, 2.0)
    assert (policy.requests_per_day, policy.burst_size) == (3.0, 4.0)
    assert sorted(policy.operation_limits) == ["search", "write"]
    assert policy.operation_limits["search"].burst_size == 8.0
    assert policy.operation_limits["write"].cost == 2.0
    assert limiter.policy(OTHER).requests_per_minute == 6000.0


def test_memory_store_with_a_bound_lets_the_oldest_go() -> None:
    """What is kept while the shared store is away cannot grow without end."""
    store = MemoryStore(FakeClock(), max_values=2)
    for key in ("a", "b", "a", "c"):
        store.put(key, key.encode())

    assert [key for key, _ in store.scan("")] == ["b", "c"]
