"""A store whose every call is a span, where somebody records. Put around another by ``cluster.wiring``."""

from __future__ import annotations

from collections.abc import Sequence

from data.limits.gcra import Charge, Decision
from data.ports import KeyValueStore
from data.tracing import database, span


class TracedStore:
    """``KeyValueStore`` over another one; ``system`` says which that is: ``lmdb`` or ``redis``."""

    def __init__(self, inner: KeyValueStore, system: str) -> None:
        self._inner = inner
        operations = ("get", "put", "swap", "delete", "charge", "scan")
        self._told = {name: (f"{system} {name}", database(system, name)) for name in operations}

    def get(self, key: str) -> bytes | None:
        """Return the value, or ``None`` when absent or expired."""
        with span(*self._told["get"]) as telling:
            found = self._inner.get(key)
            telling.note("kite.found", found is not None)
            return found

    def put(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store a value, for ``ttl_s`` seconds when given."""
        with span(*self._told["put"]):
            self._inner.put(key, value, ttl_s=ttl_s)

    def swap(self, key: str, expected: bytes | None, value: bytes, *, ttl_s: float | None = None) -> bool:
        """Store ``value`` only if the present value is ``expected``; return whether it did."""
        with span(*self._told["swap"]):
            return self._inner.swap(key, expected, value, ttl_s=ttl_s)

    def delete(self, key: str) -> bool:
        """Remove a key; return whether it was there."""
        with span(*self._told["delete"]):
            return self._inner.delete(key)

    def charge(self, requests: Sequence[Sequence[Charge]]) -> list[list[Decision]]:
        """Charge, a request, all of its subjects or none."""
        with span(*self._told["charge"]):
            return self._inner.charge(requests)

    def scan(self, prefix: str) -> list[tuple[str, bytes]]:
        """Return the live keys under a prefix with their values, in key order."""
        with span(*self._told["scan"]):
            return self._inner.scan(prefix)

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the store does not answer."""
        self._inner.ping()
