"""From texts to claims: hand-written articles, flags of what depends on others, offsets of any text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data.claims import MAX_CLAIM_CHARS, ClaimContext
from data.text.analyser import SpacyAnalyser
from data.text.extraction import Reading, TextClaim, context_of, find_claims

Read = Callable[[str], Reading]


@pytest.fixture(scope="module")
def claims(analyser: SpacyAnalyser) -> Read:
    return lambda text: find_claims(text, analyser)


#: Text, what is claimed in it, and why the rest is no claim.
CASES: list[tuple[str, list[str], list[str]]] = [
    ("The Eiffel Tower is 330 metres tall.", ["The Eiffel Tower is 330 metres tall."], []),
    ("Is the earth flat? The earth is round.", ["The earth is round."], ["question"]),
    ("Read the report on page 5. Sales rose by 4 percent.", ["Sales rose by 4 percent."], ["imperative"]),
    ("Book your tickets now. Sales rose by 4 percent.", ["Sales rose by 4 percent."], ["imperative"]),
    ("Owners refuse this rise.", ["Owners refuse this rise."], []),
    ("Please call us today. Don't wait!", [], ["imperative", "imperative"]),
    ("Call volumes rose by 10 percent.", ["Call volumes rose by 10 percent."], []),
    ("I think this law is terrible. It was passed in 2010.", ["It was passed in 2010."], ["opinion"]),
    ("Taxes should be lower.", [], ["opinion"]),
    (
        "I believe that 40 percent of voters stayed home.",
        ["I believe that 40 percent of voters stayed home."],
        [],
    ),
    ("A great day for democracy.", [], ["fragment"]),
    (
        "Alice Brown said that output rose 3.5 percent in 2023.",
        ["output rose 3.5 percent in 2023"],
        [],
    ),
    (
        "According to John Smith, inflation fell to 2.1% in 2023.",
        ["inflation fell to 2.1% in 2023"],
        [],
    ),
    (
        "According to John Smith, the mayor of Leeds, crime fell by a third.",
        ["crime fell by a third"],
        [],
    ),
    ('"Sales grew 4% in Asia," said Peter Pan.', ["Sales grew 4% in Asia"], []),
    ("“The moon landing was faked,” Bill claimed on Monday.", ["The moon landing was faked"], []),
    ("The tower is 330 metres tall, according to the city.", ["The tower is 330 metres tall"], []),
    (
        'Mr. Jones told reporters: "The bridge cost 5 million dollars."',
        ["The bridge cost 5 million dollars"],
        [],
    ),
    (
        "Mary Jones, the head of Ford, told reporters that profits doubled.",
        ["profits doubled"],
        [],
    ),
    (
        'Mr. Dean said: "We built 500 miles of wall. Mexico paid for all of it."',
        ["We built 500 miles of wall", "Mexico paid for all of it."],
        [],
    ),
    ("The minister denied that taxes rose.", ["The minister denied that taxes rose."], []),
    ("Ford did not say that profits fell.", ["Ford did not say that profits fell."], []),
    ("Ford would say that profits fell.", ["Ford would say that profits fell."], []),
    (
        "Inflation fell to 2.1% in 2023, and unemployment rose to 5%.",
        ["Inflation fell to 2.1% in 2023", "unemployment rose to 5%."],
        [],
    ),
    (
        "Paris is the capital of France; Berlin is the capital of Germany.",
        ["Paris is the capital of France", "Berlin is the capital of Germany."],
        [],
    ),
    (
        "Inflation fell to 2.1%, and it rose again.",
        ["Inflation fell to 2.1%, and it rose again."],
        [],
    ),
    (
        "Inflation fell to 2.1%, and then rose to 3%.",
        ["Inflation fell to 2.1%, and then rose to 3%."],
        [],
    ),
    (
        "If the river floods, the town drowns, and the state pays.",
        ["If the river floods, the town drowns, and the state pays."],
        [],
    ),
    (
        "Dr. Lee of St. Mary's Hospital treated 3.2 million patients, i.e. most of the U.S. population.",
        ["Dr. Lee of St. Mary's Hospital treated 3.2 million patients, i.e. most of the U.S. population."],
        [],
    ),
    (
        "Economy Booms\n\nExports rose by 7 percent.\n\n- milk and eggs\n- The bridge was built in 1990.\n",
        ["Exports rose by 7 percent.", "The bridge was built in 1990."],
        ["heading", "fragment"],
    ),
    (
        "Source: https://example.org/data.csv.\nThe list at https://example.org/a.b names 12 towns.",
        ["The list at https://example.org/a.b names 12 towns."],
        ["link"],
    ),
    ("Vaccines cause autism.", ["Vaccines cause autism."], []),
    ("Officials say vaccines prevent measles.", ["vaccines prevent measles"], []),
    ("She said goodbye.", ["She said goodbye."], []),
    ("水在一百度沸腾。", ["水在一百度沸腾。"], []),
    ("?!", [], ["fragment"]),
    ("", [], []),
    (" \n\t\n ", [], []),
]


@pytest.mark.parametrize(("text", "stated", "left"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_text_gives_its_claims_and_says_why_the_rest_is_none(
    claims: Read, text: str, stated: list[str], left: list[str]
) -> None:
    """Exactly the statements, each a slice of the text, and a reason for everything else."""
    found = claims(text)
    assert [text[claim.span.start : claim.span.end] for claim in found.claims] == stated
    assert [piece.reason for piece in found.skipped] == left


@pytest.mark.parametrize(
    ("text", "speaker", "said"),
    [
        ("Dr. Ann Lee of Ford said on Monday that output rose.", "Dr. Ann Lee of Ford",
         "Dr. Ann Lee of Ford said on Monday that"),
        ("But on Friday, John Smith said that output rose.", "John Smith",
         "But on Friday, John Smith said that"),
        ("According to the World Bank, output rose.", "the World Bank", "According to the World Bank"),
        ('"Output rose," he said.', None, "he said"),
        ("Output rose in 2020.", None, None),
    ],
)  # fmt: skip
def test_reported_claim_names_its_speaker(
    claims: Read, text: str, speaker: str | None, said: str | None
) -> None:
    """The name as the words give it; a pronoun is nobody's name."""
    (claim,) = claims(text).claims
    assert claim.speaker == speaker
    words = claim.attribution and text[claim.attribution.start : claim.attribution.end]
    assert words == said


