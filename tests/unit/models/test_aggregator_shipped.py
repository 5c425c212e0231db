"""The shipped aggregator keeps the promises of aggregation with whatever evidence it meets."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.models.aggregation import (
    AGGREGATE_FEATURES,
    AGGREGATOR,
    Reading,
    claim_features,
    conclude,
)
from data.models.boosters import BoosterScorer
from data.verdicts import VERDICT_LABELS, Probabilities

SHIPPED = Path(__file__).parents[3] / "models" / AGGREGATOR
#: What rounding to six decimals and single precision may take.
SLACK = 3e-6


@cache
def scorer() -> BoosterScorer:
    return BoosterScorer([SHIPPED], "any")


def answer(items: list[Reading]) -> Probabilities:
    row = scorer().predict(AGGREGATOR, claim_features(items)[None, :])[0]
    return conclude([float(value) for value in row], items)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    weights = [draw(st.integers(0, 100)) + 1e-3 for _ in range(3)]
    row = tuple(round(weight / sum(weights), 6) for weight in weights)
    key = draw(st.sampled_from("abcdefgh"))
    dense = draw(st.none() | st.floats(-1, 1))
    return Reading(
        key, key + draw(st.sampled_from("12")), (row[0], row[1], row[2]), dense, draw(st.booleans())
    )


def test_shipped_aggregator_was_trained_for_these_features_and_labels() -> None:
    """Another order of columns would be read wrongly without a word."""
    assert scorer().classes(AGGREGATOR) == VERDICT_LABELS
    assert scorer().predict(AGGREGATOR, np.zeros((1, len(AGGREGATE_FEATURES)), np.float32)).shape == (1, 4)


@settings(max_examples=250, deadline=None)
@given(st.lists(readings(), max_size=6), readings())
def test_one_more_item_never_lowers_the_side_it_leans_to(items: list[Reading], one: Reading) -> None:
    """Whatever is known already, more support never lowers SUPPORTED, and more refutation never REFUTED."""
    before, after = answer(items), answer([*items, one])
    support, refute, _ = one.probabilities
    assert support <= refute or after[0] >= before[0] - SLACK
    assert refute <= support or after[1] >= before[1] - SLACK


@settings(max_examples=100, deadline=None)
@given(st.lists(readings(), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_order_and_repetition_of_evidence_change_nothing(items: list[Reading], random: st.DataObject) -> None:
    """The same bytes, shuffled or said twice."""
    again = [*items, items[0]]
    random.shuffle(again)  # type: ignore[attr-defined]
    assert answer(again) == answer(items)


@settings(max_examples=150, deadline=None)
@given(st.lists(readings(), min_size=1, max_size=6))
def test_one_sided_evidence_is_never_conflicting_nor_decided_for_the_other_side(items: list[Reading]) -> None:
    """A label needs a voice: a conflict one on each side."""
    label = VERDICT_LABELS[int(np.argmax(answer(items)))]
    voices = {item.stance for item in items}
    assert label != "SUPPORTED" or "SUPPORTS" in voices
    assert label != "REFUTED" or "REFUTES" in voices
    assert label != "CONFLICTING" or {"SUPPORTS", "REFUTES"} <= voices


@pytest.mark.parametrize(
    ("rows", "label"),
    [
        ([(0.95, 0.02, 0.03), (0.02, 0.02, 0.96)], "SUPPORTED"),
        ([(0.02, 0.95, 0.03), (0.02, 0.02, 0.96)], "REFUTED"),
        ([(0.02, 0.02, 0.96), (0.03, 0.04, 0.93)], "NOT_ENOUGH_INFO"),
    ],
)
def test_plain_evidence_gives_the_plain_verdict(rows: list[tuple[float, float, float]], label: str) -> None:
    """One clear passage beside a bystander decides; bystanders alone do not."""
    items = [Reading(str(place), str(place), row, 0.6) for place, row in enumerate(rows)]
    assert VERDICT_LABELS[int(np.argmax(answer(items)))] == label
