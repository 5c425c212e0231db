"""Abstention by risk: the bound holds over held-out samples, and what it refuses to promise."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import CorruptDataError, InvalidValueError
from data.models.selective import (
    DELTA,
    LADDER,
    RiskLadder,
    binomial_tail,
    error_bound,
    risk_ladder,
    risk_ladder_from,
)


def answers(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences over [0.3, 1] that are somewhat too high: right with probability 0.9 times confidence."""
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.3, 1.0, size=count)
    return confidence, random.uniform(size=count) < 0.9 * confidence + 0.08 * (confidence > 0.8)


def test_risk_is_kept_in_all_but_the_allowed_share_of_samples() -> None:
    """Over 300 held-out samples the threshold breaks the risk asked for in at most DELTA of them."""
    fresh, right = answers(999, 200_000)
    broken = 0
    for seed in range(300):
        threshold = risk_ladder(*answers(seed, 600)).threshold(0.2)
        if threshold is not None:
            broken += float((~right[fresh >= threshold]).mean()) > 0.2
    assert broken / 300 <= DELTA


def test_threshold_is_found_where_the_sample_shows_it() -> None:
    """A thousand answers that are right above 0.8 and wrong below give a threshold of 0.8."""
    confidence = np.linspace(0.5, 1.0, 1_001)

    assert risk_ladder(confidence.tolist(), (confidence >= 0.8).tolist()).threshold(0.05) == pytest.approx(
        0.8
    )


def test_smaller_risk_never_lowers_the_threshold() -> None:
    """Asking for fewer errors withholds more."""
    ladder = risk_ladder(*answers(5, 3_000))
    found = [ladder.threshold(risk) for risk in (0.4, 0.3, 0.25, 0.2)]

    assert all(value is not None for value in found)
    assert found == sorted(found)  # type: ignore[type-var]


def test_threshold_respects_the_floor_of_the_settings() -> None:
    """A lax risk does not let through what the installation withholds."""
    ladder = risk_ladder([0.9] * 500, [True] * 500)

    assert ladder.threshold(0.5, at_least=0.45) == 0.45


@pytest.mark.parametrize("count", [0, 10, 30])
def test_few_answers_cannot_promise_a_small_risk(count: int) -> None:
    """Thirty answers without a single error do not show an error rate of 5 %."""
    assert risk_ladder([0.99] * count, [True] * count).threshold(0.05) is None


@pytest.mark.parametrize("risk", [0.0, 1.0, -0.1, float("nan")])
def test_risk_outside_its_bounds_is_refused(risk: float) -> None:
    """A risk of 0 or 1 promises nothing."""
    with pytest.raises(InvalidValueError, match="risk"):
        risk_ladder([0.9], [True]).threshold(risk)


def test_bound_and_tail_are_two_faces_of_one_test() -> None:
    """At the Clopper-Pearson bound of 3 errors in 50 (0.1293 at 10 %) the tail is exactly 10 %."""
    bound = error_bound(3, 50, 0.1)

    assert bound == pytest.approx(0.12876, abs=2e-4)
    assert binomial_tail(3, 50, bound) == pytest.approx(0.1, abs=1e-9)


def test_ladder_survives_its_document() -> None:
    """What is stored beside the model promises the same."""
    ladder = risk_ladder(*answers(6, 200))

    assert risk_ladder_from(ladder.to_list()) == ladder


@pytest.mark.parametrize("spoilt", [[], [[0.0, 5, 6]] * len(LADDER), [["a", 1, 1]], None])
def test_spoilt_ladder_is_refused(spoilt: object) -> None:
    """Other thresholds, or more errors than answers, are corruption."""
    with pytest.raises(CorruptDataError):
        risk_ladder_from(spoilt)


def test_ladder_without_answers_promises_nothing() -> None:
    """No sample, no promise."""
    assert RiskLadder(risk_ladder([], []).rungs).threshold(0.9) is None
