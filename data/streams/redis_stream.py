"""A stream of claims on Redis streams: a consumer group reads, verdicts are added to another stream.

Invariant: one script acknowledges an entry and adds its verdict, and adds nothing where the entry had been
acknowledged, so a verdict goes out once, whoever dies and however often an entry was taken over. It is as
durable as its Redis: see ``data.queue.redis_queue``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from data.errors import StoreUnavailableError
from data.streams.ports import Entry, Settled, StreamNames

Result = TypeVar("Result")

#: KEYS: the streams of claims, of verdicts, of dead entries. ARGV: the group; then for each entry its id, its
#: key, whether it is a verdict, the verdict or the reason, and the body of a dead entry.
_SETTLE = """
local answer = {}
for i = 2, #ARGV, 5 do
  local id, key, good, said, body = unpack(ARGV, i, i + 4)
  local mine = redis.call('XACK', KEYS[1], ARGV[1], id)
  if mine == 1 and good == '1' then redis.call('XADD', KEYS[2], '*', 'id', id, 'key', key, 'verdict', said)
  elseif mine == 1 then
    redis.call('XADD', KEYS[3], '*', 'id', id, 'key', key, 'reason', said, 'body', body)
  end
  answer[#answer + 1] = mine
end
return answer
"""
#: The fields of an entry: the request, or the claim alone, and the sender's name for it.
_BODY, _CLAIM, _KEY = b"body", b"claim", b"key"


class RedisClaimStream:
    """A ``ClaimStream`` for the consumer ``name`` of a group, which is made where there is none.

    ``client`` is a redis-py client without response decoding. An entry that a consumer took and did not
    settle for ``idle_s`` is taken over. No more than ``most_verdicts`` wait for their readers.
    """

    def __init__(
        self,
        client: Any,
        names: StreamNames,
        *,
        name: str,
        idle_s: float = 60.0,
        most_verdicts: int = 100_000,
    ) -> None:
        import redis

        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._refused: type[Exception] = redis.ResponseError
        self._client = client
        self._names = names
        self._name = name
        self._idle_ms = round(idle_s * 1000)
        self._most = most_verdicts
        self._settle: Any = client.register_script(_SETTLE)
        self._cursor: bytes | str = "0-0"

    def read(self, limit: int, *, wait_s: float) -> list[Entry]:
        """Return entries, abandoned ones first."""
        taken = self._guarded(lambda: self._take_over(limit))
        if taken:
            return taken
        wait_ms = max(1, round(wait_s * 1000))
        found = self._guarded(
            lambda: self._client.xreadgroup(
                self._names.group, self._name, {self._names.claims: ">"}, count=limit, block=wait_ms
            )
        )
        return [_entry(row, 1) for _, rows in found or () for row in rows]

    def settle(self, settled: Sequence[Settled]) -> list[bool]:
        """Acknowledge entries and add what they came to, in one script."""
        if not settled:
            return []
        words: list[object] = [self._names.group]
        for each in settled:
            entry, good = each.entry, each.verdict is not None
            said = each.verdict if each.verdict is not None else each.reason
            words += (entry.id, entry.key, int(good), said, b"" if good else entry.body)
        keys = [self._names.claims, self._names.verdicts, self._names.dead]
        return [bool(mine) for mine in self._guarded(lambda: self._settle(keys, words))]

    def room(self) -> int:
        """Return how many more verdicts may be added."""
        return max(0, self._most - int(self._guarded(lambda: self._client.xlen(self._names.verdicts))))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _take_over(self, limit: int) -> list[Entry]:
        names = self._names
        answer = self._client.xautoclaim(
            names.claims, names.group, self._name, self._idle_ms, start_id=self._cursor, count=limit
        )
        self._cursor, rows = answer[0], [row for row in answer[1] if row[1]]
        if not rows:
            return []
        told = self._client.xpending_range(
            names.claims, names.group, rows[0][0], rows[-1][0], len(rows) * 4, consumername=self._name
        )
        deliveries = {each["message_id"]: each["times_delivered"] for each in told}
        return [_entry(row, deliveries.get(row[0], 2)) for row in rows]

    def _guarded(self, work: Callable[[], Result]) -> Result:
        try:
            try:
                return work()
            except self._refused as exc:
                if not str(exc).startswith("NOGROUP"):
                    raise
                self._make_group()
                return work()
        except self._errors as exc:
            raise StoreUnavailableError(
                f"The Redis of the stream cannot be used ({type(exc).__name__}): check it and retry."
            ) from exc

    def _make_group(self) -> None:
        """Make the group, which reads what was in the stream before it too."""
        try:
            self._client.xgroup_create(self._names.claims, self._names.group, id="0", mkstream=True)
        except self._refused as exc:
            if not str(exc).startswith("BUSYGROUP"):
                raise


def _entry(row: tuple[bytes, dict[bytes, bytes]], deliveries: int) -> Entry:
    number, fields = row
    body = fields.get(_BODY, b"")
    if not body and _CLAIM in fields:
        body = _as_body(fields[_CLAIM])
    key = fields.get(_KEY, b"").decode("utf-8", "replace")
    return Entry(number.decode(), body, key, deliveries)


def _as_body(claim: bytes) -> bytes:
    """Return a claim that came alone as the request it stands for; what is not UTF-8 is refused later."""
    import json

    try:
        return json.dumps({"claim": claim.decode("utf-8")}).encode()
    except UnicodeDecodeError:
        return claim
