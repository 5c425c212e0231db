"""What holds of exact findings for any two texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.analysis import FINDING_KINDS, Analysis
from data.exact.comparison import findings
from data.exact.features import (
    CLAIM_FINDING_FEATURES,
    FINDING_FEATURES,
    claim_features,
    pair_features,
    weight,
)
from data.text.analyser import SpacyAnalyser

ANALYSER = SpacyAnalyser()
ROWS = Path(__file__).with_name("examples.tsv").read_text(encoding="utf-8").splitlines()[1:]
SENTENCES = sorted({text for row in ROWS for text in row.split("\t")[2:4]})
#: Pieces that readers of numbers, dates and units stumble over.
PIECES = [
    *("½", "١٢٣", "1e309", "-0", "0", "№ ٣", "No. ſix", "number ſeven", "per thouſand people", "5 mg/dL"),
    *("3 °C/km", "12 ſeptember", "May 31", "February 30", "29 February", "9999", "0001-01-01", "44 BC"),
    *("999999 BC", "∞", "%", "1/0", "5 m/s²/kg/day", "5 Ωµ/ʃ", "10 to 9 km", "between 1 and 10 million"),
    *("than the 3rd", "#5", "\u202e", "\x00", "not", "n't", "never", "no", "all", "only", "first", "last"),
    *("$", "€5m", "100,000,000,000,000,000", "İstanbul"),
]
TEXTS = st.one_of(
    st.text(max_size=120),
    st.lists(st.sampled_from([*PIECES, *SENTENCES]), max_size=8).map(" ".join),
    st.tuples(st.sampled_from(SENTENCES), st.text(max_size=40)).map("".join),
)


@given(claim=TEXTS, passage=TEXTS, title=st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_two_texts_give_findings_with_spans_inside_them(claim: str, passage: str, title: str) -> None:
    """No text raises; every span holds words, strengths are in (0, 1], features are finite."""
    mine, theirs = ANALYSER.analyse([claim, passage])
    found = findings(claim, mine, passage, theirs, title=title)
    for each in found:
        assert claim[each.claim_span.start : each.claim_span.end].strip()
        assert passage[each.passage_span.start : each.passage_span.end].strip()
        assert 0 <= each.claim_span.start < each.claim_span.end <= len(claim)
        assert 0 <= each.passage_span.start < each.passage_span.end <= len(passage)
        assert each.kind in FINDING_KINDS
        assert 0.0 < each.strength <= 1.0
        assert -1.0 <= weight(each) <= 1.0
        assert "nan" not in each.detail.rpartition("—")[2]
    assert all(-1.0 <= value <= 5.0 for value in pair_features(found))
    assert len(pair_features(found)) == len(FINDING_FEATURES)
    assert len(claim_features([found, ()])) == len(CLAIM_FINDING_FEATURES)


@given(claim=TEXTS, passage=TEXTS)
@settings(max_examples=25, deadline=None)
def test_findings_depend_on_the_two_texts_alone(claim: str, passage: str) -> None:
    """A second analyser, and the caches the first call filled, change nothing."""
    mine, theirs = ANALYSER.analyse([claim, passage])
    fresh = SpacyAnalyser()
    again = findings(claim, fresh.analyse([claim])[0], passage, fresh.analyse([passage])[0])
    assert again == findings(claim, mine, passage, theirs)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_never_conflicts_with_itself(read: Callable[[str], Analysis], sentence: str) -> None:
    """Whatever a sentence says, it does not contradict itself."""
    found = findings(sentence, read(sentence), sentence, read(sentence))
    assert [each for each in found if each.outcome == "conflicts"] == []
