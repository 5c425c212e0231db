"""The files of main indexes: what is loaded is what was saved, or the version before, and it is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.datasets.records import IndexSettings, Metric
from data.vectors.dense import DenseIndex, MainIndex, load_newest, retire_newest, save_main
from data.vectors.index_files import versions
from tests.unit.vectors.vector_oracle import DIM, Rows, built, clustered, same

SETTINGS = [
    IndexSettings("flat"),
    IndexSettings("hnsw"),
    IndexSettings("hnsw", quantisation="sq8"),
    IndexSettings("ivf"),
    IndexSettings("ivf", quantisation="sq8"),
    IndexSettings("ivf", quantisation="rabitq"),
]
QUERIES = clustered(10, seed=5)


def _name(settings: IndexSettings) -> str:
    return f"{settings.index_type}-{settings.quantisation}"


def _main(count: int, metric: Metric = "cosine", settings: IndexSettings = SETTINGS[1]) -> MainIndex:
    oracle = Rows(metric)
    oracle.add(np.arange(1, count + 1, dtype=np.int64), clustered(count))
    return built(oracle, settings)


def _index(main: MainIndex) -> DenseIndex:
    index = DenseIndex(DIM, main.space.metric, IndexSettings())
    index.adopt(main)
    return index


@pytest.mark.parametrize("metric", ["cosine", "manhattan"])
@pytest.mark.parametrize("settings", SETTINGS, ids=_name)
def test_loaded_index_answers_as_the_one_saved(
    tmp_path: Path, settings: IndexSettings, metric: Metric
) -> None:
    """An index from its files gives the same bytes, and knows its version, moment and size."""
    main = _main(5_200, metric, settings)
    save_main(main, tmp_path, 7, built_at="2026-11-21T16:00:00Z")

    loaded = load_newest(tmp_path, DIM, metric)

    assert loaded.main is not None
    assert loaded.faults == ()
    assert (loaded.main.version, loaded.main.built_at) == (7, "2026-11-21T16:00:00Z")
    assert loaded.main.file_bytes > 5_200 * DIM * 4
    for depth in (10, 3_000):
        answers = zip(
            _index(main).search(QUERIES, depth), _index(loaded.main).search(QUERIES, depth), strict=True
        )
        assert all(same(one, other) for one, other in answers)


def test_folder_without_versions_loads_nothing(tmp_path: Path) -> None:
    """No folder, no index, no fault."""
    loaded = load_newest(tmp_path / "none", DIM, "cosine")

    assert (loaded.main, loaded.faults) == (None, ())


@pytest.mark.parametrize("kind", ["index", "rows", "vectors", "json"])
def test_flipped_bit_in_any_file_falls_back_to_the_previous_version(tmp_path: Path, kind: str) -> None:
    """One bit in any file of the newest version: the version before is loaded, and it is said."""
    settings = IndexSettings("hnsw", quantisation="sq8")
    for version in (1, 2):
        save_main(_main(5_100 + version, settings=settings), tmp_path, version)
    path = tmp_path / f"main-00000002.{kind}"
    for place in np.linspace(0, path.stat().st_size - 1, 6).astype(int).tolist():
        whole = path.read_bytes()
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])

        loaded = load_newest(tmp_path, DIM, "cosine")

        path.write_bytes(whole)
        assert loaded.main is not None
        assert (loaded.main.version, len(loaded.main.rows)) == (1, 5_101)
        assert len(loaded.faults) == 1
        assert loaded.faults[0].startswith("Version 2 of the vector index is passed over")
    assert load_newest(tmp_path, DIM, "cosine").faults == ()


def test_file_cut_short_or_lost_falls_back_to_the_previous_version(tmp_path: Path) -> None:
    """A file that ends early or is not there counts as damage."""
    for version in (1, 2):
        save_main(_main(300 + version), tmp_path, version)
    path = tmp_path / "main-00000002.index"
    path.write_bytes(path.read_bytes()[:1_000])
    cut = load_newest(tmp_path, DIM, "cosine")
    path.unlink()
    lost = load_newest(tmp_path, DIM, "cosine")

    for loaded in (cut, lost):
        assert loaded.main is not None
        assert (loaded.main.version, len(loaded.faults)) == (1, 1)


def test_no_sound_version_loads_nothing_and_says_why(tmp_path: Path) -> None:
    """With every version damaged there is no index, and a sentence for each."""
    for version in (1, 2):
        save_main(_main(300), tmp_path, version)
        (tmp_path / f"main-0000000{version}.rows").write_bytes(b"")

    loaded = load_newest(tmp_path, DIM, "cosine")

    assert loaded.main is None
    assert [fault[:9] for fault in loaded.faults] == ["Version 2", "Version 1"]


def test_index_of_another_shape_is_passed_over(tmp_path: Path) -> None:
    """An index of another metric or dimension is not searched."""
    save_main(_main(300), tmp_path, 1)

    for loaded in (load_newest(tmp_path, DIM, "euclidean"), load_newest(tmp_path, DIM + 1, "cosine")):
        assert loaded.main is None
        assert "another" in loaded.faults[0]


def test_save_stopped_before_its_manifest_leaves_the_version_before(tmp_path: Path) -> None:
    """What a stopped save left is no version, and the next save clears it away."""
    save_main(_main(301), tmp_path, 1)
    (tmp_path / "main-00000002.index").write_bytes(b"half")
    (tmp_path / "main-00000002.rows.new").write_bytes(b"half")

    loaded = load_newest(tmp_path, DIM, "cosine")
    save_main(_main(303), tmp_path, 3)

    assert loaded.main is not None
    assert (loaded.main.version, loaded.faults) == (1, ())
    assert not list(tmp_path.glob("main-00000002*"))


def test_save_keeps_the_version_before_and_no_other(tmp_path: Path) -> None:
    """Two versions stay; an index that was loaded from a removed one goes on answering."""
    first = save_main(_main(5_100), tmp_path, 1)
    before = _index(first).search(QUERIES, 10)
    for version in (2, 3, 4):
        save_main(_main(300), tmp_path, version)

    assert versions(tmp_path) == [4, 3]
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"main-00000004", "main-00000003"}
    assert all(same(one, other) for one, other in zip(before, _index(first).search(QUERIES, 10), strict=True))


def test_retired_version_is_not_loaded_again(tmp_path: Path) -> None:
    """After the newest version was retired the one before is loaded; the only one stays."""
    for version in (1, 2):
        save_main(_main(300 + version), tmp_path, version)

    assert retire_newest(tmp_path) == 2
    assert retire_newest(tmp_path) is None
    loaded = load_newest(tmp_path, DIM, "cosine").main
    assert loaded is not None
    assert loaded.version == 1


def test_manifest_names_each_file_with_its_digest(tmp_path: Path) -> None:
    """The manifest tells length and SHA-256 of every file of its version."""
    save_main(_main(5_100, settings=SETTINGS[3]), tmp_path, 1)

    files = json.loads((tmp_path / "main-00000001.json").read_text())["content"]["files"]

    assert {path.name for path in tmp_path.iterdir()} == {file["name"] for file in files.values()} | {
        "main-00000001.json"
    }
    assert all(len(file["sha256"]) == 64 for file in files.values())
    assert all(file["bytes"] == (tmp_path / file["name"]).stat().st_size for file in files.values())
