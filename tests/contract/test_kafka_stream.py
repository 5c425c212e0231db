"""A stream of claims on Kafka, by its real client over a broker of ours: each entry is settled once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from data.errors import StoreUnavailableError
from data.queue.worker import TaskFault
from data.streams import kafka_stream
from data.streams.kafka_address import properties_of, topics_of
from data.streams.kafka_stream import KafkaBounds, KafkaClaimStream
from data.streams.ports import Entry, Settled, StreamNames
from data.streams.worker import StreamWorker, StreamWorkerSettings
from tests.kafka_server import KafkaServer, kafka_server, records_of

NAMES = topics_of(StreamNames())
SETTINGS = StreamWorkerSettings(batch=8, max_deliveries=3, wait_s=0.05)
PARTITIONS = 2
#: Longest wait for what has to happen, on a machine that others use.
PATIENCE_S = 60.0
Open = Callable[..., KafkaClaimStream]


@pytest.fixture
def server() -> Iterator[KafkaServer]:
    with kafka_server(partitions=PARTITIONS, most_bytes=20_000) as running:
        yield running


@pytest.fixture
def open_stream(server: KafkaServer) -> Iterator[Open]:
    opened: list[KafkaClaimStream] = []

    def build(name: str = "one", **bounds: Any) -> KafkaClaimStream:
        address = f"kafka://{server.address}?reconnect.backoff.max.ms=100&heartbeat.interval.ms=200"
        bounds = {"idle_s": 0.05, **bounds}
        opened.append(
            KafkaClaimStream(properties_of(address), NAMES, name=name, bounds=KafkaBounds(**bounds))
        )
        return opened[-1]

    yield build
    for stream in opened:
        stream.close()


def send(server: KafkaServer, count: int, *, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": server.address})
    for n in range(count):
        producer.produce(NAMES.claims, key=f"k{n}", value=f"claim {n}", partition=partition)
    assert producer.flush(PATIENCE_S) == 0


def found(server: KafkaServer, topic: str) -> list[Any]:
    """Return what a reader finds in a topic."""
    return records_of(server, topic, PARTITIONS)


def values(server: KafkaServer, topic: str) -> list[bytes]:
    return sorted(message.value() for message in found(server, topic))


def reads(stream: KafkaClaimStream, limit: int = 8) -> list[Entry]:
    """Read until there is something: a group takes a moment to come together."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        entries = stream.read(limit, wait_s=0.05)
        if entries:
            return entries
    raise AssertionError("nothing came")


