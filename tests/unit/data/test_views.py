"""The views: who sees what, as of when; built step by step or in one go, with the same result."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from data import changes, segments
from data.claims import SHARED_TENANT, TenantId
from data.errors import CorruptDataError, InvalidValueError
from data.knowledge import Change, Document, Fact, Pattern, Source
from data.ledger import Ledger
from data.ports import HistoryQuery, Query
from data.vectors.exact import ExactIndex
from data.vectors.faiss import FaissIndex
from data.views import lexical
from data.views.facts import FactFilter, FactsView
from data.views.library import Library
from data.views.sparql_runner import SparqlLimits
from data.views.vectors import PassageVectors
from tests.fakes import FakeClock, FakeEmbedder

A, B = TenantId("a"), TenantId("b")
CURIE = "Marie Curie won the Nobel Prize in Physics in 1903 and in Chemistry in 1911."
EIFFEL = "The Eiffel Tower in Paris is 330 metres tall and was finished in 1889."
GRAPH = """
<http://e/Paris> <http://www.w3.org/2000/01/rdf-schema#label> "Paris"@en <http://e/g> .
<http://e/Paris> <http://e/capitalOf> <http://e/France> <http://e/g> .
<http://e/Paris> <http://e/population> "2103000"^^<http://www.w3.org/2001/XMLSchema#integer> <http://e/g> .
<http://e/g> <http://www.w3.org/ns/prov#wasDerivedFrom> "insee" .
"""


class SmallGraph(FaissIndex):
    """A FAISS index that becomes a graph early."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, flat_limit=30)


