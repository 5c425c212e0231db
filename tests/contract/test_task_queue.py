"""One suite over both task queues: SQLite, and a real Redis started here if installed."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from data.claims import TenantId
from data.errors import CorruptDataError, StoreUnavailableError
from data.queue.ports import TaskQueue
from data.queue.redis_queue import RedisQueue
from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import (
    Failure,
    Finished,
    Lease,
    Leased,
    NewTask,
    QueueBounds,
    RetryRule,
    TaskState,
)
from data.stores.redis import connect
from tests.fakes import FakeClock
from tests.redis_server import redis_cluster, redis_server

A, B = TenantId("a"), TenantId("b")
RULE = RetryRule(max_attempts=3, first_s=10.0, longest_s=15.0)
LEASE_S = 30.0
BOUNDS = QueueBounds(tasks=3_000, tenant_tasks=2_000)
Make = Callable[..., TaskQueue]


class Dice:
    """Jitter that a test sets."""

    def __init__(self) -> None:
        self.value = 0.5

    def __call__(self) -> float:
        return self.value


@pytest.fixture(scope="module")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def dice() -> Dice:
    return Dice()


@pytest.fixture(params=["sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, dice: Dice) -> Iterator[Make]:
    """Make a queue; made again, it is the same queue opened by another process."""
    opened: list[TaskQueue] = []

    def build(bounds: QueueBounds = BOUNDS) -> TaskQueue:
        if request.param == "sqlite":
            made: TaskQueue = SqliteQueue(
                tmp_path / "queue.sqlite", clock=clock, rule=RULE, bounds=bounds, chance=dice
            )
        else:
            client = connect(request.getfixturevalue("redis_socket"))
            made = RedisQueue(client, name=tmp_path.name, clock=clock, rule=RULE, bounds=bounds, chance=dice)
        opened.append(made)
        return made

    yield build
    for queue in opened:
        queue.close()


@pytest.fixture
def queue(make: Make) -> TaskQueue:
    return make()


def task(
    name: str, *, tenant: TenantId = A, kind: str = "verify", priority: int = 0, at: float = 0.0
) -> NewTask:
    return NewTask(tenant, name, kind, name.encode(), priority, at)


def claim(
    queue: TaskQueue, limit: int = 1, *, kinds: Sequence[str] = ("verify",), by: str = "w"
) -> list[Leased]:
    return queue.claim(by, kinds, limit=limit, lease_s=LEASE_S)


def names(leased: Sequence[Leased]) -> list[str]:
    return [f"{each.task.tenant}{each.task.id}" for each in leased]


def state(queue: TaskQueue, name: str, tenant: TenantId = A) -> TaskState | None:
    found = queue.get(tenant, name)
    return None if found is None else found.state


def test_queue_put_task_waits_as_it_was_put(queue: TaskQueue, clock: FakeClock) -> None:
    """A task is there with all that it was given, payload byte for byte."""
    payload = b"\0\xff" * 100
    assert queue.put([NewTask(A, "x", "verify", payload, 700)]) == [True]

    found = queue.get(A, "x")
    assert found is not None
    assert (found.payload, found.kind, found.priority, found.attempts) == (payload, "verify", 700, 0)
    assert (found.state, found.created_s, found.ended_s) == (TaskState.WAITING, clock.now_s(), None)
    assert (found.result, found.error) == (None, "")


def test_queue_put_known_task_is_left_as_it_is(queue: TaskQueue) -> None:
    """The first of an id stands, even when it is done."""
    queue.put([NewTask(A, "x", "verify", b"first")])
    assert queue.put([NewTask(A, "x", "verify", b"second"), NewTask(A, "x", "verify", b"third")]) == [
        True,
        True,
    ]
    [leased] = claim(queue, 9)
    queue.finish([Finished(leased.lease, b"r")])
    queue.put([NewTask(A, "x", "verify", b"fourth")])

    assert leased.task.payload == b"first"
    assert claim(queue, 9) == []
    assert state(queue, "x") is TaskState.DONE


def test_queue_tenants_do_not_meet(queue: TaskQueue) -> None:
    """The same id of another tenant is another task; nobody sees, cancels or revives another's."""
    queue.put([task("x"), task("y")])

    assert queue.get(B, "x") is None
    assert queue.page(B).tasks == ()
    assert queue.cancel(B, ["x"]) == [False]
    assert queue.put([NewTask(B, "x", "verify", b"mine")]) == [True]
    assert queue.get(A, "x") != queue.get(B, "x")
    queue.fail([Failure(claim(queue)[0].lease, "bad", retryable=False)])
    assert queue.retry_dead(B, ["x"]) == [False]


