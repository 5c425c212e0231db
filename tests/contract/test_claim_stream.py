"""A stream of claims over a real Redis: each settled once, taken over from the dead, held back when full."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from data.errors import StoreUnavailableError
from data.queue.worker import TaskFault
from data.stores.redis import connect
from data.streams.ports import Entry, Settled
from data.streams.redis_stream import RedisClaimStream, StreamNames
from data.streams.worker import StreamWorker, StreamWorkerSettings
from tests.redis_server import lasting_redis, redis_server

SETTINGS = StreamWorkerSettings(batch=8, max_deliveries=3, wait_s=0.01)
Open = Callable[..., RedisClaimStream]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as where:
        yield where


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    made = connect(address)
    made.flushall()
    yield made
    made.close()


@pytest.fixture
def names() -> StreamNames:
    return StreamNames()


@pytest.fixture
def open_stream(client: Any, names: StreamNames) -> Open:
    """Open the stream for a consumer; what others took is taken over at once unless told otherwise."""

    def build(name: str = "one", *, idle_s: float = 0.0, most: int = 100) -> RedisClaimStream:
        return RedisClaimStream(client, names, name=name, idle_s=idle_s, most_verdicts=most)

    return build


def send(client: Any, names: StreamNames, count: int) -> list[str]:
    return [client.xadd(names.claims, {"body": f"claim {n}", "key": f"k{n}"}).decode() for n in range(count)]


def upper(entries: Sequence[Entry]) -> list[bytes | TaskFault]:
    return [entry.body.upper() for entry in entries]


def verdicts(client: Any, names: StreamNames) -> list[tuple[str, bytes]]:
    found = client.xrange(names.verdicts)
    return [(fields[b"id"].decode(), fields[b"verdict"]) for _, fields in found]


def test_stream_entries_come_in_order_with_their_keys(
    open_stream: Open, client: Any, names: StreamNames
) -> None:
    """What was sent before there was a group is read too."""
    ids = send(client, names, 3)
    read = open_stream().read(2, wait_s=0.01)

    assert [(entry.id, entry.body, entry.key) for entry in read] == [
        (ids[0], b"claim 0", "k0"),
        (ids[1], b"claim 1", "k1"),
    ]


def test_stream_claim_that_comes_alone_is_a_request(
    open_stream: Open, client: Any, names: StreamNames
) -> None:
    """A field ``claim`` is short for a request with nothing else in it."""
    client.xadd(names.claims, {"claim": 'He said "no".'})

    assert open_stream().read(1, wait_s=0.01)[0].body == b'{"claim": "He said \\"no\\"."}'


def test_stream_settled_entry_has_one_verdict_whoever_settles_it(
    open_stream: Open, client: Any, names: StreamNames
) -> None:
    """A second consumer took it over; the first to settle counts, and nothing of the other goes out."""
    send(client, names, 1)
    one, two = open_stream("one"), open_stream("two")
    (first,) = one.read(1, wait_s=0.01)
    (second,) = two.read(1, wait_s=0.01)

    assert two.settle([Settled(second, b"two")]) == [True]
    assert one.settle([Settled(first, b"one")]) == [False]
    assert verdicts(client, names) == [(first.id, b"two")]
    assert (first.deliveries, second.deliveries) == (1, 2)


def test_stream_entry_of_a_living_consumer_is_left_to_it(
    open_stream: Open, client: Any, names: StreamNames
) -> None:
    """Nothing is taken over before its time."""
    send(client, names, 1)
    open_stream("one").read(1, wait_s=0.01)

    assert open_stream("two", idle_s=60.0).read(1, wait_s=0.01) == []


def test_stream_refused_entry_goes_to_the_dead_with_its_reason_and_body(
    open_stream: Open, client: Any, names: StreamNames
) -> None:
    """Whoever mends it has all that is needed."""
    (number,) = send(client, names, 1)
    stream = open_stream()
    stream.settle([Settled(entry, None, "No claim.") for entry in stream.read(1, wait_s=0.01)])
    ((_, dead),) = client.xrange(names.dead)

    assert dead == {b"id": number.encode(), b"key": b"k0", b"reason": b"No claim.", b"body": b"claim 0"}
    assert client.xpending(names.claims, names.group)["pending"] == 0


def test_worker_answers_every_entry_in_batches(open_stream: Open, client: Any, names: StreamNames) -> None:
    """Twenty entries, eight at a time."""
    ids = send(client, names, 20)
    worker = StreamWorker(open_stream(), upper, SETTINGS)

    assert [worker.step() for _ in range(4)] == [8, 8, 4, 0]
    assert verdicts(client, names) == [(number, f"CLAIM {n}".encode()) for n, number in enumerate(ids)]


def test_worker_reads_no_more_than_its_readers_have_room_for(
    open_stream: Open, client: Any, names: StreamNames
) -> None:
    """Five verdicts may wait: the sixth entry is not even read before one was taken away."""
    send(client, names, 10)
    worker = StreamWorker(open_stream(most=5), upper, SETTINGS)
    before = [worker.step() for _ in range(2)]
    client.xtrim(names.verdicts, maxlen=3, approximate=False)

    assert before == [5, 0]
    assert worker.step() == 2
    assert worker.tally.waits == 1


def test_worker_bad_entry_harms_no_other(open_stream: Open, client: Any, names: StreamNames) -> None:
    """A handler that breaks on one entry is asked one by one."""

    def breaks(entries: list[Entry]) -> list[bytes | TaskFault]:
        if any(entry.body == b"claim 1" for entry in entries):
            raise ValueError("broken")
        return upper(entries)

    send(client, names, 3)
    worker = StreamWorker(open_stream(), breaks, SETTINGS)
    while worker.step():
        pass
    ((_, dead),) = client.xrange(names.dead)

    assert [said for _, said in verdicts(client, names)] == [b"CLAIM 0", b"CLAIM 2"]
    assert (dead[b"body"], dead[b"reason"]) == (b"claim 1", b"ValueError: broken")


def test_worker_entry_that_kills_its_consumers_is_dead_in_the_end(
    open_stream: Open, client: Any, names: StreamNames
) -> None:
    """Three consumers read it and settle nothing; the fourth says so."""
    send(client, names, 1)
    for number in range(3):
        assert len(open_stream(f"dies {number}").read(1, wait_s=0.01)) == 1
    StreamWorker(open_stream("last"), upper, SETTINGS).step()
    ((_, dead),) = client.xrange(names.dead)

    assert dead[b"reason"] == b"3 consumers took it and none settled it."
    assert verdicts(client, names) == []


def test_stream_survives_a_kill_of_its_redis(tmp_path: Path, names: StreamNames) -> None:
    """What was settled stays, what was read and not settled is read again, and the same twice is once."""
    with lasting_redis(tmp_path) as server:
        client = connect(server.address)
        send(client, names, 4)
        stream = RedisClaimStream(client, names, name="one", idle_s=0.0)
        read = stream.read(4, wait_s=0.01)
        settled = [Settled(entry, b"yes") for entry in read[:2]]
        assert stream.settle(settled) == [True, True]
        server.kill()
        with pytest.raises(StoreUnavailableError):
            stream.room()
        server.start()

        assert stream.settle(settled) == [False, False]
        assert [entry.id for entry in stream.read(4, wait_s=0.01)] == [entry.id for entry in read[2:]]
        assert len(verdicts(client, names)) == 2
        client.close()


def test_worker_stops_after_the_batch_at_hand(open_stream: Open, client: Any, names: StreamNames) -> None:
    """It runs until it is told, and settles what it read."""
    send(client, names, 3)
    worker = StreamWorker(open_stream(), upper, SETTINGS)
    thread = threading.Thread(target=worker.run)
    thread.start()
    while client.xlen(names.verdicts) < 3:
        thread.join(0.01)
    worker.stop()
    thread.join(5.0)

    assert not thread.is_alive()
    assert worker.tally.verdicts == 3
