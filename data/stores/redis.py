"""Key-value store on Redis: shared by all nodes of a cluster. Standalone, sentinel or cluster.

Invariant: a swap is one Lua script on one key, so it is atomic whoever else writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from configs.errors import ConfigError
from data.errors import StoreUnavailableError

#: Longest wait for a connection or an answer, seconds: a slow store must not hold a request.
TIMEOUT_S = 2.0
#: Keys asked for in one round trip while scanning.
PAGE = 500

_SWAP = """
local present = redis.call('GET', KEYS[1])
if (ARGV[1] == '0' and present) or (ARGV[1] == '1' and present ~= ARGV[2]) then return 0 end
if ARGV[4] == '' then redis.call('SET', KEYS[1], ARGV[3])
elseif tonumber(ARGV[4]) > 0 then redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
else redis.call('DEL', KEYS[1]) end
return 1
"""
_SPECIAL = re.compile(r"([*?\[\]^\\-])")

Result = TypeVar("Result")


class RedisStore:
    """Values under a key prefix of a Redis. Safe in several threads, processes and nodes.

    ``client`` is a redis-py client without response decoding; :func:`connect` makes one from an address.
    """

    def __init__(self, client: Any, *, prefix: str = "kite:") -> None:
        import redis

        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._client = client
        self._prefix = prefix

    def get(self, key: str) -> bytes | None:
        """Return the value, or ``None`` when absent or expired."""
        found: bytes | None = self._run(lambda: self._client.get(self._name(key)))
        return found

    def put(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store a value, for ``ttl_s`` seconds when given (to the millisecond)."""
        if ttl_s is not None and ttl_s <= 0:
            self.delete(key)
            return
        life_ms = None if ttl_s is None else max(1, round(ttl_s * 1000))
        self._run(lambda: self._client.set(self._name(key), value, px=life_ms))

    def swap(self, key: str, expected: bytes | None, value: bytes, *, ttl_s: float | None = None) -> bool:
        """Store ``value`` only if the present value is ``expected``; return whether it did."""
        life_ms = "" if ttl_s is None else (max(1, round(ttl_s * 1000)) if ttl_s > 0 else 0)
        known = ("0", b"") if expected is None else ("1", expected)
        return bool(self._run(lambda: self._client.eval(_SWAP, 1, self._name(key), *known, value, life_ms)))

    def delete(self, key: str) -> bool:
        """Remove a key; return whether it was there."""
        return bool(self._run(lambda: self._client.delete(self._name(key))))

    def scan(self, prefix: str) -> list[tuple[str, bytes]]:
        """Return the live keys under a prefix with their values, in key order."""
        return self._run(lambda: self._scanned(prefix))

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when Redis does not answer."""
        self._run(self._client.ping)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _name(self, key: str) -> bytes:
        return (self._prefix + key).encode("utf-8", "surrogatepass")

    def _scanned(self, prefix: str) -> list[tuple[str, bytes]]:
        pattern = _SPECIAL.sub(r"\\\1", self._prefix + prefix) + "*"
        encoded = pattern.encode("utf-8", "surrogatepass")
        names = sorted(set(self._client.scan_iter(match=encoded, count=PAGE)))
        start = len(self._prefix.encode("utf-8", "surrogatepass"))
        found: list[tuple[str, bytes]] = []
        for first in range(0, len(names), PAGE):
            page = names[first : first + PAGE]
            # One GET a key, not MGET: on a cluster the keys of a page lie on different nodes.
            with self._client.pipeline(transaction=False) as pipeline:
                for name in page:
                    pipeline.get(name)
                values = pipeline.execute()
            found += [
                (name[start:].decode("utf-8", "surrogatepass"), value)
                for name, value in zip(page, values, strict=True)
                if value is not None
            ]
        return sorted(found)

    def _run(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except self._errors as exc:
            raise StoreUnavailableError(
                f"Redis does not answer ({type(exc).__name__}): check it and retry."
            ) from exc


def connect(url: str) -> Any:
    """Return a client for an address; nothing is sent yet.

    ``redis://`` and ``rediss://`` (TLS) name one server, ``unix://`` a socket, ``redis+cluster://`` any
    node of a cluster, and ``redis+sentinel://host:port/service`` a sentinel.

    Raises:
        ConfigError: the address has another scheme, or a sentinel's names no service.
    """
    import redis
    import redis.cluster
    import redis.sentinel

    parts = urlsplit(url)
    times = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    if parts.scheme in {"redis", "rediss", "unix"}:
        return redis.Redis.from_url(url, **times)
    if parts.scheme == "redis+cluster":
        return redis.cluster.RedisCluster.from_url(url.replace("redis+cluster", "redis", 1), **times)
    if parts.scheme == "redis+sentinel":
        service = parts.path.strip("/")
        if not service:
            raise ConfigError(
                "A sentinel's address names its service: write redis+sentinel://host:port/name."
            )
        login = {"username": parts.username, "password": parts.password}
        address = (parts.hostname or "localhost", parts.port or 26379)
        sentinels: Any = redis.sentinel.Sentinel
        sentinel = sentinels([address], sentinel_kwargs={**login, **times}, **login, **times)
        return sentinel.master_for(service)
    raise ConfigError(
        "A Redis address begins with redis, rediss, unix, redis+cluster or redis+sentinel, "
        f"not {parts.scheme!r}."
    )