@pytest.mark.parametrize("name", ["", "none", "lone \ud800", "x" * 10_000, "x\0"])
def test_queue_unknown_task_is_none(queue: TaskQueue, name: str) -> None:
    """Whatever is asked for, the answer is that it is not there."""
    assert queue.get(A, name) is None
    assert (queue.cancel(A, [name]), queue.retry_dead(A, [name])) == ([False], [False])


def test_queue_put_beyond_its_bounds_is_refused(make: Make) -> None:
    """A tenant at its bound is refused and others are not; all are refused by a full queue."""
    queue = make(QueueBounds(tasks=5, tenant_tasks=3))
    many = [task(f"a{n}") for n in range(5)]

    assert queue.put(many) == [True] * 3 + [False] * 2
    assert queue.put([task(f"b{n}", tenant=B) for n in range(3)]) == [True, True, False]
    assert queue.put(many) == [True] * 3 + [False] * 2
    queue.finish([Finished(claim(queue)[0].lease, b"")])
    assert queue.put([many[4]]) == [True]


def test_queue_put_of_more_than_a_transaction_takes_all(queue: TaskQueue) -> None:
    """Order is kept across transactions."""
    assert queue.put([task(f"{n}") for n in range(1_500)]) == [True] * 1_500
    assert [each.task.id for each in claim(queue, 2_000)] == [f"{n}" for n in range(1_500)]


def test_queue_claim_takes_highest_priority_first_then_oldest(queue: TaskQueue, clock: FakeClock) -> None:
    """Priority, and among equals age."""
    for name, priority in [("low", 1), ("old", 500), ("young", 500), ("top", 1000), ("none", 0)]:
        queue.put([task(name, priority=priority)])
        clock.advance(1.0)

    assert [each.task.id for each in claim(queue, 3)] == ["top", "old", "young"]
    assert [each.task.id for each in claim(queue, 9)] == ["low", "none"]


def test_queue_claim_of_a_later_better_task_comes_first(queue: TaskQueue) -> None:
    """What is put while others wait takes its place among them."""
    queue.put([task("one", priority=5), task("two", priority=5)])
    claim(queue)
    queue.put([task("better", priority=6)])

    assert names(claim(queue, 2)) == ["abetter", "atwo"]


def test_queue_tenants_take_turns(queue: TaskQueue) -> None:
    """One tenant's thousand tasks of the highest priority do not hold up another's five."""
    queue.put([task(f"{n}", priority=1000) for n in range(1_000)])
    queue.put([task(f"{n}", tenant=B) for n in range(5)])

    owners = [each.task.tenant for each in claim(queue, 12)]
    assert owners[:10].count(B) == 5
    assert owners[10:] == [A, A]


def test_queue_turns_hold_across_claims_of_one(queue: TaskQueue) -> None:
    """Turns are the queue's, not a claim's."""
    queue.put([task(f"{n}", priority=1000) for n in range(20)])
    queue.put([task(f"{n}", tenant=B) for n in range(20)])

    owners = [claim(queue)[0].task.tenant for _ in range(20)]
    assert owners.count(A) == owners.count(B) == 10


def test_queue_tenant_that_was_away_has_no_turns_saved_up(queue: TaskQueue) -> None:
    """Who comes late shares from now on; it does not first catch up."""
    queue.put([task(f"{n}") for n in range(100)])
    queue.put([task("early", tenant=B)])
    claim(queue, 51)
    queue.put([task(f"{n}", tenant=tenant) for tenant in (B, TenantId("c")) for n in range(50)])

    owners = [each.task.tenant for each in claim(queue, 30)]
    assert [owners.count(tenant) for tenant in (A, B, TenantId("c"))] == [10, 10, 10]


def test_queue_tenant_that_comes_again_and_again_gets_its_share_only(queue: TaskQueue) -> None:
    """Putting one task at a time, each of the highest priority, is no way to be always next."""
    queue.put([task(f"{n}") for n in range(40)])
    owners = []
    for number in range(20):
        queue.put([task(f"{number}", tenant=B, priority=1000)])
        owners += [each.task.tenant for each in claim(queue)]

    assert owners.count(A) >= 9


def test_queue_round_of_turns_begins_with_the_best_task(queue: TaskQueue) -> None:
    """Among tenants with as many turns the higher priority goes first."""
    queue.put([task("1", priority=1), task("2", priority=900)])
    queue.put([task("1", tenant=B, priority=500), task("2", tenant=B, priority=400)])

    assert names(claim(queue, 4)) == ["a2", "b1", "b2", "a1"]


