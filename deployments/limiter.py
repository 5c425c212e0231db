"""Charges requests to the limits of tenant, key, address and operation; plain Python.

The guard in front of the routes calls it once its caller is known. The state lies in the shared key-value
store and is changed in one atomic operation, so limits hold exactly over all replicas. Invariant: a request
is charged to all of its subjects or to none.

While the store is away limits neither stop every request nor none: each replica keeps them on its own, so
that a tenant has at most its limit times the number of replicas. The store is asked again every second.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from configs.schema import LimitSettings, RateSettings
from data.access.principal import Principal
from data.claims import TenantId
from data.errors import InvalidValueError, RateLimitedError, UnavailableError
from data.limits import gcra
from data.limits.gcra import Charge, Decision
from data.limits.policy import LimitOverrides, RateLimit
from data.ports import Clock, KeyValueStore
from data.stores.memory import MemoryStore
from deployments.batching import Batcher
from deployments.breaker import CircuitBreaker
from deployments.limit_report import Policy, Usage, policy_of

#: Longest wait for a store on the network before the limits are kept here, seconds.
WAIT_S = 0.5
#: How long a store that failed is left alone, seconds.
REST_S = 1.0
#: Most subjects kept while the store is away, and most addresses remembered as blocked.
MOST_KEPT = 100_000
#: Callers whose subjects are remembered, and whose refusals are.
MOST_KNOWN = 10_000
#: How long a refusal is remembered, seconds: whoever goes on is refused here, and audited, as often.
REMEMBERED_S = 10.0
#: Requests charged in one round trip.
TOGETHER = 256


class Standing(NamedTuple):
    """How one subject (tenant, key, address, operation-NAME) stands after a request."""

    name: str
    limit: RateLimit
    decision: Decision


class Allowance(NamedTuple):
    """How all subjects of a request stand; ``policy`` is what ``RateLimit-Policy`` says of their limits.

    ``full_for_s``: how long from now one more such call would be refused, where its sender was refused one a
    moment ago; 0 for everybody else.
    """

    standings: list[Standing]
    policy: str
    full_for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Subjects:
    """Who is charged for a caller's operation: names and limits, and what asks each for one call, in order.

    They hold as long as ``overrides`` are the tenant's.
    """

    overrides: LimitOverrides
    named: list[tuple[str, RateLimit]]
    one: list[Charge]
    policy: str


class Limiter:
    """Keeps the limits of one process. One event loop only.

    ``overrides`` says what an administrator set for a tenant. ``in_thread`` for a store on the network:
    requests that wait at the same time are charged in one round trip of a thread. A store on this machine
    answers in less time than a thread takes to be woken, so it is asked directly.
    """

    def __init__(
        self,
        store: KeyValueStore,
        settings: LimitSettings,
        *,
        overrides: Callable[[TenantId], LimitOverrides],
        clock: Clock,
        in_thread: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._overrides = overrides
        self.use(settings)
        self._alone = MemoryStore(clock, max_values=MOST_KEPT)
        self._breaker = CircuitBreaker(clock, failures=1, reset_s=REST_S)
        self._away = False
        self._blocked_until_s: dict[str, float] = {}
        self._refused_s: dict[str, float] = {}
        self._thread = ThreadPoolExecutor(1, "limits") if in_thread else None
        self._queue: Batcher[Sequence[Charge], list[Decision]] = Batcher(
            self._charged_in_thread, max_size=TOGETHER, max_in_flight=1, max_waiting=MOST_KEPT
        )

    def use(self, settings: LimitSettings) -> None:
        """Keep these limits from now on; what was spent stays spent. Called from the event loop."""
        self._tenant, self._key, self._address, self._failures = map(
            _limit, (settings.tenant, settings.key, settings.address, settings.failures)
        )
        self._operations = {name: _limit(rate) for name, rate in settings.operations.items()}
        self._costs = settings.costs
        self._known: dict[tuple[TenantId, str, str, str], _Subjects] = {}

    @property
    def is_alone(self) -> bool:
        """Whether the shared store is away, so that this process keeps the limits on its own."""
        return self._away

    def close(self) -> None:
        """Let go of the thread."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def charge(
        self, principal: Principal, operation: str, address: str, units: float = 1.0
    ) -> Allowance:
        """Charge ``units`` calls of an operation to the caller's tenant, key and address.

        Raises:
            RateLimitedError: a limit is used up; it says when to come back.
            InvalidValueError: the request costs more than a limit ever allows at once.
        """
        subjects = self._subjects(principal, operation, address)
        asked = subjects.one if units == 1 else self._asked(subjects, operation, units)
        decisions = await self._decide(asked)
        standings = [
            Standing(name, limit, decision)
            for (name, limit), decision in zip(subjects.named, decisions, strict=True)
        ]
        if not all(decision.allowed for decision in decisions):
            self._remember(subjects)
            cost = self._costs.get(operation, 1.0) * units
            raise _refusal(Allowance(standings, subjects.policy), cost)
        full_for_s = self._full_for_s(subjects, decisions) if self._refused_s else 0.0
        return Allowance(standings, subjects.policy, full_for_s)

    async def failed(self, address: str) -> None:
        """Charge a refused credential to the address that it came from.

        Raises:
            RateLimitedError: too many were refused; this process takes none of it until one more may be.
        """
        name = _network(address)
        (decision,) = await self._decide([gcra.ask(f"limit:{{@{name}}}:failures", self._failures, 1.0)])
        if decision.allowed:
            return
        if len(self._blocked_until_s) >= MOST_KEPT:
            del self._blocked_until_s[next(iter(self._blocked_until_s))]
        self._blocked_until_s[name] = self._clock.now_s() + decision.retry_after_s
        self.refuse_blocked(address)

    def is_blocked(self, address: str) -> bool:
        """Return whether too many credentials from this address were refused. Looks nowhere but here."""
        return self._blocked_for_s(address) > 0.0

    def refuse_blocked(self, address: str) -> None:
        """Raise ``RateLimitedError`` when too many credentials from this address were refused."""
        left_s = self._blocked_for_s(address)
        if left_s > 0.0:
            raise RateLimitedError(
                "Too many credentials from this address were refused: send a good one in "
                f"{math.ceil(left_s)} s.",
                left_s,
            )

    def policy(self, tenant: TenantId) -> Policy:
        """Return a tenant's limits."""
        overrides = self._overrides(tenant)
        return policy_of(
            tenant,
            overrides.tenant or self._tenant,
            operations={**self._operations, **overrides.operations},
            costs=self._costs,
        )

    async def usage(self, tenant: TenantId) -> Usage:
        """Return what a tenant has spent.

        Raises:
            StoreUnavailableError: the store is away, so nobody knows.
        """
        overrides = self._overrides(tenant)
        own = {**self._operations, **overrides.operations}
        limits = {"tenant": overrides.tenant or self._tenant}
        limits |= {f"operation:{name}": own[name] for name in sorted(own)}
        states = await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: [self._store.get(_key(tenant, name)) for name in limits]
        )
        now_us = gcra.micros_of(self._clock.now_s())
        whole, *operations = [
            gcra.windows(gcra.unpack(state), limit, now_us)
            for state, limit in zip(states, limits.values(), strict=True)
        ]
        return Usage(tenant, whole, dict(zip(sorted(own), operations, strict=True)))

    def _is_remembered(self, subjects: _Subjects) -> bool:
        """Return whether these were refused a moment ago."""
        refused_s = self._refused_s.get(subjects.one[0].key)
        return refused_s is not None and self._clock.now_s() - refused_s < REMEMBERED_S

    def _remember(self, subjects: _Subjects) -> None:
        """Note that these were refused, unless a refusal is remembered already."""
        if self._is_remembered(subjects):
            return
        if len(self._refused_s) >= MOST_KNOWN:
            self._refused_s.clear()
        self._refused_s[subjects.one[0].key] = self._clock.now_s()

    def _full_for_s(self, subjects: _Subjects, decisions: Sequence[Decision]) -> float:
        if not self._is_remembered(subjects):
            return 0.0
        told = zip(decisions, subjects.one, strict=True)
        return max(gcra.full_for_s(decision.state, asked.bounds, asked.spend) for decision, asked in told)

    def _asked(self, subjects: _Subjects, operation: str, units: float) -> list[Charge]:
        spend = gcra.micro(self._costs.get(operation, 1.0) * units)
        return [each._replace(spend=spend) for each in subjects.one]

    def _subjects(self, principal: Principal, operation: str, address: str) -> _Subjects:
        overrides = self._overrides(principal.tenant)
        asked = (principal.tenant, principal.subject, operation, address)
        known = self._known.get(asked)
        if known is None or not (known.overrides is overrides or known.overrides == overrides):
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[asked] = self._subjects_of(principal, operation, address, overrides)
        return known

    def _subjects_of(
        self, principal: Principal, operation: str, address: str, overrides: LimitOverrides
    ) -> _Subjects:
        """Return all who are charged: the tenant, and whom the tenant's limit does not always stop first.

        Whatever a key spends the tenant spends too, so a key whose limit is nowhere below the tenant's never
        decides; with limits as they come that is every one, and one subject costs a third of three.

        All keys of a tenant share the part in braces, so they lie together on a cluster of Redis. An address
        is therefore counted within each tenant.
        """
        tenant = principal.tenant
        whole = overrides.tenant or self._tenant
        parts = [
            ("key", _key(tenant, f"by:{principal.subject}"), overrides.key or self._key),
            ("address", _key(tenant, f"from:{_network(address)}"), self._address),
        ]
        own = overrides.operations.get(operation) or self._operations.get(operation)
        if own is not None:
            parts.append((f"operation-{operation}", _key(tenant, f"operation:{operation}"), own))
        subjects = [("tenant", _key(tenant, "tenant"), whole)]
        subjects += [part for part in parts if _may_stop_first(part[2], whole)]
        cost = self._costs.get(operation, 1.0)
        return _Subjects(
            overrides,
            [(name, limit) for name, _, limit in subjects],
            [gcra.ask(key, limit, cost) for _, key, limit in subjects],
            ", ".join(f'"{name}";q={_quota(limit)};w=60' for name, _, limit in subjects),
        )

    async def _decide(self, charges: Sequence[Charge]) -> list[Decision]:
        if self._thread is not None:
            return (await self._queue.submit([charges]))[0]
        if not self._away or self._breaker.allows():
            try:
                return self._answered(self._store.charge([charges]))[0]
            except UnavailableError:
                self._failed_to_answer()
        return self._alone.charge([charges])[0]

    async def _charged_in_thread(self, requests: list[Sequence[Charge]]) -> list[list[Decision]]:
        if not self._away or self._breaker.allows():
            asked = asyncio.get_running_loop().run_in_executor(self._thread, self._store.charge, requests)
            try:
                return self._answered(await asyncio.wait_for(asked, WAIT_S))
            except (UnavailableError, TimeoutError):
                self._failed_to_answer()
        return self._alone.charge(requests)

    def _answered(self, decided: list[list[Decision]]) -> list[list[Decision]]:
        if self._away:
            self._alone.close()
            self._breaker.succeeded()
            self._away = False
        return decided

    def _failed_to_answer(self) -> None:
        self._away = True
        self._breaker.failed()

    def _blocked_for_s(self, address: str) -> float:
        until_s = self._blocked_until_s.get(_network(address)) if self._blocked_until_s else None
        return 0.0 if until_s is None else max(0.0, until_s - self._clock.now_s())


