"""Word search over passages: titles, whole documents, old files; and vectors of passages behind titles."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from data import changes, segments
from data.claims import SHARED_TENANT, TenantId
from data.errors import CorruptDataError
from data.knowledge import Document, Passage
from data.ledger import Ledger
from data.ports import Hit, Query
from data.titles import embedded_text, titled
from data.vectors.exact import ExactIndex
from data.views.library import Library
from data.views.passages import PassagesView
from data.views.vectors import PassageVectors
from tests.fakes import FakeClock, FakeEmbedder

A, B = TenantId("a"), TenantId("b")
FILLER = "It stands there and people look at it every day of the year in rain and sun alike. " * 4


class Shelf:
    """A ledger and its views, without a keeper."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ledger = Ledger(home / "ledger.sqlite", FakeClock())
        self.library = Library(home)

    def put(self, *documents: Document, tenant: TenantId = A) -> int:
        receipt = self.ledger.append([changes.put_document(one, tenant) for one in documents])
        self.library.apply(self.ledger.read(receipt.first_seq - 1, 100))
        return receipt.last_seq

    def hits(self, text: str, tenant: TenantId = A, at: int | None = None) -> list[Hit]:
        query = Query(tenant, text, self.ledger.head() if at is None else at)
        return self.library.search_text([query], 10)[0]

    def close(self) -> None:
        self.library.close()
        self.ledger.close()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_word_of_the_title_weighs_more_than_one_of_the_text(shelf: Shelf) -> None:
    """Two documents of the same length: the one that has the word in its title comes first."""
    shelf.put(
        Document("text", "Lighthouse and harbour.", "Coast"),
        Document("title", "Coast and harbour.", "Lighthouse"),
    )

    assert [hit.id for hit in shelf.hits("lighthouse")] == ["title#0", "text#0"]


def test_passage_is_lifted_by_what_its_document_says_elsewhere(shelf: Shelf) -> None:
    """Of two equal passages the one comes first whose document speaks of the rest of the claim."""
    shelf.put(
        Document("alone", f"The comet was seen in Lyon. {FILLER} Nothing more is known."),
        Document("whole", f"The comet was seen in Lyon. {FILLER} Astronomers named it Halley."),
    )
    found = {hit.id: hit.score for hit in shelf.hits("comet Halley")}

    assert found["whole#0"] > found["alone#0"]


def test_title_counts_once_a_document_however_many_passages_it_has(shelf: Shelf) -> None:
    """A title's word weighs as much as two of the text: in the passage, and once in the whole document."""
    text = f"People look at it. {FILLER}{FILLER}"
    shelf.put(
        Document("titled", text, "Moon"),
        Document("told", text.replace("People look", "Moon moon", 1), "Tide"),
    )
    found = {hit.id: hit.score for hit in shelf.hits("moon")}

    assert "titled#1" in found
    assert found["titled#0"] == found["told#0"]


def test_score_of_a_document_does_not_move_with_other_tenants_or_later_versions(shelf: Shelf) -> None:
    """Documents are counted as the asker sees them at the position asked about."""
    at = shelf.put(Document("d", f"The comet was seen. {FILLER} Halley.", "Sky"), Document("e", "A comet."))
    before = shelf.hits("comet Halley sky", at=at)
    shelf.put(Document("d", "The comet Halley. " * 30, "Sky"))
    shelf.put(Document("x", "The comet Halley."), tenant=B)

    assert shelf.hits("comet Halley sky", at=at) == before
    assert shelf.hits("comet Halley sky") != before


def test_own_document_hides_the_shared_one_of_its_id(shelf: Shelf) -> None:
    """The shared document's words count neither for its own passages nor for others."""
    shelf.put(Document("d", "The comet Halley."), Document("e", "A comet."), tenant=SHARED_TENANT)
    alone = shelf.hits("Halley", tenant=B)
    shelf.put(Document("d", "A tower."))

    assert [hit.id for hit in alone] == ["d#0"]
    assert shelf.hits("Halley") == []


def test_view_built_again_in_one_go_gives_the_same_scores(shelf: Shelf, tmp_path: Path) -> None:
    """Scores do not depend on how the view came to be."""
    for number in range(5):
        shelf.put(Document(f"d{number % 3}", f"Comet {number}. {FILLER} Halley {number}.", f"Sky {number}"))
    again = Library(tmp_path / "again")
    again.apply(shelf.ledger.read(0, 100))
    query = Query(A, "comet Halley sky 3", shelf.ledger.head())

    assert again.search_text([query], 10) == shelf.library.search_text([query], 10)
    again.close()


def old_file(path: Path) -> None:
    """Make the file that software before formats wrote: no format, no row of the document."""
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'format'")
        connection.execute("ALTER TABLE passages DROP COLUMN document_row")


