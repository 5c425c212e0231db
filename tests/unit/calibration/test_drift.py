"""The drift alarm: quiet while coverage holds, loud soon after it breaks."""

from __future__ import annotations

import numpy as np
import pytest

from data.models.drift import ALARM_LEVEL, TOLERANCE, watch


def stream(seed: int, count: int, miss: float, alpha: float = 0.1) -> list[tuple[bool, float]]:
    missed = np.random.default_rng(seed).uniform(size=count) < miss
    return [(bool(each), alpha) for each in missed]


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_alarm_is_raised_in_at_most_its_level_of_sound_streams(alpha: float) -> None:
    """200 streams of 500 answers at the edge of what is tolerated, looked at after every answer."""
    alarms = sum(watch(stream(seed, 500, alpha + TOLERANCE, alpha)).alarm for seed in range(200))

    assert alarms / 200 <= ALARM_LEVEL


def test_alarm_comes_within_150_answers_of_a_real_shift() -> None:
    """Coverage falls from 90 % to 70 % after 200 sound answers: nine streams in ten alarm within 150."""
    found = 0
    for seed in range(100):
        sound, broken = stream(seed, 200, 0.1), stream(1_000 + seed, 150, 0.3)
        found += not watch(sound).alarm and watch([*sound, *broken]).alarm
    assert found >= 90


def test_alarm_comes_within_40_answers_when_half_the_sets_miss() -> None:
    """A sudden break at the start is seen at once."""
    assert sum(watch(stream(seed, 40, 0.5)).alarm for seed in range(100)) >= 95


def test_alarm_stays_once_raised() -> None:
    """Good answers afterwards do not unsay it: only a new calibration begins anew."""
    broken = stream(1, 60, 0.8)

    assert watch([*broken, *[(False, 0.1)] * 2_000]).alarm


def test_levels_may_differ_from_answer_to_answer() -> None:
    """A miss at 1 % says more than a miss at 50 %."""
    strict, lax = [(True, 0.01)] * 3, [(True, 0.5)] * 3

    assert watch(strict).wealth > watch(lax).wealth > 1.0


def test_nothing_seen_is_no_evidence() -> None:
    """Before the first answer the wealth is 1."""
    seen = watch([])

    assert (seen.answers, seen.missed, seen.wealth, seen.alarm) == (0, 0, 1.0, False)


def test_place_of_the_answer_that_raised_the_alarm_is_told() -> None:
    """The watch up to that answer alarms, the one before it does not."""
    outcomes = stream(3, 100, 0.6)
    place = watch(outcomes).raised_at

    assert watch(outcomes[:place]).alarm
    assert not watch(outcomes[: place - 1]).alarm


def test_counts_are_told_with_what_was_expected() -> None:
    """Two of four missed where 0.4 were expected."""
    seen = watch([(True, 0.1), (False, 0.1), (True, 0.1), (False, 0.1)])

    assert (seen.answers, seen.missed, seen.expected) == (4, 2, pytest.approx(0.4))
