"""One suite over every key-value store: memory, LMDB, and a real Redis started here if installed."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data.errors import ConfigError, StoreUnavailableError
from data.limits import gcra
from data.limits.gcra import ask
from data.limits.policy import RateLimit
from data.ports import KeyValueStore
from data.stores.lmdb import LmdbStore
from data.stores.memory import MemoryStore
from data.stores.redis import RedisStore, connect
from tests.fakes import FakeClock
from tests.redis_server import redis_cluster, redis_server

TTL_S = 0.2
Store = KeyValueStore


@pytest.fixture(scope="module")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own on a socket; skipped on a laptop without one, a failure in CI."""
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture(scope="module")
def redis_cluster_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of one Redis, which is as strict about keys that belong together as a large one."""
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as address:
        yield address


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "lmdb", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    if request.param == "memory":
        made: MemoryStore | LmdbStore | RedisStore = MemoryStore(clock)
    elif request.param == "lmdb":
        made = LmdbStore(tmp_path / "kv", clock)
    else:
        address = request.getfixturevalue("redis_socket")
        made = RedisStore(connect(address), prefix=f"{tmp_path.name}[*]:", clock=clock)
    yield made
    made.close()


@pytest.fixture
def expire(store: Store, clock: FakeClock) -> Callable[[str], None]:
    """Let ``TTL_S`` pass: on our clock, or by Redis's own."""

    def pass_time(key: str) -> None:
        clock.advance(TTL_S)
        deadline = time.monotonic() + 5
        while isinstance(store, RedisStore) and store.get(key) is not None and time.monotonic() < deadline:
            time.sleep(0.01)

    return pass_time


def test_store_get_absent_is_none(store: Store) -> None:
    """What was never stored is not there."""
    assert store.get("a") is None


@pytest.mark.parametrize("key", ["a", "", "é 漢\n\0", "x" * 511, "x" * 600, "lone \ud800"])
def test_store_put_get_any_key_and_value(store: Store, key: str) -> None:
    """Every key is a key, every value comes back byte for byte."""
    store.put(key, b"\0\xff" * 10)

    assert store.get(key) == b"\0\xff" * 10


def test_store_put_again_replaces(store: Store) -> None:
    """The last value counts, and its time to live replaces the earlier one's."""
    store.put("a", b"1", ttl_s=TTL_S)
    store.put("a", b"")

    assert store.get("a") == b""


def test_store_long_keys_that_begin_alike_are_different(store: Store) -> None:
    """Keys beyond what the engine takes are still told apart."""
    store.put("x" * 600 + "1", b"1")
    store.put("x" * 600 + "2", b"2")

    assert (store.get("x" * 600 + "1"), store.get("x" * 600 + "2")) == (b"1", b"2")


def test_store_value_expires(store: Store, expire: Callable[[str], None]) -> None:
    """After its time a value is gone for get, scan and delete."""
    store.put("a", b"1", ttl_s=TTL_S)
    before = store.get("a")
    expire("a")

    assert before == b"1"
    assert (store.get("a"), store.scan(""), store.delete("a")) == (None, [], False)


def test_store_value_without_ttl_stays(store: Store, clock: FakeClock) -> None:
    """Without a time to live a value stays."""
    store.put("a", b"1")
    clock.advance(10**9)

    assert store.get("a") == b"1"


def test_store_ttl_of_zero_is_gone_at_once(store: Store) -> None:
    """A value whose time is over before it began is not kept, nor the one it replaces."""
    store.put("a", b"0")
    store.put("a", b"1", ttl_s=0)

    assert store.get("a") is None


def test_store_delete_says_whether_it_was_there(store: Store) -> None:
    """Deleting twice answers yes, then no."""
    store.put("a", b"1")

    assert (store.delete("a"), store.delete("a"), store.get("a")) == (True, False, None)


@pytest.mark.parametrize(
    ("present", "expected", "done"),
    [
        (None, None, True),
        (b"1", b"1", True),
        (b"1", None, False),
        (None, b"1", False),
        (b"1", b"2", False),
        (b"", None, False),
        (b"", b"", True),
    ],
)
def test_store_swap_only_where_expected(
    store: Store, present: bytes | None, expected: bytes | None, done: bool
) -> None:
    """A swap happens exactly when the present value is the expected one, absence and emptiness told apart."""
    if present is not None:
        store.put("a", present)

    assert store.swap("a", expected, b"new") is done
    assert store.get("a") == (b"new" if done else present)


def test_store_swap_sees_expired_as_absent(store: Store, expire: Callable[[str], None]) -> None:
    """An expired value is no obstacle."""
    store.put("a", b"1", ttl_s=TTL_S)
    expire("a")

    assert store.swap("a", None, b"2", ttl_s=60.0)
    assert store.get("a") == b"2"


