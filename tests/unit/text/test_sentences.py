"""Cutting a text into sentences: what ends one, what does not, and what is no sentence."""

from __future__ import annotations

import time

import pytest

from data.text.sentences import split_text


def cut(text: str) -> list[tuple[str, str]]:
    return [(piece.kind, text[piece.span.start : piece.span.end]) for piece in split_text(text)]


def sentences(text: str) -> list[str]:
    return [words for kind, words in cut(text) if kind == "sentence"]


@pytest.mark.parametrize(
    "whole",
    [
        "Dr. Smith of the U.S. Dept. of Energy spoke on Jan. 3 about No. 5.",
        "Prices rose 3.5 percent, i.e. more than in 2.5 years, at St. Paul vs. New York.",
        "George W. Bush met J. K. Rowling and Acme Inc. shareholders at 5 p.m. on Monday.",
        "See https://example.org/a.b?c=d. for the details.",
        "He waited ... and then he left.",
        '"Is it true?" he asked the court.',
        "Yahoo! was founded in 1994 by two students.",
    ],
)
def test_stop_inside_a_sentence_does_not_end_it(whole: str) -> None:
    """Abbreviations, decimals, initials, addresses, an ellipsis, a question that is quoted."""
    assert sentences(whole) == [whole]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("He lives in the U.S. The city is old.", ["He lives in the U.S.", "The city is old."]),
        ("It closed at 5 p.m. The shop is new.", ["It closed at 5 p.m.", "The shop is new."]),
        ("Taxes fell in 1999. Prices rose.", ["Taxes fell in 1999.", "Prices rose."]),
        ('"We won." They left!', ['"We won."', "They left!"]),
        ("Is it so? Yes, it is.", ["Is it so?", "Yes, it is."]),
        ("水在一百度沸腾。冰会融化。", ["水在一百度沸腾。", "冰会融化。"]),
        ("It grew (by 5%.) It shrank.", ["It grew (by 5%.)", "It shrank."]),
    ],
)
def test_stop_at_the_end_of_a_sentence_ends_it(text: str, parts: list[str]) -> None:
    """An abbreviation may end a sentence where a word that begins many follows."""
    assert sentences(text) == parts


def test_soft_line_break_does_not_end_a_sentence() -> None:
    """A wrapped line goes on in the next; its break stays inside the slice."""
    text = "The tower is 330 metres\ntall and was built in 1889.\nIt stands in Paris."
    assert sentences(text) == ["The tower is 330 metres\ntall and was built in 1889.", "It stands in Paris."]


def test_headings_of_every_make_are_told_from_sentences() -> None:
    """Hashes, an underline, or a short line without a stop."""
    text = (
        "# Economy\n\nJobs Plan Works\n\nTaxes fell by 5 percent.\n\n"
        "Outlook\n=======\nPrices rose by 2 percent."
    )
    assert [words for kind, words in cut(text) if kind == "heading"] == [
        "Economy",
        "Jobs Plan Works",
        "Outlook",
    ]
    assert sentences(text) == ["Taxes fell by 5 percent.", "Prices rose by 2 percent."]


def test_one_line_alone_is_a_sentence_without_a_stop() -> None:
    """A claim that is sent by itself is no heading."""
    assert cut("The Eiffel Tower is 330 metres tall") == [("sentence", "The Eiffel Tower is 330 metres tall")]


def test_list_items_lose_their_markers() -> None:
    """Dashes, bullets and numbers; a wrapped item is one item."""
    text = "- The bridge is old.\n• It was built\n  in 1990.\n2) Third one."
    assert cut(text) == [
        ("item", "The bridge is old."),
        ("item", "It was built\n  in 1990."),
        ("item", "Third one."),
    ]


def test_links_and_code_are_set_apart() -> None:
    """An address alone states nothing, and code is no prose."""
    text = "Source: https://example.org/x.\n\n```\nx = 1. And so on.\n```\n\nThe sky is blue."
    assert [kind for kind, _ in cut(text)] == ["link", "code", "sentence"]


@pytest.mark.parametrize(
    "unit", ["a", "a. ", "a.b", "word\n", "word\r", "@", '"', "- ", ".", "x@y ", "\u2028", "a\n\n"]
)
def test_time_grows_with_length_and_no_faster(unit: str) -> None:
    """Twice the text takes no more than some four times the time, for texts made to hurt."""
    long, longer = (unit * (size // len(unit)) for size in (20_000, 40_000))
    assert seconds(longer) < 0.02 + 4 * seconds(long)


def seconds(text: str) -> float:
    """Return the shortest processor time of three."""
    found = []
    for _ in range(3):
        started = time.process_time()
        split_text(text)
        found.append(time.process_time() - started)
    return min(found)
