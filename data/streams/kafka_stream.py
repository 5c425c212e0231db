"""A stream of claims on Kafka: a consumer group reads one topic, verdicts and refusals go out to two others.

Invariant: what entries came to goes out in one Kafka transaction with the group's offsets and the notes of
``data.streams.kafka_progress``. A transaction is fenced by the generation in which its partitions were
assigned, so of all consumers that work on an entry one settles it, and whoever reads committed records finds
one verdict an entry. Before entries are given out it is noted, so those that kill their consumers are found.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from data.errors import ConfigError, StoreUnavailableError
from data.streams.kafka_lag import ReadersLag
from data.streams.kafka_progress import Progress, after
from data.streams.ports import Entry, Settled, StreamNames

_LOG = logging.getLogger(__name__)
#: Seconds that one call to the broker may take, and after which a broker ends a transaction that nobody ends.
CALL_S, TRANSACTION_S = 10.0, 10
#: A broker takes no shorter time than the first (``group.min.session.timeout.ms``); longer than the second
#: nobody waits for a consumer that died.
_SHORTEST_SESSION_S, _LONGEST_SESSION_S = 6.0, 45.0
#: The first wait before an entry is tried again; each further one is twice as long.
_FIRST_WAIT_S = 2.0
#: An entry that was refused so often was so on its own, not for others of its batch.
_ALONE = 2


@dataclass(frozen=True, slots=True)
class KafkaBounds:
    """Entries that a consumer holds for ``idle_s`` go to others; so long it waits at most before a retry.

    No more than ``most_verdicts`` wait for the group ``readers``; where none is named nobody is waited for.
    """

    idle_s: float = 60.0
    most_verdicts: int = 100_000
    readers: str | None = None


@dataclass(frozen=True, slots=True)
class _Fetched:
    partition: int
    offset: int
    key: bytes
    body: bytes


class KafkaClaimStream:
    """A ``ClaimStream`` for the consumer ``name`` of a group.

    Raises:
        ConfigError: confluent-kafka is not installed, or knows no such property.
    """

    def __init__(
        self, properties: Mapping[str, str], names: StreamNames, *, name: str, bounds: KafkaBounds
    ) -> None:
        self._kafka = _library()
        self._names = names
        self._bounds = bounds
        self._shared = {**properties, "client.id": f"kite-{name}"}
        self._producing = {
            **self._shared,
            "transactional.id": f"{names.group}-{name}",
            "transaction.timeout.ms": TRANSACTION_S * 1000,
        }
        self._producer: Any = None
        self._parts: dict[int, Progress | None] = {}
        self._membership: Any = None
        self._waiting: deque[_Fetched] = deque()
        self._given: list[_Fetched] = []
        self._left: dict[tuple[int, int], tuple[float, _Fetched]] = {}
        self._refused: dict[str, int] = {}
        self._sent: set[str] = set()
        self._is_paused: bool | None = None
        try:
            self._consumer = self._kafka.Consumer(
                {**self._shared, **_consuming(names.group, bounds.idle_s)}, logger=_LOG
            )
        except self._kafka.KafkaException as exc:
            raise ConfigError(f"queue.stream.url: Kafka's client refuses a property ({_text(exc)}).") from exc
        self._lag = ReadersLag(self._kafka, self._shared, names.verdicts, bounds.readers or "")
        self._consumer.subscribe(
            [names.claims], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def read(self, limit: int, *, wait_s: float) -> list[Entry]:
        """Return entries: those to be tried again first, and alone those that another consumer had taken."""
        with self._guarded():
            self._leave_given()
            chosen = self._pick(limit, 0.0) or self._pick(limit, wait_s)
            self._note(chosen)
        self._given = chosen
        return [self._entry(each) for each in chosen]

    def settle(self, settled: Sequence[Settled]) -> list[bool]:
        """Send out what entries came to, with the offsets, in one transaction."""
        if not settled:
            return []
        with self._guarded():
            self._prepare()
            fresh = [each for each in settled if self._is_open(_spot(each.entry))]
            # A batch that is too large for the broker is refused whole: then they go one by one.
            groups = [[each] for each in fresh] if self._refused else [fresh]
            all(self._send(group) for group in groups if group)
            told = [each.entry.id in self._sent for each in settled]
            self._sent.clear()
            self._refused.clear()
        return told

    def room(self) -> int:
        """Return how many more verdicts may go out, as far as the readers' committed offsets tell."""
        if self._bounds.readers is None:
            return self._bounds.most_verdicts
        with self._guarded():
            room = max(0, self._bounds.most_verdicts - self._lag.behind())
            if not room:
                self._fetch(0, 0.0)  # a consumer that does not ask is taken for dead
        return room

    def close(self) -> None:
        """Leave the group, so that others have its partitions at once."""
        self._lag.close()
        with self._guarded():
            self._consumer.close()
        self._discard_producer()

    def _assigned(self, consumer: Any, partitions: Sequence[Any]) -> None:
        for each in partitions:
            self._parts[each.partition] = None
        # As it is now: should the group go on without this consumer, the broker refuses what it sends.
        self._membership = consumer.consumer_group_metadata()
        self._is_paused = None  # who knows: these may have been here, paused, before

    def _revoked(self, _: Any, partitions: Sequence[Any]) -> None:
        for each in partitions:
            self._parts.pop(each.partition, None)
        self._waiting = deque(each for each in self._waiting if each.partition in self._parts)
        self._left = {spot: each for spot, each in self._left.items() if spot[0] in self._parts}

    def _leave_given(self) -> None:
        """Put what was given out and not settled aside, to be tried again later."""
        for each in self._given:
            spot = (each.partition, each.offset)
            if self._is_open(spot):
                times = self._known(each.partition).open[each.offset]
                wait_s = min(self._bounds.idle_s, _FIRST_WAIT_S * 2 ** (times - 1))
                self._left[spot] = (time.monotonic() + wait_s, each)
        self._given = []

    def _pick(self, limit: int, wait_s: float) -> list[_Fetched]:
        self._fetch(limit - len(self._waiting), wait_s)
        self._learn()
        return self._due(limit) or self._next(limit)

    def _due(self, limit: int) -> list[_Fetched]:
        now_s = time.monotonic()
        due = [spot for spot, (when_s, _) in self._left.items() if when_s <= now_s][:limit]
        return [self._left.pop(spot)[1] for spot in due]

    def _fetch(self, count: int, wait_s: float) -> None:
        """Ask the broker for entries, for none where ``count`` is 0; partitions come and go meanwhile."""
        self._pause(wanted=count <= 0)
        self._receive(self._consumer.consume(1, wait_s))
        if count > 1:
            # Not before the first is among those waiting: should its partition go and come back in this call,
            # it is read anew, and must not be taken for an entry of the new assignment.
            self._receive(self._consumer.consume(count - 1, 0.0))

    def _receive(self, messages: Sequence[Any]) -> None:
        fault = None
        for message in messages:
            if message.error():
                fault = message.error()
            elif message.partition() in self._parts:
                self._waiting.append(
                    _Fetched(
                        message.partition(), message.offset(), message.key() or b"", message.value() or b""
                    )
                )
        if fault is not None:
            raise self._kafka.KafkaException(fault)

    def _pause(self, *, wanted: bool) -> None:
        if wanted is not self._is_paused:
            (self._consumer.pause if wanted else self._consumer.resume)(self._consumer.assignment())
            self._is_paused = wanted

    def _learn(self) -> None:
        """Fetch what is committed of partitions that are new here."""
        new = [partition for partition, progress in self._parts.items() if progress is None]
        for partition, offset, note in self._committed(new):
            progress = Progress()
            progress.learn(offset, note)
            self._parts[partition] = progress

    def _committed(self, partitions: Sequence[int]) -> list[tuple[int, int, str]]:
        if not partitions:
            return []
        asked = [self._kafka.TopicPartition(self._names.claims, each) for each in partitions]
        told = self._consumer.committed(asked, CALL_S)
        for each in told:
            if each.error is not None:
                raise self._kafka.KafkaException(each.error)
        return [(each.partition, each.offset, each.metadata or "") for each in told]

    def _next(self, limit: int) -> list[_Fetched]:
        chosen: list[_Fetched] = []
        while self._waiting and len(chosen) < limit:
            each = self._waiting[0]
            progress = self._known(each.partition)
            if each.offset not in progress.open and not progress.add(each.offset):
                self._waiting.popleft()
                continue
            is_suspect = progress.is_suspect(each.offset)
            if (is_suspect and chosen) or not (is_suspect or progress.has_room(each.offset)):
                break
            chosen.append(self._waiting.popleft())
            if is_suspect:
                break
        return chosen

    def _note(self, chosen: Sequence[_Fetched]) -> None:
        """Note, before entries are given out, that they are."""
        if not chosen:
            return
        for each in chosen:
            self._known(each.partition).open[each.offset] += 1
        try:
            self._consumer.commit(
                offsets=self._offsets({each.partition: [] for each in chosen}), asynchronous=False
            )
        except self._kafka.KafkaException:
            for each in chosen:
                self._known(each.partition).open[each.offset] -= 1
                self._left[each.partition, each.offset] = (0.0, each)
            raise

    def _offsets(self, settled: Mapping[int, list[int]]) -> list[Any]:
        """Return what to commit of partitions once so much more of them is settled."""
        later = {partition: after(self._known(partition), offsets) for partition, offsets in settled.items()}
        return [
            self._kafka.TopicPartition(self._names.claims, partition, each.low, each.note())
            for partition, each in later.items()
        ]

    def _prepare(self) -> None:
        """Have a producer. A new one ends what the last one began, so what is committed is asked anew."""
        if self._producer is not None:
            return
        producer = self._kafka.Producer(self._producing, logger=_LOG)
        producer.init_transactions(CALL_S)
        for partition, offset, note in self._committed([each for each, p in self._parts.items() if p]):
            self._known(partition).learn(offset, note)
        self._producer = producer

    def _send(self, fresh: Sequence[Settled]) -> bool:
        """Send in one transaction; false where the group has gone on without this consumer."""
        by_partition: dict[int, list[int]] = {}
        for partition, offset in (_spot(each.entry) for each in fresh):
            by_partition.setdefault(partition, []).append(offset)
        try:
            self._producer.begin_transaction()
            for each in fresh:
                self._produce(each)
            self._producer.send_offsets_to_transaction(self._offsets(by_partition), self._membership, CALL_S)
            # Should this fail, they may be sent all the same: the next producer finds out.
            self._sent |= {each.entry.id for each in fresh}
            self._producer.commit_transaction(CALL_S)
        except self._kafka.KafkaException as exc:
            self._discard_producer()
            if exc.args[0].code() not in _fenced(self._kafka):
                raise
            self._parts.clear()
            self._waiting.clear()
            self._left.clear()
            self._sent.difference_update(each.entry.id for each in fresh)
            return False
        for partition, offsets in by_partition.items():
            self._known(partition).settle(offsets)
        self._lag.sent(len(fresh))
        return True

    def _produce(self, each: Settled) -> None:
        """Hand a verdict or refusal to the producer; what the topic does not take is refused for that."""
        entry, times = each.entry, self._refused.get(each.entry.id, 0)
        is_too_large = times >= _ALONE and each.verdict is not None
        verdict, reason = (None if is_too_large else each.verdict), each.reason
        if is_too_large and each.verdict is not None:
            reason = f"Its verdict has {len(each.verdict)} bytes, more than Kafka takes."
        body = entry.body if times <= _ALONE else b""
        headers = {"id": entry.id} if verdict is not None else {"id": entry.id, "reason": reason}

        def told(fault: Any, _: Any) -> None:
            if fault is not None and fault.code() == self._kafka.KafkaError.MSG_SIZE_TOO_LARGE:
                self._refused[entry.id] = times + 1

        try:
            self._producer.produce(
                self._names.verdicts if verdict is not None else self._names.dead,
                key=entry.key or None,
                value=verdict if verdict is not None else body,
                headers=headers,
                on_delivery=told,
            )
        except self._kafka.KafkaException as exc:
            told(exc.args[0], None)
            raise

    def _discard_producer(self) -> None:
        if self._producer is not None:
            self._producer.purge()
        self._producer = None

    def _is_open(self, spot: tuple[int, int]) -> bool:
        progress = self._parts.get(spot[0])
        return progress is not None and spot[1] in progress.open

    def _known(self, partition: int) -> Progress:
        progress = self._parts[partition]
        if progress is None:
            raise StoreUnavailableError(f"Partition {partition} of {self._names.claims} is not known yet.")
        return progress

    def _entry(self, each: _Fetched) -> Entry:
        number = f"{self._names.claims}/{each.partition}/{each.offset}"
        times = self._known(each.partition).open[each.offset]
        return Entry(number, each.body, each.key.decode("utf-8", "replace"), times)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except self._kafka.KafkaException as exc:
            raise StoreUnavailableError(
                f"The Kafka of the stream cannot be used ({_text(exc)}): check it and retry."
            ) from exc


