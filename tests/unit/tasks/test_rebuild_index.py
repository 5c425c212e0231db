"""Main indexes are built apart from who serves them, swapped in, taken back; nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.claims import DEFAULT_TENANT
from data.datasets.building import INDEX
from data.datasets.opening import folder_of
from data.datasets.ports import NewVector, SearchOptions, SearchRequest
from data.datasets.rebuilding import build_version
from data.datasets.records import DatasetRecord, IndexSettings, VectorRecord
from data.errors import ConflictError, NotFoundError
from data.vectors.index_files import versions
from tasks.rebuild_index import HereWork, Wanted, rebuild, roll_back
from tests.fakes import FakeEmbedder
from tests.unit.tasks.vector_home import VectorHome

SETTINGS = IndexSettings(index_type="hnsw")
VALUES = np.random.default_rng(5).normal(size=(600, 16)).astype(np.float32)


class NamedEmbedder(FakeEmbedder):
    """The fake embedder under a name; another name makes other vectors."""

    def __init__(self, identity: str) -> None:
        self.identity = identity

    def embed(self, texts: Any) -> Any:
        """Return unit vectors that depend on the name too."""
        return super().embed([f"{text} {self.identity}" for text in texts])


class House:
    """A dataset with vectors, and what works on it."""

    def __init__(self, tmp_path: Path, shards: int = 1) -> None:
        self.home = VectorHome(tmp_path / "home")
        record = DatasetRecord("", "papers", 16, "euclidean", SETTINGS, shards=shards)
        self.record = self.home.datasets.create(DEFAULT_TENANT, record).record
        self.work = HereWork(self.home.session.home, NamedEmbedder("new"))
        self.write(0, 400)

    @property
    def folder(self) -> Path:
        """The dataset's folder."""
        return folder_of(self.home.session.home, self.record.id)

    def write(self, first: int, end: int, **fields: Any) -> None:
        """Write vectors by number."""
        vectors = [
            NewVector(VectorRecord(str(n), "d", content=f"Text {n}.", **fields), VALUES[n].tolist())
            for n in range(first, end)
        ]
        self.home.datasets.insert(DEFAULT_TENANT, self.record.id, vectors, "overwrite")

    def rebuilt(self, *, embed: bool = False, force: bool = False) -> dict[str, Any]:
        """Rebuild, and return what was done."""
        wanted = Wanted((self.record,), embed=embed, force=force)
        (report,) = rebuild(wanted, self.home.session, self.work)
        return report

    def nearest(self, values: Any, k: int = 1) -> list[str]:
        """Return the ids nearest to a vector."""
        request = SearchRequest(self.record.id, list(map(float, values)), options=SearchOptions(top_k=k))
        (answer,) = self.home.datasets.search(DEFAULT_TENANT, [request])
        assert not isinstance(answer, Exception)
        return [hit.vector.record.id for hit in answer.hits]

    def has_all(self, count: int) -> bool:
        """Return whether each of so many vectors finds itself."""
        return all(self.nearest(VALUES[n]) == [str(n)] for n in range(count))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Return a house with 400 vectors and no main index."""
    made = House(tmp_path)
    yield made
    made.home.close()


def test_rebuild_puts_every_vector_into_a_new_main_index(house: House) -> None:
    """What waited beside is in the index, and every vector is found."""
    report = house.rebuilt()
    info = house.home.datasets.index(DEFAULT_TENANT, house.record.id)
    assert (report["state"], report["kind"], report["vectors"], report["beside"]) == (
        "rebuilt",
        "hnsw",
        400,
        0,
    )
    assert (info.version, info.indexed, info.delta) == (report["version"], 400, 0)
    assert house.has_all(400)


def test_rebuild_of_a_dataset_of_shards_builds_each(tmp_path: Path) -> None:
    """They are told by number, and every vector is found in the whole."""
    house = House(tmp_path, shards=3)
    wanted = Wanted((house.record,))
    reports = rebuild(wanted, house.home.session, house.work)
    index = house.home.datasets.index(DEFAULT_TENANT, house.record.id)

    assert [one["dataset"] for one in reports] == [f"papers, shard {n} of 3" for n in (1, 2, 3)]
    assert {one["state"] for one in reports} == {"rebuilt"}
    assert (index.indexed, index.delta, sum(one["vectors"] for one in reports)) == (400, 0, 400)
    assert house.has_all(400)
    house.home.close()


def test_rebuild_where_nothing_changed_does_nothing_unless_forced(house: House) -> None:
    """Started again it leaves what it made; with force it makes the same once more."""
    first = house.rebuilt()
    assert house.rebuilt() == {
        **_named(house),
        "state": "unchanged",
        "version": first["version"],
        "vectors": 400,
    }
    assert house.rebuilt(force=True)["version"] > first["version"]
    assert house.has_all(400)


def _named(house: House) -> dict[str, str]:
    return {"dataset": "papers", "dataset_id": house.record.id}


class Meanwhile(HereWork):
    """Does something between the end of a build and the swap."""

    def __init__(self, work: HereWork, then: Callable[[], None]) -> None:
        self.__dict__.update(work.__dict__)
        self._then = then

    def build(self, *arguments: Any) -> Iterator[Any]:
        """Build, do it, and hand over."""
        for built in super().build(*arguments):
            self._then()
            yield built


def test_rebuild_keeps_what_was_written_meanwhile(house: House) -> None:
    """Vectors written, replaced and removed while the index was built are so after the swap."""

    def write() -> None:
        house.write(400, 450)
        house.home.datasets.delete_vectors(DEFAULT_TENANT, house.record.id, ["7"])
        moved = NewVector(VectorRecord("8", "d"), VALUES[599].tolist())
        house.home.datasets.insert(DEFAULT_TENANT, house.record.id, [moved], "overwrite")

    house.work = Meanwhile(house.work, write)
    report = house.rebuilt()
    assert (report["vectors"], report["beside"], report["removed"]) == (400, 51, 2)
    assert house.nearest(VALUES[425]) == ["425"]
    assert house.nearest(VALUES[599]) == ["8"]
    assert "7" not in house.nearest(VALUES[7], k=449)
    assert len(house.nearest(VALUES[7], k=600)) == 449


def test_rebuild_killed_before_the_swap_ends_the_same_when_started_again(house: House) -> None:
    """The version that nobody adopted does not matter; the next start makes one that is."""

    def die() -> None:
        raise KeyboardInterrupt

    whole, house.work = house.work, Meanwhile(house.work, die)
    with pytest.raises(KeyboardInterrupt):
        house.rebuilt()
    house.work = whole
    assert house.rebuilt()["state"] == "rebuilt"
    assert house.has_all(400)


def test_rebuild_leaves_room_for_a_version_of_whoever_serves(house: House) -> None:
    """A number that the serving process may give at the same time is not taken."""
    built = build_version(house.folder, house.record, "2026-01-01T00:00:00Z")
    again = build_version(house.folder, house.record, "2026-01-01T00:00:00Z")
    assert again.version == built.version + 2
    assert versions(house.folder / INDEX) == [again.version, built.version]


def test_roll_back_searches_the_version_before_with_all_that_came_since(house: House) -> None:
    """After it every vector is still found, and once more there is nothing to go back to."""
    first = house.rebuilt()
    house.write(400, 500)
    house.rebuilt()
    (report,) = roll_back(Wanted((house.record,)), house.home.session)
    assert (report["version"], report["vectors"], report["beside"]) == (first["version"], 400, 100)
    assert house.has_all(500)
    with pytest.raises(ConflictError):
        roll_back(Wanted((house.record,)), house.home.session)


def test_embed_reads_contents_of_other_models_once(house: House) -> None:
    """Vectors with content get the model's numbers and its name; those that have them stay."""
    house.write(0, 5, model="new")
    assert house.rebuilt(embed=True)["embedded"] == 395
    kept = house.home.vectors(house.record.id)
    wanted = NamedEmbedder("new").embed(["Text 9."])[0].tolist()
    assert kept["9"].record.model == "new"
    assert kept["9"].values == pytest.approx(wanted)
    assert kept["3"].values == pytest.approx(VALUES[3].tolist())
    assert house.rebuilt(embed=True)["embedded"] == 0


def test_new_numbers_for_a_vector_that_was_written_meanwhile_are_dropped(house: House) -> None:
    """A write that came after the content was read stays, whatever it holds."""
    house.write(3, 4)
    stale = [4]  # the fourth row that was ever written: vector 3, before it was written again
    values = NamedEmbedder("new").embed(["Text 3."])
    shards = house.home.session.shards
    assert shards.revalue(DEFAULT_TENANT, house.record.id, stale, values, model="new") == 0
    assert house.home.vectors(house.record.id)["3"].values == pytest.approx(VALUES[3].tolist())


def test_build_of_a_dataset_without_records_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is told and not made."""
    with pytest.raises(NotFoundError):
        build_version(tmp_path / "none", DatasetRecord("0" * 32, "none", 3), "")
    assert not (tmp_path / "none").exists()
