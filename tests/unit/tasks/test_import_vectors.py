"""Files of vectors are loaded by command: resumed, reported, evaluated, and written out again the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.claims import DEFAULT_TENANT
from data.datasets.transfer import LEASE_S
from data.errors import InvalidValueError, NotFoundError
from tasks import export_vectors as exporting
from tasks import import_vectors as importing
from tasks.export_vectors import Wanted, export_vectors
from tasks.import_vectors import Target, evaluate, import_vectors, source_of
from tests.unit.tasks.vector_home import VectorHome


class Died(BaseException):
    """The process is gone."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[VectorHome]:
    """Return a home without datasets."""
    made = VectorHome(tmp_path / "home")
    yield made
    made.close()


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def numbers(count: int) -> list[dict[str, Any]]:
    """Return rows with vectors, the ids left to the file."""
    return [{"values": [n / 7, 1.0], "content": f"Text {n}.", "metadata": {"n": n}} for n in range(count)]


def test_import_of_texts_makes_a_dataset_and_embeds_them(home: VectorHome, tmp_path: Path) -> None:
    """Rows without values become vectors of the embedder's length, in a dataset that was not there."""
    path = lines(tmp_path / "notes.jsonl", [{"id": "a", "text": "Water boils."}, {"id": "b", "text": "Ice."}])
    report = import_vectors(source_of(path, "file"), Target("notes"), home.session)
    assert (report.status, report.imported, report.rejected_file) == ("completed", 2, None)
    info = home.datasets.dataset(DEFAULT_TENANT, report.dataset_id)
    assert (info.record.name, info.record.dimensions, info.vector_count) == ("notes", 16, 2)


def test_import_sets_bad_rows_aside_with_their_numbers(home: VectorHome, tmp_path: Path) -> None:
    """Rows refused by the reader, the columns and the dataset stand beside the file."""
    rows: list[dict[str, Any]] = [{"values": value} for value in ([1.0, 2.0], [1.0], ["x", 1])]
    rows.append({"id": "\x00", "values": [1.0, 2.0]})
    path = lines(tmp_path / "v.jsonl", rows)
    report = import_vectors(source_of(path, "file"), Target("v"), home.session)
    assert (report.status, report.imported, report.rejected) == ("completed_with_errors", 1, 3)
    aside = [json.loads(line) for line in (tmp_path / "v.jsonl.rejected.jsonl").read_text().splitlines()]
    assert sorted(row["row"] for row in aside) == [2, 3, 4]
    assert "values[0] is 'x'" in next(row["error"] for row in aside if row["row"] == 3)


