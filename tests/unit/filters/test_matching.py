"""What a filter means for one document."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.datasets.records import VectorRecord
from data.filters.language import parse_filter
from data.filters.like import like_test, literal_prefix, longest_literal
from data.filters.matching import document_of, matches
from data.filters.values import moment_of, text_of_moment

DOCUMENT: dict[str, Any] = {
    "id": "v1",
    "document_id": "d",
    "language": "en",
    "content": "Vaccines are safe.",
    "chunk_index": 0,
    "model": None,
    "metadata": {
        "year": 2020,
        "score": 0.5,
        "open": True,
        "nothing": None,
        "tags": ["health", "who", None],
        "none": [],
        "source": {"name": "WHO", "rank": {"at": 3}},
        "authors": [{"name": "Ada"}, {"name": "Ben", "age": 40}],
        "a.b": "dotted",
        "day": "2024-03-01",
        "moment": "2024-03-01T12:00:00+02:00",
        "code": "1",
        "id": "inner",
        "big": 2**53 + 1,
    },
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year = 2020", True),
        ("year = 2020.0", True),
        ("year = '2020'", False),
        ("year > 2019 AND year < 2021", True),
        ("year LIKE '2%'", False),
        ("code = 1", False),
        ("open = TRUE", True),
        ("open = 1", False),
        ("open >= 1", False),
        ("chunk_index = FALSE", False),
        ("big = 9007199254740993", True),
        ("big = 9007199254740992", False),
        ("big > 9007199254740992.0", True),
        ("language = 'en'", True),
        ("language = 'EN'", False),
        ("id = 'v1' AND metadata.id = 'inner'", True),
        ("source.name = 'WHO'", True),
        ("source.rank.at = 3", True),
        ("source = 'WHO'", False),
        ("source IS NOT NULL", True),
        ("source IS NOT MISSING", True),
        ("authors.name = 'Ben'", True),
        ("authors.age > 39", True),
        ("a.b = 'dotted'", True),
        ("tags = 'who'", True),
        ("tags IN ('x', 'health')", True),
        ("tags != 'who'", False),
        ("tags IS NULL", True),
        ("tags LIKE 'h_a%'", True),
        ("none IS MISSING", False),
        ("none IS NULL", False),
        ("none = 'x'", False),
        ("nothing IS NULL", True),
        ("nothing IS MISSING", False),
        ("nothing = NULL", True),
        ("nothing != 3", True),
        ("gone IS NULL", True),
        ("gone IS MISSING", True),
        ("gone != 3", True),
        ("gone NOT IN (3)", True),
        ("gone NOT LIKE '%'", True),
        ("gone IN (3, NULL)", True),
        ("gone < 3", False),
        ("NOT gone < 3", True),
        ("model IS MISSING", True),
        ("year IN ()", False),
        ("day = '2024-03-01T00:00:00Z'", True),
        ("day >= '2024-03-01'", True),
        ("day < '2024-03-01T00:00:01'", True),
        ("moment = '2024-03-01T10:00:00Z'", True),
        ("moment > '2024-03-01 09:59'", True),
        ("moment < '2024-03-01T11:00:00Z'", True),
        ("moment LIKE '%+02:00'", True),
        ("day > 'a'", False),
        ("day < 'a'", True),
        ("language > '2024-01-01'", False),
        ("language > 'eM'", True),
        ("content LIKE '%safe_'", True),
        ("content LIKE '%Safe%'", False),
    ],
)
def test_filter_on_a_document_holds_as_the_language_says(text: str, expected: bool) -> None:
    """Kinds, lists, missing and null, dates, paths: as the docstring of ``matching`` tells."""
    assert matches(parse_filter(text), DOCUMENT) is expected


def test_empty_filter_keeps_everything() -> None:
    """``{}`` asks for nothing."""
    assert matches(parse_filter({}), DOCUMENT)
    assert matches(parse_filter({}), {})


def test_document_of_a_record_has_its_own_fields_and_metadata() -> None:
    """A record is filtered by what it has."""
    record = VectorRecord("v", "d", language="de", metadata={"language": "en"})
    assert matches(parse_filter("language = 'de' AND metadata.language = 'en'"), document_of(record))
    assert matches(parse_filter("chunk_id IS MISSING"), document_of(record))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("2024-02-29T10:30", "2024-02-29T10:30:00.000"),
        ("2024-02-29 10:30:00.25", "2024-02-29T10:30:00.250000Z"),
        ("2024-02-29T00:30:00+01:00", "2024-02-28T23:30:00Z"),
        ("2024-02-29T00:30:00-0130", "2024-02-29T02:00:00Z"),
        ("2024-02-29T00:00:00.1234567", "2024-02-29T00:00:00.123456Z"),
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00+23:59"),
    ],
)
def test_moments_written_in_two_ways_are_one(text: str, same: str) -> None:
    """Days, instants, offsets, fractions."""
    assert moment_of(text) is not None
    assert moment_of(text) == moment_of(same)


@pytest.mark.parametrize(
    "text",
    ["2024-02-30", "2024-2-01", "2024-02", "20240229", "2024-02-29T24:00:00", "2024-02-29T10:60",
     "2024-02-29T10", "2024-02-29T10:00:00+1", "2024-02-29T10:00+24:00", "2024-02-29x", " 2024-02-29",
     "２０２４-02-29", "0000-01-01"],
)  # fmt: skip
def test_text_that_is_almost_a_date_is_none(text: str) -> None:
    """What is not wholly an ISO day or instant is text."""
    assert moment_of(text) is None


def test_moment_as_text_is_the_same_moment() -> None:
    """Statistics show dates in a form that a filter reads."""
    for text in ("2024-02-29", "1999-12-31T23:59:59.000001Z", "0001-01-01T00:00:00.5Z"):
        moment = moment_of(text)
        assert moment is not None
        assert moment_of(text_of_moment(moment)) == moment


def _plain_like(steps: str, text: str) -> bool:
    """LIKE from its definition, for patterns without escapes."""
    if not steps:
        return not text
    if steps[0] == "%":
        return any(_plain_like(steps[1:], text[place:]) for place in range(len(text) + 1))
    return bool(text) and steps[0] in ("_", text[0]) and _plain_like(steps[1:], text[1:])


@given(st.text("ab%_", max_size=7), st.text("ab%_", max_size=8))
def test_like_agrees_with_its_definition(pattern: str, text: str) -> None:
    """Both matchers say what trying all ways says, and what they promise of a match holds."""
    fits = like_test(pattern)(text)
    assert fits == _plain_like(pattern, text)
    if fits:
        assert text.startswith(literal_prefix(pattern))
        assert longest_literal(pattern) in text


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a\\%", "a%", True),
        ("a\\%", "ab", False),
        ("\\_\\\\", "_\\", True),
        ("a\\", "a\\", True),
        ("%\\", "x\\", True),
    ],
)
def test_like_with_a_backslash_takes_the_next_as_it_is(pattern: str, text: str, expected: bool) -> None:
    """Percent, underscore and backslash can be asked for."""
    assert like_test(pattern)(text) is expected


def test_like_made_to_backtrack_takes_linear_time() -> None:
    """Patterns that take a backtracking matcher for ever are answered within the test's limit."""
    text = "a" * 100_000
    assert not like_test("%a%a%a%a%a%a%a%a%a%a%b")(text)
    assert not like_test("%a_%a_%a_%a_%a_%a_%a_%b")(text)