class House:
    """A ledger with all views behind it, applied as one goes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ledger = Ledger(home / "ledger.sqlite", FakeClock())
        self.library = Library(home)
        self.vectors = self.opened_vectors()

    def opened_vectors(self, kind: type[ExactIndex | FaissIndex] = ExactIndex) -> PassageVectors:
        return PassageVectors(
            self.home / "vectors", self.home, FakeEmbedder(), embedder_id="fake-1", kind=kind
        )

    def write(self, *some: Change) -> int:
        """Append and apply; return the position."""
        receipt = self.ledger.append(some)
        entries = self.ledger.read(receipt.first_seq - 1, 1_000)
        self.library.apply(entries)
        self.vectors.apply(entries)
        return receipt.last_seq

    def found(self, tenant: TenantId, text: str, as_of: int | None = None) -> list[str]:
        query = Query(tenant, text, self.ledger.head() if as_of is None else as_of)
        return [hit.id for hit in self.library.search_text([query], 10)[0]]

    def dense(self, tenant: TenantId, text: str, as_of: int | None = None) -> list[str]:
        vector = FakeEmbedder().embed([text])
        position = None if as_of is None else [as_of]
        return [hit.id for hit in self.vectors.search_vectors([tenant], vector, 10, as_of=position)[0]]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.library.close()
    made.ledger.close()


def ask(house: House, tenant: TenantId, as_of: int | None = None, text: str = "Paris in France") -> Query:
    return Query(tenant, text, house.ledger.head() if as_of is None else as_of)


# What each view finds for a tenant at a position, as plain values: the same checks run on all of them.
LOOKUPS: dict[str, Callable[[House, TenantId, int], object]] = {
    "text": lambda house, tenant, at: house.found(tenant, "Eiffel Tower", at),
    "passages": lambda house, tenant, at: sorted(
        house.library.passages([(ask(house, tenant, at), ["d#0", "e#0"])])[0]
    ),
    "document": lambda house, tenant, at: house.library.document(tenant, "d", as_of=at) is not None,
    "patterns": lambda house, tenant, at: [
        hit.pattern_id for hit in house.library.match([ask(house, tenant, at, "Everyone knows Paris")])[0]
    ],
    "facts": lambda house, tenant, at: [
        fact.id for fact in house.library.facts_about([ask(house, tenant, at)], 10)[0]
    ],
    "facts_list": lambda house, tenant, at: [
        fact.id for fact in house.library.facts(tenant, FactFilter(as_of=at))
    ],
    "graph": lambda house, tenant, at: [
        (fact.predicate, fact.object)
        for fact in house.library.statements_about([ask(house, tenant, at)], 10)[0]
    ],
    "vectors": lambda house, tenant, at: house.dense(tenant, "Eiffel Tower", at),
}
PUTS = (
    changes.put_document(Document("d", EIFFEL, "Tower"), A),
    changes.put_fact(Fact("f", "Paris", "population", "2.1 million", 2.1e6), A),
    changes.put_graph(GRAPH, "g", A),
    changes.put_pattern(Pattern("p", "fallacy", "ad populum", '"everyone knows"', "m"), A),
    changes.put_source(Source("s", "S"), A),
)
DELETES = (
    changes.delete_document("d", A),
    changes.delete_fact("f", A),
    changes.delete_graph("g", A),
    changes.delete_pattern("p", A),
    changes.delete_source("s", A),
)


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_view_another_tenant_sees_nothing(house: House, lookup: str) -> None:
    """What one tenant wrote, that tenant finds and no other."""
    at = house.write(*PUTS)

    assert LOOKUPS[lookup](house, A, at)
    assert not LOOKUPS[lookup](house, B, at)
    assert not LOOKUPS[lookup](house, SHARED_TENANT, at)


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_view_deleted_is_gone_at_once_and_visible_before(house: House, lookup: str) -> None:
    """A deleted thing is gone from the next question on, and still there as of before."""
    before = house.write(*PUTS)
    seen = LOOKUPS[lookup](house, A, before)
    now = house.write(*DELETES)

    assert not LOOKUPS[lookup](house, A, now)
    assert LOOKUPS[lookup](house, A, before) == seen
    assert not LOOKUPS[lookup](house, A, 0)


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_view_shared_knowledge_is_seen_by_all(house: House, lookup: str) -> None:
    """What is shared, every tenant finds."""
    house.write(*(Change(one.kind, one.key, one.payload, SHARED_TENANT) for one in PUTS))
    at = house.ledger.head()

    assert LOOKUPS[lookup](house, A, at) == LOOKUPS[lookup](house, B, at) != []


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_view_rebuilt_equals_the_one_built_step_by_step(house: House, tmp_path: Path, lookup: str) -> None:
    """A view built from the whole ledger at once answers as the one that followed along, everywhere."""
    house.write(*PUTS)
    house.write(changes.put_document(Document("e", CURIE + " The Tower was new then."), A))
    house.write(changes.put_document(Document("d", EIFFEL + " It is made of iron.", "Tower"), A))
    house.write(*DELETES[1:3])
    house.write(changes.put_graph(GRAPH.replace("2103000", "2104000"), "g", A), PUTS[1])
    rebuilt = House(tmp_path / "again")
    rebuilt.ledger = house.ledger
    rebuilt.library.apply(house.ledger.read(0, 1_000))
    rebuilt.vectors.apply(house.ledger.read(0, 1_000))

    for at in range(house.ledger.head() + 1):
        assert LOOKUPS[lookup](rebuilt, A, at) == LOOKUPS[lookup](house, A, at)
    rebuilt.library.close()


def test_view_reopened_has_what_it_had(house: House) -> None:
    """A library that was closed answers the same when it is opened again, with nothing to replay."""
    at = house.write(*PUTS)
    seen = {name: lookup(house, A, at) for name, lookup in LOOKUPS.items()}
    house.library.close()
    house.vectors.save()
    house.library, house.vectors = Library(house.home), house.opened_vectors()

    assert (house.library.applied_seq(), house.vectors.applied_seq()) == (at, at)
    assert {name: lookup(house, A, at) for name, lookup in LOOKUPS.items()} == seen


def test_view_own_thing_hides_the_shared_one_of_its_id(house: House) -> None:
    """A tenant that overrides a shared thing gets its own, once; the others still get the shared one."""
    house.write(*(Change(one.kind, one.key, one.payload, SHARED_TENANT) for one in PUTS))
    house.write(
        changes.put_document(Document("d", CURIE), A),
        changes.put_fact(Fact("f", "Lyon", "population", "0.5 million"), A),
        changes.put_pattern(Pattern("p", "hedge", "maybe", "maybe", "m"), A),
    )
    at = house.ledger.head()

    assert house.found(A, "Eiffel Tower") == []
    assert house.found(B, "Eiffel Tower") == ["d#0"]
    assert house.library.passages([(ask(house, A), ["d#0"])])[0]["d#0"].text == CURIE
    assert house.dense(A, "Eiffel Tower") == ["d#0"]
    assert LOOKUPS["facts"](house, A, at) == []
    assert [fact.subject for fact in house.library.facts(A, FactFilter())] == ["Lyon"]
    assert LOOKUPS["patterns"](house, A, at) == []


def test_search_text_score_does_not_move_with_what_others_write(house: House) -> None:
    """A tenant's scores as of a position stay the same whatever comes after and whoever else writes."""
    at = house.write(PUTS[0], changes.put_document(Document("e", CURIE), A))
    query = Query(A, "Who finished the Eiffel Tower in Paris?", at)
    before = house.library.search_text([query], 10)
    house.write(
        *(changes.put_document(Document(f"x{n}", EIFFEL), tenant) for n in range(20) for tenant in (A, B))
    )

    assert house.library.search_text([query], 10) == before