def test_view_of_an_older_format_is_built_again_from_the_ledger(shelf: Shelf) -> None:
    """At start the old file is laid aside and the ledger fills a new one; answers are as before."""
    at = shelf.put(Document("d", "The comet Halley.", "Sky"))
    before = shelf.hits("comet")
    shelf.library.close()
    path = shelf.home / "views" / "passages.sqlite"
    old_file(path)
    shelf.library = Library(shelf.home)

    assert path.with_name("passages.sqlite.corrupt-1").exists()
    assert shelf.library.applied_seq() == 0
    shelf.library.apply(shelf.ledger.read(0, 100))
    assert shelf.library.applied_seq() == at
    assert shelf.hits("comet") == before


def test_view_of_another_format_says_so_and_is_not_opened(tmp_path: Path) -> None:
    """A file of newer software is not written over either."""
    path = tmp_path / "passages.sqlite"
    PassagesView(path, tmp_path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'format'")

    with pytest.raises(CorruptDataError, match="format 99"):
        PassagesView(path, tmp_path)


def test_view_of_this_format_is_opened_again_as_it_is(shelf: Shelf) -> None:
    """Nothing is built twice for nothing."""
    at = shelf.put(Document("d", "The comet Halley."))
    shelf.library.close()
    shelf.library = Library(shelf.home)

    assert shelf.library.applied_seq() == at
    assert [hit.id for hit in shelf.hits("comet")] == ["d#0"]


def test_titled_puts_the_title_first_unless_the_text_says_it() -> None:
    """What "it" is stands in the title; said twice it helps nobody."""
    assert titled("Eiffel Tower", "It opened in 1889.") == "Eiffel Tower: It opened in 1889."
    assert titled("Eiffel Tower", "The eiffel tower is old.") == "The eiffel tower is old."
    assert titled("", "Old.") == "Old."
    assert embedded_text(Passage("p", "d", "Old.", 0, 4, "Tower")) == "Tower: Old."


class Indexed:
    """Passage vectors of a home with one document whose text does not name its subject."""

    DOCUMENT = Document("d", "It opened in 1889.", "Eiffel Tower")

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ledger = Ledger(home / "ledger.sqlite", FakeClock())
        self.vectors = self.opened()

    def opened(self) -> PassageVectors:
        return PassageVectors(
            self.home / "vectors", self.home, FakeEmbedder(), embedder_id="fake-1", kind=ExactIndex
        )

    def score(self, text: str) -> float:
        self.vectors.apply(self.ledger.read(0, 100))
        return self.vectors.search_vectors([A], FakeEmbedder().embed([text]), 1)[0][0].score


def test_passages_are_embedded_behind_their_titles_singly_and_in_bulk(tmp_path: Path) -> None:
    """The vector is that of "Title: text", whichever way the document came in."""
    told = "Eiffel Tower: It opened in 1889."
    single, bulk = Indexed(tmp_path / "single"), Indexed(tmp_path / "bulk")
    single.ledger.append([changes.put_document(Indexed.DOCUMENT, A)])
    ref = segments.write_documents(
        bulk.home, [Indexed.DOCUMENT], embed=FakeEmbedder().embed, embedder="fake-1"
    )
    bulk.ledger.append([changes.load_segment(ref, A)])

    assert single.score(told) == pytest.approx(1.0, abs=1e-5)
    assert bulk.score(told) == pytest.approx(1.0, abs=1e-5)


def test_segment_of_bare_passages_is_embedded_again(tmp_path: Path) -> None:
    """Vectors that an older import made of texts without titles are not mixed with ours."""
    house = Indexed(tmp_path)
    ref = segments.write_documents(
        house.home,
        [Indexed.DOCUMENT],
        embed=lambda texts: FakeEmbedder().embed(["x"] * len(texts)),
        embedder="fake-1",
    )
    old = changes.SegmentRef(ref.uri, ref.rows, ref.sha256, ref.kind, "fake-1")
    house.ledger.append([changes.load_segment(old, A)])

    assert house.score("Eiffel Tower: It opened in 1889.") == pytest.approx(1.0, abs=1e-5)


def test_vector_files_of_bare_passages_are_not_used(tmp_path: Path) -> None:
    """Files whose manifest names the bare embedder are as good as none: the ledger builds them again."""
    from data.views.vector_files import load_tables, save_tables

    house = Indexed(tmp_path)
    save_tables(tmp_path / "vectors", {"embedder": "fake-1", "dim": FakeEmbedder().dim}, 7, [])

    assert load_tables(tmp_path / "vectors", {"embedder": "fake-1", "dim": FakeEmbedder().dim})[0] == 7
    assert house.opened().applied_seq() == 0