def _consuming(group: str, idle_s: float) -> dict[str, str | int | bool]:
    session_s = min(max(idle_s, _SHORTEST_SESSION_S), _LONGEST_SESSION_S)
    return {
        "group.id": group,
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        # Entries in a consumer's hands stay its own until it asks for more: partitions are handed over whole.
        "partition.assignment.strategy": "range,roundrobin",
        "session.timeout.ms": round(session_s * 1000),
        "max.poll.interval.ms": round(max(session_s, idle_s) * 1000),
        "queued.max.messages.kbytes": 16_384,
    }


def _spot(entry: Entry) -> tuple[int, int]:
    _, partition, offset = entry.id.rsplit("/", 2)
    return int(partition), int(offset)


def _text(exc: Exception) -> str:
    fault = exc.args[0]
    return str(fault.str()) if hasattr(fault, "str") else str(exc)


def _fenced(kafka: Any) -> tuple[int, ...]:
    """Return the errors by which a broker says that a consumer's time is over."""
    error = kafka.KafkaError
    return (error.ILLEGAL_GENERATION, error.UNKNOWN_MEMBER_ID, error.FENCED_INSTANCE_ID)


def _library() -> Any:
    try:
        import confluent_kafka
    except ImportError as exc:
        raise ConfigError(
            "queue.stream.url names a Kafka, whose client is not installed: pip install confluent-kafka."
        ) from exc
    return confluent_kafka
