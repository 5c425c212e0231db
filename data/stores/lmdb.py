"""Key-value store on LMDB: shared by all processes of one machine, one memory-mapped file, no server.

The default for caches, sessions and rate windows. Invariant: a swap is one write transaction, and LMDB has
one writer at a time across processes. A crash of the machine may cost the last writes (no fsync a write),
never consistency.
"""

from __future__ import annotations

import hashlib
import math
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from data.errors import StoreUnavailableError
from data.limits import gcra
from data.ports import Clock

#: Longest key LMDB takes, bytes.
MAX_KEY_BYTES = 511
#: How much of a longer key stays readable, bytes: prefixes up to this length are found without reading more.
KEPT_KEY_BYTES = 440
#: The file grows up to this size, then the oldest values make room, bytes.
DEFAULT_MAX_BYTES = 1 << 30
#: Values dropped in one transaction: few, because a full map has few free pages to write with.
EVICT_ROWS = 256

#: When it expires (seconds since the epoch, infinity: never), when it was written, and the length of the
#: full key.
_HEAD = struct.Struct(">ddI")

Result = TypeVar("Result")


class LmdbStore:
    """Values in one LMDB environment. Open the folder once a process; safe in several threads and processes.

    Raises:
        StoreUnavailableError: the folder cannot be opened.
    """

    def __init__(
        self, folder: Path, clock: Clock, *, max_bytes: int = DEFAULT_MAX_BYTES, first_bytes: int = 1 << 26
    ) -> None:
        import lmdb

        self._lmdb: Any = lmdb
        self._clock = clock
        self._max_bytes = max_bytes
        # LMDB forbids changing the map's size while a transaction of this process runs.
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._env: Any = self._open(folder, min(first_bytes, max_bytes))

    def _open(self, folder: Path, size: int) -> Any:
        while True:
            try:
                return self._lmdb.open(str(folder), map_size=size, sync=False, max_readers=1024)
            except self._lmdb.MapResizedError as exc:
                # Another process lets the file grow at this very moment: ask for more than it has now.
                if size >= self._max_bytes:
                    raise StoreUnavailableError(f"The store {folder} is larger than its limit.") from exc
                size = min(size * 2, self._max_bytes)
            except self._lmdb.Error as exc:
                raise StoreUnavailableError(f"The store {folder} cannot be opened: {exc}.") from exc

    def get(self, key: str) -> bytes | None:
        """Return the value, or ``None`` when absent or expired."""
        return self._run(lambda txn: self._value(txn, key), write=False)

    def put(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store a value, for ``ttl_s`` seconds when given.

        Raises:
            StoreUnavailableError: the value is larger than the store may become.
        """
        self._run(lambda txn: self._write(txn, key, value, ttl_s))

    def swap(self, key: str, expected: bytes | None, value: bytes, *, ttl_s: float | None = None) -> bool:
        """Store ``value`` only if the present value is ``expected``; return whether it did."""

        def change(txn: Any) -> bool:
            if self._value(txn, key) != expected:
                return False
            self._write(txn, key, value, ttl_s)
            return True

        return self._run(change)

    def delete(self, key: str) -> bool:
        """Remove a key; return whether it was there."""

        def change(txn: Any) -> bool:
            there = self._value(txn, key) is not None
            txn.delete(_stored_key(key))
            return there

        return self._run(change)

    def charge(self, requests: Sequence[Sequence[gcra.Charge]]) -> list[list[gcra.Decision]]:
        """Charge, a request, all of its subjects or none; one decision a charge."""
        return self._run(lambda txn: self._charge(txn, requests))

    def scan(self, prefix: str) -> list[tuple[str, bytes]]:
        """Return the live keys under a prefix with their values, in key order."""
        now_s = self._clock.now_s()
        found = self._run(lambda txn: list(_under(txn, prefix)), write=False)
        return sorted((key, value) for key, expires_s, value in found if expires_s > now_s)

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the store does not answer."""
        self._run(lambda txn: txn.stat(), write=False)

    def close(self) -> None:
        """Close the environment; the values stay for the next who opens it."""
        with self._lock:
            self._env.sync(force=True)
            self._env.close()

    def _charge(self, txn: Any, requests: Sequence[Sequence[gcra.Charge]]) -> list[list[gcra.Decision]]:
        # The time is read under the lock that all writers share, so that it goes on from charge to charge.
        now_us = gcra.micros_of(self._clock.now_s())
        decided = []
        for charges in requests:
            names = [_stored_key(asked.key) for asked in charges]
            states = [_state(txn.get(name), now_us) for name in names]
            decisions = gcra.decide(charges, states, now_us)
            if all(decision.allowed for decision in decisions):
                for name, asked, (_, state, *_) in zip(names, charges, decisions, strict=True):
                    whole = asked.key.encode("utf-8", "surrogatepass")
                    ends_s = gcra.ends_us(state, asked.bounds) / gcra.MICRO
                    head = _HEAD.pack(ends_s, now_us / gcra.MICRO, len(whole))
                    txn.put(name, head + whole + gcra.pack(state))
            decided.append(decisions)
        return decided

    def _value(self, txn: Any, key: str) -> bytes | None:
        record = txn.get(_stored_key(key))
        if record is None:
            return None
        expires_s, _, size = _HEAD.unpack_from(record)
        return bytes(record[_HEAD.size + size :]) if expires_s > self._clock.now_s() else None

    def _write(self, txn: Any, key: str, value: bytes, ttl_s: float | None) -> None:
        now_s, whole = self._clock.now_s(), key.encode("utf-8", "surrogatepass")
        expires_s = math.inf if ttl_s is None else now_s + ttl_s
        txn.put(_stored_key(key), _HEAD.pack(expires_s, now_s, len(whole)) + whole + value)

    def _run(self, work: Callable[[Any], Result], *, write: bool = True) -> Result:
        """Run ``work`` in a transaction, growing the map or making room as often as that helps."""
        with self._lock:
            try:
                while True:
                    try:
                        with self._env.begin(write=write) as txn:
                            return work(txn)
                    except self._lmdb.MapResizedError:
                        # Another process let the file grow: follow it.
                        self._env.set_mapsize(0)
                    except self._lmdb.MapFullError:
                        self._make_room()
            except self._lmdb.Error as exc:
                raise StoreUnavailableError(f"The store cannot be used: {exc}.") from exc

    def _make_room(self) -> None:
        size = self._env.info()["map_size"]
        if size < self._max_bytes:
            self._env.set_mapsize(min(size * 2, self._max_bytes))
        elif not self._evict():
            raise StoreUnavailableError("The value is larger than the store may become: raise its limit.")

    def _evict(self) -> bool:
        """Drop what has expired and, after that, the oldest quarter; return whether anything could go."""
        now_s = self._clock.now_s()
        with self._env.begin() as txn:
            ages = [(*_HEAD.unpack_from(record)[:2], bytes(key)) for key, record in txn.cursor()]
        # Expired first, then by age; a quarter at once, so that a full store does not do this at every write.
        order = [
            key for _, _, key in sorted((expires > now_s, written, key) for expires, written, key in ages)
        ]
        expired = sum(expires <= now_s for expires, _, _ in ages)
        going = order[: max(expired, -(-len(order) // 4))]
        for first in range(0, len(going), EVICT_ROWS):
            self._drop(going[first : first + EVICT_ROWS])
        return bool(going)

    def _drop(self, keys: list[bytes]) -> None:
        try:
            with self._env.begin(write=True) as txn:
                for key in keys:
                    txn.delete(key)
        except self._lmdb.MapFullError:
            # Even deleting needs free pages. A cache may be emptied; that needs almost none.
            with self._env.begin(write=True) as txn:
                txn.drop(self._env.open_db(), delete=False)


def _stored_key(key: str) -> bytes:
    """Return the key as LMDB gets it: never empty, and a long one cut and closed with its SHA-256."""
    whole = b"k" + key.encode("utf-8", "surrogatepass")
    if len(whole) <= MAX_KEY_BYTES:
        return whole
    return whole[:KEPT_KEY_BYTES] + hashlib.sha256(whole).hexdigest().encode()


def _state(record: bytes | None, now_us: float) -> gcra.State:
    """Return the state of limits in a stored value, if it is there and lives."""
    if record is None or _HEAD.unpack_from(record)[0] * gcra.MICRO <= now_us:
        return gcra.EMPTY
    return gcra.unpack(record[-gcra.STATE_BYTES :])


def _under(txn: Any, prefix: str) -> Iterator[tuple[str, float, bytes]]:
    """Yield key, expiry and value of what lies under a prefix."""
    start = (b"k" + prefix.encode("utf-8", "surrogatepass"))[:KEPT_KEY_BYTES]
    cursor = txn.cursor()
    if not cursor.set_range(start):
        return
    for key, record in cursor:
        if not key.startswith(start):
            return
        expires_s, _, size = _HEAD.unpack_from(record)
        whole = record[_HEAD.size : _HEAD.size + size].decode("utf-8", "surrogatepass")
        if whole.startswith(prefix):
            yield whole, expires_s, bytes(record[_HEAD.size + size :])
