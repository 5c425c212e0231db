"""Building a view anew: the old one answers meanwhile, nothing written meanwhile is missing afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data import changes
from data.claims import TenantId
from data.errors import NotFoundError
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact
from data.ports import Query
from data.vectors.faiss import FaissIndex
from data.views.facts import FactFilter
from data.views.vectors import PassageVectors
from tasks import rebuild_view
from tests.fakes import FakeClock, FakeEmbedder, FakeVectorSink

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


@pytest.mark.parametrize("name", [name for name in rebuild_view.VIEWS if name != "vectors"])
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


class CountingEmbedder(FakeEmbedder):
    """Counts what it embeds, and can be held up."""

    def __init__(self) -> None:
        self.texts = 0
        self.go = threading.Event()
        self.go.set()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors once it may."""
        self.go.wait(timeout=30.0)
        self.texts += len(texts)
        return super().embed(texts)


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def vectors(tmp_path: Path, embedder: CountingEmbedder) -> PassageVectors:
    folder = tmp_path / "vectors"
    return PassageVectors(folder, tmp_path, embedder, embedder_id="fake", kind=FaissIndex)


@pytest.fixture
def dense(tmp_path: Path, vectors: PassageVectors) -> Iterator[Keeper]:
    made = Keeper(tmp_path, FakeClock(), vectors)
    yield made
    made.close()


def nearest(vectors: PassageVectors, text: str, as_of: int | None = None) -> list[str]:
    asked = None if as_of is None else [as_of]
    return [hit.id for hit in vectors.search_vectors([A], FakeEmbedder().embed([text]), 5, as_of=asked)[0]]


def test_rebuilt_vectors_hold_what_they_held_and_embed_nothing_again(
    dense: Keeper, vectors: PassageVectors, embedder: CountingEmbedder, tmp_path: Path
) -> None:
    """Rows, vectors and past answers are those of before; texts that have not changed keep their vectors."""
    fill(dense, 10)
    dense.append([document("d1")])
    before, embedded = (vectors.digest(), vectors.counts(), nearest(vectors, "tower d3", 5)), embedder.texts

    position = dense.rebuild("vectors")
    dense.append([document("late")])

    assert (position, embedder.texts) == (dense.stats().head - 1, embedded + 1)
    assert nearest(vectors, "The tower late stands in Paris.")[0] == "late#0"
    loaded = PassageVectors(tmp_path / "vectors", tmp_path, embedder, embedder_id="fake", kind=FaissIndex)
    assert (loaded.digest(), loaded.counts(), nearest(loaded, "tower d3", 5)) == before


def test_vectors_lost_from_memory_are_embedded_anew(
    dense: Keeper, vectors: PassageVectors, embedder: CountingEmbedder
) -> None:
    """Where no vector is held the embedder makes it, and the outcome is the same."""
    fill(dense, 5)
    before, embedded = vectors.digest(), embedder.texts
    vectors._tables = {}

    dense.rebuild("vectors")

    assert vectors.digest() == before
    assert embedder.texts == 2 * embedded


def test_vectors_answer_and_take_in_while_they_are_rebuilt(
    dense: Keeper, vectors: PassageVectors, embedder: CountingEmbedder
) -> None:
    """A rebuild held up in the middle holds up no search; what is written meanwhile is there afterwards."""
    fill(dense, 5)
    vectors._remembered, tables = None, vectors._tables
    embedder.go.clear()
    rebuild = threading.Thread(target=vectors.rebuild, args=(dense.read_entries,))
    # Nothing is held for the new one, so that it has to wait for the embedder.
    vectors._tables = {}
    rebuild.start()
    vectors._tables = tables
    found = nearest(vectors, "The tower d0 stands in Paris.")
    embedder.go.set()
    dense.append([document("late")])
    rebuild.join()

    assert found[0] == "d0#0"
    assert nearest(vectors, "The tower late stands in Paris.")[0] == "late#0"
    assert vectors.counts()["vectors"] == 5


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