def headers(allowance: Allowance) -> dict[str, str]:
    """Return the HTTP headers that tell how the limits stand.

    ``RateLimit-Policy`` and ``RateLimit`` name every subject: ``q`` units are to be had at once or by waiting
    ``w`` seconds, ``r`` of them now, and in ``t`` seconds all are back.

    Source: draft-ietf-httpapi-ratelimit-headers-11.
    """
    states = [
        f'"{name}";r={int(decision.remaining)};t={math.ceil(decision.reset_s)}'
        for name, _, decision in allowance.standings
    ]
    return {"RateLimit-Policy": allowance.policy, "RateLimit": ", ".join(states)}


def _refusal(allowance: Allowance, cost: float) -> RateLimitedError | InvalidValueError:
    """Return the error of a request for which not all had room: that of who has room last."""
    last = max(allowance.standings, key=lambda standing: standing.decision.retry_after_s)
    limit, wait_s = last.limit, last.decision.retry_after_s
    if math.isinf(wait_s):
        most = min(limit.burst, limit.per_hour, limit.per_day)
        return InvalidValueError(
            f"The request costs {cost:g} units, and the limit of the {last.name} never allows more than "
            f"{most:g} at once: send fewer items in it."
        )
    rates = {"minute": limit.per_minute, "hour": limit.per_hour, "day": limit.per_day}
    window = last.decision.window
    return RateLimitedError(
        f"The limit of the {last.name} ({rates[window]:g} units a {window}) is used up: "
        f"send again in {math.ceil(wait_s)} s.",
        wait_s,
        headers(allowance),
    )


def _limit(rate: RateSettings) -> RateLimit:
    return RateLimit(rate.per_minute, rate.per_hour, rate.per_day, rate.burst)


def _may_stop_first(part: RateLimit, whole: RateLimit) -> bool:
    return (
        part.per_minute < whole.per_minute
        or part.burst < whole.burst
        or part.per_hour < whole.per_hour
        or part.per_day < whole.per_day
    )


def _quota(limit: RateLimit) -> int:
    return int(max(limit.per_minute, limit.burst))


def _key(tenant: TenantId, subject: str) -> str:
    return f"limit:{{{tenant}}}:{subject}"


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """Return what an address counts as: of IPv6 its /64, the least that one customer is given."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