def test_store_scan_gives_the_prefix_in_order(store: Store) -> None:
    """Only keys under the prefix, sorted; characters special to the engine are plain here."""
    long = "a*" + "x" * 600
    for key in ("a*2", "a*1", "b", "ab", long):
        store.put(key, key.encode())

    assert store.scan("a*") == [(key, key.encode()) for key in ("a*1", "a*2", long)]
    assert store.scan(long[:550]) == [(long, long.encode())]
    assert [key for key, _ in store.scan("")] == sorted(["a*1", "a*2", "ab", "b", long])


def test_store_counting_by_swap_in_threads_loses_nothing(store: Store) -> None:
    """Four threads count together by swap; every step is counted once."""

    def count() -> None:
        for _ in range(25):
            while not store.swap("n", present := store.get("n"), str(int(present or b"0") + 1).encode()):
                pass

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.get("n") == b"100"


SLOW = RateLimit(per_minute=0.001, per_hour=1e6, per_day=1e6, burst=5.0)
WIDE = RateLimit(per_minute=1e6, per_hour=1e6, per_day=1e6, burst=1e6)


def test_store_charge_allows_the_burst_and_no_more(store: Store) -> None:
    """Five units at once, then none; each answer says what remains."""
    answers = [store.charge([[ask("{t}", SLOW, 1.0)]])[0][0] for _ in range(6)]

    assert [answer.allowed for answer in answers] == [True] * 5 + [False]
    assert [answer.remaining for answer in answers] == [4.0, 3.0, 2.0, 1.0, 0.0, 0.0]
    assert answers[-1].retry_after_s == pytest.approx(60_000.0, abs=0.001)


def test_store_charge_is_all_or_none(store: Store) -> None:
    """A subject without room keeps the others of its request from being charged."""
    store.charge([[ask("{t}:b", SLOW, 5.0)]])
    refused = store.charge([[ask("{t}:a", WIDE, 1.0), ask("{t}:b", SLOW, 1.0)]])[0]

    assert [answer.allowed for answer in refused] == [True, False]
    assert store.get("{t}:a") is None
    assert gcra.unpack(store.get("{t}:b")).level == 5e6


def test_store_charge_of_several_requests_goes_in_order(store: Store) -> None:
    """Requests charged together are decided one after another, each on its own."""
    asked = [[ask("{t}:a", SLOW, 3.0)], [ask("{t}:a", SLOW, 3.0)], [], [ask("{u}:a", SLOW, 2.0)]]
    answers = store.charge([*asked, [ask("{t}:a", SLOW, 2.0)]])

    assert [[answer.allowed for answer in each] for each in answers] == [[True], [False], [], [True], [True]]
    assert store.charge([]) == []


def test_store_charge_agrees_with_the_arithmetic_to_the_unit(store: Store, clock: FakeClock) -> None:
    """Whatever is charged, whenever: answers and kept states are those of the pure arithmetic."""
    dice = random.Random(20_260_101)
    limits = [
        RateLimit(7.0, 40.0, 300.0, 12.5),
        RateLimit(1234.5, 9e4, 1e9, 333.0),
        RateLimit(0.3, 1e9, 20.0, 3.0),
    ]
    states = dict.fromkeys(("{t}:a", "{t}:b", "{t}:c"), gcra.EMPTY)
    allowed = 0
    for _ in range(400):
        clock.advance(dice.choice([0.0, 0.0, 0.000_001, 0.37, 5.0, 61.0, 1800.0, 40_000.0, -3.0, -5000.0]))
        asked = [
            ask(key, limit, dice.choice([0.001, 1 / 3, 1.0, 2.5, 11.0]))
            for key, limit in zip(states, limits, strict=True)
        ][dice.randrange(3) :]
        now_us = gcra.micros_of(clock.now_s())
        expected = gcra.decide(asked, [states[charge.key] for charge in asked], now_us)

        assert store.charge([asked]) == [expected]
        if all(answer.allowed for answer in expected):
            states.update({charge.key: answer.state for charge, answer in zip(asked, expected, strict=True)})
            allowed += 1
            assert [gcra.unpack(store.get(charge.key)) for charge in asked] == [
                answer.state for answer in expected
            ]
    assert 50 < allowed < 350


def test_store_charge_in_threads_counts_every_unit_once(store: Store) -> None:
    """Eight threads ask for twice what there is; exactly what there is is given."""
    limit = RateLimit(per_minute=0.001, per_hour=1e6, per_day=1e6, burst=200.0)
    given: list[bool] = []

    def hammer() -> None:
        for _ in range(50):
            given.append(store.charge([[ask("{t}", limit, 1.0)]])[0][0].allowed)

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert given.count(True) == 200


