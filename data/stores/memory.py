"""Key-value store in this process: for tests and for a single process that needs no sharing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from data.limits import gcra
from data.ports import Clock


class MemoryStore:
    """Values in a dict. Safe in several threads; gone with the process.

    With ``max_values`` those written first make room.
    """

    def __init__(self, clock: Clock, *, max_values: int | None = None) -> None:
        self._clock = clock
        self._max_values = max_values
        self._lock = threading.Lock()
        self._values: dict[str, tuple[float | None, bytes]] = {}

    def get(self, key: str) -> bytes | None:
        """Return the value, or ``None`` when absent or expired."""
        with self._lock:
            return self._live(key)

    def put(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store a value, for ``ttl_s`` seconds when given."""
        self._change(key, lambda _: value, ttl_s)

    def swap(self, key: str, expected: bytes | None, value: bytes, *, ttl_s: float | None = None) -> bool:
        """Store ``value`` only if the present value is ``expected``; return whether it did."""
        return self._change(key, lambda present: value if present == expected else None, ttl_s)

    def delete(self, key: str) -> bool:
        """Remove a key; return whether it was there."""
        with self._lock:
            there = self._live(key) is not None
            self._values.pop(key, None)
            return there

    def charge(self, requests: Sequence[Sequence[gcra.Charge]]) -> list[list[gcra.Decision]]:
        """Charge, a request, all of its subjects or none; one decision a charge."""
        with self._lock:
            now_us = gcra.micros_of(self._clock.now_s())
            return [self._charge(charges, now_us) for charges in requests]

    def scan(self, prefix: str) -> list[tuple[str, bytes]]:
        """Return the live keys under a prefix with their values, in key order."""
        with self._lock:
            found = [(key, self._live(key)) for key in sorted(self._values) if key.startswith(prefix)]
            return [(key, value) for key, value in found if value is not None]

    def ping(self) -> None:
        """Raise nothing: memory always answers."""

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    def _charge(self, charges: Sequence[gcra.Charge], now_us: float) -> list[gcra.Decision]:
        states = [gcra.unpack(self._live(asked.key)) for asked in charges]
        decisions = gcra.decide(charges, states, now_us)
        if all(decision.allowed for decision in decisions):
            for asked, decision in zip(charges, decisions, strict=True):
                ttl_s = (gcra.ends_us(decision.state, asked.bounds) - now_us) / gcra.MICRO
                self._keep(asked.key, gcra.pack(decision.state), ttl_s)
        return decisions

    def _live(self, key: str) -> bytes | None:
        expires_s, value = self._values.get(key, (None, None))
        if value is not None and expires_s is not None and expires_s <= self._clock.now_s():
            del self._values[key]
            return None
        return value

    def _change(self, key: str, decide: Callable[[bytes | None], bytes | None], ttl_s: float | None) -> bool:
        with self._lock:
            value = decide(self._live(key))
            if value is not None:
                self._keep(key, bytes(value), ttl_s)
            return value is not None

    def _keep(self, key: str, value: bytes, ttl_s: float | None) -> None:
        if self._max_values is not None and key not in self._values and len(self._values) >= self._max_values:
            del self._values[next(iter(self._values))]
        self._values[key] = (None if ttl_s is None else self._clock.now_s() + ttl_s, value)
