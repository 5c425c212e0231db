"""A tenant's own calibration: marks, shrinkage, sets of its own, learning curve, determinism."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from data.feedback import FEWEST_LABELS, FeedbackSample, last_mark, next_mark
from data.models.conformal import OWN_SCORES, ConformalLabels, fit_conformal, joined
from data.models.label_maps import log_loss
from data.models.tenant_calibration import arrays, fit_tenant, learning_curve
from data.verdicts import VERDICT_LABELS


def drawn(seed: int, count: int, sharpness: float = 2.5) -> list[FeedbackSample]:
    """Feedback on answers that are surer than they should be."""
    random = np.random.default_rng(seed)
    found = []
    for place, true in enumerate(random.dirichlet((0.9, 0.9, 0.9, 0.2), size=count)):
        told = true**sharpness / (true**sharpness).sum()
        row = tuple(round(float(value), 6) for value in told)
        label = VERDICT_LABELS[int(random.choice(4, p=true))]
        found.append(FeedbackSample(place + 1, f"{seed}-{place}", label, row, row, (label,), 0.1))  # type: ignore[arg-type]
    return found


@cache
def shipped() -> ConformalLabels:
    rows, labels, _ = arrays(drawn(99, 2_000, sharpness=1.0))
    return fit_conformal(rows, labels)


@pytest.mark.parametrize(
    ("labels", "mark"),
    [(0, 0), (29, 0), (30, 30), (39, 30), (40, 40), (109, 100), (110, 110), (120, 110), (121, 121)],
)
def test_marks_begin_at_thirty_and_grow_by_a_tenth(labels: int, mark: int) -> None:
    """Below thirty labels nothing is fitted; later maps follow at fixed numbers."""
    assert last_mark(labels) == mark


def test_next_mark_is_further_on() -> None:
    """The first map comes at thirty, later ones by steps of at least ten."""
    assert [next_mark(each) for each in (0, 30, 100, 1_000)] == [FEWEST_LABELS, 40, 110, 1_100]


def test_calibration_of_the_same_feedback_is_the_same_to_its_identity() -> None:
    """Two replicas, or a replay, fit the same values under the same id."""
    assert fit_tenant(drawn(1, 60), shipped(), 60) == fit_tenant(drawn(1, 60), shipped(), 60)


def test_calibration_of_other_feedback_has_another_identity() -> None:
    """One label changed is another calibration."""
    samples = drawn(1, 60)
    assert fit_tenant(samples, shipped(), 60).id != fit_tenant(samples[:59], shipped(), 60).id


def test_thirty_labels_do_no_harm_where_nothing_is_wrong() -> None:
    """On calibrated answers thirty labels cost at most 0.03 nats, averaged over twenty tenants."""
    fresh_rows, fresh, _ = arrays(drawn(500, 800, sharpness=1.0))
    costs = []
    for seed in range(20):
        own = fit_tenant(drawn(seed, 30, sharpness=1.0), shipped(), 30)
        costs.append(log_loss(own.map.apply_all(fresh_rows), fresh) - log_loss(fresh_rows, fresh))
    assert float(np.mean(costs)) <= 0.03


def test_three_hundred_labels_mend_overconfidence() -> None:
    """The loss on fresh claims falls clearly."""
    fresh_rows, fresh, _ = arrays(drawn(501, 800))
    own = fit_tenant(drawn(2, 300), shipped(), 300)

    assert log_loss(own.map.apply_all(fresh_rows), fresh) < log_loss(fresh_rows, fresh) - 0.1


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.25])
def test_own_sets_cover_each_label_as_often_as_promised(alpha: float) -> None:
    """From a hundred labels, over sixty tenants: at least 1 - alpha in every label that has own scores."""
    base = shipped()
    covered: dict[str, list[bool]] = {label: [] for label in VERDICT_LABELS[:3]}
    for seed in range(60):
        rows, labels, _ = arrays(drawn(seed, 100))
        own = joined(base, fit_conformal(rows, labels))
        for sample in drawn(1_000 + seed, 60):
            if sample.label in covered:
                covered[sample.label].append(sample.label in own.prediction_set(sample.raw, alpha))
    assert all(np.mean(hits) >= 1 - alpha - 0.03 for hits in covered.values())


def test_label_with_few_scores_of_its_own_stands_on_the_shipped_ones_too() -> None:
    """Eight own scores join the shipped ones; nine stand alone."""
    base = ConformalLabels(dict.fromkeys(VERDICT_LABELS, (0.1, 0.9)))
    few = ConformalLabels(dict.fromkeys(VERDICT_LABELS, (0.5,) * (OWN_SCORES - 1)))
    enough = ConformalLabels(dict.fromkeys(VERDICT_LABELS, (0.5,) * OWN_SCORES))

    assert len(joined(base, few).scores["REFUTED"]) == OWN_SCORES + 1
    assert joined(base, enough).scores["REFUTED"] == (0.5,) * OWN_SCORES


def test_few_own_scores_rule_nothing_out_at_a_small_alpha() -> None:
    """With nine scores a label cannot be ruled out at 5 %: the sets stay valid, and so they are large."""
    scores = ConformalLabels(dict.fromkeys(VERDICT_LABELS, (0.2,) * OWN_SCORES))
    row = (1.0, 0.0, 0.0, 0.0)

    assert scores.prediction_set(row, 0.05) == VERDICT_LABELS
    assert scores.prediction_set(row, 0.1) == ("SUPPORTED",)


def test_learning_curve_has_its_points_and_improves_where_something_is_wrong() -> None:
    """At 30, 60, 120 and all labels; with all of them the held-out loss and error are lower."""
    curve = learning_curve(drawn(3, 200), shipped())

    assert [point["labels"] for point in curve] == [30, 60, 120, 200]
    assert curve[-1]["recalibrated"]["log_loss"] < curve[-1]["shipped"]["log_loss"]
    assert curve[-1]["recalibrated"]["ece"] < curve[-1]["shipped"]["ece"]
    assert curve[-1]["recalibrated"]["coverage"] >= 0.85


def test_learning_curve_below_thirty_labels_is_empty() -> None:
    """There is nothing to show yet."""
    assert learning_curve(drawn(4, 29), shipped()) == []