def test_search_text_batch_equals_one_by_one(house: House) -> None:
    """A query's hits do not depend on its neighbours."""
    at = house.write(
        *(changes.put_document(Document(f"d{n}", f"{EIFFEL} Number {n}. {CURIE}"), A) for n in range(30))
    )
    queries = [Query(A, f"tower number {n} nobel", at) for n in range(30)]

    assert house.library.search_text(queries, 5) == [
        house.library.search_text([one], 5)[0] for one in queries
    ]


def test_search_text_keeps_nothing_for_words_that_no_passage_has(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New words come without end, and memory must not follow; one that is written later is found."""
    monkeypatch.setattr(lexical, "MAX_ABSENT", 10)
    at = house.write(PUTS[0])
    house.found(A, "tower", at)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(500):
        assert house.found(A, f"word{number}", at) == []
    gc.collect()
    grown = len(gc.get_objects()) - before
    house.write(changes.put_document(Document("late", "It says word499."), A))

    assert grown < 100
    assert house.found(A, "word499") == ["late#0"]


def test_search_text_equal_scores_come_in_id_order(house: House) -> None:
    """Ties are broken by id, not by when they were written."""
    for name in ("c", "a", "b"):
        house.write(changes.put_document(Document(name, EIFFEL), A))

    assert house.found(A, "tower") == ["a#0", "b#0", "c#0"]


def test_search_text_finds_other_forms_and_prefers_the_rare_word(house: House) -> None:
    """Words are stemmed and accents ignored; a rare word weighs more than a common one."""
    house.write(
        changes.put_document(Document("a", "Cafés finishing late. Paris."), A),
        changes.put_document(Document("b", "Paris is a city."), A),
        changes.put_document(Document("c", "Paris has a river."), A),
    )

    assert house.found(A, "cafe finished Paris")[0] == "a#0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"',
        "'; DROP TABLE passages",
        "NEAR(a b)",
        "a AND OR",
        "x*",
        "col:y",
        "\0",
        "\ud800",
        "🦅" * 500,
        "the of",
        "(" * 50,
    ],
)
def test_search_text_any_text_is_a_query(house: House, text: str) -> None:
    """No text, however odd, makes a search or a pattern match raise."""
    house.write(*PUTS)

    assert house.found(A, text + " eiffel") == ["d#0"]
    assert house.library.match([ask(house, A, text=text)]) == [[]]
    assert house.library.facts_about([ask(house, A, text=text)], 3) == [[]]
    house.found(A, text)


def test_search_text_only_stop_words_still_finds(house: House) -> None:
    """A query of nothing but stop words is asked as it is."""
    house.write(changes.put_document(Document("a", "To be, or not to be."), A))

    assert house.found(A, "to be or not") == ["a#0"]


def test_search_text_replaced_document_is_found_by_its_new_words(house: House) -> None:
    """After a new version only its words find the document."""
    house.write(PUTS[0])
    house.write(changes.put_document(Document("d", CURIE), A))

    assert (house.found(A, "Eiffel"), house.found(A, "Curie")) == ([], ["d#0"])


def test_sources_lead_to_owners_and_citations_once(house: House) -> None:
    """The closure follows owners and citations, in circles too, and leaves out what it cannot know."""
    house.write(
        changes.put_source(Source("a", "A", owner="b", cites=("c", "missing")), A),
        changes.put_source(Source("b", "B", cites=("a",)), SHARED_TENANT),
        changes.put_source(Source("c", "C"), B),
        changes.put_source(Source("z", "Z"), A),
    )

    assert [source.id for source in house.library.sources(A, ["a"])] == ["a", "b"]


def test_match_gives_patterns_in_id_order_a_text(house: House) -> None:
    """Each text gets its own patterns, sorted by id; words are compared as written."""
    house.write(
        changes.put_pattern(Pattern("2", "f", "n", '"everyone knows"', "m"), A),
        changes.put_pattern(Pattern("1", "f", "n", "obvious* NOT hardly", "m"), A),
    )
    texts = ["Obviously, everyone knows.", "Hardly obvious.", "Everyone knew."]
    hits = house.library.match([ask(house, A, text=text) for text in texts])

    assert [[hit.pattern_id for hit in some] for some in hits] == [["1", "2"], [], []]


def test_facts_about_longest_name_first_then_predicate(house: House) -> None:
    """The longest name wins, then the predicate's words in the text, then the id."""
    facts = [
        Fact("4", "York", "founded", "71"),
        Fact("3", "New York", "founded", "1624"),
        Fact("2", "New York", "population", "8 million", 8e6, "people"),
        Fact("1", "new york", "mayor", "x"),
        Fact("0", "Boston", "population", "0.7 million"),
        Fact("5", "The York", "river", "Ouse"),
    ]
    house.write(*(changes.put_fact(fact, A) for fact in facts))
    query = ask(house, A, text="New York's population grew.")

    assert [fact.id for fact in house.library.facts_about([query], 10)[0]] == ["2", "1", "3", "4", "5"]
    assert house.library.facts_about([query], 1)[0] == [facts[2]]


def test_facts_list_filters_and_pages(house: House) -> None:
    """Facts are listed by subject and predicate, page by page in id order."""
    house.write(*(changes.put_fact(Fact(f"{n}", "Paris", "p" if n % 2 else "q", "o"), A) for n in range(6)))
    page = house.library.facts(A, FactFilter(subject="paris", predicate="P", limit=2))
    rest = house.library.facts(A, FactFilter(subject="PARIS", predicate="p", after=page[-1].id))

    assert ([fact.id for fact in page], [fact.id for fact in rest]) == (["1", "3"], ["5"])


def test_graph_statement_reads_like_a_fact(house: House) -> None:
    """Labels become words, numbers values, and the graph's origin the source."""
    house.write(changes.put_graph(GRAPH, "g", A))
    capital, population = house.library.statements_about([ask(house, A)], 10)[0]

    assert {(one.subject, one.predicate, one.object, one.value) for one in (capital, population)} == {
        ("Paris", "capital of", "France", None),
        ("Paris", "population", "2103000", 2103000.0),
    }
    assert population.source == "insee"
    assert population.id.startswith("graph:")


def test_graph_put_again_replaces_what_the_key_held(house: House) -> None:
    """A key holds what was last put under it, and what another key also says stays."""
    house.write(changes.put_graph(GRAPH, "g", A))
    house.write(changes.put_graph("<http://e/Paris> <http://e/capitalOf> <http://e/France> .", "h", A))
    house.write(changes.put_graph('<http://e/Paris> <http://e/mayor> "Bo" .', "g", A))
    answer = house.library.sparql(A, "SELECT ?p { <http://e/Paris> ?p ?o } ORDER BY ?p")

    assert answer.body.count(b'"value"') == 2
    assert b"capitalOf" in answer.body
    assert b"mayor" in answer.body


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { ?s ?p ?o }",
        "SELECT * { GRAPH ?g { ?s ?p ?o } }",
        "SELECT * FROM <urn:kite:tenant:a> { ?s ?p ?o }",
        "SELECT * FROM NAMED <urn:kite:tenant:a> { GRAPH ?g { ?s ?p ?o } }",
        "SELECT * { GRAPH <urn:kite:tenant:a> { ?s ?p ?o } }",
        "SELECT * { GRAPH <urn:kite:load:1:0> { ?s ?p ?o } }",
        "SELECT * { GRAPH <urn:kite:meta> { ?s ?p ?o } }",
        "SELECT * FROM <urn:kite:meta> { ?s ?p ?o }",
    ],
)
def test_sparql_never_leaves_the_tenant(house: House, query: str) -> None:
    """Whatever graphs a query names, its world is the tenant's and the shared graph."""
    house.write(changes.put_graph(GRAPH, "g", A))

    assert b'"bindings":[]' in house.library.sparql(B, query).body