def test_second_sentence_of_a_quotation_has_the_speaker_of_the_first(claims: Read) -> None:
    """Who speaks is said once a paragraph."""
    text = '"Sales grew 4% in Asia," said Peter Pan. "Costs fell by a tenth." Prices rose by 2%.'
    assert [claim.speaker for claim in claims(text).claims] == ["Peter Pan", "Peter Pan", None]


def reasons(found: Reading) -> list[list[str]]:
    return [[item.reason for item in claim.depends_on] for claim in found.claims]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Toyota sold 10 million cars in 2020.", []),
        ("It lost 3 billion dollars in 2020.", ["dangling_pronoun"]),
        ("She was born in Paris.", ["dangling_pronoun"]),
        ("This is the largest city of France.", ["dangling_pronoun"]),
        ("The company was founded in 1990.", ["unnamed_reference"]),
        ("Toyota recently cut 500 jobs.", ["relative_time"]),
        ("Unemployment in Spain is higher.", ["open_comparison"]),
        ("Unemployment in Spain is higher than in France.", []),
        ("So did Honda in 2020.", ["ellipsis"]),
        ("Honda did too.", ["ellipsis"]),
        ("We built 500 miles of wall in 2019.", ["unnamed_speaker"]),
    ],
)
def test_claim_that_depends_on_its_neighbours_says_on_what(
    claims: Read, text: str, expected: list[str]
) -> None:
    """Flagged with a stable reason, or not at all."""
    assert reasons(claims(text)) == [expected]


def test_flag_points_at_its_words_in_the_whole_text(claims: Read) -> None:
    """Offsets count from the start of the text, not of the claim."""
    text = "Toyota was founded in 1937. The company recently cut 500 jobs."
    flags = claims(text).claims[1].depends_on
    assert [text[flag.span.start : flag.span.end] for flag in flags] == ["The company", "recently"]


