"""Who is admitted by what a question asks of its evidence."""

from __future__ import annotations

import pytest

from data.analysis import Span
from data.errors import InvalidValueError
from data.evidence import Evidence
from data.evidence_filter import NO_FILTER, EvidenceFilter


def passage(published_at: str | None = None, source: str | None = None) -> Evidence:
    text = "The tower in New York City is tall."
    return Evidence(
        "p", "d", text, Span(0, len(text)), title="Tall", source=source, published_at=published_at
    )


def fact(valid_from: str | None, valid_to: str | None) -> Evidence:
    return Evidence(
        "fact:f",
        "fact:f",
        "The mayor of Lyon is X.",
        Span(0, 23),
        kind="fact",
        subject="Lyon",
        valid_from=valid_from,
        valid_to=valid_to,
    )


@pytest.mark.parametrize(
    ("day", "admitted"),
    [
        ("2019-12-31", False),
        ("2020-01-01", True),
        ("2020-06-30T23:00:00Z", True),
        ("2020-07-01", False),
        (None, False),
    ],
)
def test_window_admits_passages_published_in_it(day: str | None, admitted: bool) -> None:
    """Both ends belong to the window; what has no date cannot be in it."""
    assert EvidenceFilter(since="2020-01-01", until="2020-06-30").admits(passage(day)) is admitted


def test_window_open_at_one_end_admits_everything_on_that_side() -> None:
    """Only the end that was named counts."""
    assert EvidenceFilter(since="2020-01-01").admits(passage("2031-01-01"))
    assert not EvidenceFilter(until="2020-01-01").admits(passage("2020-01-02"))


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "admitted"),
    [
        (None, None, True),
        ("2019-01-01", "2020-01-01", True),
        ("2018-01-01", "2019-12-31", False),
        ("2020-06-30", None, True),
        ("2020-07-01", None, False),
    ],
)
def test_window_admits_facts_that_held_on_a_day_of_it(
    valid_from: str | None, valid_to: str | None, admitted: bool
) -> None:
    """A fact is in time when its own time overlaps the window."""
    window = EvidenceFilter(since="2020-01-01", until="2020-06-30")

    assert window.admits(fact(valid_from, valid_to)) is admitted


@pytest.mark.parametrize(
    ("entities", "admitted"),
    [
        (("new york city",), True),
        (("Tall",), True),
        (("Lyon", "New York"), True),
        (("York New",), False),
        (("Yor",), False),
    ],
)
def test_entity_is_named_by_all_its_words_in_order(entities: tuple[str, ...], admitted: bool) -> None:
    """Whole words, case aside, in text or title; one of several entities is enough."""
    assert EvidenceFilter(entities=entities).admits(passage()) is admitted


def test_source_must_be_one_of_those_named() -> None:
    """An item without a source comes from none of them."""
    wanted = EvidenceFilter(sources=("s1", "s2"))

    assert [wanted.admits(passage(source=source)) for source in ("s2", "s3", None)] == [True, False, False]


def test_no_filter_is_false_and_admits_everything() -> None:
    """The default changes nothing."""
    assert not NO_FILTER
    assert NO_FILTER.admits(passage())
    assert NO_FILTER.admits(fact(None, None))
    assert EvidenceFilter(sources=("s",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "2020"},
        {"until": "2020-02-30"},
        {"since": "20200101"},
        {"since": "2021-01-01", "until": "2020-01-01"},
        {"entities": ("…",)},
        {"sources": ("s",) * 101},
    ],
)
def test_filter_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    """A day that is none, a window that ends before it begins, a name without words, too many names."""
    with pytest.raises(InvalidValueError):
        EvidenceFilter(**wrong)  # type: ignore[arg-type]