def test_queue_claim_takes_only_the_kinds_asked_for(queue: TaskQueue) -> None:
    """A worker gets what it can do."""
    queue.put([task("v"), task("i", kind="import")])

    assert names(claim(queue, 9, kinds=["import"])) == ["ai"]
    assert claim(queue, 9, kinds=[]) == []
    assert names(claim(queue, 9, kinds=["verify", "import", "verify"])) == ["av"]


def test_queue_claim_of_several_kinds_passes_none_over(queue: TaskQueue) -> None:
    """A kind with many tenants of high priority does not hold up another kind."""
    for number in range(10):
        queue.put([task(f"{n}", tenant=TenantId(f"t{number}"), priority=1000) for n in range(10)])
    queue.put([task(f"i{n}", kind="import") for n in range(3)])

    kinds = [each.task.kind for each in claim(queue, 40, kinds=["verify", "import"])]
    assert kinds.count("import") == 3


def test_queue_task_is_not_begun_before_its_moment(queue: TaskQueue, clock: FakeClock) -> None:
    """A task for later waits for its moment."""
    queue.put([task("later", at=clock.now_s() + 20.0), task("now")])

    assert names(claim(queue, 9)) == ["anow"]
    clock.advance(19.9)
    assert claim(queue, 9) == []
    clock.advance(0.1)
    assert names(claim(queue, 9)) == ["alater"]


def test_queue_lease_tells_task_attempt_and_end(queue: TaskQueue, clock: FakeClock) -> None:
    """What a worker gets says all about the task."""
    queue.put([task("x")])
    [leased] = claim(queue)

    assert (leased.task.state, leased.task.attempts, leased.task.payload) == (TaskState.LEASED, 1, b"x")
    assert leased.until_s == clock.now_s() + LEASE_S
    assert (leased.lease.tenant, leased.lease.id) == (A, "x")
    assert claim(queue) == []


def test_queue_expired_lease_comes_back_and_counts(queue: TaskQueue, clock: FakeClock) -> None:
    """A worker that died loses its task to the next, with a larger token."""
    queue.put([task("x")])
    [first] = claim(queue, by="dead-worker")
    clock.advance(LEASE_S)
    [second] = claim(queue)

    assert second.task.attempts == 2
    assert "dead-worker" in second.task.error
    assert second.lease.token > first.lease.token


def test_queue_task_whose_workers_all_die_is_dead_with_the_reason(queue: TaskQueue, clock: FakeClock) -> None:
    """After the last attempt an expired lease ends the task."""
    queue.put([task("x")])
    for _ in range(RULE.max_attempts):
        assert len(claim(queue, by="w7")) == 1
        clock.advance(LEASE_S)

    assert claim(queue) == []
    found = queue.get(A, "x")
    assert found is not None
    assert (found.state, found.attempts) == (TaskState.DEAD, 3)
    assert found.error == "The worker w7 did not finish it before its lease ended."


def test_queue_lost_lease_can_do_nothing(queue: TaskQueue, clock: FakeClock) -> None:
    """Who lost a task can neither finish, fail, prolong nor give it back; the new holder can."""
    queue.put([task("x")])
    [old] = claim(queue)
    clock.advance(LEASE_S)
    [new] = claim(queue)

    assert queue.finish([Finished(old.lease, b"old")]) == [False]
    assert queue.fail([Failure(old.lease, "old")]) == [None]
    assert queue.heartbeat([old.lease], lease_s=LEASE_S) == [False]
    assert queue.release([old.lease]) == [False]
    assert queue.finish([Finished(new.lease, b"new")]) == [True]
    assert queue.finish([Finished(old.lease, b"old")]) == [False]
    found = queue.get(A, "x")
    assert found is not None
    assert (found.state, found.result) == (TaskState.DONE, b"new")


def test_queue_lease_that_came_back_unclaimed_is_lost_too(queue: TaskQueue, clock: FakeClock) -> None:
    """Once a task waits again its former holder is too late, though nobody else has it yet."""
    queue.put([task("x"), task("y", kind="import")])
    [old] = claim(queue)
    clock.advance(LEASE_S)
    claim(queue, kinds=["import"])

    assert queue.finish([Finished(old.lease, b"late")]) == [False]
    assert queue.fail([Failure(old.lease, "late")]) == [None]
    assert state(queue, "x") is TaskState.WAITING


def test_queue_late_finish_counts_while_nobody_took_the_task(queue: TaskQueue, clock: FakeClock) -> None:
    """Being late alone costs nothing: the work need not be done again."""
    queue.put([task("x")])
    [leased] = claim(queue)
    clock.advance(LEASE_S * 2)

    assert queue.finish([Finished(leased.lease, b"late")]) == [True]