@pytest.mark.parametrize("noted", [False, True])
def test_import_that_was_killed_goes_on_where_it_was(
    home: VectorHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, noted: bool
) -> None:
    """Killed in its second batch, before or after that was written, it ends with every row once."""
    path = lines(tmp_path / "v.jsonl", [*numbers(1_400), {"values": "none"}, *numbers(1_200)])
    insert, calls = home.datasets.insert, []

    def dying(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2 and not noted:
            raise Died
        report = insert(*arguments, **more)
        if len(calls) == 2:
            raise Died
        return report

    with monkeypatch.context() as patch:
        patch.setattr(home.datasets, "insert", dying)
        with pytest.raises(Died):
            import_vectors(source_of(path, "file"), Target("v"), home.session)
    home.clock.advance(LEASE_S + 1)
    report = import_vectors(source_of(path, "file"), Target("v"), home.session)
    assert (report.resumed_at, report.rows, report.imported, report.rejected) == (1_000, 2_601, 2_600, 1)
    kept = home.vectors(report.dataset_id)
    assert sorted(one.record.metadata["n"] for one in kept.values()) == sorted([*range(1_400), *range(1_200)])
    assert len((tmp_path / "v.jsonl.rejected.jsonl").read_text().splitlines()) == 1


def test_import_done_a_second_time_changes_nothing(home: VectorHome, tmp_path: Path) -> None:
    """The same file gives the same ids."""
    path = lines(tmp_path / "v.jsonl", numbers(30))
    first = import_vectors(source_of(path, "file"), Target("v"), home.session)
    before = home.vectors(first.dataset_id)
    again = import_vectors(source_of(path, "file"), Target("v"), home.session)
    assert (again.dataset_id, again.imported, again.resumed_at) == (first.dataset_id, 30, 0)
    assert home.vectors(first.dataset_id).keys() == before.keys()


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet"])
def test_export_imported_again_is_the_same_dataset(home: VectorHome, tmp_path: Path, form: str) -> None:
    """Records and numbers come back to the last bit, the moment of the last write aside."""
    path = lines(tmp_path / "v.jsonl", numbers(1_300))
    first = import_vectors(source_of(path, "file"), Target("v"), home.session)
    home.clock.advance(60.0)
    out = tmp_path / f"out.{form}"
    report = export_vectors(Wanted("v"), out, home.session)
    again = import_vectors(source_of(out, "file"), Target("copy"), home.session)
    assert (report.rows, again.imported) == (1_300, 1_300)
    before, after = home.vectors(first.dataset_id), home.vectors(again.dataset_id)
    assert {key: _fixed(one) for key, one in after.items()} == {
        key: _fixed(one) for key, one in before.items()
    }


def _fixed(vector: Any) -> Any:
    return replace(vector, record=replace(vector.record, updated_at=""))


def test_export_with_filter_and_limit_holds_those_alone(home: VectorHome, tmp_path: Path) -> None:
    """Both spellings of a filter choose the same vectors."""
    path = lines(tmp_path / "v.jsonl", numbers(40))
    import_vectors(source_of(path, "file"), Target("v"), home.session)
    for filters in ('{"n": {"$lt": 10}}', "n < 10"):
        report = export_vectors(Wanted("v", filters=filters, limit=7), tmp_path / "out.jsonl", home.session)
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert report.rows == 7
        assert [row["metadata"]["n"] for row in rows] == list(range(7))


@pytest.mark.parametrize(
    ("wanted", "name", "error"),
    [
        (Wanted("none"), "out.csv", NotFoundError),
        (Wanted("v"), "out.xls", InvalidValueError),
        (Wanted("v"), "out.fvecs", InvalidValueError),
        (Wanted("v", limit=0), "out.csv", InvalidValueError),
        (Wanted("v", filters="n <"), "out.csv", InvalidValueError),
        (Wanted("v", filters='{"n"'), "out.csv", InvalidValueError),
    ],
)
def test_export_that_cannot_be_leaves_no_file(
    home: VectorHome, tmp_path: Path, wanted: Wanted, name: str, error: type[Exception]
) -> None:
    """Wrong words are refused with one sentence."""
    import_vectors(source_of(lines(tmp_path / "v.jsonl", numbers(3)), "file"), Target("v"), home.session)
    with pytest.raises(error):
        export_vectors(wanted, tmp_path / name, home.session)
    assert not (tmp_path / name).exists()


def beir(folder: Path) -> Path:
    """Write a small benchmark."""
    (folder / "qrels").mkdir(parents=True)
    texts = {"d1": "Water boils at one hundred degrees.", "d2": "The quokka lives on Rottnest Island."}
    lines(folder / "corpus.jsonl", [{"_id": k, "title": "", "text": v} for k, v in texts.items()])
    lines(folder / "queries.jsonl", [{"_id": "q1", "text": "where does the quokka live"}])
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\nq1\td1\t0\n")
    return folder


def test_benchmark_in_beirs_form_is_imported_and_measured(home: VectorHome, tmp_path: Path) -> None:
    """Its corpus becomes a dataset; its judgements say how good each search is."""
    source = source_of(beir(tmp_path / "tiny"), "beir")
    target = Target("tiny")
    report = import_vectors(source, target, home.session)
    figures = evaluate(source, report, target, home.session)
    assert (report.imported, figures["split"], figures["queries"]) == (2, "test", 1)
    assert figures["text"] == {"ndcg_10": 1.0, "recall_10": 1.0}
    assert set(figures) == {"split", "queries", "vector", "text", "hybrid"}


def test_benchmark_without_its_files_is_refused(tmp_path: Path) -> None:
    """A folder of something else, and a split that is not there, are told."""
    with pytest.raises(InvalidValueError, match="has no corpus"):
        source_of(tmp_path, "beir")
    from data.datasets.formats.beir import judgements_of

    with pytest.raises(InvalidValueError, match="its splits are test"):
        judgements_of(beir(tmp_path / "tiny"), "dev")


def test_benchmark_in_hdf5_is_imported_and_measured(home: VectorHome, tmp_path: Path) -> None:
    """Vectors, queries and true neighbours of an ann-benchmarks file give a recall."""
    h5py = pytest.importorskip("h5py", reason="needs the extra benchmarks")
    generator = np.random.default_rng(3)
    train, test = (generator.normal(size=(n, 8)).astype(np.float32) for n in (300, 20))
    distances = ((test[:, None, :] - train[None, :, :]) ** 2).sum(axis=2)
    with h5py.File(tmp_path / "tiny.hdf5", "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"] = train, test
        file["neighbors"] = np.argsort(distances, axis=1)[:, :100].astype(np.int32)
    source = source_of(tmp_path / "tiny.hdf5", "hdf5")
    target = Target("tiny")
    report = import_vectors(source, target, home.session)
    info = home.datasets.dataset(DEFAULT_TENANT, report.dataset_id)
    assert (report.imported, info.record.metric, info.record.dimensions) == (300, "euclidean", 8)
    assert evaluate(source, report, target, home.session)["recall_10"] == 1.0


def test_command_with_bad_input_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there or not known stops before anything is opened."""
    (tmp_path / "v.xls").write_bytes(b"")
    for name in ("none.csv", "v.xls"):
        assert importing.main([str(tmp_path / name), "--home-stopped"]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_commands_without_what_they_need_show_their_use(capsys: pytest.CaptureFixture[str]) -> None:
    """No file at all is a mistake in the call."""
    for command in (importing.main, exporting.main):
        with pytest.raises(SystemExit):
            command([])
        assert "usage:" in capsys.readouterr().err