def works(worker: StreamWorker, is_over: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not is_over():
        assert time.monotonic() < until_s, worker.tally
        worker.step()


def catch_up(server: KafkaServer) -> None:
    """Commit, as the group "them", all that there is of verdicts."""
    reader = Consumer({"bootstrap.servers": server.address, "group.id": "them"})
    ends = []
    for number in range(PARTITIONS):
        _, end = reader.get_watermark_offsets(TopicPartition(NAMES.verdicts, number), 5.0)
        ends.append(TopicPartition(NAMES.verdicts, number, end))
    reader.commit(offsets=ends, asynchronous=False)
    reader.close()


def upper(entries: Sequence[Entry]) -> list[bytes | TaskFault]:
    return [entry.body.upper() for entry in entries]


def test_kafka_entries_come_in_order_with_their_keys_and_go_out_with_them(
    server: KafkaServer, open_stream: Open
) -> None:
    """What was sent before there was a group is read too; a verdict has the entry's id and key."""
    send(server, 3)
    stream = open_stream()
    read = reads(stream, 2)

    assert [(entry.id, entry.body, entry.key, entry.deliveries) for entry in read] == [
        (f"{NAMES.claims}/0/0", b"claim 0", "k0", 1),
        (f"{NAMES.claims}/0/1", b"claim 1", "k1", 1),
    ]
    assert stream.settle([Settled(read[0], b"yes")]) == [True]
    (verdict,) = found(server, NAMES.verdicts)
    assert (verdict.key(), verdict.value()) == (b"k0", b"yes")
    assert verdict.headers() == [("id", f"{NAMES.claims}/0/0".encode())]


def test_kafka_refused_entry_goes_to_the_dead_with_its_reason_and_body(
    server: KafkaServer, open_stream: Open
) -> None:
    """Whoever mends it has all that is needed."""
    send(server, 1)
    stream = open_stream()
    stream.settle([Settled(entry, None, "No claim: mend it.") for entry in reads(stream)])
    (dead,) = found(server, NAMES.dead)

    assert (dead.key(), dead.value()) == (b"k0", b"claim 0")
    assert dict(dead.headers())["reason"] == b"No claim: mend it."
    assert found(server, NAMES.verdicts) == []


def test_kafka_what_was_settled_is_not_read_again_after_a_consumer_left(
    server: KafkaServer, open_stream: Open
) -> None:
    """The second of three is settled, the first and third are not: those two come again, each alone."""
    send(server, 3)
    one = open_stream("one")
    read = reads(one)
    one.settle([Settled(read[1], b"yes")])
    one.close()
    two = open_stream("two")
    again = [reads(two), reads(two)]
    two.settle([Settled(entry, b"no") for entries in again for entry in entries])

    assert [[(entry.body, entry.deliveries) for entry in entries] for entries in again] == [
        [(b"claim 0", 2)],
        [(b"claim 2", 2)],
    ]
    assert values(server, NAMES.verdicts) == [b"no", b"no", b"yes"]


def test_kafka_consumer_whose_group_went_on_sends_nothing(server: KafkaServer, open_stream: Open) -> None:
    """It hung, the group dropped it, another settled its entries: its transaction is refused and unseen."""
    send(server, 3)
    hung = open_stream("hung")
    assert hung.settle([Settled(reads(hung, 1)[0], b"hung")]) == [True]
    read = reads(hung)
    group = server.groups[NAMES.group]
    with server.changed:
        group.members.clear()
        group.begin(0.0)
    other = open_stream("other")
    taken = [*reads(other), *reads(other)]
    assert other.settle([Settled(entry, b"other") for entry in taken]) == [True, True]

    assert hung.settle([Settled(entry, b"hung") for entry in read]) == [False, False]
    assert values(server, NAMES.verdicts) == [b"hung", b"other", b"other"]


def test_kafka_partitions_are_shared_and_come_back(server: KafkaServer, open_stream: Open) -> None:
    """Two consumers have one each; when one leaves in good order the other goes on with both at once."""
    first, second = open_stream("first"), open_stream("second")
    workers = [StreamWorker(each, upper, SETTINGS) for each in (first, second)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    sent = 0
    until_s = time.monotonic() + PATIENCE_S
    while not all(worker.tally.verdicts for worker in workers) and time.monotonic() < until_s:
        for partition in range(PARTITIONS):
            send(server, 1, partition=partition)
        sent += PARTITIONS
        time.sleep(0.1)
    workers[0].stop()
    threads[0].join(PATIENCE_S)
    left_at = workers[1].tally.verdicts
    for partition in range(PARTITIONS):
        send(server, 2, partition=partition)
    until_s = time.monotonic() + PATIENCE_S
    while workers[1].tally.verdicts < left_at + 4 and time.monotonic() < until_s:
        time.sleep(0.05)
    workers[1].stop()
    threads[1].join(PATIENCE_S)

    assert not any(thread.is_alive() for thread in threads)
    assert min(worker.tally.verdicts for worker in workers) > 0
    ids = [dict(message.headers())["id"] for message in found(server, NAMES.verdicts)]
    assert len(ids) == len(set(ids)) == sent + 4


def test_kafka_worker_bad_entry_harms_no_other(server: KafkaServer, open_stream: Open) -> None:
    """One entry breaks the handler every time: it is tried three times and dead, the others are answered."""

    def breaks(entries: list[Entry]) -> list[bytes | TaskFault]:
        if any(entry.body == b"claim 1" for entry in entries):
            raise ValueError("broken")
        return upper(entries)

    send(server, 3)
    worker = StreamWorker(open_stream(), breaks, SETTINGS)
    works(worker, lambda: worker.tally.dead == 1)
    (dead,) = found(server, NAMES.dead)

    assert values(server, NAMES.verdicts) == [b"CLAIM 0", b"CLAIM 2"]
    assert (dead.value(), dict(dead.headers())["reason"]) == (b"claim 1", b"ValueError: broken")
    assert worker.tally.left == 2


def test_kafka_entry_that_kills_its_consumers_dies_alone(server: KafkaServer, open_stream: Open) -> None:
    """Three consumers die of the second entry; the fourth refuses it, and answers all others."""
    send(server, 4)
    for number in range(3):
        stream = open_stream(f"dies {number}")
        entries = reads(stream)
        while b"claim 1" not in [entry.body for entry in entries]:
            stream.settle([Settled(entry, entry.body.upper()) for entry in entries])
            entries = reads(stream)
        stream.close()  # as if it were killed: nothing of what it took is settled
    worker = StreamWorker(open_stream("last"), upper, SETTINGS)
    works(worker, lambda: len(found(server, NAMES.verdicts)) == 3 and worker.tally.dead == 1)
    (dead,) = found(server, NAMES.dead)

    assert dict(dead.headers())["reason"] == b"3 consumers took it and none settled it."
    assert dead.value() == b"claim 1"
    assert values(server, NAMES.verdicts) == [b"CLAIM 0", b"CLAIM 2", b"CLAIM 3"]


def test_kafka_worker_waits_while_the_readers_of_verdicts_are_behind(
    server: KafkaServer, open_stream: Open
) -> None:
    """Five may wait: nothing more is read until the readers' group has committed what it read."""
    send(server, 12)
    stream = open_stream(most_verdicts=5, readers="them")
    worker = StreamWorker(stream, upper, SETTINGS)
    works(worker, lambda: worker.tally.waits >= 3)
    before = worker.tally.verdicts
    catch_up(server)
    works(worker, lambda: worker.tally.verdicts > before)

    assert before == 5


def test_kafka_consumer_that_waits_while_its_group_changes_goes_on_afterwards(
    server: KafkaServer, open_stream: Open
) -> None:
    """It held its partitions back, another came and went, the readers caught up: it reads again."""
    send(server, 12)
    stream = open_stream(most_verdicts=5, readers="them")
    worker = StreamWorker(stream, upper, SETTINGS)
    works(worker, lambda: worker.tally.waits >= 2)
    other = open_stream("other")
    group = server.groups[NAMES.group]
    until_s = time.monotonic() + PATIENCE_S
    while len(group.members) < 2 and time.monotonic() < until_s:
        other.room()
        other.read(1, wait_s=0.05)
        worker.step()
    other.close()
    waits = worker.tally.waits
    works(worker, lambda: worker.tally.waits >= waits + 10)
    while len(values(server, NAMES.verdicts)) < 12 and time.monotonic() < until_s + PATIENCE_S:
        catch_up(server)
        worker.step()

    assert values(server, NAMES.verdicts) == sorted(f"CLAIM {n}".encode() for n in range(12))


def test_kafka_verdict_that_no_record_can_hold_is_dead_with_that_reason(
    server: KafkaServer, open_stream: Open
) -> None:
    """The broker takes 20,000 bytes: the long verdict is refused, the one beside it goes out."""

    def long(entries: list[Entry]) -> list[bytes | TaskFault]:
        return [bytes(30_000) if entry.body == b"claim 0" else b"short" for entry in entries]

    send(server, 2)
    worker = StreamWorker(open_stream(), long, SETTINGS)
    works(worker, lambda: worker.tally.verdicts == 2)
    (dead,) = found(server, NAMES.dead)

    assert dict(dead.headers())["reason"] == b"Its verdict has 30000 bytes, more than Kafka takes."
    assert values(server, NAMES.verdicts) == [b"short"]


def test_kafka_away_for_a_while_loses_and_doubles_nothing(
    server: KafkaServer, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It vanishes as a transaction has ended and nobody was told: what was settled is settled once."""
    monkeypatch.setattr(kafka_stream, "CALL_S", 1.0)
    send(server, 8)
    stream = open_stream()
    read = reads(stream)
    server.lose_answer_of(26)
    settled = [Settled(entry, entry.body.upper()) for entry in read]
    with pytest.raises(StoreUnavailableError, match="Kafka"):
        stream.settle(settled)
    server.start()
    mine: list[bool] = []
    until_s = time.monotonic() + PATIENCE_S
    while not mine and time.monotonic() < until_s:
        try:
            mine = stream.settle(settled)
        except StoreUnavailableError:
            time.sleep(0.1)

    assert mine == [True] * 8
    assert values(server, NAMES.verdicts) == [entry.body.upper() for entry in read]
    assert stream.read(8, wait_s=0.2) == []