def test_queue_heartbeat_prolongs(queue: TaskQueue, clock: FakeClock) -> None:
    """A worker that says it is still at it keeps its task."""
    queue.put([task("x")])
    [leased] = claim(queue)
    for _ in range(5):
        clock.advance(LEASE_S - 1.0)
        assert queue.heartbeat([leased.lease, Lease(A, "none", 1)], lease_s=LEASE_S) == [True, False]

    assert claim(queue) == []
    assert queue.finish([Finished(leased.lease, b"r")]) == [True]


def test_queue_finish_twice_is_once(queue: TaskQueue) -> None:
    """A finish whose answer was lost is repeated without harm; the first result stands."""
    queue.put([task("x"), task("y")])
    one, two = claim(queue, 2)

    assert queue.finish([Finished(one.lease, b"1"), Finished(two.lease, b"2")]) == [True, True]
    assert queue.finish([Finished(one.lease, b"again")]) == [True]
    found = queue.get(A, "x")
    assert found is not None
    assert (found.result, found.attempts, found.error) == (b"1", 1, "")


@pytest.mark.parametrize(
    ("attempt", "chance", "wait_s"), [(1, 0.5, 5.0), (2, 0.5, 7.5), (2, 0.0, 0.0), (1, 0.99, 9.9)]
)
def test_queue_failed_task_waits_by_the_rule(
    queue: TaskQueue, clock: FakeClock, dice: Dice, attempt: int, chance: float, wait_s: float
) -> None:
    """The wait is the jitter's share of 10 s, then of 15 s, which is the longest."""
    dice.value = 0.0
    queue.put([task("x")])
    for _ in range(attempt - 1):
        queue.fail([Failure(claim(queue)[0].lease, "not yet")])
    dice.value = chance
    [leased] = claim(queue)

    assert queue.fail([Failure(leased.lease, "not \ud800 yet")]) == [TaskState.WAITING]
    found = queue.get(A, "x")
    assert found is not None
    assert found.not_before_s == pytest.approx(clock.now_s() + wait_s, abs=1e-5)
    assert (found.error, found.state) == ("not ? yet", TaskState.WAITING)
    clock.advance(max(0.0, wait_s - 0.001))
    early = claim(queue)
    clock.advance(0.002)
    assert len(early) == (wait_s == 0.0)
    assert len(early + claim(queue)) == 1


def test_queue_fail_twice_is_once(queue: TaskQueue) -> None:
    """A failure whose answer was lost is repeated without harm: the task waits once, and no result fits."""
    queue.put([task("x"), task("y")])
    one, two = claim(queue, 2)
    failures = [Failure(one.lease, "e"), Failure(two.lease, "f", retryable=False)]

    assert queue.fail(failures) == [TaskState.WAITING, TaskState.DEAD]
    assert queue.fail(failures) == [TaskState.WAITING, TaskState.DEAD]
    assert queue.finish([Finished(one.lease, b""), Finished(two.lease, b"")]) == [False, False]
    assert queue.counts()[0].waiting == 1


def test_queue_task_is_dead_after_the_last_attempt(queue: TaskQueue, clock: FakeClock) -> None:
    """Three failures, then a dead letter with the last reason."""
    queue.put([task("x")])
    answers = []
    for number in range(3):
        clock.advance(60.0)
        answers += queue.fail([Failure(claim(queue)[0].lease, f"reason {number}")])

    assert answers == [TaskState.WAITING, TaskState.WAITING, TaskState.DEAD]
    found = queue.get(A, "x")
    assert found is not None
    assert (found.state, found.error, found.ended_s) == (TaskState.DEAD, "reason 2", clock.now_s())
    clock.advance(10_000.0)
    assert claim(queue) == []


def test_queue_dead_task_is_revived_with_all_its_attempts(queue: TaskQueue) -> None:
    """Retrying a dead letter begins anew; only dead ones can be retried."""
    queue.put([task("x"), task("y")])
    [leased] = claim(queue)
    queue.fail([Failure(leased.lease, "bad input", retryable=False)])

    assert queue.page(A, TaskState.DEAD).tasks[0].error == "bad input"
    assert queue.retry_dead(A, ["x", "y", "z"]) == [True, False, False]
    assert queue.retry_dead(A, ["x"]) == [False]
    found = queue.get(A, "x")
    assert found is not None
    assert (found.state, found.attempts, found.ended_s) == (TaskState.WAITING, 0, None)
    assert queue.finish([Finished(leased.lease, b"late")]) == [False]
    assert names(claim(queue, 2)) == ["ax", "ay"]


