"""What every ``VectorDatasets`` must do, whoever holds the indexes. Test modules inherit it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from data.claims import SHARED_TENANT, TenantId
from data.datasets.ports import (
    FusionMethod,
    IndexInfo,
    NewVector,
    SearchAnswer,
    SearchOptions,
    SearchRequest,
    VectorDatasets,
)
from data.datasets.records import DatasetRecord, IndexSettings, Metric, VectorRecord
from data.errors import (
    ConflictError,
    ForbiddenError,
    InvalidValueError,
    KiteError,
    NotFoundError,
)

A, B = TenantId("tenant-a"), TenantId("tenant-b")
DIM = 8
PLANETS = (
    "Mercury is the smallest planet and closest to the Sun.",
    "Venus has a thick atmosphere of carbon dioxide.",
    "Earth is the only planet known to hold life.",
    "Mars is red because of iron oxide.",
    "Jupiter is the largest planet of all.",
    "Saturn has rings of ice and rock.",
)


def numbers(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def new_vectors(values: NDArray[np.float32], start: int = 0, **fields: object) -> list[NewVector]:
    """Vectors v0, v1 … of documents of two, with a number and a colour."""
    return [
        NewVector(
            VectorRecord(
                f"v{number}",
                f"d{number // 2}",
                content=f"{PLANETS[number % len(PLANETS)]} Note {number}.",
                metadata={"number": number, "deep": {"colour": ("red", "green", "blue")[number % 3]}},
                **fields,  # type: ignore[arg-type]
            ),
            one.tolist(),
        )
        for number, one in enumerate(values, start)
    ]


def found(answer: SearchAnswer | KiteError) -> list[str]:
    assert isinstance(answer, SearchAnswer), answer
    return [hit.vector.record.id for hit in answer.hits]


def answered(answers: Sequence[SearchAnswer | KiteError]) -> SearchAnswer:
    (answer,) = answers
    assert isinstance(answer, SearchAnswer), answer
    return answer


def plain(answer: SearchAnswer | KiteError) -> object:
    """An answer without what time and caches say."""
    assert isinstance(answer, SearchAnswer), answer
    stats = answer.stats
    return answer.hits, answer.has_more, answer.total_found, stats.plan, stats.exact, stats.filtered_results


class VectorDatasetsSuite:
    """One behaviour a test; each makes its own dataset under a name of its own."""

    #: Whether a dataset's pages come in the order of writing.
    PAGES_AS_WRITTEN = True
    #: Whether a document is counted once, wherever its vectors lie.
    DOCUMENTS_ONCE = True

    def made(
        self, port: VectorDatasets, metric: Metric = "cosine", tenant: TenantId = A, dimensions: int = DIM
    ) -> str:
        record = DatasetRecord(uuid.uuid4().hex, f"set {uuid.uuid4().hex}", dimensions, metric)
        return port.create(tenant, record).record.id

    def filled(self, port: VectorDatasets, count: int = 60, metric: Metric = "cosine") -> str:
        key = self.made(port, metric)
        report = port.insert(A, key, new_vectors(numbers(count)), "fail")
        assert (report.inserted, report.failures) == (count, ())
        return key

    def test_created_dataset_is_listed_and_told_by_id(self, port: VectorDatasets) -> None:
        """With what it was made from, moments, and no vectors."""
        record = DatasetRecord(
            "", f"n {uuid.uuid4().hex}", 5, "euclidean", description="d", metadata={"a": [1]}
        )
        info = port.create(A, record)

        assert port.dataset(A, info.record.id) == info
        assert info.record.id in {one.record.id for one in port.datasets(A)}
        assert (info.tenant, info.vector_count, info.record.metric) == (A, 0, "euclidean")
        assert info.record.created_at == info.record.updated_at != ""
        assert info.record.metadata == {"a": [1]}
        assert info.record.id in info.storage_location

    def test_second_dataset_of_a_name_is_a_conflict_unless_it_overwrites(self, port: VectorDatasets) -> None:
        """The one that takes its place is empty and has another id; the old one is gone."""
        first = self.filled(port, 3)
        name = port.dataset(A, first).record.name
        with pytest.raises(ConflictError):
            port.create(A, DatasetRecord("", name, DIM))
        second = port.create(A, DatasetRecord("", name, DIM), overwrite=True)

        assert second.record.id != first
        assert second.vector_count == 0
        with pytest.raises(NotFoundError):
            port.dataset(A, first)

    def test_repeated_create_of_one_id_answers_the_same(self, port: VectorDatasets) -> None:
        """A link that was cut may ask twice."""
        record = DatasetRecord(uuid.uuid4().hex, f"n {uuid.uuid4().hex}", DIM)

        assert port.create(A, record) == port.create(A, record)

    def test_dataset_of_another_tenant_is_not_there(self, port: VectorDatasets) -> None:
        """For no call."""
        key = self.filled(port, 4)
        calls: list[Callable[[], object]] = [
            lambda: port.dataset(B, key),
            lambda: port.stats(B, key),
            lambda: port.index(B, key),
            lambda: port.delete(B, key),
            lambda: port.vector(B, key, "v0"),
            lambda: port.vectors(B, key, limit=5),
            lambda: port.delete_vectors(B, key, ["v0"]),
            lambda: port.insert(B, key, new_vectors(numbers(1)), "skip"),
            lambda: port.build_index(B, key, None),
            lambda: port.drop_index(B, key),
            lambda: port.update(B, DatasetRecord(key, "mine now", DIM)),
        ]
        for call in calls:
            with pytest.raises(NotFoundError):
                call()
        (answer,) = port.search(B, [SearchRequest(key, vector=[1.0] * DIM)])

        assert isinstance(answer, NotFoundError)
        assert key not in {one.record.id for one in port.datasets(B)}
        assert port.dataset(A, key).vector_count == 4

    def test_shared_dataset_is_read_by_all_and_written_by_none(self, port: VectorDatasets) -> None:
        """But by who acts for the shared tenant itself."""
        key = self.made(port, tenant=SHARED_TENANT)
        port.insert(SHARED_TENANT, key, new_vectors(numbers(3)), "fail")

        assert found(port.search(A, [SearchRequest(key, vector=numbers(3)[1].tolist())])[0])[0] == "v1"
        assert key in {one.record.id for one in port.datasets(A)}
        with pytest.raises(ForbiddenError):
            port.insert(A, key, new_vectors(numbers(1), 9), "fail")
        with pytest.raises(ForbiddenError):
            port.delete(A, key)

    def test_deleted_dataset_is_gone(self, port: VectorDatasets) -> None:
        """And its name is free again."""
        key = self.filled(port, 3)
        name = port.dataset(A, key).record.name
        port.delete(A, key)

        with pytest.raises(NotFoundError):
            port.vectors(A, key, limit=1)
        assert port.create(A, DatasetRecord("", name, DIM)).vector_count == 0

    def test_updated_dataset_keeps_what_may_not_change(self, port: VectorDatasets) -> None:
        """Name and description change; dimensions and metric are refused another value."""
        key = self.filled(port, 2)
        before = port.dataset(A, key).record
        other = f"other {uuid.uuid4().hex}"
        after = port.update(A, DatasetRecord(key, other, DIM, description="new", metadata={"x": 1}))

        assert (after.record.name, after.record.description, after.vector_count) == (other, "new", 2)
        assert after.record.created_at == before.created_at
        with pytest.raises(InvalidValueError):
            port.update(A, DatasetRecord(key, other, DIM + 1))
        with pytest.raises(InvalidValueError):
            port.update(A, DatasetRecord(key, other, DIM, "euclidean"))

    def test_dataset_cannot_take_the_name_of_another(self, port: VectorDatasets) -> None:
        """Its own it may keep."""
        first, second = self.made(port), self.made(port)
        taken = port.dataset(A, first).record.name
        with pytest.raises(ConflictError):
            port.update(A, DatasetRecord(second, taken, DIM))

        assert port.update(A, DatasetRecord(first, taken, DIM, description="d")).record.description == "d"
        assert port.dataset(A, second).record.name != taken

    def test_vector_that_cannot_be_written_keeps_nobody_out(self, port: VectorDatasets) -> None:
        """A wrong length, a NaN, nothing at all: counted and told by number; the neighbours go in."""
        key = self.made(port)
        good = new_vectors(numbers(2))
        bad = [
            NewVector(VectorRecord("short", "d"), [1.0] * (DIM - 1)),
            NewVector(VectorRecord("nan", "d"), [float("nan")] * DIM),
            NewVector(VectorRecord("empty", "d")),
        ]
        report = port.insert(A, key, [good[0], *bad, good[1]], "fail")

        assert (report.inserted, report.skipped) == (2, 0)
        assert [number for number, _ in report.failures] == [1, 2, 3]
        assert "dimension" in report.failures[0][1]
        assert port.dataset(A, key).vector_count == 2

    @pytest.mark.parametrize(
        ("on_duplicate", "counts", "colour"),
        [("fail", (1, 0, 1), "red"), ("skip", (1, 1, 0), "red"), ("overwrite", (2, 0, 0), "new")],
    )
    def test_vector_whose_id_is_there(
        self, port: VectorDatasets, on_duplicate: str, counts: tuple[int, int, int], colour: str
    ) -> None:
        """It fails, is left out, or takes the place; the new one beside it goes in."""
        key = self.filled(port, 1)
        old = port.vector(A, key, "v0")
        again = NewVector(VectorRecord("v0", "d0", metadata={"deep": {"colour": "new"}}), [1.0] * DIM)
        fresh = NewVector(VectorRecord("v9", "d9"), [2.0] * DIM)
        report = port.insert(A, key, [again, fresh], on_duplicate)  # type: ignore[arg-type]

        assert (report.inserted, report.skipped, len(report.failures)) == counts
        assert port.vector(A, key, "v0").record.metadata["deep"]["colour"] == colour
        assert port.vector(A, key, "v0").record.created_at == old.record.created_at
        assert port.dataset(A, key).vector_count == 2

    def test_vector_comes_back_as_it_was_written(self, port: VectorDatasets) -> None:
        """Every field, and its numbers as 32-bit floats."""
        key = self.made(port)
        record = VectorRecord(
            "ü/1", "d", "c", "Text.", "h", {"a": {"b": None, "c": [1, "x"]}}, "t", "en", 3, 9, "m"
        )
        values = numbers(1, seed=4)[0]
        port.insert(A, key, [NewVector(record, values.tolist())], "fail")
        kept = port.vector(A, key, "ü/1")

        assert kept.values == tuple(values.tolist())
        assert (kept.record.metadata, kept.record.chunk_index, kept.record.chunk_count) == (
            record.metadata,
            3,
            9,
        )
        assert (kept.record.content, kept.record.content_hash, kept.record.model) == ("Text.", "h", "m")
        with pytest.raises(NotFoundError):
            port.vector(A, key, "nobody")

    def test_pages_go_through_all_vectors_once(self, port: VectorDatasets) -> None:
        """In the order of writing, with the number of all that the filter keeps."""
        key = self.filled(port, 25)
        pages = [port.vectors(A, key, limit=10, offset=offset) for offset in (0, 10, 20, 30)]
        blue = port.vectors(A, key, limit=3, filters={"deep.colour": "blue"}, values=True)

        assert [len(page.vectors) for page in pages] == [10, 10, 5, 0]
        paged = [one.record.id for page in pages for one in page.vectors]
        written = [f"v{n}" for n in range(25)]
        assert paged == written if self.PAGES_AS_WRITTEN else sorted(paged) == sorted(written)
        assert {page.total for page in pages} == {25}
        if self.PAGES_AS_WRITTEN:
            assert [one.record.id for one in blue.vectors] == ["v2", "v5", "v8"]
        assert {one.record.metadata["deep"]["colour"] for one in blue.vectors} == {"blue"}
        assert (blue.total, len(blue.vectors[0].values or ())) == (8, DIM)

    @pytest.mark.parametrize("metric", ["cosine", "euclidean", "manhattan", "dot_product"])
    def test_vector_search_finds_the_nearest(self, port: VectorDatasets, metric: Metric) -> None:
        """In the order of their distances, each with its score, best first."""
        key = self.filled(port, 60, metric)
        query = numbers(1, seed=7)[0].astype(np.float64)
        values = numbers(60).astype(np.float64)
        distances = {
            "cosine": 1 - values @ query / np.linalg.norm(values, axis=1) / np.linalg.norm(query),
            "euclidean": np.linalg.norm(values - query, axis=1),
            "manhattan": np.abs(values - query).sum(axis=1),
            "dot_product": -values @ query,
        }[metric]
        answer = answered(port.search(A, [SearchRequest(key, vector=query.tolist())]))
        order = np.argsort(distances)[:10]

        assert found(answer) == [f"v{n}" for n in order]
        assert [hit.rank for hit in answer.hits] == list(range(1, 11))
        assert [hit.distance for hit in answer.hits] == pytest.approx(distances[order].tolist(), abs=2e-6)
        scores = {"cosine": 1 - distances, "dot_product": -distances}.get(metric, 1 / (1 + distances))[order]
        assert [hit.score for hit in answer.hits] == pytest.approx(scores.tolist(), abs=2e-6)
        assert (answer.has_more, answer.stats.exact) == (True, True)

    def test_search_tells_what_it_is_asked_to_tell(self, port: VectorDatasets) -> None:
        """Content, metadata and values can be left out or asked for."""
        key = self.filled(port, 5)
        query = numbers(5)[2].tolist()
        full = answered(
            port.search(A, [SearchRequest(key, vector=query, options=SearchOptions(include_values=True))])
        )
        bare = SearchOptions(include_content=False, include_metadata=False)
        short = answered(port.search(A, [SearchRequest(key, vector=query, options=bare)]))

        assert full.hits[0].vector.values == pytest.approx(query)
        assert full.hits[0].vector.record.metadata["number"] == 2
        assert (short.hits[0].vector.record.content, short.hits[0].vector.record.metadata) == (None, {})
        assert short.hits[0].vector.values is None

    def test_written_and_removed_vectors_are_seen_by_the_next_search(self, port: VectorDatasets) -> None:
        """An update moves a vector at once, a removal takes it away, an insert brings one."""
        key = self.filled(port, 40)
        query = [10.0] * DIM
        port.insert(A, key, [NewVector(VectorRecord("v7", "d"), query)], "overwrite")
        assert found(port.search(A, [SearchRequest(key, vector=query)])[0])[0] == "v7"
        port.insert(A, key, [NewVector(VectorRecord("new", "d"), query)], "fail")
        assert found(port.search(A, [SearchRequest(key, vector=query)])[0])[:2] == ["new", "v7"]

        assert port.delete_vectors(A, key, ["v7", "new", "nobody", "v7"]) == 2
        left = found(port.search(A, [SearchRequest(key, vector=query, options=SearchOptions(top_k=100))])[0])
        assert sorted(left) == sorted(f"v{n}" for n in range(40) if n != 7)
        assert port.delete_vectors(A, key, ["v7"]) == 0

    @pytest.mark.parametrize(
        "filters",
        [
            {"deep.colour": "red", "number": {"$gte": 30}},
            {"$and": [{"metadata.deep.colour": {"$eq": "red"}}, {"$not": {"number": {"$lt": 30}}}]},
            "deep.colour = 'red' AND NOT number < 30",
        ],
    )
    def test_filter_in_any_spelling_keeps_what_it_says(self, port: VectorDatasets, filters: object) -> None:
        """Never fewer than asked for while there are some, and the answer says how many it kept."""
        key = self.filled(port, 60)
        options = SearchOptions(top_k=20, filters=filters)  # type: ignore[arg-type]
        answer = answered(port.search(A, [SearchRequest(key, vector=[1.0] * DIM, options=options)]))

        assert sorted(found(answer)) == sorted(f"v{n}" for n in range(30, 60) if n % 3 == 0)
        assert (answer.stats.filtered_results, answer.has_more) == (10, False)

    def test_text_search_finds_words(self, port: VectorDatasets) -> None:
        """BM25 over contents, also under a filter; a word that nobody has finds nothing."""
        key = self.filled(port, 18)
        words = answered(port.search(A, [SearchRequest(key, text="rings of ice")]))
        one = SearchOptions(filters={"number": 11})
        kept = answered(port.search(A, [SearchRequest(key, text="rings of ice", options=one)]))

        assert found(words)[:3] == ["v11", "v17", "v5"]
        assert [hit.distance for hit in words.hits][:3] == [None] * 3
        assert words.hits[0].parts == {"text": words.hits[0].score}
        assert found(kept) == ["v11"]
        assert found(port.search(A, [SearchRequest(key, text="zzzz")])[0]) == []

    @pytest.mark.parametrize(
        "fusion", ["weighted_sum", "reciprocal_rank_fusion", "comb_sum", "comb_mnz", "borda_count"]
    )
    def test_hybrid_search_brings_what_both_halves_find_to_the_top(
        self, port: VectorDatasets, fusion: FusionMethod
    ) -> None:
        """Near the vector and of the words: first; both scores are told."""
        key = self.filled(port, 60)
        query = numbers(60)[5].tolist()
        request = SearchRequest(key, vector=query, text="Saturn rings 5", fusion=fusion)
        answer = answered(port.search(A, [request]))

        assert found(answer)[0] == "v5"
        assert set(answer.hits[0].parts) == {"vector", "text"}
        assert [hit.score for hit in answer.hits] == sorted((hit.score for hit in answer.hits), reverse=True)
        assert answer.stats.plan.endswith("words")

    def test_weight_of_0_leaves_one_half_out(self, port: VectorDatasets) -> None:
        """All weight on the vector is a vector search."""
        key = self.filled(port, 30)
        query = numbers(1, seed=3)[0].tolist()
        alone = answered(port.search(A, [SearchRequest(key, vector=query)]))
        both = SearchRequest(key, vector=query, text="Saturn", vector_weight=1.0, text_weight=0.0)

        assert plain(port.search(A, [both])[0]) == plain(alone)

    def test_group_by_document_returns_the_best_of_each(self, port: VectorDatasets) -> None:
        """As many documents as asked for, though their vectors are not among the first ten."""
        key = self.filled(port, 60)
        options = SearchOptions(top_k=20, group_by_document=True)
        answer = answered(port.search(A, [SearchRequest(key, vector=[1.0] * DIM, options=options)]))
        whole = SearchOptions(top_k=60)
        ranked = answered(port.search(A, [SearchRequest(key, vector=[1.0] * DIM, options=whole)]))
        best: dict[str, str] = {}
        for hit in ranked.hits:
            best.setdefault(hit.vector.record.document_id, hit.vector.record.id)

        assert found(answer) == list(best.values())[:20]
        assert answer.has_more

    def test_deduplicate_keeps_one_of_equal_contents(self, port: VectorDatasets) -> None:
        """Equal by content hash, which is made where it was not sent."""
        key = self.made(port)
        values = numbers(30)
        port.insert(
            A,
            key,
            [
                NewVector(VectorRecord(f"c{n}", "d", content=f"Text {n % 4}."), values[n].tolist())
                for n in range(30)
            ],
            "fail",
        )
        options = SearchOptions(top_k=10, deduplicate=True)
        answer = answered(port.search(A, [SearchRequest(key, vector=[1.0] * DIM, options=options)]))

        assert len({hit.vector.record.content for hit in answer.hits}) == len(answer.hits) == 4
        assert not answer.has_more

    def test_bounds_cut_the_answer(self, port: VectorDatasets) -> None:
        """At a score, or at a distance: what follows is not told."""
        key = self.filled(port, 40)
        query = numbers(1, seed=9)[0].tolist()
        ranked = answered(port.search(A, [SearchRequest(key, vector=query)]))
        third = ranked.hits[2]
        by_score = SearchOptions(min_score=third.score)
        by_distance = SearchOptions(max_distance=third.distance)

        for options in (by_score, by_distance):
            cut = answered(port.search(A, [SearchRequest(key, vector=query, options=options)]))
            assert found(cut) == found(ranked)[:3]
            assert not cut.has_more

    def test_request_that_cannot_be_answered_is_a_value_beside_its_neighbours(
        self, port: VectorDatasets
    ) -> None:
        """A wrong length, a broken filter, no question, no dataset, top_k 0: each says so."""
        key = self.filled(port, 5)
        fine = SearchRequest(key, vector=numbers(5)[0].tolist())
        bad = [
            SearchRequest(key, vector=[1.0]),
            SearchRequest(key, vector=[float("nan")] * DIM),
            SearchRequest(key, vector=[1.0] * DIM, options=SearchOptions(filters="a = = 1")),
            SearchRequest(key),
            SearchRequest(uuid.uuid4().hex, vector=[1.0] * DIM),
            SearchRequest(key, vector=[1.0] * DIM, options=SearchOptions(top_k=0)),
        ]
        answers = port.search(A, [fine, *bad, fine])

        assert found(answers[0]) == found(answers[-1]) == found(port.search(A, [fine])[0])
        assert all(isinstance(one, InvalidValueError | NotFoundError) for one in answers[1:-1])
        assert "dimension" in str(answers[1])
        assert isinstance(answers[5], NotFoundError)

    def test_answers_do_not_depend_on_their_batch(self, port: VectorDatasets) -> None:
        """Twenty questions to two datasets at once, or one by one, asked first or again."""
        keys = [self.filled(port, 50), self.filled(port, 30, "euclidean")]
        queries = numbers(20, seed=5)
        requests = [
            SearchRequest(keys[n % 2], vector=one.tolist(), options=SearchOptions(top_k=3 + n % 4))
            for n, one in enumerate(queries)
        ]
        together = port.search(A, requests)
        alone = [port.search(A, [request])[0] for request in requests]

        assert [plain(one) for one in together] == [plain(one) for one in alone]

    def test_answer_that_was_kept_is_forgotten_with_the_next_write(self, port: VectorDatasets) -> None:
        """The second time it says that it was kept; after a write it is another one."""
        key = self.filled(port, 20)
        request = SearchRequest(key, vector=[3.0] * DIM)
        first = answered(port.search(A, [request]))
        second = answered(port.search(A, [request]))
        port.insert(A, key, [NewVector(VectorRecord("near", "d"), [3.0] * DIM)], "fail")
        third = answered(port.search(A, [request]))

        assert (first.stats.cached, second.stats.cached, third.stats.cached) == (False, True, False)
        assert first.hits == second.hits
        assert found(third)[0] == "near"

    def test_index_is_built_while_searches_go_on_and_dropped_again(self, port: VectorDatasets) -> None:
        """An HNSW graph over all vectors, then a flat index; the same answers from both."""
        key = self.filled(port, 300)
        request = SearchRequest(key, vector=numbers(1, seed=2)[0].tolist(), options=SearchOptions(exact=True))
        before = found(port.search(A, [request])[0])
        told = port.build_index(A, key, IndexSettings("hnsw", hnsw_m=8))
        assert told.state == "building"
        built = self.settled(port, key)
        assert (built.kind, built.indexed, built.delta, built.settings.hnsw_m) == ("hnsw", 300, 0, 8)
        assert built.built_at
        assert found(port.search(A, [request])[0]) == before
        port.drop_index(A, key)
        assert self.settled(port, key).kind == "flat"
        assert found(port.search(A, [request])[0]) == before

    def settled(self, port: VectorDatasets, key: str) -> IndexInfo:
        deadline = time.monotonic() + 60
        while (told := port.index(A, key)).state == "building":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return told

    def test_stats_tell_fields_and_documents(self, port: VectorDatasets) -> None:
        """In how many vectors each metadata path is."""
        key = self.filled(port, 20)
        stats = port.stats(A, key)

        assert (stats.info.vector_count, stats.index.state) == (20, "ready")
        assert stats.documents == 10 if self.DOCUMENTS_ONCE else 10 <= stats.documents <= 20
        assert stats.fields["number"]["count"] == 20
        assert "deep.colour" in stats.fields
        assert stats.info.storage_bytes > 0
