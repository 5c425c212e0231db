"""The health of every part, asked together and remembered for a moment.

``GET /health`` and ``/health/ready`` read one report; probes run at most once in ``FRESH_S``, however often
and by whomever they are called, so a health check cannot become the load.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from data.ports import Clock
from deployments.breaker import CircuitBreaker
from deployments.services import HealthReport, ServiceState

#: Seconds for which a report is handed out again.
FRESH_S = 1.0
#: Seconds a part may take to answer before it counts as down.
PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Probe:
    """How to ask one part; it raises when the part is not well, and may tell how it stands in a few words.

    Without a ``required`` part nothing is answered.
    """

    ask: Callable[[], Awaitable[str | None]]
    required: bool = False


class HealthBoard:
    """Asks the probes and keeps the last report."""

    def __init__(
        self, probes: Mapping[str, Probe], breakers: Mapping[str, CircuitBreaker], clock: Clock
    ) -> None:
        self._probes = dict(probes)
        self._breakers = breakers
        self._clock = clock
        self._asking = asyncio.Lock()
        self._last: tuple[float, HealthReport] | None = None

    async def report(self) -> HealthReport:
        """Return the state of every part by name."""
        async with self._asking:
            now_s = self._clock.now_s()
            if self._last is None or now_s - self._last[0] >= FRESH_S:
                self._last = (now_s, await self._ask_all())
            return self._last[1]

    async def _ask_all(self) -> HealthReport:
        names = sorted(self._probes)
        states = await asyncio.gather(*(self._state(name) for name in names))
        required = frozenset(name for name in names if self._probes[name].required)
        return HealthReport(dict(zip(names, states, strict=True)), required)

    async def _state(self, name: str) -> ServiceState:
        breaker = self._breakers[name].state if name in self._breakers else None
        started = time.perf_counter()
        try:
            detail = await asyncio.wait_for(self._probes[name].ask(), PROBE_TIMEOUT_S)
        except Exception as exc:  # whatever is wrong with a part, the report says so
            wrong = "no answer in time" if isinstance(exc, TimeoutError) else "not available"
            return ServiceState("down", None, breaker, wrong)
        latency_ms = round((time.perf_counter() - started) * 1000.0, 3)
        return ServiceState("up" if breaker in (None, "closed") else "degraded", latency_ms, breaker, detail)