def test_queue_released_task_is_ready_at_once_and_no_attempt(queue: TaskQueue) -> None:
    """What a worker gives back unbegun is as it was."""
    queue.put([task("x")])
    [leased] = claim(queue)

    assert queue.release([leased.lease]) == [True]
    assert queue.release([leased.lease]) == [False]
    assert queue.finish([Finished(leased.lease, b"")]) == [False]
    [again] = claim(queue)
    assert again.task.attempts == 1


def test_queue_cancel_ends_what_is_not_ended(queue: TaskQueue, clock: FakeClock) -> None:
    """Waiting, delayed and leased tasks can be cancelled, again too; done and dead ones not."""
    queue.put(
        [task("done"), task("dead"), task("leased"), task("waiting"), task("later", at=clock.now_s() + 9)]
    )
    done, dead, leased = claim(queue, 3)
    queue.finish([Finished(done.lease, b"")])
    queue.fail([Failure(dead.lease, "e", retryable=False)])

    ids = ["done", "dead", "leased", "waiting", "later"]
    assert queue.cancel(A, ids) == [False, False, True, True, True]
    assert queue.cancel(A, ids) == [False, False, True, True, True]
    assert queue.heartbeat([leased.lease], lease_s=LEASE_S) == [False]
    assert queue.finish([Finished(leased.lease, b"")]) == [False]
    clock.advance(100.0)
    assert claim(queue, 9) == []


def test_queue_pages_are_newest_first_and_whole(queue: TaskQueue, clock: FakeClock) -> None:
    """Pages of any size give every task of the state once."""
    queue.put([task(f"{n}", at=clock.now_s() + 60.0 * (n % 2)) for n in range(10)])
    queue.put([task("other", tenant=B)])
    queue.finish([Finished(each.lease, b"") for each in claim(queue, 2)])

    seen: list[str] = []
    cursor = None
    while True:
        page = queue.page(A, TaskState.WAITING, limit=3, cursor=cursor)
        seen += [each.id for each in page.tasks]
        cursor = page.cursor
        if cursor is None:
            break
    done = {each.id for each in queue.page(A, TaskState.DONE).tasks}
    assert len(done) <= 2
    assert seen == [f"{n}" for n in reversed(range(10)) if f"{n}" not in done]
    assert [each.id for each in queue.page(A).tasks] == [f"{n}" for n in reversed(range(10))]
    assert queue.page(A, limit=10).cursor is None


def test_queue_counts_tell_where_tasks_are(queue: TaskQueue, clock: FakeClock) -> None:
    """Depth and oldest age by kind; what waits for later is not ready."""
    queue.put([task(f"{n}") for n in range(6)] + [task("later", at=clock.now_s() + 900.0)])
    queue.put([task("b", tenant=B), task("i", kind="import")])
    done, dead, _ = [each for each in claim(queue, 4) if each.task.tenant == A][:3]
    queue.finish([Finished(done.lease, b"")])
    queue.fail([Failure(dead.lease, "e", retryable=False)])
    queue.cancel(A, ["5"])
    clock.advance(12.5)

    imports, verify = queue.counts()
    assert (imports.kind, imports.waiting, imports.ready, imports.oldest_s) == ("import", 1, 1, 12.5)
    assert (verify.kind, verify.waiting, verify.ready, verify.oldest_s) == ("verify", 3, 2, 12.5)
    assert (verify.leased, verify.done, verify.dead, verify.cancelled) == (2, 1, 1, 1)


def test_queue_counts_of_an_empty_queue_are_none(queue: TaskQueue) -> None:
    """Nothing put, nothing counted; an emptied kind has no age."""
    assert queue.counts() == ()
    queue.put([task("x")])
    claim(queue)
    assert queue.counts()[0].oldest_s == 0.0


def test_queue_prune_forgets_what_ended_before(queue: TaskQueue, clock: FakeClock) -> None:
    """Done and cancelled tasks go by one moment, dead ones by another; open ones never."""
    queue.put([task(name) for name in ("done", "dead", "leased", "waiting", "cancelled")])
    done, dead, _ = claim(queue, 3)
    queue.finish([Finished(done.lease, b"r")])
    queue.fail([Failure(dead.lease, "e", retryable=False)])
    queue.cancel(A, ["cancelled"])

    assert queue.prune(done_before_s=clock.now_s(), dead_before_s=clock.now_s()) == 0
    clock.advance(1.0)
    assert queue.prune(done_before_s=clock.now_s()) == 2
    assert [each.id for each in queue.page(A).tasks] == ["waiting", "leased", "dead"]
    assert queue.prune(done_before_s=clock.now_s(), dead_before_s=clock.now_s()) == 1
    counts = queue.counts()[0]
    assert (counts.done, counts.dead, counts.cancelled, counts.waiting, counts.leased) == (0, 0, 0, 1, 1)
    assert queue.put([task("done")]) == [True]
    assert state(queue, "done") is TaskState.WAITING


