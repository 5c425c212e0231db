"""Building a view anew: the old one answers meanwhile, nothing written meanwhile is missing afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from data import changes
from data.claims import TenantId
from data.errors import NotFoundError
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact
from data.ports import Query
from data.views.facts import FactFilter
from tasks import rebuild_view
from tests.fakes import FakeClock, FakeVectorSink

A = TenantId("a")
GRAPH = '<http://e/Paris> <http://www.w3.org/2000/01/rdf-schema#label> "Paris" .'


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    yield made
    made.close()


def document(name: str) -> Change:
    return changes.put_document(Document(name, f"The tower {name} stands in Paris."), A)


def fill(keeper: Keeper, count: int = 30) -> None:
    for number in range(count):
        keeper.append([document(f"d{number}"), changes.put_fact(Fact(f"f{number}", "Paris", "p", "o"), A)])
    keeper.append([changes.put_graph(GRAPH, "g", A), changes.delete_document("d3", A)])


def found(keeper: Keeper) -> list[str]:
    hits = keeper.search_text([Query(A, "tower", keeper.knowledge_seq())], 500)[0]
    return sorted(hit.id for hit in hits)


@pytest.mark.parametrize("name", rebuild_view.VIEWS)
def test_rebuilt_view_holds_what_it_held(keeper: Keeper, name: str) -> None:
    """Counts, positions and answers are those of before, and writes go on afterwards."""
    fill(keeper)
    before = keeper.states()[name], found(keeper)

    position = keeper.rebuild(name)

    assert (keeper.states()[name], found(keeper)) == before
    assert position == keeper.stats().head
    keeper.append([document("late")])
    assert "late#0" in found(keeper)


def test_rebuild_while_others_read_and_write_fails_no_read_and_loses_no_write(keeper: Keeper) -> None:
    """Readers see one whole view at any time; every acknowledged write is in the new one."""
    fill(keeper, 10)
    stop, failures, written = threading.Event(), list[str](), list[str]()

    def read() -> None:
        while not stop.is_set():
            hits = found(keeper)
            if "d0#0" not in hits or "d3#0" in hits:
                failures.append(f"{hits[:5]}")

    def write() -> None:
        number = 0
        while not stop.is_set():
            keeper.append([document(f"w{number}")])
            written.append(f"w{number}#0")
            number += 1

    threads = [threading.Thread(target=read), threading.Thread(target=read), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    try:
        for name in (*rebuild_view.VIEWS, "passages"):
            keeper.rebuild(name)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert failures == []
    assert written
    assert set(written) <= set(found(keeper))


def test_view_left_half_built_is_not_served(tmp_path: Path) -> None:
    """A build that was cut off leaves the view as it was; the next build starts anew."""
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    fill(keeper, 5)
    held = found(keeper)
    half = keeper.fresh_view("passages")
    half.apply(keeper.read_entries(0, 3))
    half.close()
    keeper.close()

    again = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    try:
        assert found(again) == held
        again.rebuild("passages")
        assert found(again) == held
    finally:
        again.close()


def test_unknown_view_is_named_with_those_there_are(keeper: Keeper) -> None:
    """The error says which names exist."""
    with pytest.raises(NotFoundError, match="passages, facts, graph, history"):
        keeper.rebuild("vektors")


def test_task_builds_the_views_of_a_stopped_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line of JSON: by view the position and the seconds."""
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    fill(keeper, 5)
    facts, head = keeper.facts(A, FactFilter()), keeper.stats().head
    keeper.close()

    code = rebuild_view.main(["facts", "graph", "--home-stopped", "--set", f"home={tmp_path}"])

    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {name: each["applied_seq"] for name, each in report.items()} == {"facts": head, "graph": head}
    again = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    assert again.facts(A, FactFilter()) == facts
    again.close()


def test_task_says_which_views_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name ends with the usage, not with a half-done rebuild."""
    with pytest.raises(SystemExit):
        rebuild_view.main(["fakts"])
    assert "passages, facts, graph, history" in capsys.readouterr().err
