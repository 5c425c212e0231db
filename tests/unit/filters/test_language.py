"""One language in three spellings: what is read, and where a fault is."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidValueError
from data.filters.language import parse_filter
from data.filters.limits import MAX_DEPTH, MAX_LIST, MAX_PATTERN, MAX_SIZE, MAX_TERMS
from data.filters.tree import And, Compare, Exists, Filter, FilterError, IsNull, Like, Not, OneOf, Or
from tests.unit.filters.spelling import as_mapping, as_plain, as_text, filters

A, B = "metadata.a", "metadata.b"


@given(filters)
def test_filter_in_three_spellings_is_one_tree(wanted: Filter) -> None:
    """Operators, text and, where it can say it, plain equality are read as the same filter."""
    assert parse_filter(as_mapping(wanted)) == wanted
    assert parse_filter(as_text(wanted)) == wanted
    plain = as_plain(wanted)
    if plain is not None:
        assert parse_filter(plain) == wanted


@pytest.mark.parametrize(
    ("spelt", "meant"),
    [
        ({}, And(())),
        ({"a": None}, IsNull(A)),
        ({"metadata.a": 1}, Compare(A, "eq", 1)),
        ({"metadata": {"a": 1}}, Compare(A, "eq", 1)),
        ({"a": {"b": 1}}, Compare("metadata.a.b", "eq", 1)),
        ({"language": "en"}, Compare("language", "eq", "en")),
        ({"language.code": "en"}, Compare("metadata.language.code", "eq", "en")),
        ({"a": {"$gt": 3, "$lt": 9}}, And((Compare(A, "gt", 3), Compare(A, "lt", 9)))),
        ({"a": {"$ne": 1}}, Not(Compare(A, "eq", 1))),
        ({"a": {"$ne": None}}, Not(IsNull(A))),
        ({"a": {"$nin": [1, None]}}, Not(OneOf(A, (1, None)))),
        ({"a": {"$not_like": "x%"}}, Not(Like(A, "x%"))),
        ({"a": {"$not": {"$lte": 3}}}, Not(Compare(A, "lte", 3))),
        ({"a": {"$exists": False}}, Not(Exists(A))),
        ({"a": {"$null": False}}, Not(IsNull(A))),
        (
            "a = 1 and b = 2 OR b = 3",
            Or((And((Compare(A, "eq", 1), Compare(B, "eq", 2))), Compare(B, "eq", 3))),
        ),
        ("not a = 1 AND b = 2", And((Not(Compare(A, "eq", 1)), Compare(B, "eq", 2)))),
        ("a != 'it''s'", Not(Compare(A, "eq", "it's"))),
        ("a <> -1.5e3", Not(Compare(A, "eq", -1500.0))),
        (
            "a between 1 and 2 and b = TRUE",
            And((Compare(A, "gte", 1), Compare(A, "lte", 2), Compare(B, "eq", True))),
        ),
        ("a NOT BETWEEN 1 AND 2", Not(And((Compare(A, "gte", 1), Compare(A, "lte", 2))))),
        ("a not in (1, 'x', null)", Not(OneOf(A, (1, "x", None)))),
        ("a NOT LIKE '%x'", Not(Like(A, "%x"))),
        ("a IS NOT NULL", Not(IsNull(A))),
        ("a = NULL", IsNull(A)),
        ("a IS MISSING", Not(Exists(A))),
        ('"two ""words"".x"."y"=1', Compare('metadata.two "words".x.y', "eq", 1)),
        ("a.in.größe_2 >= 1", Compare("metadata.a.in.größe_2", "gte", 1)),
        ("missing = 1", Compare("metadata.missing", "eq", 1)),
    ],
)
def test_filter_as_people_write_it_is_read_as_meant(spelt: Any, meant: Filter) -> None:
    """Each construct of the three spellings has its one meaning."""
    assert parse_filter(spelt) == meant


@pytest.mark.parametrize(
    ("spelt", "position", "said"),
    [
        ("", 0, "a field name is expected here, not the end"),
        ("a", 1, "is expected after a field"),
        ("a = ", 4, "a value is expected here, not the end"),
        ("a = x", 4, "a text stands in single quotes"),
        ('a = "x"', 4, "a text stands in single quotes"),
        ("a = 'x", 4, "a text in single quotes is not closed"),
        ('"a = 1', 0, "a name in double quotes is not closed"),
        ('"" = 1', 0, "a field name is empty"),
        ("(a = 1", 6, "a closing parenthesis is expected"),
        ("a = 1)", 5, "AND, OR or the end"),
        ("a = 1 b = 2", 6, "AND, OR or the end"),
        ("a ; 1", 2, "means nothing here"),
        ("a > TRUE", 4, "only numbers, texts and dates have an order"),
        ("a = 1e999", 4, "finite"),
        ("a = " + "9" * 70, 4, "64 digits"),
        ("a IN (1, 2", 10, "a comma or a closing parenthesis"),
        ("a IN 1", 5, "a list in parentheses"),
        ("a LIKE 1", 7, "must be a text"),
        ("a NOT = 1", 6, "is expected after a field"),
        ("a IS 1", 5, "NULL or MISSING"),
        ("a BETWEEN 1 OR 2", 12, "AND between"),
        ("and = 1", 0, "a field name is expected"),
        ({"$nor": []}, "$.$nor", "not one of $and, $or, $not"),
        ({"a": {"$near": 1}}, "$.a.$near", "not one of $eq"),
        ({"$or": []}, "$.$or", "at least one filter"),
        ({"$or": [{"a": 1}, 5]}, "$.$or[1]", "must be an object, not a number"),
        ({"a": [1, 2]}, "$.a", "$in asks for one of several"),
        ({"a": {}}, "$.a", "asks for nothing"),
        ({"a": {"$in": "x"}}, "$.a.$in", "a list of values is needed"),
        ({"a": {"$in": [1, {"b": 2}]}}, "$.a.$in[1]", "not an object"),
        ({"a": {"$gt": None}}, "$.a.$gt", "have an order"),
        ({"a": {"$exists": 1}}, "$.a.$exists", "true or false"),
        ({"a": {"$like": 3}}, "$.a.$like", "must be a text"),
        ({"a": float("nan")}, "$.a", "finite"),
        ({"": 1}, "$.", "a field name is empty"),
        ({1: 1}, "$", "a name must be a text"),
        ({"a": {"$not": 3}}, "$.a.$not", "an object of operators"),
        ([], "$", "a text or an object"),
    ],
)
def test_filter_with_a_fault_tells_where_and_what(spelt: Any, position: int | str, said: str) -> None:
    """A fault carries its place, which the one sentence tells too."""
    with pytest.raises(FilterError, match="cannot be read at") as caught:
        parse_filter(spelt)
    assert caught.value.position == position
    assert said in str(caught.value)
    assert str(position) in str(caught.value)


@pytest.mark.parametrize(
    ("spelt", "said"),
    [
        ("a = '" + "x" * MAX_SIZE + "'", "longer than"),
        ({"a": "x" * (MAX_SIZE + 1)}, "longer than"),
        ("(" * MAX_DEPTH + "a = 1" + ")" * MAX_DEPTH, "levels deep"),
        ("NOT " * 5_000 + "a = 1", "levels deep"),
        ("a = 1" + " OR a = 1" * MAX_TERMS, "comparisons"),
        ({"$or": [{"a": 1}] * (MAX_TERMS + 1)}, "comparisons"),
        (f"a IN ({', '.join('1' * (MAX_LIST + 1))})", "values"),
        ({"a": {"$in": [1] * (MAX_LIST + 1)}}, "values"),
        (f"a LIKE '{'x' * (MAX_PATTERN + 1)}'", "LIKE pattern"),
        ({"$or": [{"a": {"$in": [1] * MAX_LIST}}] * 100}, "longer than"),
        ({"a" * 600: 1}, "field name"),
        ({"$or": [{}] * (MAX_TERMS + 1)}, "comparisons"),
    ],
)
def test_filter_beyond_a_bound_is_refused(spelt: Any, said: str) -> None:
    """Size, depth, comparisons, lists, patterns and names are bounded, in text and in JSON."""
    with pytest.raises(FilterError, match=said):
        parse_filter(spelt)


def test_mapping_nested_too_deeply_is_refused() -> None:
    """Objects in objects end before the interpreter's stack does."""
    nested: dict[str, Any] = {"a": 1}
    for _ in range(5_000):
        nested = {"$not": nested}
    with pytest.raises(FilterError, match="levels deep"):
        parse_filter(nested)


def test_filter_at_the_bounds_is_read() -> None:
    """The bounds themselves are allowed."""
    wanted = parse_filter("a = 1" + " OR a = 1" * (MAX_TERMS - 1))
    assert isinstance(wanted, Or)
    assert len(wanted.parts) == MAX_TERMS
    assert isinstance(parse_filter({"a": {"$in": [1] * MAX_LIST}}), OneOf)


def test_filter_error_is_an_invalid_value_and_survives_pickling() -> None:
    """It reaches the client as 400, from another process too."""
    with pytest.raises(InvalidValueError) as caught:
        parse_filter("a =")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.position) == (str(caught.value), 3)


_PIECES = st.sampled_from(
    ["a", "b.c", '"q"', "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL", "(", ")", ",", "=", "<>",
     ">=", "'x'", "'", '"', "1", "-2.5", ".", "1e", "é", "\x00", "\ud800", "%", " "]
)  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=15).map(" ".join)))
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    """Nothing but a filter or a ``FilterError`` comes of any text."""
    position = _place_of_fault(text)
    assert position is None or (isinstance(position, int) and 0 <= position <= len(text))


def _place_of_fault(text: str) -> int | str | None:
    try:
        parse_filter(text)
    except FilterError as error:
        return error.position
    return None