@pytest.mark.parametrize(
    ("text", "candidate"),
    [
        ("Alice Brown visited Paris in 2020. She was born in 1950.", "Alice Brown"),
        ("Alice Brown met Carol White in 2020. She was born in 1950.", None),
        ("Output rose in 2020. She was born in 1950.", None),
        ("Alice Brown was ill.\n\nShe was born in 1950.", None),
        ("The storm reached Paris in 2020. It has two million inhabitants.", "Paris"),
    ],
)
def test_only_name_before_is_reported_as_candidate_and_never_put_in(
    claims: Read, text: str, candidate: str | None
) -> None:
    """One name that fits in the sentence before, same paragraph: a candidate. None or two: nothing."""
    claim = claims(text).claims[-1]
    (flag,) = claim.depends_on
    assert (flag.candidate and flag.candidate.text) == candidate
    if flag.candidate:
        assert text[flag.candidate.span.start : flag.candidate.span.end] == candidate
    assert text[claim.span.start : claim.span.end].startswith(("She", "It"))


def test_named_speaker_answers_who_we_are(claims: Read) -> None:
    """ "We" of a quotation is its speaker's; the context handed on says so."""
    (claim,) = claims('"We built 500 miles of wall in 2019," said Alice Brown.').claims
    assert claim.depends_on == ()
    assert context_of(claim, ClaimContext(speaker="the paper", date="2020-01-01")) == ClaimContext(
        speaker="Alice Brown", date="2020-01-01"
    )


def test_context_of_the_text_answers_its_questions(analyser: SpacyAnalyser) -> None:
    """A dated text has its "recently"; a claim that reports nobody keeps the text's speaker."""
    context = ClaimContext(speaker="Bob Hill", date="2020-05-01")
    (claim,) = find_claims("Toyota recently cut 500 of our jobs.", analyser, context).claims
    assert claim.depends_on == ()
    assert context_of(claim, context) == context


def test_sentence_over_the_claim_limit_is_skipped_as_too_long(claims: Read) -> None:
    """It cannot be verified as one claim, and is not cut at a guess."""
    text = "The list names " + "one more town and " * (MAX_CLAIM_CHARS // 18) + "the last."
    found = claims(text)
    assert (found.claims, [piece.reason for piece in found.skipped]) == ((), ["too_long"])


_WORDS = [
    *("said", "that", "He", '"', "“", "”", "according to", "Bob", ",", ". ", "? ", "\n", "\n\n", "- ", "1. "),
    *("# ", "rose", "is", "5%", "and", ";", "told reporters", "http://x.y", "```", "...", "水", "。", "\r"),
    *("\u2028", "It", "so did", "the company", " ", "é", "👩‍👩‍👧", "\x00", "\u202e"),
]


@settings(max_examples=150, deadline=None)
@example(text='""')
@example(text='less “ one-third 00/00/1000 … "')
@given(
    text=st.one_of(
        st.text(max_size=200),
        st.lists(st.sampled_from(_WORDS), max_size=50).map(" ".join),
        st.lists(st.sampled_from(_WORDS), max_size=50).map("".join),
    )
)
def test_claims_of_any_text_slice_it_in_order_without_overlap(analyser: SpacyAnalyser, text: str) -> None:
    """Whatever the characters: spans lie inside, follow one another, and hold a letter or a digit."""
    found = find_claims(text, analyser)
    end = 0
    for span in sorted([item.span for item in (*found.claims, *found.skipped)], key=lambda item: item.start):
        assert end <= span.start < span.end <= len(text)
        end = span.end
    assert list(found.claims) == sorted(found.claims, key=lambda claim: claim.span.start)
    assert all(holds(text, claim) for claim in found.claims)


def holds(text: str, claim: TextClaim) -> bool:
    """Say whether a claim is trimmed, has content, and lies in its sentence with all its flags."""
    words = text[claim.span.start : claim.span.end]
    inside = claim.sentence.start <= claim.span.start and claim.span.end <= claim.sentence.end
    flags = all(
        claim.span.start <= flag.span.start < flag.span.end <= claim.span.end for flag in claim.depends_on
    )
    return inside and flags and words == words.strip() and any(char.isalnum() for char in words)


def test_same_sentence_has_the_same_claim_wherever_it_stands(claims: Read) -> None:
    """Neighbours decide candidates, never what is claimed or flagged."""
    alone = "It lost 3 billion dollars in 2020."
    beside = f"Paris is old. {alone} Rome is older."
    (single,) = claims(alone).claims
    (among,) = (claim for claim in claims(beside).claims if beside[claim.span.start :].startswith("It lost"))
    assert [flag.reason for flag in single.depends_on] == [flag.reason for flag in among.depends_on]
    assert among.span.end - among.span.start == single.span.end - single.span.start
