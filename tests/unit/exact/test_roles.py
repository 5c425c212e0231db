"""Roles of a claim against those of a passage, read by the shipped pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data.analysis import Analysis
from data.exact.comparison import findings
from data.exact.roles import compare_roles, may_be_swapped, swapped_roles, told_straight
from data.text.syntax import Parsed, SyntaxReader, load_syntax

CLAIM = "Germany defeated Brazil in the final."


@pytest.fixture(scope="module")
def syntax() -> SyntaxReader:
    return load_syntax(Path(__file__).resolve().parents[3] / "models" / "syntax")


class CountingReader:
    """A reader that counts the texts it was given."""

    identity = "counting"

    def __init__(self, inner: SyntaxReader) -> None:
        self._inner = inner
        self.asked = 0

    def read(self, texts: list[str]) -> list[Parsed]:
        self.asked += len(texts)
        return self._inner.read(texts)


def outcomes(syntax: SyntaxReader, claim: str, passage: str, title: str = "") -> list[str]:
    mine, theirs = syntax.read([claim, passage])
    return [item.outcome for item in compare_roles(claim, mine, passage, theirs, title=title)]


@pytest.mark.parametrize(
    "passage",
    [
        "Brazil defeated Germany.",
        "Germany was defeated by Brazil in 2002.",
        "Brazil beat Germany in the final.",
        "It rained when Brazil defeated Germany.",
    ],
)
def test_swapped_roles_conflict(syntax: SyntaxReader, passage: str) -> None:
    """Whatever the voice, it is the other one who did it."""
    assert outcomes(syntax, CLAIM, passage) == ["conflicts"]


@pytest.mark.parametrize(
    "passage",
    ["Germany defeated Brazil.", "Brazil was defeated by Germany.", "In the final Germany beat Brazil."],
)
def test_same_roles_agree(syntax: SyntaxReader, passage: str) -> None:
    """The same two in the same parts, in either voice."""
    assert outcomes(syntax, CLAIM, passage) == ["agrees"]


@pytest.mark.parametrize(
    "passage",
    [
        "Italy defeated Brazil.",
        "Germany did not defeat Brazil.",
        "Brazil visited Germany.",
        "Germany and Brazil met in the final.",
        "Brazil.",
        "",
    ],
    ids=["another name", "denied", "another verb", "no object", "no verb", "empty"],
)
def test_other_predicates_say_nothing_of_roles(syntax: SyntaxReader, passage: str) -> None:
    """Names, denials and other verbs are compared elsewhere."""
    assert outcomes(syntax, CLAIM, passage) == []


def test_mutual_verbs_have_no_order(syntax: SyntaxReader) -> None:
    """Who marries whom is the same either way."""
    assert "conflicts" not in outcomes(syntax, "Anna married Peter.", "Peter married Anna in May.")


def test_finding_quotes_both_texts(syntax: SyntaxReader) -> None:
    """Spans slice to the predicate with its two in claim and passage."""
    passage = "A crowd came. Brazil defeated Germany."
    mine, theirs = syntax.read([CLAIM, passage])
    (item,) = compare_roles(CLAIM, mine, passage, theirs)

    assert item.kind == "role"
    assert CLAIM[item.claim_span.start : item.claim_span.end] == "Germany defeated Brazil"
    assert passage[item.passage_span.start : item.passage_span.end] == "Brazil defeated Germany"


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Brazil defeated Germany.", True),
        ("Germany was defeated by Brazil.", True),
        ("Germany defeated Brazil.", False),
        ("Brazil was defeated by Germany.", False),
        ("Brazil won.", False),
    ],
)
def test_only_an_order_that_fits_a_swap_is_worth_reading(sentence: str, expected: bool) -> None:
    """Order of names and voice decide, before any grammar is read."""
    assert may_be_swapped(CLAIM, ("Germany", "Brazil"), sentence) is expected


def test_swap_is_found_in_a_passage_and_placed_in_it(
    syntax: SyntaxReader, read: Callable[[str], Analysis]
) -> None:
    """The passage's other sentences are not read; the span is into the whole passage."""
    passage = "The final was played in Rio. Brazil defeated Germany by two goals. Fans cheered."
    counting = CountingReader(syntax)
    found = swapped_roles(counting, CLAIM, read(CLAIM), passage)

    assert [passage[item.passage_span.start : item.passage_span.end] for item in found] == [
        "Brazil defeated Germany"
    ]
    assert counting.asked == 2


@pytest.mark.parametrize(
    "passage",
    ["Germany defeated Brazil in the final.", "Brazil was defeated by Germany.", "Nobody played.", ""],
)
def test_passage_without_room_for_a_swap_is_not_read(
    syntax: SyntaxReader, read: Callable[[str], Analysis], passage: str
) -> None:
    """Grammar costs nothing where word order already agrees."""
    counting = CountingReader(syntax)

    assert swapped_roles(counting, CLAIM, read(CLAIM), passage) == []
    assert counting.asked == 0


def test_another_year_is_another_event(syntax: SyntaxReader, read: Callable[[str], Analysis]) -> None:
    """Who won in 2002 says nothing of 2014."""
    claim = "Germany defeated Brazil in 2014."

    assert swapped_roles(syntax, claim, read(claim), "Brazil defeated Germany in 2002.") == []
    assert swapped_roles(syntax, claim, read(claim), "Brazil defeated Germany in 2014.") != []


def test_straight_telling_is_found_among_passages(syntax: SyntaxReader) -> None:
    """One passage with the claim's own roles is enough."""
    assert told_straight(syntax, CLAIM, ["Brazil defeated Germany.", "Germany defeated Brazil."])
    assert not told_straight(syntax, CLAIM, ["Brazil defeated Germany."])


def test_roles_join_the_other_findings_in_order(
    syntax: SyntaxReader, read: Callable[[str], Analysis]
) -> None:
    """Exact comparison takes them as findings made elsewhere; without them it is as before."""
    passage = "Brazil defeated Germany 2-0 in 2002."
    mine, theirs = syntax.read([CLAIM, passage])
    roles = compare_roles(CLAIM, mine, passage, theirs)
    plain = findings(CLAIM, read(CLAIM), passage, read(passage))
    joined = findings(CLAIM, read(CLAIM), passage, read(passage), others=roles)

    assert [item for item in joined if item.kind == "role"] == roles
    assert tuple(item for item in joined if item.kind != "role") == plain