def test_queue_erased_tenant_leaves_nothing(queue: TaskQueue, clock: FakeClock, tmp_path: Path) -> None:
    """All of a tenant's tasks are gone, leased ones too, and its bytes from the file; others' are not."""
    secret = NewTask(A, "secret", "verify", b"the-secret-claim")
    queue.put(
        [secret, task("leased", priority=9), task("later", at=clock.now_s() + 5.0), task("b", tenant=B)]
    )
    queue.put([task(f"{n}") for n in range(1_100)])
    [leased] = claim(queue)

    assert queue.erase(A) == 1_103
    assert (queue.erase(A), queue.page(A).tasks, queue.get(A, "secret")) == (0, (), None)
    assert queue.finish([Finished(leased.lease, b"")]) == [False]
    assert (queue.counts()[0].waiting, queue.counts()[0].leased) == (1, 0)
    assert b"the-secret-claim" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    clock.advance(60.0)
    assert names(claim(queue, 9)) == ["bb"]
    assert queue.put([secret]) == [True]
    assert names(claim(queue, 9)) == ["asecret"]


def test_queue_nothing_asked_is_nothing_done(queue: TaskQueue) -> None:
    """Empty batches are answered with empty lists."""
    assert (queue.put([]), queue.finish([]), queue.fail([]), queue.release([])) == ([], [], [], [])
    assert (queue.heartbeat([], lease_s=1.0), queue.cancel(A, []), queue.retry_dead(A, [])) == ([], [], [])
    assert claim(queue, 0) == []
    queue.ping()


def test_queue_opened_again_has_everything(make: Make, clock: FakeClock) -> None:
    """Another process sees the tasks, the leases, the turns and the tokens."""
    first = make()
    first.put([task("1"), task("2"), task("1", tenant=B)])
    [leased] = claim(first)
    second = make()

    assert second.finish([Finished(leased.lease, b"r")]) == [True]
    assert first.get(A, "1") == second.get(A, "1")
    [other] = claim(second)
    assert (other.task.tenant, other.lease.token > leased.lease.token) == (B, True)


def test_queues_agree_on_everything(tmp_path: Path, redis_socket: str) -> None:
    """Whatever is done in whatever order, both queues answer alike."""
    clock, dice = FakeClock(), Dice()
    bounds = QueueBounds(tasks=60, tenant_tasks=40)
    one = SqliteQueue(tmp_path / "q", clock=clock, rule=RULE, bounds=bounds, chance=dice)
    two = RedisQueue(
        connect(redis_socket),
        name=f"{tmp_path.name}-both",
        clock=clock,
        rule=RULE,
        bounds=bounds,
        chance=dice,
    )
    seen = Walk(random.Random(20_261_121), clock, dice).go([one, two], 2_000)

    assert min(seen.values()) > 20, seen
    assert {"done", "dead", "cancelled"} <= seen.keys()
    one.close()
    two.close()


