"""Key-value store on Redis: shared by all nodes of a cluster. Standalone, sentinel or cluster.

Invariant: a swap is one Lua script on one key, so it is atomic whoever else writes. Limits are charged by one
script too, and by the server's own clock: those of the replicas do not matter.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from configs.errors import ConfigError
from data.errors import StoreUnavailableError
from data.grouping import places_by
from data.limits import gcra
from data.ports import Clock

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
# The arithmetic of data.limits.gcra, in the same order on the same doubles. KEYS: those of all requests, one
# after another. ARGV[1]: the moment, or nothing for the server's own. ARGV[2…]: a request each, five numbers
# a key. Answers the moment and what each key held before its request, from which the caller decides likewise.
_CHARGE = f"""
local HOUR, DAY, BEHIND = {gcra.HOUR_US:.0f}, {gcra.DAY_US:.0f}, {gcra.BEHIND_US:.0f}
local floor, max = math.floor, math.max
local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
else now = struct.unpack('>d', ARGV[1]) end
local answer, first = {{struct.pack('>d', now)}}, 0
for request = 2, #ARGV do
  local count, room, after = #ARGV[request] / 40, true, {{}}
  local held = count > 0 and redis.call('MGET', unpack(KEYS, first + 1, first + count)) or {{}}
  for i = 1, count do
    local level, at, hour, day = 0, 0, 0, 0
    if held[i] then level, at, hour, day = struct.unpack('>dddd', held[i]) end
    local spend, rate, burst, hours, days = struct.unpack('>ddddd', ARGV[request], i * 40 - 39)
    if now <= at then
      if at - now > BEHIND then at = now end
    else
      level = max(0, level - floor((now - at) * rate))
      if floor(now / HOUR) ~= floor(at / HOUR) then hour = 0 end
      if floor(now / DAY) ~= floor(at / DAY) then day = 0 end
      at = now
    end
    if level + spend > burst or hour + spend > hours or day + spend > days then room = false end
    after[i] = {{level + spend, at, hour + spend, day + spend, rate}}
    answer[#answer + 1] = held[i] or ''
  end
  for i = 1, room and count or 0 do
    local level, at, hour, day, rate = unpack(after[i])
    local life = max(at + level / rate, (floor(at / DAY) + 1) * DAY) - now
    redis.call('SET', KEYS[first + i], struct.pack('>dddd', level, at, hour, day),
      'PX', string.format('%.0f', max(1, math.ceil(life / 1000))))
  end
  first = first + count
end
return answer
"""
_MOMENT = struct.Struct(">d")
_CHARGED = struct.Struct(">ddddd")
_SPECIAL = re.compile(r"([*?\[\]^\\-])")

Result = TypeVar("Result")


class RedisStore:
    """Values under a key prefix of a Redis. Safe in several threads, processes and nodes.

    ``client`` is a redis-py client without response decoding; :func:`connect` makes one from an address.
    Limits go by ``clock`` where one is given, else by the server's.
    """

    def __init__(self, client: Any, *, prefix: str = "kite:", clock: Clock | None = None) -> None:
        import redis
        import redis.cluster

        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._client = client
        self._prefix = prefix
        self._clock = clock
        self._slotted = isinstance(client, redis.cluster.RedisCluster)
        # By its hash, and whole where the server does not know it yet.
        self._charge: Any = client.register_script(_CHARGE)

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

    def charge(self, requests: Sequence[Sequence[gcra.Charge]]) -> list[list[gcra.Decision]]:
        """Charge, a request, all of its subjects or none; one decision a charge.

        One round trip for all, on a cluster one for each part of keys in braces: a script there may only
        touch keys that lie together.
        """
        parts = places_by(_braced(charges) if self._slotted else "" for charges in requests)
        decided: dict[int, list[gcra.Decision]] = {}
        for places in parts.values():
            together = [requests[place] for place in places]
            decided.update(zip(places, self._charged(together), strict=True))
        return [decided[place] for place in range(len(requests))]

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

    def _charged(self, requests: Sequence[Sequence[gcra.Charge]]) -> list[list[gcra.Decision]]:
        moment = b"" if self._clock is None else _MOMENT.pack(gcra.micros_of(self._clock.now_s()))
        names = [self._name(asked.key) for charges in requests for asked in charges]
        packed = [
            b"".join(_CHARGED.pack(asked.spend, *asked.bounds) for asked in charges) for charges in requests
        ]
        answer = iter(self._run(lambda: self._charge(names, [moment, *packed])))
        (now_us,) = _MOMENT.unpack(next(answer))
        return [
            gcra.decide(charges, [gcra.unpack(next(answer)) for _ in charges], now_us) for charges in requests
        ]

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


def _braced(charges: Sequence[gcra.Charge]) -> str:
    """Return the part in braces of a request's keys: a cluster keeps together what shares it."""
    return charges[0].key.partition("{")[2].partition("}")[0] if charges else ""


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