@pytest.mark.parametrize("query", ["SELECT", "INSERT DATA { <a:a> <b:b> <c:c> }", "SELECT * { ?s ?p ?o }"])
def test_sparql_bad_write_or_endless_is_refused(house: House, query: str) -> None:
    """Nonsense, updates and answers beyond the limit are refused."""
    house.write(changes.put_graph(GRAPH, "g", A))

    with pytest.raises(InvalidValueError):
        house.library.sparql(A, query, most=2)


def test_sparql_small_query_reserves_little_of_its_memory(house: House) -> None:
    """Opening the graph takes a third of the addresses a query may have, however its threads fall out."""
    house.write(changes.put_graph(GRAPH, "g", A))
    house.library.sparql(A, "SELECT * { ?s ?p ?o }", most=9)

    (worker,) = (one for one in psutil.Process().children() if "data.views.sparql_worker" in one.cmdline())
    status = Path(f"/proc/{worker.pid}/status").read_text("ascii")
    (peak_kb,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmPeak:"))

    assert peak_kb < SparqlLimits().memory_bytes / 1024 / 3


def test_history_gives_earlier_verdicts_with_their_last_feedback(house: House) -> None:
    """Verdicts on the same claim before the position, oldest first, with what was said of them by then."""
    for name, label in (("v1", "SUPPORTED"), ("v2", "REFUTED")):
        house.write(changes.put_verdict(changes.VerdictRecord(name, "c", "fp", label, 0.8, b"{}"), A))
    house.write(changes.put_feedback(changes.Feedback("v1", "REFUTED"), A))
    (past,) = house.library.past_verdicts([HistoryQuery(A, "fp", 4)])
    (early,) = house.library.past_verdicts([HistoryQuery(A, "fp", 2)])

    assert [(one.id, one.feedback_label) for one in past] == [("v1", "REFUTED"), ("v2", None)]
    assert [(one.id, one.feedback_label) for one in early] == [("v1", None)]
    assert house.library.past_verdicts([HistoryQuery(B, "fp", 9), HistoryQuery(A, "x", 9)]) == [[], []]
    assert house.library.verdict(B, "v1") is None


def test_facts_view_counts_verdicts_that_wait_to_be_written(house: House) -> None:
    """Verdict analytics are written in bulk, but counted at once, once each, after a reopening too."""
    for number in range(3):
        record = changes.VerdictRecord(f"v{number}", "c", "fp", "REFUTED", 0.8, b"{}")
        house.write(changes.put_verdict(record, A))
    before = house.library.verdict_labels(A)
    house.library.close()
    house.library = Library(house.home)

    assert before == house.library.verdict_labels(A) == {"REFUTED": 3}


def test_facts_view_lost_tail_is_replayed(house: House, tmp_path: Path) -> None:
    """Verdict rows that were only in memory when the process died come back by replay, none twice."""
    house.write(PUTS[1])
    for number in range(3):
        record = changes.VerdictRecord(f"v{number}", "c", "fp", "REFUTED", 0.8, b"{}")
        house.write(changes.put_verdict(record, A))
    copy = tmp_path / "copy.duckdb"
    for suffix in ("", ".wal"):
        source = tmp_path / "views" / f"facts.duckdb{suffix}"
        if source.exists():
            Path(f"{copy}{suffix}").write_bytes(source.read_bytes())
    view = FactsView(copy, tmp_path)
    behind = view.applied_seq()
    view.apply(house.ledger.read(behind, 100))

    assert behind < house.ledger.head()
    assert view.verdict_labels(A) == {"REFUTED": 3}
    view.close()


def test_segment_of_each_kind_is_loaded(house: House) -> None:
    """A bulk load is found like what was written singly, and can be read back only unaltered."""
    documents = [Document("d", EIFFEL, metadata={"k": "v"}), Document("e", CURIE)]
    refs = [
        segments.write_documents(house.home, documents, embed=FakeEmbedder().embed, embedder="fake-1"),
        segments.write_facts(house.home, [Fact("f", "Paris", "population", "2.1 million", 2.1e6)]),
        segments.write_graph(house.home, GRAPH, "g"),
        segments.write_sources(house.home, [Source("s", "S", cites=("t",))]),
    ]
    at = house.write(*(changes.load_segment(ref, A) for ref in refs))

    assert house.library.document(A, "d") == documents[0]
    assert [house.found(A, "Eiffel"), house.dense(A, CURIE)[:1]] == [["d#0"], ["e#0"]]
    assert LOOKUPS["facts"](house, A, at) == ["f"]
    assert len(house.library.statements_about([ask(house, A)], 10)[0]) == 2
    assert house.library.sources(A, ["s"]) == [Source("s", "S", cites=("t",))]


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "outside"])
def test_segment_that_was_altered_is_refused(tmp_path: Path, harm: str) -> None:
    """A file that is not what the ledger says is never parsed."""
    ref = segments.write_facts(tmp_path, [Fact("f", "Paris", "population", "2.1 million")])
    path = tmp_path / ref.uri
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    harms: dict[str, Callable[[], object]] = {
        "flip": lambda: path.write_bytes(content),
        "cut": lambda: path.write_bytes(content[:-1]),
        "remove": path.unlink,
        "outside": lambda: path.rename(tmp_path / "x.parquet"),
    }
    harms[harm]()
    asked = changes.SegmentRef("segments/../x.parquet", 1, ref.sha256, "facts") if harm == "outside" else ref

    with pytest.raises(CorruptDataError):
        segments.read_facts(tmp_path, asked)


