"""Columns of many spellings become one vector; what is wrong with a row is told with its column."""

from __future__ import annotations

from typing import Any

import pytest

from data.datasets.formats.columns import RowVectors
from data.datasets.formats.rows import Row
from data.datasets.ports import NewVector
from data.errors import InvalidValueError


def vector(fields: dict[str, Any], *, number: int = 1, from_text: bool = False) -> NewVector:
    """Return the vector of one row."""
    return RowVectors("f00d", from_text=from_text).vector(Row(number, fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"values": [0.5, -2.0, 3.0]},
        {"values": "[0.5, -2, 3]"},
        {"values": "0.5 -2 3"},
        {"values": "[0.5 -2 3]"},
        {"values": "0.5;-2;3"},
        {"Vector": [0.5, -2, 3]},
        {"embedding": (0.5, -2.0, 3.0)},
        {"values_0": 0.5, "values_1": "-2", "values_2": 3},
        {"values.1": "0.5", "values.2": -2, "values.3": 3.0},
        {"values[0]": 0.5, "values[1]": -2, "values[2]": 3},
    ],
)
def test_values_in_any_spelling_are_the_same_numbers(fields: dict[str, Any]) -> None:
    """Lists, their text and numbered columns mean the same."""
    assert list(vector({"id": "a", **fields}).values or ()) == [0.5, -2.0, 3.0]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"values": [1.0, float("nan")]}, r"values\[1\] is nan"),
        ({"values": [1.0, float("inf")]}, r"values\[1\] is inf"),
        ({"values": [1e39, 0.0]}, r"values\[0\] is 1e\+39"),
        ({"values": [True]}, r"values\[0\] is True"),
        ({"values": [1.0, None]}, r"values\[1\] is None"),
        ({"values": "[1, x]"}, "values is not a JSON list"),
        ({"values": "1 x"}, r"values\[1\] is 'x'"),
        ({"values": []}, "list of numbers"),
        ({"values": {"0": 1.0}}, "list of numbers"),
        ({"values_0": 1.0, "values_2": 2.0}, "numbered columns"),
        ({"values": [1.0], "values_0": 1.0}, "leave one out"),
        ({"values": [1.0], "embedding": [2.0]}, "values is in the row twice"),
        ({}, "values are missing"),
        ({"values": [1.0], "content": 5}, "content is 5, not text"),
        ({"values": [1.0], "chunk_index": 1.5}, "chunk_index is 1.5, not a whole number"),
        ({"values": [1.0], "metadata": "[1]"}, "not a JSON object"),
        ({"values": [1.0], "metadata": "{"}, "metadata is not JSON"),
        ({"values": [1.0], "id": 1.5}, "id is 1.5, not text"),
        ({"values": [1.0], "id": "a\n"}, "id holds a control character"),
        ({"values": [1.0], "created_at": "soon"}, "not an ISO 8601 moment"),
    ],
)
def test_row_with_a_wrong_value_is_refused_with_its_column(fields: dict[str, Any], told: str) -> None:
    """Each wrong value is one sentence that names where it is."""
    with pytest.raises(InvalidValueError, match=told):
        vector({"id": "a", **fields})


def test_row_without_values_but_with_content_is_to_be_embedded() -> None:
    """A text alone is enough."""
    found = vector({"_id": 7, "title": "On water", "text": "Water boils."})
    assert found.values is None
    assert (found.record.id, found.record.document_id) == ("7", "7")
    assert found.record.content == "Water boils."
    assert found.record.metadata == {"title": "On water"}


def test_row_without_an_id_gets_one_from_file_and_number() -> None:
    """Read again, the row has the same id; the next row has another."""
    assert vector({"values": [1.0]}, number=3).record.id == "f00d-3"
    assert vector({"values": [1.0], "doc_id": "d"}, number=4).record.document_id == "d"


def test_columns_of_a_table_of_text_become_typed_metadata() -> None:
    """In CSV numbers, true, false and null are read from text; what is no JSON stays text."""
    fields = {
        "values": "[1]",
        "metadata": '{"a": {"b": 1}}',
        "metadata.year": "2024",
        "metadata.zip": "01234",
        "Checked": "true",
        "name": "nothing",
        "day": "2024-05-31",
    }
    assert vector(fields, from_text=True).record.metadata == {
        "a": {"b": 1},
        "year": 2024,
        "zip": "01234",
        "Checked": True,
        "name": "nothing",
        "day": "2024-05-31",
    }


def test_columns_of_typed_files_stay_as_they_are() -> None:
    """A text that looks like a number is text where the file has types."""
    fields = {"values": [1.0], "metadata.year": "2024", "chunk_index": 2, "language": "en"}
    record = vector(fields).record
    assert record.metadata == {"year": "2024"}
    assert (record.chunk_index, record.language) == (2, "en")
