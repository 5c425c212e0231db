"""A dataset of several shards: it answers as one of a single shard, and nobody sees the shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from data.datasets.ports import (
    FusionMethod,
    InsertReport,
    NewVector,
    OnDuplicate,
    SearchAnswer,
    SearchHit,
    SearchOptions,
    SearchRequest,
)
from data.datasets.records import DatasetRecord, VectorRecord
from data.datasets.service import LocalVectorDatasets
from data.datasets.sharded import ShardedVectorDatasets
from data.datasets.shards import is_shard, place_of, shard_id, shard_of, shards_of
from data.erasure import Eraser
from data.errors import (
    ConflictError,
    IndexUnavailableError,
    InvalidValueError,
    KiteError,
    NotFoundError,
    QuotaError,
)
from data.keeper import Keeper
from data.stores.memory import MemoryStore
from tests.fakes import FakeClock, FakeVectorSink
from tests.unit.datasets.dataset_house import ONE, TWO, A, FakeStance, allow

DIM, COUNT, SHARDS = 6, 400, 4
WORDS = ("owl", "bat", "ant", "fox", "eel", "cod", "hen")


@dataclass
class House:
    """A dataset of one shard and one of four, with the same vectors, behind one port."""

    keeper: Keeper
    local: LocalVectorDatasets
    port: ShardedVectorDatasets

    def both(self, request: SearchRequest) -> tuple[SearchAnswer, SearchAnswer]:
        """The answers of the whole dataset and of the sharded one."""
        whole, sharded = self.port.search(A, [request, replace(request, dataset_id=TWO)])
        assert isinstance(whole, SearchAnswer), whole
        assert isinstance(sharded, SearchAnswer), sharded
        return whole, sharded


def vectors(count: int = COUNT, seed: int = 0) -> list[NewVector]:
    rng = np.random.default_rng(seed)
    return [
        NewVector(
            VectorRecord(
                f"v{number:03}",
                f"d{number % 50}",
                content=f"The {WORDS[number % 7]} and the {WORDS[number % 5]} of {number % 90}.",
                metadata={"number": number, "odd": bool(number % 2)},
            ),
            row.tolist(),
        )
        for number, row in enumerate(rng.normal(size=(count, DIM)))
    ]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("sharded")
    keeper = Keeper(home, FakeClock(), FakeVectorSink())
    local = LocalVectorDatasets(home, keeper, clock=FakeClock(), models=(None, FakeStance()))
    port = ShardedVectorDatasets(local, FakeStance())
    for key, shards in ((ONE, 1), (TWO, SHARDS)):
        port.create(A, DatasetRecord(key, f"{shards} shards", DIM, shards=shards))
        assert port.insert(A, key, vectors(), "fail").inserted == COUNT
    yield House(keeper, local, port)
    local.close()
    keeper.close()


def told(hits: Sequence[SearchHit]) -> list[object]:
    """Hits without the dataset that they are of."""
    return [(hit.vector, hit.score, hit.distance, hit.rank, hit.parts) for hit in hits]


QUERY = [0.3, -1.0, 0.7, 0.1, 0.0, 0.4]
FILTER = {"number": {"$gte": 350}, "odd": True}


@pytest.mark.parametrize(
    "options",
    [
        SearchOptions(),
        SearchOptions(top_k=COUNT + 5),
        SearchOptions(top_k=60, filters=FILTER, include_values=True),
        SearchOptions(group_by_document=True, top_k=20, include_content=False),
        SearchOptions(deduplicate=True, top_k=300, include_metadata=False),
        SearchOptions(min_score=0.5),
        SearchOptions(max_distance=0.4, top_k=3),
    ],
    ids=["plain", "all", "filter", "group", "distinct", "score", "distance"],
)
def test_sharded_dataset_finds_by_vector_what_one_finds(house: House, options: SearchOptions) -> None:
    """The same vectors, scores and ranks, and whether there are more."""
    whole, sharded = house.both(SearchRequest(ONE, vector=QUERY, options=options))

    assert told(sharded.hits) == told(whole.hits)
    assert (sharded.total_found, sharded.has_more) == (whole.total_found, whole.has_more)
    assert (sharded.stats.plan, sharded.stats.exact) == (whole.stats.plan, whole.stats.exact)
    assert sharded.stats.filtered_results == whole.stats.filtered_results
    assert {hit.dataset_id for hit in sharded.hits} <= {TWO}


@pytest.mark.parametrize(
    "fusion", ["weighted_sum", "reciprocal_rank_fusion", "comb_sum", "comb_mnz", "borda_count"]
)
@pytest.mark.parametrize(
    "options",
    [
        SearchOptions(),
        SearchOptions(group_by_document=True, top_k=40),
        SearchOptions(deduplicate=True, filters=FILTER, min_score=0.01),
    ],
    ids=["plain", "group", "distinct"],
)
def test_hybrid_search_of_shards_is_that_of_one_dataset(
    house: House, fusion: FusionMethod, options: SearchOptions
) -> None:
    """Rankings are fused over all shards, and words weighed by what all of them count."""
    request = SearchRequest(ONE, vector=QUERY, text="owl and fox", fusion=fusion, options=options)
    whole, sharded = house.both(request)

    # Equal scores go by the order of writing in one dataset, by id here; these ids are in that order.
    assert told(sharded.hits) == told(whole.hits)
    assert sharded.has_more == whole.has_more
    assert sharded.stats.plan == whole.stats.plan


def test_words_are_worth_in_shards_what_they_are_worth_in_one_dataset(house: House) -> None:
    """Every score, though no shard has more than a quarter of the texts."""
    options = SearchOptions(top_k=COUNT)
    whole, sharded = house.both(SearchRequest(ONE, text="eel of 17", options=options))

    assert len(whole.hits) > 50
    assert told(sharded.hits) == told(whole.hits)


def test_rerank_reads_the_best_of_all_shards(house: House) -> None:
    """The stance model is asked once, over what one dataset would have shown it."""
    options = SearchOptions(rerank=True, include_content=False)
    request = SearchRequest(
        ONE, vector=QUERY, text="hen", vector_weight=1.0, text_weight=0.0, options=options
    )
    whole, sharded = house.both(request)

    assert told(sharded.hits) == told(whole.hits)
    assert {hit.vector.record.content for hit in sharded.hits} == {None}
    assert any("rerank" in hit.parts for hit in sharded.hits)


def test_rerank_without_words_is_refused_beside_others(house: House) -> None:
    """The others of the batch are answered."""
    bad = SearchRequest(TWO, vector=QUERY, options=SearchOptions(rerank=True))
    refused, answer = house.port.search(A, [bad, SearchRequest(TWO, vector=QUERY)])

    assert isinstance(refused, InvalidValueError)
    assert isinstance(answer, SearchAnswer)


def test_shards_are_not_there_for_anybody(house: House) -> None:
    """Not in the list, not by their ids, not in an error; the dataset has all that is in them."""
    shard = shard_id(TWO, 1)
    short = SearchRequest(TWO, vector=[1.0])
    refused = house.port.search(A, [SearchRequest(shard, vector=QUERY), short])

    assert [info.record.id for info in house.port.datasets(A)] == [ONE, TWO]
    assert house.port.dataset(A, TWO).vector_count == COUNT
    assert house.local.dataset(A, shard).vector_count > 0
    assert isinstance(refused[0], NotFoundError)
    assert isinstance(refused[1], InvalidValueError)
    for call in (house.port.dataset, house.port.stats, house.port.index, house.port.delete):
        with pytest.raises(NotFoundError):
            call(A, shard)
    with pytest.raises(NotFoundError, match=TWO) as missing:
        house.port.vector(A, TWO, "nobody")
    assert not any(shard_id(TWO, number) in str(missing.value) for number in range(SHARDS))


def test_figures_of_shards_are_those_of_the_whole(house: House) -> None:
    """Vectors, fields with their counts and edges; documents are counted a shard."""
    whole, sharded = house.port.stats(A, ONE), house.port.stats(A, TWO)

    assert sharded.info.vector_count == whole.info.vector_count
    assert sharded.fields["number"] == {
        **whole.fields["number"],
        "distinct": sharded.fields["number"]["distinct"],
    }
    assert sharded.index.indexed + sharded.index.delta == COUNT
    assert whole.documents <= sharded.documents <= SHARDS * whole.documents


def test_each_vector_is_paged_once_with_and_without_filter(house: House) -> None:
    """Shard after shard, and the total is of all."""
    pages = [house.port.vectors(A, TWO, limit=70, offset=offset) for offset in range(0, COUNT + 70, 70)]
    kept = house.port.vectors(A, TWO, limit=10, offset=5, filters=FILTER)

    ids = [one.record.id for page in pages for one in page.vectors]
    assert sorted(ids) == sorted(f"v{number:03}" for number in range(COUNT))
    assert {page.total for page in pages} == {COUNT}
    assert (len(kept.vectors), kept.total) == (10, 25)


class Refusing(LocalVectorDatasets):
    """Refuses writes to one shard."""

    refusal: KiteError
    refused: str

    def insert(
        self,
        tenant: object,
        dataset_id: str,
        vectors: Sequence[NewVector],
        on_duplicate: OnDuplicate,
        *,
        request: str | None = None,
    ) -> InsertReport:
        if dataset_id == self.refused:
            raise self.refusal
        return super().insert(A, dataset_id, vectors, on_duplicate, request=request)


@pytest.fixture
def refusing(tmp_path: Path) -> Iterator[Refusing]:
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    local = Refusing(tmp_path, keeper, clock=FakeClock())
    local.refused = shard_id(ONE, 2)
    yield local
    local.close()
    keeper.close()


def test_write_that_one_shard_refuses_tells_it_of_its_vectors(refusing: Refusing) -> None:
    """Those of the others are in; the sentence names the dataset."""
    refusing.refusal = QuotaError(f"No room in {refusing.refused!r}.")
    port = ShardedVectorDatasets(refusing)
    port.create(A, DatasetRecord(ONE, "n", DIM, shards=3))
    report = port.insert(A, ONE, vectors(90), "fail")
    mine = [number for number in range(90) if shard_of(f"v{number:03}", 3) == 2]

    assert report.failures == tuple((number, f"No room in {ONE!r}.") for number in mine)
    assert report.inserted == 90 - len(mine) == port.dataset(A, ONE).vector_count


@pytest.mark.parametrize("count", [0, 1_001])
@pytest.mark.parametrize("key", [ONE, TWO])
def test_write_of_no_vectors_or_too_many_is_refused_whole(house: House, key: str, count: int) -> None:
    """In shards as in one."""
    with pytest.raises(InvalidValueError, match="1 to 1000"):
        house.port.insert(A, key, vectors(count, seed=9), "overwrite")
    assert house.port.dataset(A, key).vector_count == COUNT


def test_write_to_a_shard_that_is_away_is_to_be_repeated(refusing: Refusing) -> None:
    """Whether it was written is not known: the whole request says so, and once more makes it whole."""
    refusing.refusal = IndexUnavailableError("away")
    port = ShardedVectorDatasets(refusing)
    port.create(A, DatasetRecord(ONE, "n", DIM, shards=3))
    with pytest.raises(IndexUnavailableError):
        port.insert(A, ONE, vectors(90), "overwrite")
    refusing.refused = ""

    assert port.insert(A, ONE, vectors(90), "overwrite").failures == ()
    assert port.dataset(A, ONE).vector_count == 90


def test_shards_come_and_go_with_their_dataset(tmp_path: Path) -> None:
    """After deletion nothing is left, and the name is free."""
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    local = LocalVectorDatasets(tmp_path, keeper, clock=FakeClock())
    port = ShardedVectorDatasets(local)
    port.create(A, DatasetRecord(ONE, "n", DIM, shards=3))
    port.insert(A, ONE, vectors(30), "fail")
    port.create(A, DatasetRecord(TWO, "n", DIM, shards=2), overwrite=True)
    port.delete(A, TWO)

    assert port.datasets(A) == []
    for key in (ONE, TWO, *(shard_id(ONE, number) for number in range(3))):
        with pytest.raises(NotFoundError):
            local.dataset(A, key)
    assert not any(path.is_dir() for path in (tmp_path / "datasets").glob("*"))
    local.close()
    keeper.close()


def test_erased_tenant_leaves_nothing_in_any_shard(tmp_path: Path) -> None:
    """No folder, no text in the ledger; the proof counts every shard."""
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    local = LocalVectorDatasets(tmp_path, keeper, clock=FakeClock())
    port = ShardedVectorDatasets(local)
    port.create(A, DatasetRecord(ONE, "n", DIM, shards=3))
    port.insert(A, ONE, vectors(60), "fail")
    proof = Eraser(keeper, MemoryStore(FakeClock()), tmp_path, FakeClock()).erase(A)
    local.follow()

    assert proof.after["datasets"] == 0
    assert port.datasets(A) == []
    assert not any(path.is_dir() for path in (tmp_path / "datasets").glob("*"))
    assert not any(b"The owl" in entry.payload for entry in keeper.read_entries(0, 99))
    local.close()
    keeper.close()


def test_shards_count_as_one_dataset_of_the_quota(tmp_path: Path) -> None:
    """And their vectors as the dataset's."""
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    local = LocalVectorDatasets(tmp_path, keeper, clock=FakeClock())
    port = ShardedVectorDatasets(local)
    allow(keeper, datasets=1, vectors=50)
    port.create(A, DatasetRecord(ONE, "n", DIM, shards=8))
    with pytest.raises(QuotaError):
        port.create(A, DatasetRecord(TWO, "m", DIM))
    report = port.insert(A, ONE, vectors(80), "fail")

    assert 0 < report.inserted <= 50
    assert report.inserted + len(report.failures) == 80
    local.close()
    keeper.close()


@pytest.mark.parametrize("shards", [0, 65, -1, True])
def test_number_of_shards_has_bounds(house: House, shards: int) -> None:
    """One to 64; and it never changes."""
    with pytest.raises(InvalidValueError, match="shards"):
        house.port.create(A, DatasetRecord("4" * 32, "x", DIM, shards=shards))
    with pytest.raises((InvalidValueError, ConflictError)):
        house.port.update(A, replace(house.port.dataset(A, TWO).record, shards=shards))


def test_shards_lie_on_one_actor_after_the_other() -> None:
    """As many shards as actors: one on each, wherever the first falls; a random id is never a shard's."""
    for seed in range(50):
        key = np.random.default_rng(seed).bytes(16).hex()
        shards = [one.id for one in shards_of(DatasetRecord(key, "n", 3, shards=5))]

        assert {place_of(one, 5) for one in shards} == set(range(5))
        assert all(map(is_shard, shards))
        assert not is_shard(key)


def test_vectors_spread_evenly_over_the_shards() -> None:
    """By their ids alone, also where those count up."""
    counts = np.bincount([shard_of(f"doc-{number}", 8) for number in range(8_000)])

    assert counts.min() > 850
    assert counts.max() < 1_150