def test_segment_vectors_of_another_embedder_are_not_used(house: House) -> None:
    """Vectors made by other weights are made again."""
    wrong = segments.write_documents(
        house.home,
        [Document("d", EIFFEL)],
        embed=lambda texts: FakeEmbedder().embed(["x"] * len(texts)),
        embedder="y",
    )
    house.write(changes.load_segment(wrong, A))
    vector = FakeEmbedder().embed([EIFFEL])

    assert house.vectors.search_vectors([A], vector, 1)[0][0].score == 1.0


@pytest.mark.parametrize("kind", [ExactIndex, FaissIndex])
@pytest.mark.parametrize("file", ["0.index", "0.rows", "manifest.json"])
def test_vectors_damaged_file_is_not_used(
    house: House, file: str, kind: type[ExactIndex | FaissIndex]
) -> None:
    """One flipped bit in any file: it is as if nothing had been saved, so the ledger builds it again."""
    house.vectors = house.opened_vectors(kind)
    at = house.write(*PUTS, changes.put_document(Document("e", CURIE), A))
    assert house.vectors.save() == at
    assert house.opened_vectors(kind).applied_seq() == at
    path = next((house.home / "vectors").rglob(file))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = house.opened_vectors(kind)

    assert again.applied_seq() == 0
    again.apply(house.ledger.read(0, 100))
    vector = FakeEmbedder().embed(["Curie"])
    assert again.search_vectors([A], vector, 5) == house.vectors.search_vectors([A], vector, 5)


