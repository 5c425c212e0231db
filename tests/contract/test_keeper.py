"""The keeper: what it acknowledges is there, once, and visible; whatever fails meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import assert_type

import pytest

from data import changes, segments
from data.claims import TenantId
from data.errors import InvalidValueError, StoreUnavailableError
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact
from data.ports import HistoryQuery, Knowledge, Query
from data.standing import BoardReader
from tests.fakes import FakeClock, FakeVectorSink

A = TenantId("a")
TEXT = "The Eiffel Tower in Paris is 330 metres tall."


@pytest.fixture
def sink() -> FakeVectorSink:
    return FakeVectorSink()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def keeper(tmp_path: Path, sink: FakeVectorSink, clock: FakeClock) -> Iterator[Keeper]:
    made = Keeper(tmp_path, clock, sink)
    yield made
    made.close()


@pytest.fixture
def reopen(tmp_path: Path, sink: FakeVectorSink, clock: FakeClock) -> Iterator[Callable[[], Keeper]]:
    """Open the home again and again, as restarts do."""
    opened: list[Keeper] = []

    def again() -> Keeper:
        opened.append(Keeper(tmp_path, clock, sink))
        return opened[-1]

    yield again
    for one in opened:
        one.close()


def document(name: str, text: str = TEXT) -> Change:
    return changes.put_document(Document(name, text), A)


def verdict(name: str, body: bytes = b"{}") -> Change:
    return changes.put_verdict(changes.VerdictRecord(name, "c", "fp", "SUPPORTED", 0.9, body), A)


def found(keeper: Keeper, text: str = "Eiffel") -> list[str]:
    return [hit.id for hit in keeper.search_text([Query(A, text, keeper.knowledge_seq())], 50)[0]]


def test_keeper_is_the_knowledge_port(keeper: Keeper) -> None:
    """The keeper stands wherever knowledge is asked for."""
    port: Knowledge = keeper

    assert_type(port.knowledge_seq(), int)
    assert port.knowledge_seq() == 0


def test_keeper_write_is_visible_when_acknowledged(keeper: Keeper, sink: FakeVectorSink) -> None:
    """Read your writes: in every view and in the vectors, at the position that the receipt names."""
    receipt = keeper.append([document("d"), changes.put_fact(Fact("f", "Paris", "p", "o"), A)])

    assert found(keeper) == ["d#0"]
    assert [fact.id for fact in keeper.facts_about([Query(A, "Paris", receipt.last_seq)], 5)[0]] == ["f"]
    assert (keeper.knowledge_seq(), sink.applied_seq()) == (2, 2)


def test_keeper_retry_with_the_same_key_writes_nothing(keeper: Keeper) -> None:
    """A retried write answers the first receipt."""
    first = keeper.append([document("d")], idempotency_key="k")
    again = keeper.append([document("d")], idempotency_key="k")

    assert again.replayed
    assert (again.first_seq, keeper.stats().head) == (first.first_seq, 1)


def test_keeper_same_verdict_twice_is_one(keeper: Keeper) -> None:
    """A verdict that is there is answered from there; a new one beside it is written."""
    keeper.append([verdict("v", b'{"a":1}')])
    again = keeper.append([verdict("v", b'{"a":2}')])
    mixed = keeper.append([verdict("v"), verdict("w")])

    assert (again.replayed, again.first_seq) == (True, 1)
    assert (mixed.replayed, mixed.first_seq, mixed.last_seq) == (False, 1, 2)
    assert keeper.verdict(A, "v") == b'{"a":1}'


def test_keeper_verdicts_do_not_move_the_knowledge(keeper: Keeper, sink: FakeVectorSink) -> None:
    """Verdicts and feedback reach the history, not the vectors, and knowledge stands still."""
    keeper.append([document("d")])
    keeper.append([verdict("v"), changes.put_feedback(changes.Feedback("v", "REFUTED"), A)])
    ((past,),) = keeper.past_verdicts([HistoryQuery(A, "fp", 10)])

    assert (keeper.knowledge_seq(), keeper.stats().head, past.feedback_label) == (1, 3, "REFUTED")
    assert [entry.kind for entry in sink.entries] == ["document.put"]


@pytest.mark.parametrize(
    "bad",
    [
        Change("document.burn", "d", b"{}"),
        Change("fact.put", "f", b"{"),
        changes.load_segment(changes.SegmentRef("segments/none.parquet", 1, "00", "facts")),
        changes.load_segment(changes.SegmentRef("../../etc/passwd", 1, "00", "facts")),
    ],
)
def test_keeper_bad_change_writes_nothing_at_all(keeper: Keeper, bad: Change) -> None:
    """One bad change refuses the whole request, before anything is written."""
    with pytest.raises(InvalidValueError):
        keeper.append([document("d"), bad])

    assert (keeper.stats().head, found(keeper)) == (0, [])


def test_keeper_bulk_load_is_taken_in(keeper: Keeper, tmp_path: Path) -> None:
    """One row stands for many documents."""
    ref = segments.write_documents(tmp_path, [Document(f"d{n}", TEXT) for n in range(30)])
    receipt = keeper.append([changes.load_segment(ref, A)])

    assert (receipt.last_seq, len(found(keeper))) == (1, 30)


def test_keeper_concurrent_writers_all_stand_once_in_order(keeper: Keeper) -> None:
    """Sixteen writers at once: every receipt names its own rows, positions have no gap, the chain holds."""
    receipts: dict[str, int] = {}

    def write(thread: int) -> None:
        for number in range(10):
            name = f"{thread}-{number}"
            receipts[name] = keeper.append([document(name, f"{TEXT} {name}")]).first_seq

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = keeper.read_entries(0, 1_000)

    assert {entry.key: entry.seq for entry in entries} == receipts
    assert keeper.verify() == 160
    assert keeper.stats().views["passages"].counts["documents"] == 160


def test_keeper_readers_beside_a_writer_see_whole_writes(keeper: Keeper) -> None:
    """While documents come in by twos, a reader never sees one without the other."""
    odd: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            odd.extend([1] * (len(found(keeper)) % 2))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(20):
        keeper.append([document(f"{number}a"), document(f"{number}b")])
    done.set()
    for reader in readers:
        reader.join()

    assert odd == []
    assert len(found(keeper)) == 40


def test_keeper_second_owner_is_refused(keeper: Keeper, tmp_path: Path, clock: FakeClock) -> None:
    """A home has one keeper; the second is told so and harms nothing."""
    with pytest.raises(StoreUnavailableError, match="Another keeper owns"):
        Keeper(tmp_path, clock, FakeVectorSink())
    keeper.append([document("d")])

    assert found(keeper) == ["d#0"]


def test_keeper_failing_sink_leaves_outcome_unknown_and_retry_safe(
    keeper: Keeper, sink: FakeVectorSink
) -> None:
    """A sink that fails once the rows are durable: the caller hears it, a retry ends with one row."""
    sink.failing = StoreUnavailableError("away")
    with pytest.raises(StoreUnavailableError, match="same idempotency key"):
        keeper.append([document("d")], idempotency_key="k")
    hidden = keeper.knowledge_seq()
    sink.failing = None
    receipt = keeper.append([document("d")], idempotency_key="k")

    assert (hidden, receipt.first_seq, receipt.replayed, keeper.knowledge_seq()) == (0, 1, True, 1)
    assert [entry.seq for entry in sink.entries] == [1]


def test_keeper_sink_still_away_writes_nothing_more(keeper: Keeper, sink: FakeVectorSink) -> None:
    """While the sink is behind and away, writes are refused before they reach the ledger."""
    sink.failing = StoreUnavailableError("away")
    for name in ("d", "e"):
        with pytest.raises(StoreUnavailableError):
            keeper.append([document(name)])

    assert keeper.stats().head == 1
    assert not keeper.append([verdict("v")]).replayed


def test_keeper_sink_that_forgot_is_sent_everything_again(keeper: Keeper, sink: FakeVectorSink) -> None:
    """An index that came back empty has all of it with the next write, or at once when asked for."""
    keeper.append([document("d"), verdict("v")])
    sink.forget()
    keeper.append([document("e")])
    after_write = [entry.key for entry in sink.entries]
    sink.forget()
    keeper.refresh()

    assert after_write == [entry.key for entry in sink.entries] == ["d", "e"]


def test_keeper_restart_has_everything(reopen: Callable[[], Keeper]) -> None:
    """After a clean stop a new keeper answers the same, and goes on from there."""
    first = reopen()
    first.append([document("d"), verdict("v")], idempotency_key="k")
    first.close()
    second = reopen()

    assert (found(second), second.verdict(A, "v"), second.knowledge_seq()) == (["d#0"], b"{}", 1)
    assert second.append([document("d"), verdict("v")], idempotency_key="k").replayed
    assert second.append([document("e")]).first_seq == 3


@pytest.mark.parametrize("view", ["passages.sqlite", "facts.duckdb", "history.sqlite"])
def test_keeper_damaged_view_is_rebuilt_on_start(
    reopen: Callable[[], Keeper], tmp_path: Path, view: str
) -> None:
    """A view damaged on disk is set aside and built again from the ledger before anything is answered."""
    first = reopen()
    first.append([document("d"), verdict("v"), changes.put_fact(Fact("f", "Paris", "p", "o"), A)])
    first.close()
    path = tmp_path / "views" / view
    path.write_bytes(b"\x13" * 10_000)
    second = reopen()

    assert path.with_name(f"{view}.corrupt-1").read_bytes() == b"\x13" * 10_000
    assert (found(second), second.verdict(A, "v")) == (["d#0"], b"{}")
    assert [fact.id for fact in second.facts_about([Query(A, "Paris", 3)], 5)[0]] == ["f"]


def test_keeper_lost_views_are_rebuilt_on_start(reopen: Callable[[], Keeper], tmp_path: Path) -> None:
    """Without any view the ledger is enough."""
    first = reopen()
    first.append([document("d"), verdict("v")])
    first.close()
    (tmp_path / "views").rename(tmp_path / "lost")
    second = reopen()

    assert (found(second), second.verdict(A, "v")) == (["d#0"], b"{}")


def test_keeper_seq_at_names_knowledge_only(keeper: Keeper, clock: FakeClock) -> None:
    """The position at a moment is one that knowledge has."""
    keeper.append([document("d"), verdict("v")])
    clock.advance(48 * 3600)
    keeper.append([document("e")])

    assert (keeper.seq_at("2026-01-02"), keeper.seq_at("2026-02-01"), keeper.seq_at("2020-01-01")) == (
        1,
        3,
        0,
    )


def test_keeper_closed_refuses_clearly(reopen: Callable[[], Keeper]) -> None:
    """After closing, writes and reads get the error that says to come back later."""
    keeper = reopen()
    keeper.close()

    with pytest.raises(StoreUnavailableError):
        keeper.append([document("d")])
    with pytest.raises(StoreUnavailableError):
        keeper.ping()
    with pytest.raises(StoreUnavailableError):
        keeper.search_text([Query(A, "x", 0)], 1)


def test_keeper_shows_where_it_stands_to_every_process(tmp_path: Path, keeper: Keeper) -> None:
    """What is acknowledged is on the board; verdicts alone change nothing there, all other writes do."""
    board = BoardReader(tmp_path)
    empty = board.read()
    keeper.append([document("d")])
    written = board.read()
    keeper.append([verdict("v")])
    answered = board.read()
    keeper.append([changes.put_feedback(changes.Feedback("v", "REFUTED"), A)])
    said = board.read()
    keeper.rebuild("history")
    rebuilt = board.read()

    assert empty is not None
    assert (empty.position, written and written.position) == (0, 1)
    assert answered == written
    assert said is not None
    assert rebuilt is not None
    assert said.position == 1
    assert empty.edition < written.edition < said.edition < rebuilt.edition  # type: ignore[union-attr]
    keeper.close()
    assert board.read() is None
