"""Exact findings of a claim beside a passage: real kinds of statements, each with the words compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data.analysis import FINDING_KINDS, Analysis, PairFinding, Span
from data.exact.comparison import MAX_FINDINGS, findings

Read = Callable[[str], Analysis]
ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("examples.tsv").read_text(encoding="utf-8").splitlines()[1:]
]
EXAMPLES = [row for row in ROWS if row[1] != "nothing"]
NOTHING = [row[2:4] for row in ROWS if row[1] == "nothing"]


def found_in(read: Read, claim: str, passage: str, title: str = "") -> tuple[PairFinding, ...]:
    return findings(claim, read(claim), passage, read(passage), title=title)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda row: f"{row[0]}: {row[2]}")
def test_pair_gives_the_finding_with_both_spans(read: Read, example: list[str]) -> None:
    """Each pair has a finding of its kind and outcome whose spans slice to the words compared."""
    kind, outcome, claim, passage, said, have = example
    told = [
        (each.outcome, _sliced(claim, each.claim_span), _sliced(passage, each.passage_span))
        for each in found_in(read, claim, passage)
        if each.kind == kind
    ]
    assert (outcome, said, have) in told


@pytest.mark.parametrize(("claim", "passage"), NOTHING)
def test_pair_about_other_things_gives_nothing(read: Read, claim: str, passage: str) -> None:
    """Where nothing shows that two words are said of one thing, nothing is found."""
    assert found_in(read, claim, passage) == ()


@pytest.mark.parametrize(
    ("kind", "claim", "changed", "passage"),
    [
        ("quantity", "The tower is 330 m tall.", "The tower is 331 m tall.", "The tower is 330 m tall."),
        ("quantity", "It sold over 23 million.", "It sold over 25 million.", "It sold 24 million."),
        (
            "quantity",
            "The firm has 14,000 staff.",
            "The firm has 15,000 staff.",
            "The firm employs 14,000 staff.",
        ),
        ("quantity", "The film grossed $25m.", "The film grossed $35m.", "The film earned $25 million."),
        ("percentage", "Turnout was 43 %.", "Turnout was 53 %.", "Turnout was 43 percent."),
        ("ordinal", "It was their third album.", "It was their fourth album.", "It was their third album."),
        ("date", "He left the band in 2014.", "He left the band in 2015.", "He left the band in May 2014."),
        (
            "date",
            "The park opened in July 1955.",
            "The park opened in June 1955.",
            "The park opened on 17 July 1955.",
        ),
        ("date", "Ohio closed by March 16.", "Ohio closed by March 6.", "Ohio closed on March 12."),
        ("quantifier", "All patients recovered.", "No patients recovered.", "All patients recovered."),
        ("negation", "The drug is not safe.", "The drug is safe.", "The drug is not safe."),
        ("entity", "Anna is a Danish singer.", "Anna is a Polish singer.", "Anna is a Danish singer."),
    ],
)
def test_one_changed_word_turns_agreement_into_conflict(
    read: Read, kind: str, claim: str, changed: str, passage: str
) -> None:
    """The same pair with one number, date or word changed in the claim conflicts instead."""
    before = {each.outcome for each in found_in(read, claim, passage) if each.kind == kind}
    after = {each.outcome for each in found_in(read, changed, passage) if each.kind == kind}
    assert before & {"agrees", "entails"}
    assert after == {"conflicts"}


def test_number_that_the_passage_has_is_contradicted_by_no_other(read: Read) -> None:
    """A passage that ranks a city twice contradicts neither rank."""
    passage = "Santa Clarita is the third largest city of the county and the 24th largest in California."
    found = found_in(read, "Santa Clarita is the 24th largest city in California.", passage)
    assert {each.outcome for each in found if each.kind == "ordinal"} == {"agrees"}


def test_values_are_paired_one_to_one(read: Read) -> None:
    """Two sums of a claim meet the two of the passage by the words beside them, each once."""
    claim = "The film made $40 million in America and $46 million worldwide."
    passage = "The film made $40 million in America and $5 million elsewhere, $47 million worldwide."
    pairs = [
        (_sliced(claim, each.claim_span), _sliced(passage, each.passage_span), each.outcome)
        for each in found_in(read, claim, passage)
        if each.kind == "quantity"
    ]
    assert pairs == [("$40 million", "$40 million", "agrees"), ("$46 million", "$47 million", "conflicts")]


def test_title_counts_as_said_and_is_never_quoted(read: Read) -> None:
    """What a passage is about may stand in its title alone; spans stay inside the passage."""
    claim, passage = "The Eiffel Tower in Paris is 330 m tall.", "It is 300 m tall."
    without = found_in(read, claim, passage)
    (found,) = found_in(read, claim, passage, title="Eiffel Tower, Paris")
    assert found.outcome == "conflicts"
    assert _sliced(passage, found.passage_span) == "300 m"
    assert found.strength > max((each.strength for each in without), default=0.0)


def test_detail_quotes_both_sides_and_says_how_far_apart(read: Read) -> None:
    """The line under an evidence item can be read alone."""
    (found,) = found_in(read, "The tower is 330 m tall.", "The tower is 300 m tall.")
    assert found.detail == "claim: 330 m; passage: 300 m — 10 % apart"


def test_findings_made_elsewhere_are_put_in_order(read: Read) -> None:
    """Role conflicts from parses stand among the rest, by their place in the claim."""
    claim, passage = "Brazil defeated Germany 7 times.", "Germany defeated Brazil 7 times."
    role = PairFinding("role", "conflicts", Span(0, 6), Span(0, 7), "who does it to whom", 0.9)
    found = findings(claim, read(claim), passage, read(passage), others=[role])
    assert found[0] == role
    assert [each.claim_span.start for each in found] == sorted(each.claim_span.start for each in found)


def test_findings_of_huge_tables_are_bounded(read: Read) -> None:
    """A table against a table ends at the bound."""
    claim = "The towns have " + ", ".join(f"{number} people" for number in range(100, 400)) + "."
    assert len(found_in(read, claim, claim)) == MAX_FINDINGS


def test_every_kind_but_roles_has_examples() -> None:
    """A kind that is added needs rows in ``examples.tsv``; roles come from parses."""
    assert {row[0] for row in EXAMPLES} == set(FINDING_KINDS) - {"role"}


def _sliced(text: str, span: Span) -> str:
    return text[span.start : span.end]