def test_vectors_searched_while_they_grow_give_whole_answers(house: House) -> None:
    """Searches beside a writer, across the step from flat to graph, see each document whole or not at all."""
    house.vectors = house.opened_vectors(SmallGraph)
    vector, odd, done = FakeEmbedder().embed([EIFFEL]), [], threading.Event()

    def search() -> None:
        while not done.is_set():
            hits = house.vectors.search_vectors([A], vector, 500)[0]
            odd.extend([len(hits)] * (len(hits) % 2))

    readers = [threading.Thread(target=search) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(40):
        house.write(changes.put_document(Document(f"d{number}", f"{EIFFEL} {'word ' * 80}"), A))
    done.set()
    for reader in readers:
        reader.join()

    assert odd == []
    assert len(house.vectors.search_vectors([A], vector, 500)[0]) == 80


def test_vectors_of_another_embedder_on_disk_are_not_used(house: House) -> None:
    """Files made with other weights are as good as none."""
    house.write(*PUTS)
    house.vectors.save()
    other = PassageVectors(
        house.home / "vectors", house.home, FakeEmbedder(), embedder_id="fake-2", kind=ExactIndex
    )

    assert other.applied_seq() == 0


def test_vectors_of_wrong_dimension_are_refused(house: House) -> None:
    """A query vector of another dimension is the caller's mistake."""
    with pytest.raises(InvalidValueError, match="shape"):
        house.vectors.search_vectors([A], FakeEmbedder().embed(["x"])[:, :8], 1)


@pytest.mark.parametrize("name", ["passages.sqlite", "history.sqlite", "facts.duckdb", "graph"])
def test_library_damaged_view_is_moved_aside_and_empty(house: House, name: str) -> None:
    """A view whose file is damaged is kept aside and begun again; the others stay as they are."""
    at = house.write(*PUTS)
    house.library.close()
    path = house.home / "views" / name
    for file in [path] if path.is_file() else list(path.glob("MANIFEST*")):
        file.write_bytes(b"\x13" * 8192)
    house.library = Library(house.home)
    behind = [view for view in house.library.views() if view.applied_seq() < at]

    assert path.with_name(f"{name}.corrupt-1").exists()
    assert [view.applied_seq() for view in behind] == [0]
    house.library.apply(house.ledger.read(0, 100))
    assert house.library.applied_seq() == at


def test_library_ahead_of_the_ledger_is_built_again(house: House) -> None:
    """Views that claim more than the ledger holds (it was restored to an earlier state) are not believed."""
    house.write(*PUTS)
    house.library.close()
    house.library = Library(house.home, newest=2)

    assert house.library.applied_seq() == 0
