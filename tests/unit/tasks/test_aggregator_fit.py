"""What the aggregation booster promises: bent only the way a side may move, chosen on held-out folds."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from data.models.aggregation import AGGREGATE_FEATURES, SUPPORT_DIRECTIONS, Reading, claim_features, conclude
from tasks import aggregator_fit
from tasks.aggregator_fit import (
    Rounds,
    Shape,
    at_rounds,
    best_rounds,
    fit_booster,
    fit_scale,
    held_out_margins,
    scored_rows,
    shares_of,
    verdict_rows,
)

SUPPORTED, REFUTED, UNKNOWN, CONFLICTING = range(4)


def reading(random: np.random.Generator, name: str, *, side: int) -> Reading:
    """An item that mostly speaks for one side (0, 1) or for none (2)."""
    weights = random.random(3) * 0.6
    weights[side] += random.random() * 2
    row = tuple(round(float(value), 6) for value in weights / weights.sum())
    return Reading(name, name, (row[0], row[1], row[2]), round(float(random.random()), 3))


@cache
def claims() -> tuple[list[list[Reading]], np.ndarray, np.ndarray]:
    """Claims with 1 to 4 items; the label says which sides speak, one in eight is mislabelled."""
    random = np.random.default_rng(1)
    shown, labels = [], []
    for _ in range(1_200):
        sides = random.choice([0, 1, 2], size=random.integers(1, 5), p=[0.3, 0.25, 0.45]).tolist()
        shown.append([reading(random, str(place), side=side) for place, side in enumerate(sides)])
        label = {(True, True): 3, (True, False): 0, (False, True): 1, (False, False): 2}[
            0 in sides, 1 in sides
        ]
        labels.append(int(random.integers(0, 4)) if random.random() < 0.125 else label)
    return shown, np.stack([claim_features(each) for each in shown]), np.array(labels)


@cache
def booster() -> Any:
    _, features, labels = claims()
    return fit_booster(features, labels, Shape(4), Rounds(25, 25))


def margins_of(features: np.ndarray) -> np.ndarray:
    import xgboost

    matrix = xgboost.DMatrix(features, feature_names=list(AGGREGATE_FEATURES))
    return np.asarray(booster().predict(matrix, output_margin=True), dtype=np.float64)


@pytest.mark.parametrize("place", range(len(AGGREGATE_FEATURES)), ids=AGGREGATE_FEATURES)
def test_booster_moves_with_each_feature_only_the_way_its_side_may(place: int) -> None:
    """One feature raised, of any claim: sides move their way, and not knowing never gains by it."""
    _, features, _ = claims()
    for step in (0.05, 0.5):
        raised = features[:300].copy()
        raised[:, place] += step
        moved = margins_of(raised) - margins_of(features[:300])
        assert (SUPPORT_DIRECTIONS[place] * moved[:, SUPPORTED]).min() >= -1e-6
        assert (SUPPORT_DIRECTIONS[place] * moved[:, REFUTED]).max() <= 1e-6
        assert moved[:, UNKNOWN].max() <= 1e-6
        assert "lead" not in AGGREGATE_FEATURES[place] or not moved[:, UNKNOWN].any()


def test_verdict_with_one_more_item_never_lowers_its_side() -> None:
    """The whole way: any claim, one more item, features, booster and rules; both sides alike."""
    shown, features, _ = claims()
    random = np.random.default_rng(2)
    more = [reading(random, "more", side=int(random.integers(0, 2))) for _ in shown]
    after_features = np.stack([claim_features([*items, one]) for items, one in zip(shown, more, strict=True)])
    before, after = (scored_rows(margins_of(each), 0.8) for each in (features, after_features))
    for items, one, was, now in zip(shown, more, before, after, strict=True):
        column = 0 if one.leaning == "SUPPORTS" else 1
        assert conclude(now, [*items, one])[column] >= conclude(was, items)[column] - 2e-6


def test_booster_learns_what_the_items_say() -> None:
    """All four labels, conflicts too, are found far more often than by guessing the commonest."""
    shown, features, labels = claims()
    scored = scored_rows(margins_of(features), 1.0)
    rows = np.array([conclude(row, items) for row, items in zip(scored, shown, strict=True)])
    hits = rows.argmax(axis=1) == labels
    assert all(hits[labels == label].mean() > 0.5 for label in range(4))


def test_booster_fitted_twice_is_the_same_bytes() -> None:
    """No chance in it."""
    _, features, labels = claims()
    again = fit_booster(features, labels, Shape(4), Rounds(25, 25))
    assert bytes(again.save_raw("ubj")) == bytes(booster().save_raw("ubj"))


def test_held_out_margins_come_from_boosters_that_did_not_see_the_fold() -> None:
    """Turning the labels of a fold round changes nothing in its own margins."""
    _, features, labels = claims()
    folds = np.arange(len(labels)) % aggregator_fit.FOLDS
    other = np.where(folds == 2, 3 - labels, labels)
    one, two = (
        held_out_margins(features, each, folds, shape=Shape(3), most=Rounds(3, 2)) for each in (labels, other)
    )
    assert (one[:, folds == 2] == two[:, folds == 2]).all()
    assert (one[:, folds != 2] != two[:, folds != 2]).any()


def test_best_rounds_are_those_of_least_loss_for_sides_and_the_rest_apart() -> None:
    """The second step suits the sides, the first not knowing; both are taken."""
    labels = np.array([0, 1, 2, 3])
    good = np.array([[4.0, 0, -4.0, 0], [0, 4.0, -4.0, 0], [0, 0, 4.0, 0], [-4.0, -4.0, -4.0, 0]])
    first, second = good.copy(), good.copy()
    first[:, :2], second[:, 2] = 0.0, 0.0
    margins = np.stack([first, second]).astype(np.float32)
    rounds, loss = best_rounds(margins, labels)
    assert rounds == Rounds(sides=2, unknown=1)
    assert at_rounds(margins, rounds).tolist() == good.tolist()
    assert 0.0 < loss < 0.2


def test_shares_and_scored_rows_tell_the_same() -> None:
    """What the scorer's softmax holds, ``conclude`` takes apart again."""
    margins = np.random.default_rng(3).normal(size=(50, 4))
    items = [Reading("a", "a", (0.6, 0.3, 0.1)), Reading("b", "b", (0.3, 0.6, 0.1))]
    rows = np.array([conclude(row, items) for row in scored_rows(margins, 1.0)])
    assert rows == pytest.approx(verdict_rows(margins), abs=5e-6)
    assert shares_of(margins)[:, [0, 1, 3]].sum(axis=1) == pytest.approx(1.0)


def test_fit_scale_finds_how_much_too_sure_the_margins_are() -> None:
    """Margins blown up three times are cooled down to a third."""
    random = np.random.default_rng(4)
    margins = random.normal(size=(6_000, 4)) * 1.5
    labels = np.array([random.choice(4, p=row) for row in verdict_rows(margins)])
    assert fit_scale(margins * 3.0, labels) == pytest.approx(3.0, rel=0.12)