class Walk:
    """Random calls, the same to every queue; their answers must be the same."""

    def __init__(self, chance: random.Random, clock: FakeClock, dice: Dice) -> None:
        self.chance, self.clock, self.dice = chance, clock, dice
        self.leases: list[Lease] = []
        self.number = 0

    def go(self, queues: Sequence[TaskQueue], steps: int) -> dict[str, int]:
        seen: dict[str, int] = {}
        for step in range(steps):
            self.clock.advance(self.chance.choice([0.0, 0.001, 1.0, 7.0, 31.0]))
            self.dice.value = self.chance.random()
            call = self._call()
            answers = [call(queue) for queue in queues]
            assert answers[0] == answers[1]
            self._remember(answers[0])
            if step % 10:
                continue
            counts = [queue.counts() for queue in queues]
            assert counts[0] == counts[1]
            pages = [[queue.page(tenant, limit=1_000) for tenant in (A, B)] for queue in queues]
            assert pages[0] == pages[1]
            for each in pages[0]:
                for found in each.tasks:
                    seen[found.state.value] = seen.get(found.state.value, 0) + 1
        return seen

    def _remember(self, answer: object) -> None:
        if isinstance(answer, list):
            self.leases += [each.lease for each in answer if isinstance(each, Leased)]
        self.leases = self.leases[-30:]

    def _call(self) -> Callable[[TaskQueue], object]:
        chance = self.chance
        picked = chance.sample(self.leases, min(len(self.leases), chance.randrange(4)))
        ids = [f"{max(0, self.number - chance.randrange(40))}" for _ in range(3)]
        tenant = chance.choice([A, B])
        retryable, limit = chance.random() < 0.7, chance.randrange(1, 5)
        kinds = chance.choice([["verify"], ["import"], ["import", "verify"]])
        new = [self._new() for _ in range(chance.randrange(5))]
        now_s = self.clock.now_s()
        calls: list[Callable[[TaskQueue], object]] = [
            lambda queue: queue.put(new),
            lambda queue: claim(queue, limit, kinds=kinds),
            lambda queue: claim(queue, limit, kinds=kinds),
            lambda queue: queue.finish([Finished(each, each.id.encode()) for each in picked]),
            lambda queue: queue.fail([Failure(each, "e", retryable) for each in picked]),
            lambda queue: queue.heartbeat(picked, lease_s=LEASE_S),
            lambda queue: queue.release(picked[:1]),
            lambda queue: queue.cancel(tenant, ids[:1]),
            lambda queue: queue.retry_dead(tenant, ids),
            lambda queue: queue.prune(done_before_s=now_s - 500.0, dead_before_s=now_s - 900.0),
        ]
        # Seldom, or there would be little to look at.
        return (lambda queue: queue.erase(tenant)) if chance.random() < 0.005 else chance.choice(calls)

    def _new(self) -> NewTask:
        self.number += 1
        at = self.clock.now_s() + self.chance.choice([-5.0, 0.0, 0.0, 40.0])
        return task(
            f"{self.number}",
            tenant=self.chance.choice([A, A, B]),
            kind=self.chance.choice(["verify", "import"]),
            priority=self.chance.choice([0, 10, 1000]),
            at=at,
        )


