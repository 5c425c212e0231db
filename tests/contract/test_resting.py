"""A home at rest: read by as many as like, written by nobody, and nothing of it is made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data import changes
from data.claims import TenantId
from data.errors import InvalidValueError, StoreUnavailableError
from data.keeper import Keeper
from data.knowledge import Document, Fact
from data.ledger import Ledger
from data.ports import Knowledge, Query
from data.resting import RestingKnowledge
from tests.fakes import FakeClock, FakeVectorSink

A = TenantId("a")
TEXT = "The Eiffel Tower in Paris is 330 metres tall."
LOADED = "<https://x.test/Paris> <https://x.test/in> <https://x.test/France> ."


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that a keeper has written to and left."""
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    keeper.append([changes.put_document(Document("d", TEXT), A)])
    keeper.append([changes.put_fact(Fact("f", "Eiffel Tower", "height", "330 m"), A)])
    keeper.append([changes.put_graph(LOADED, "g", A)])
    keeper.append([changes.put_verdict(changes.VerdictRecord("v", "c", "fp", "SUPPORTED", 0.9, b"{}"), A)])
    keeper.close()
    return tmp_path


@pytest.fixture
def rest(home: Path) -> Iterator[Callable[[], RestingKnowledge]]:
    """Open the home for reading again and again, as the workers of a batch do."""
    opened: list[RestingKnowledge] = []

    def again() -> RestingKnowledge:
        opened.append(RestingKnowledge(home, FakeClock()))
        return opened[-1]

    yield again
    for one in opened:
        one.close()


def seen(knowledge: Knowledge) -> list[object]:
    """What a claim about the tower finds, of every kind."""
    query = Query(A, "Eiffel Tower in Paris", knowledge.knowledge_seq())
    ids = [hit.id for hit in knowledge.search_text([query], 5)[0]]
    return [
        knowledge.knowledge_seq(),
        ids,
        knowledge.passages([(query, ids)]),
        knowledge.facts_about([query], 5),
        knowledge.statements_about([query], 5),
        knowledge.verdict(A, "v"),
    ]


def test_home_at_rest_is_read_by_two_at_once(rest: Callable[[], RestingKnowledge]) -> None:
    """Both find passages, facts, statements and verdicts."""
    found = [seen(rest()), seen(rest())]

    assert found[0] == found[1]
    assert all(found[0])


def test_keeper_is_kept_out_while_somebody_reads(home: Path, rest: Callable[[], RestingKnowledge]) -> None:
    """Nothing may change under a reader; once it has gone, the keeper finds what was there."""
    reader = rest()
    with pytest.raises(StoreUnavailableError, match="or a batch reads it"):
        Keeper(home, FakeClock(), FakeVectorSink())
    found = seen(reader)
    reader.close()
    keeper = Keeper(home, FakeClock(), FakeVectorSink())

    assert seen(keeper) == found
    keeper.close()


def test_reader_is_kept_out_while_a_keeper_writes(home: Path, rest: Callable[[], RestingKnowledge]) -> None:
    """A home that is running is asked through its keeper."""
    keeper = Keeper(home, FakeClock(), FakeVectorSink())
    with pytest.raises(StoreUnavailableError, match="A keeper owns"):
        rest()
    keeper.close()

    assert rest().knowledge_seq() == 3


def test_reader_refuses_stores_that_are_behind_their_ledger(
    home: Path, rest: Callable[[], RestingKnowledge]
) -> None:
    """After a keeper's sudden death a store may lack the last rows: nobody answers from it."""
    ledger = Ledger(home / "ledger" / "ledger.sqlite", FakeClock())
    ledger.append([changes.put_document(Document("late", TEXT), A)])
    ledger.close()

    with pytest.raises(StoreUnavailableError, match="start it once"):
        rest()


def test_reader_writes_nothing(rest: Callable[[], RestingKnowledge]) -> None:
    """A write is refused in one sentence."""
    with pytest.raises(StoreUnavailableError, match="is only read"):
        rest().append([changes.put_document(Document("e", TEXT), A)])


def test_reader_knows_the_position_of_a_day_and_refuses_what_is_none(
    rest: Callable[[], RestingKnowledge],
) -> None:
    """``as_of`` means the same as with a keeper."""
    reader = rest()

    assert reader.seq_at("2999-01-01") == 3
    with pytest.raises(InvalidValueError):
        reader.seq_at("no day")
