"""A claim against a passage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data.analysis import Analysis
from data.text.comparison import FEATURE_NAMES, Comparison, compare

Read = Callable[[str], Analysis]


def _compare(read: Read, claim: str, passage: str) -> tuple[Comparison, dict[str, float]]:
    made = compare(claim, read(claim), passage, read(passage))
    return made, dict(zip(FEATURE_NAMES, made.features, strict=True))


@pytest.mark.parametrize(
    ("claim", "passage", "outcome"),
    [
        ("It sold more than 23 million copies.", "It sold 24 million copies.", "numbers_agree"),
        ("It sold under 23.5 million copies.", "It sold 24 million copies.", "numbers_conflict"),
        ("It sold 24 million copies.", "It sold 23,987,122 copies.", "numbers_agree"),
        ("It sold 24 million copies.", "It sold 23.2 million copies.", "numbers_conflict"),
        ("It sold about 24 copies.", "It sold 25 copies.", "numbers_agree"),
        ("It sold 24 copies.", "It sold 25 copies.", "numbers_conflict"),
        ("It has less than 14,000 employees.", "It has more than 13,500 employees.", "numbers_open"),
        ("It has more than 13,000 employees.", "It has more than 13,500 employees.", "numbers_agree"),
        ("It has less than 13,000 employees.", "It has more than 13,500 employees.", "numbers_conflict"),
        ("It has more than 14 employees.", "It has 14 employees.", "numbers_conflict"),
        ("The tower is 1 km tall.", "The tower is 1000 metres tall.", "numbers_agree"),
        ("Half of the voters stayed.", "50 % of the voters stayed.", "numbers_agree"),
        ("It has 24 employees.", "It has many employees.", "numbers_missing"),
        ("It was their third album.", "It was their third album.", "ordinals_agree"),
        ("It was their third album.", "It was their second album.", "ordinals_conflict"),
        ("Turnout was 50 %.", "Turnout was 43 %.", "percents_conflict"),
        ("He left in 2014.", "He left in May 2014.", "dates_inside"),
        ("He left in May 2014.", "He left in 2014.", "dates_overlap"),
        ("He left before 2010.", "He left in 2011.", "dates_disjoint"),
        ("He ruled from 1939.", "He ruled from 1939 to 1945.", "dates_inside"),
        ("He left in 2014.", "He left.", "dates_missing"),
        ("The drug increases blood pressure.", "The drug decreases blood pressure.", "antonym_pairs"),
        ("The drug is safe.", "The drug is not safe.", "negation_mismatch"),
        ("All patients recovered.", "Few patients recovered.", "quantifier_conflict"),
        ("All patients recovered.", "All patients recovered.", "quantifier_agree"),
        ("Rome is larger than Milan.", "Rome is smaller than Milan.", "direction_conflict"),
        ("He was born in Paris.", "He was born in London.", "name_swaps"),
        ("He was born in Paris.", "He was born long ago.", "names_missing"),
    ],
)
def test_pair_shows_in_its_feature(read: Read, claim: str, passage: str, outcome: str) -> None:
    """Each kind of agreement and conflict has its own feature."""
    _, features = _compare(read, claim, passage)
    assert features[outcome] == 1.0


@pytest.mark.parametrize(
    ("claim", "passage", "kind", "said", "found"),
    [
        ("It sold under 20 copies.", "In all, it sold 24 copies.", "number_mismatch", "under 20", "24"),
        ("He left in 2014.", "The king left in 2011.", "date_mismatch", "2014", "2011"),
        ("The king died there.", "The king survived there.", "antonym", "died", "survived"),
        ("It was born in Paris.", "It was born in London.", "name_mismatch", "Paris", "London"),
    ],
)
def test_finding_quotes_both_sides(
    read: Read, claim: str, passage: str, kind: str, said: str, found: str
) -> None:
    """Spans of a finding slice to the words that clash, and its weight is against the claim."""
    made, _ = _compare(read, claim, passage)
    (finding,) = [finding for finding in made.findings if finding.kind == kind]
    assert finding.claim_span is not None
    assert finding.evidence_span is not None
    assert claim[finding.claim_span.start : finding.claim_span.end] == said
    assert passage[finding.evidence_span.start : finding.evidence_span.end] == found
    assert finding.weight < 0
    assert finding.evidence_id is None


def test_agreeing_number_speaks_for_the_claim(read: Read) -> None:
    """A number that is borne out has a positive weight."""
    made, features = _compare(read, "It sold more than 23 million copies.", "It sold 24 million copies.")
    assert [finding.weight > 0 for finding in made.findings if finding.kind == "number_agreement"] == [True]
    assert features["findings_weight"] > 0


def test_best_sentence_is_the_one_that_covers_the_claim(read: Read) -> None:
    """The aligned sentence is given as a span of the passage."""
    passage = "Cats sleep a lot. The Nile is the longest river in Africa. Dogs bark."
    made, features = _compare(read, "The Nile is the longest river.", passage)
    assert passage[made.sentence.start : made.sentence.end] == "The Nile is the longest river in Africa."
    assert features["sentence_recall"] == 1.0


def test_identical_texts_overlap_fully(read: Read) -> None:
    """All shares are 1 and nothing conflicts."""
    text = "Marie Curie won two Nobel prizes in 1903 and 1911."
    _, features = _compare(read, text, text)
    full = (
        "lemma_recall",
        "sentence_recall",
        "weighted_recall",
        "lemma_jaccard",
        "lcs_recall",
        "bigram_recall",
        "name_recall",
    )
    assert [features[name] for name in full] == [1.0] * len(full)
    against = [
        name
        for name in FEATURE_NAMES
        if name.endswith(("_conflict", "_mismatch", "_missing", "_disjoint", "_swaps"))
    ]
    assert [features[name] for name in against] == [0.0] * len(against)


def test_word_order_shows_in_subsequence_not_in_recall(read: Read) -> None:
    """Swapped roles keep every word and lose the order."""
    _, features = _compare(read, "Brazil defeated Germany easily.", "Germany easily defeated Brazil.")
    assert features["sentence_recall"] == 1.0
    assert features["lcs_recall"] < 1.0


def test_comparison_with_an_empty_passage_finds_nothing(read: Read) -> None:
    """No passage, no sentence, no finding."""
    made, features = _compare(read, "It sold 24 copies in 2014.", "")
    assert (made.sentence.start, made.sentence.end) == (0, 0)
    assert made.findings == ()
    assert features["lemma_recall"] == 0.0


def test_comparison_is_the_same_from_cache_and_afresh(read: Read) -> None:
    """Profiles kept from other pairs change nothing."""
    claim, passage = "It sold 24 million copies.", "It sold 23,987,122 copies. It was a hit."
    first = compare(claim, read(claim), passage, read(passage))
    compare("Something else.", read("Something else."), passage, read(passage))
    assert compare(claim, read(claim), passage, read(passage)) == first


def test_profile_of_another_analysis_of_the_same_text_is_not_reused(read: Read) -> None:
    """The cache goes by text and analysis, so two analysers can live side by side."""
    claim = "It sold 24 million copies."
    full, bare = read(claim), Analysis((), (), (), (), (), ())
    assert compare(claim, full, claim, full).features[0] == 1.0
    assert compare(claim, bare, claim, full).features[0] == 0.0


def test_number_weighs_in_recall_however_its_thousands_are_written(read: Read) -> None:
    """The two ways to write 14,000 are one word to the alignment, and a heavy one."""
    _, with_number = _compare(read, "The firm has 14,000 workers.", "There were 14000 in all.")
    _, without = _compare(read, "The firm has 14,000 workers.", "There were 99 in all.")
    assert with_number["weighted_recall"] > 0.3
    assert without["weighted_recall"] == 0.0