_TAKE = """
import sys; from pathlib import Path
from data.queue.redis_queue import RedisQueue; from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import Finished; from data.stores.redis import connect
where, name = sys.argv[1:3]
queue = RedisQueue(connect(where), name=name) if "://" in where else SqliteQueue(Path(where))
sys.stdin.readline()
while leased := queue.claim(f"w{name}", ["verify"], limit=7, lease_s=600.0):
    for each in leased: print(each.task.id)
    assert all(queue.finish([Finished(each.lease, b"") for each in leased]))
"""


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_queue_processes_claiming_at_once_share_no_task(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Three processes empty a queue together: every task is given to one of them."""
    where = str(tmp_path / "q") if kind == "sqlite" else request.getfixturevalue("redis_socket")
    queue = (
        SqliteQueue(tmp_path / "q") if kind == "sqlite" else RedisQueue(connect(where), name=tmp_path.name)
    )
    queue.put([task(f"{n}", tenant=TenantId(f"t{n % 3}")) for n in range(600)])
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKE, where, tmp_path.name],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    taken = [line for worker in workers for line in worker.communicate(timeout=50)[0].split()]

    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert sorted(taken, key=int) == [f"{n}" for n in range(600)]
    assert queue.counts()[0].done == 600
    queue.close()


_OPEN = """
import sys; from pathlib import Path
from data.queue.sqlite_queue import SqliteQueue; from data.queue.tasks import NewTask
sys.stdin.readline()
queue = SqliteQueue(Path(sys.argv[1]))
assert queue.put([NewTask("a", sys.argv[2], "verify", b"")]) == [True]
"""


def test_sqlite_queue_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """Processes that start together on a fresh home all get the queue."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, str(tmp_path / "new" / "q"), f"{number}"],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for worker in workers:
        worker.communicate(b"go\n", timeout=50)

    assert [worker.returncode for worker in workers] == [0] * 4
    queue = SqliteQueue(tmp_path / "new" / "q")
    assert queue.counts()[0].waiting == 4
    queue.close()


def test_sqlite_queue_claim_costs_the_same_however_many_wait(tmp_path: Path, clock: FakeClock) -> None:
    """The steps of SQLite's machine for a claim at 20,000 waiting tasks are those at 100."""

    def steps(waiting: int) -> int:
        queue = SqliteQueue(tmp_path / f"q{waiting}", clock=clock)
        queue.put([task(f"{n}", tenant=TenantId(f"t{n % 20}"), priority=n % 1000) for n in range(waiting)])
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        for connection in queue._database._all:
            connection.set_progress_handler(count, 10)
        assert len(claim(queue, 20)) == 20
        assert queue.counts()[0].leased == 20
        queue.close()
        return counted

    assert steps(20_000) <= steps(100) * 1.2


def test_sqlite_queue_damaged_file_is_named(tmp_path: Path) -> None:
    """A file that is no database is said to be damaged, not overwritten."""
    (tmp_path / "q").write_bytes(b"not a database" * 1_000)

    with pytest.raises(CorruptDataError, match="damaged"):
        SqliteQueue(tmp_path / "q")


def test_sqlite_queue_locked_by_another_is_unavailable(tmp_path: Path) -> None:
    """Another process that holds the file for too long makes the queue unavailable, a retryable error."""
    queue = SqliteQueue(tmp_path / "q")
    with sqlite3.connect(tmp_path / "q", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        queue._database._writer.execute("PRAGMA busy_timeout=1")
        with pytest.raises(StoreUnavailableError, match="locked"):
            queue.put([task("x")])
        other.execute("ROLLBACK")
    assert queue.put([task("x")]) == [True]
    queue.close()


def test_sqlite_queue_closed_is_unavailable(tmp_path: Path) -> None:
    """A closed queue says so."""
    queue = SqliteQueue(tmp_path / "q")
    queue.close()

    with pytest.raises(StoreUnavailableError):
        queue.ping()


def test_redis_queue_goes_by_the_servers_clock(redis_socket: str, tmp_path: Path) -> None:
    """Without a clock of its own a worker's time does not matter."""
    client = connect(redis_socket)
    queue = RedisQueue(client, name=tmp_path.name)
    before_s = client.time()[0]
    queue.put([task("x")])
    [leased] = claim(queue)

    assert before_s <= leased.task.created_s <= client.time()[0] + 1
    assert leased.until_s == pytest.approx(leased.task.created_s + LEASE_S, abs=5.0)
    queue.close()


def test_redis_queue_works_after_the_server_forgot_its_scripts(redis_socket: str, tmp_path: Path) -> None:
    """A server that was started anew is given the scripts again."""
    client = connect(redis_socket)
    queue = RedisQueue(client, name=tmp_path.name)
    queue.put([task("x")])
    client.script_flush()

    assert queue.put([task("y")]) == [True]
    queue.close()


def test_redis_queue_works_on_a_cluster(tmp_path: Path) -> None:
    """All keys of a queue lie together, so its scripts may touch them all."""
    with redis_cluster(tmp_path) as address:
        queue = RedisQueue(connect(address), rule=RULE)
        queue.put([task("1"), task("2"), task("1", tenant=B)])
        one, two = claim(queue, 2)

        assert queue.finish([Finished(one.lease, b"r")]) == [True]
        assert queue.fail([Failure(two.lease, "e", retryable=False)]) == [TaskState.DEAD]
        assert queue.retry_dead(B, ["1"]) == [True]
        assert (queue.counts()[0].done, queue.counts()[0].waiting) == (1, 2)
        queue.close()


def test_redis_queue_without_server_is_unavailable(tmp_path: Path) -> None:
    """No server behind the address: a clear, retryable error."""
    queue = RedisQueue(connect(f"unix://{tmp_path}/none"))

    with pytest.raises(StoreUnavailableError, match="cannot be used"):
        queue.put([task("x")])
    with pytest.raises(StoreUnavailableError):
        queue.ping()


def test_queue_put_whole_takes_all_or_none(make: Make) -> None:
    """What does not fit together is refused together; what is known counts for nothing."""
    queue = make(QueueBounds(tasks=10, tenant_tasks=3))
    assert queue.put([task("1"), task("2")], whole=True) == [True, True]

    assert queue.put([task("1"), task("3"), task("4")], whole=True) == [True, False, False]
    assert queue.states(A)[TaskState.WAITING] == 2
    assert queue.put([task("1"), task("3")], whole=True) == [True, True]
    assert queue.states(A)[TaskState.WAITING] == 3


def test_queue_states_are_of_one_tenant_and_follow_its_tasks(queue: TaskQueue) -> None:
    """Every state is named, and delayed tasks are waiting ones."""
    queue.put([task(f"{n}") for n in range(4)])
    queue.put([task("other", tenant=B)])
    queue.cancel(A, ["3"])
    first, second = claim(queue, 2, by="w")
    queue.finish([Finished(each.lease, b"yes") for each in (first, second) if each.task.tenant == A])

    told = queue.states(A)
    assert sum(told.values()) == 4
    assert told[TaskState.CANCELLED] == 1
    assert told[TaskState.DONE] in (1, 2)
    assert told[TaskState.WAITING] == 4 - 1 - told[TaskState.DONE]
    assert queue.states(TenantId("nobody")) == dict.fromkeys(TaskState, 0)
