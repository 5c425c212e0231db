"""The analyser as a whole: any text, the same answer, true spans."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.analysis import Analysis
from data.errors import ConfigError
from data.text import forgetting
from data.text.analyser import SpacyAnalyser
from data.text.comparison import FEATURE_NAMES, compare
from data.text.polarity import negated, negation_scope, numeric_claims
from data.text.words import listed

Read = Callable[[str], Analysis]
_PIECES = listed(
    """
    more than less between 5 10 and to 23.5 million 1998 BC March 15 , 2020 first second half a dozen
    3/4 -5 1e400 1e99 999999999999999999999999999999 0 00 100-200 1939–45 $ € 5k 12,34,567 % °C ° C km
    not no never It was The he U.S. 19th century 1990s '90s 31 February 30 2020-13-45 2/30/2020 99th
    (8th – 7th since until before after . ! “ Title” 0001 AD
    """
)
_TEXTS = st.one_of(
    st.text(max_size=120),
    st.lists(st.sampled_from(_PIECES), max_size=20).map(" ".join),
    st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=3)), max_size=15).map("".join),
)
_ANALYSER = SpacyAnalyser()


@settings(max_examples=250, deadline=None)
@given(_TEXTS)
def test_any_text_is_analysed_with_true_spans(text: str) -> None:
    """Nothing raises, spans quote their words, numbers are finite, dates are real days in order."""
    analysis = _ANALYSER.analyse([text])[0]
    for token in analysis.tokens:
        assert text[token.span.start : token.span.end] == token.text
    for entity in analysis.entities:
        assert text[entity.span.start : entity.span.end] == entity.text
    spans = [found.span for found in analysis.quantities]
    spans += [found.span for found in analysis.dates]
    spans += [found.span for found in analysis.cues]
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(math.isfinite(quantity.base_value) for quantity in analysis.quantities)
    assert all(
        dt.date.fromisoformat(date.first_day) <= dt.date.fromisoformat(date.last_day)
        for date in analysis.dates
    )


@settings(max_examples=150, deadline=None)
@given(_TEXTS, _TEXTS)
def test_any_pair_is_compared_with_finite_features(claim: str, passage: str) -> None:
    """Features and readings hold for arbitrary text."""
    mine, theirs = _ANALYSER.analyse([claim, passage])
    made = compare(claim, mine, passage, theirs)
    assert len(made.features) == len(FEATURE_NAMES)
    assert all(math.isfinite(value) for value in made.features)
    assert 0 <= made.sentence.start <= made.sentence.end <= len(passage)
    assert all(-1 <= finding.weight <= 1 for finding in made.findings)
    assert isinstance(negated(mine), bool)
    for cue in mine.cues_of("negation"):
        scope = negation_scope(mine, cue)
        assert 0 <= scope.start <= scope.end <= len(claim)
    for reading in numeric_claims(claim, mine):
        assert claim[reading.subject.start : reading.subject.end].strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "\x00\x01",
        "🎉🎉 5 🎉",
        "مرحبا 12 بالعالم",
        "a" * 100_000,
        "not " * 25_000,
        "1990–" * 20_000,
    ],
)
def test_strange_text_is_analysed(read: Read, text: str) -> None:
    """Empty, control characters, emoji, right to left and very long texts are only texts."""
    analysis = read(text)
    assert all(text[t.span.start : t.span.end] == t.text for t in analysis.tokens)


def test_analysis_does_not_depend_on_neighbours_or_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text gives the same analysis in any batch, before and after spaCy forgets its words."""
    text = "More than 23 people saw Barack Obama in May 2014."
    alone = SpacyAnalyser().analyse([text])[0]
    monkeypatch.setattr(forgetting, "ZONE_TEXTS", 20)
    monkeypatch.setattr(forgetting, "MOST_WORDS", 20)
    other = SpacyAnalyser()
    other.analyse([f"word{number} was here" for number in range(50)])
    assert other.analyse(["Something else.", text])[1] == alone


def test_analyser_is_safe_from_many_threads() -> None:
    """Eight threads get what one gets."""
    texts = [f"In {1900 + n} about {n} ships sank near Malta." for n in range(200)]
    expected = SpacyAnalyser().analyse(texts)
    shared = SpacyAnalyser()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: shared.analyse(texts), range(8)))
    assert all(result == expected for result in results)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Smith left. He was tired.", 2),
        ("The U.S. won. Nobody cared!", 2),
        ("It cost $3.5 million, e.g. for food.", 1),
        ("First line\n\nSecond line", 2),
        ("“Go!” he said.", 1),
    ],
)
def test_sentences_end_where_they_should(read: Read, text: str, count: int) -> None:
    """Abbreviations and decimals end no sentence; empty lines do."""
    assert len(read(text).sentences) == count


def test_missing_pipeline_stops_the_start_with_one_sentence() -> None:
    """A named pipeline that is not installed is a setting to mend."""
    with pytest.raises(ConfigError, match="not installed"):
        SpacyAnalyser("xx_no_such_pipeline")
