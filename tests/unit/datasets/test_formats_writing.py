"""What is written in any form is read back the same, bit by bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.datasets.formats.columns import RowVectors
from data.datasets.formats.names import EXPORT_FORMS, ExportForm
from data.datasets.formats.reading import reader_of
from data.datasets.formats.rows import Row
from data.datasets.formats.writing import writer_of
from data.datasets.ports import NewVector, StoredVector
from data.datasets.records import VectorRecord

DIMENSIONS = 24


def some_vectors(count: int) -> list[StoredVector]:
    """Return vectors of every magnitude that float32 has, with awkward texts beside them."""
    generator = np.random.default_rng(7)
    values = generator.integers(0, 2**32, (count, DIMENSIONS), dtype=np.uint32).view(np.float32)
    values[~np.isfinite(values)] = np.float32(1.1754942e-38)  # the largest that is subnormal
    records = [
        VectorRecord(
            id=f"v{number}",
            document_id=f"d{number // 3}",
            content=None if number % 4 == 0 else f'Line one,\n"line" two \\ {number} – Ærø, 日本\t;',
            metadata={} if number % 5 == 0 else {"n": number, "deep": {"x": [1.5, None, "007"]}, "t": "true"},
            chunk_index=number % 3,
            chunk_count=3 if number % 2 else None,
            language="en" if number % 2 else None,
            created_at="2026-01-01T00:00:00+00:00",
            updated_at="2026-01-02T00:00:00+00:00",
        )
        for number in range(count)
    ]
    return [StoredVector(record, tuple(row)) for record, row in zip(records, values.tolist(), strict=True)]


def exported(path: Path, form: ExportForm, vectors: list[StoredVector]) -> list[NewVector]:
    """Write vectors in two parts and read them back."""
    with writer_of(path, form, DIMENSIONS) as writer:
        writer.write(vectors[:7])
        writer.write(vectors[7:])
    reader, columns = reader_of(path, form), RowVectors("x", from_text=form == "csv")
    assert reader.count() == len(vectors)
    return [columns.vector(row) for row in reader.rows() if isinstance(row, Row)]


@pytest.mark.parametrize("form", [form for form in EXPORT_FORMS if form != "npy"])
def test_vectors_written_are_read_back_the_same(tmp_path: Path, form: ExportForm) -> None:
    """Records and numbers come back as they were, to the last bit."""
    vectors = some_vectors(40)
    found = exported(tmp_path / f"v.{form}", form, vectors)
    assert [vector.record for vector in found] == [vector.record for vector in vectors]
    assert _bits(found) == _bits(vectors)


def test_npy_written_holds_the_numbers_in_order(tmp_path: Path) -> None:
    """An array of values only is read by NumPy and by the reader."""
    vectors = some_vectors(12)
    found = exported(tmp_path / "v.npy", "npy", vectors)
    assert [vector.record.id for vector in found] == [str(number) for number in range(12)]
    assert _bits(found) == _bits(vectors)
    assert np.load(tmp_path / "v.npy").shape == (12, DIMENSIONS)


@pytest.mark.parametrize("form", EXPORT_FORMS)
def test_nothing_written_is_a_whole_file_without_rows(tmp_path: Path, form: ExportForm) -> None:
    """An export of no vectors can be imported."""
    path = tmp_path / f"v.{form}"
    with writer_of(path, form, DIMENSIONS):
        pass
    reader = reader_of(path, form)
    assert reader.count() == 0
    assert list(reader.rows()) == []


def _bits(vectors: list[NewVector] | list[StoredVector]) -> bytes:
    return np.array([vector.values for vector in vectors], dtype=np.float32).tobytes()