def test_store_idle_subject_vanishes(store: Store, clock: FakeClock) -> None:
    """When the bucket is empty and the day over nothing is kept: a subject seen once leaves no trace."""
    # A moment before midnight; Redis lets keys go by its own clock, so there it is waited for.
    clock.advance(86_400.0 - 0.05)
    store.charge([[ask("{t}", WIDE, 1.0)]])
    before = store.get("{t}")
    clock.advance(0.1)
    deadline = time.monotonic() + 5
    while isinstance(store, RedisStore) and store.get("{t}") is not None and time.monotonic() < deadline:
        time.sleep(0.01)

    assert before is not None
    assert store.scan("") == []


def test_store_ping_answers(store: Store) -> None:
    """A store that is there answers."""
    store.ping()


_COUNT = """
import sys; from pathlib import Path
from data.clock import SystemClock; from data.stores.lmdb import LmdbStore
store = LmdbStore(Path(sys.argv[1]), SystemClock(), first_bytes=1 << 20)
for step in range(100):
    store.put(f"{sys.argv[2]}-{step}", b"x" * 20_000)
    while not store.swap("n", present := store.get("n"), str(int(present or b"0") + 1).encode()): pass
"""


def test_lmdb_store_processes_share_count_and_growing_file(tmp_path: Path) -> None:
    """Processes that write at once see each other's values while the file outgrows its first size."""
    folder = tmp_path / "kv"
    root = Path(__file__).resolve().parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", _COUNT, str(folder), str(number)], cwd=root)
        for number in range(3)
    ]

    assert [writer.wait(40) for writer in writers] == [0, 0, 0]
    store = LmdbStore(folder, FakeClock())
    assert store.get("n") == b"300"
    assert len(store.scan("")) == 301
    store.close()


def test_lmdb_store_full_drops_expired_and_oldest_first(tmp_path: Path, clock: FakeClock) -> None:
    """At its limit the store makes room: what expired goes first, then the oldest; the newest is there."""
    store = LmdbStore(tmp_path / "kv", clock, max_bytes=1 << 20)
    store.put("first", b"x")
    for number in range(400):
        clock.advance(1)
        store.put(f"k{number:03}", b"x" * 10_000, ttl_s=10**6)

    assert store.get("k399") == b"x" * 10_000
    assert store.get("first") is None
    kept = [key for key, _ in store.scan("k")]
    assert kept == [f"k{number:03}" for number in range(400 - len(kept), 400)]
    store.close()


def test_lmdb_store_value_too_large_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    """A value that can never fit is refused with a clear error, and the store goes on."""
    store = LmdbStore(tmp_path / "kv", clock, max_bytes=1 << 20)
    with pytest.raises(StoreUnavailableError, match="larger than the store"):
        store.put("big", b"x" * (2 << 20))
    store.put("small", b"1")

    assert store.get("small") == b"1"
    store.close()


def test_redis_store_charges_by_the_servers_clock(redis_socket: str, tmp_path: Path) -> None:
    """Without a clock of its own a replica's time does not matter: the state bears the server's."""
    client = connect(redis_socket)
    store = RedisStore(client, prefix=f"{tmp_path.name}:")
    seconds, micros = client.time()
    store.charge([[ask("{t}", SLOW, 1.0)]])
    later_s, later_us = client.time()

    at = gcra.unpack(store.get("{t}")).at
    assert seconds * 1e6 + micros <= at <= later_s * 1e6 + later_us
    store.close()


def test_redis_store_charges_after_the_server_forgot_its_scripts(redis_socket: str, tmp_path: Path) -> None:
    """A server that was started anew is given the script again."""
    client = connect(redis_socket)
    store = RedisStore(client, prefix=f"{tmp_path.name}:")
    store.charge([[ask("{t}", SLOW, 1.0)]])
    client.script_flush()

    assert store.charge([[ask("{t}", SLOW, 1.0)]])[0][0].remaining == 3.0
    store.close()


def test_redis_store_on_a_cluster_charges_tenants_together(redis_cluster_node: str, clock: FakeClock) -> None:
    """Requests of several tenants, whose keys lie in different slots, are charged as anywhere else."""
    store = RedisStore(connect(redis_cluster_node), clock=clock)
    asked = [[ask(f"{{{tenant}}}:{part}", SLOW, 4.0) for part in "ab"] for tenant in "tutv"]
    answers = store.charge(asked)

    assert [[answer.allowed for answer in each] for each in answers] == [
        [True, True],
        [True, True],
        [False, False],
        [True, True],
    ]
    store.close()


def test_redis_store_without_server_is_unavailable(tmp_path: Path) -> None:
    """No server behind the address: a clear, retryable error."""
    store = RedisStore(connect(f"unix://{tmp_path}/none"))

    with pytest.raises(StoreUnavailableError, match="Redis does not answer"):
        store.get("a")


@pytest.mark.parametrize("url", ["http://localhost", "redis+sentinel://localhost:26379", "localhost:6379"])
def test_redis_connect_bad_address_is_refused(url: str) -> None:
    """An address of another kind is a mistake in the settings."""
    with pytest.raises(ConfigError):
        connect(url)
