"""The leaky bucket against an obvious, slow model in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from data.limits import gcra
from data.limits.gcra import DAY_US, EMPTY, HOUR_US, MICRO, ask
from data.limits.policy import RateLimit

#: 2026-01-01 00:00 UTC, microseconds.
START_US = 1_767_225_600 * MICRO

limits = st.builds(
    RateLimit,
    per_minute=st.sampled_from([0.5, 7.0, 60.0, 333.3, 6000.0]),
    per_hour=st.sampled_from([30.0, 1000.0, 1e6]),
    per_day=st.sampled_from([100.0, 1e7]),
    burst=st.sampled_from([1.0, 2.5, 10.0, 1000.0]),
)
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 999_999, 1_000_000, 8_571_428, 60_000_000, 1_799_999_999, 20_000_000_000]),
        st.sampled_from([0.001, 1 / 3, 1.0, 2.0, 9.5]),
    ),
    max_size=60,
)


class Model:
    """A bucket and two counters in fractions of a unit; keeps every charge that it allowed."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self.level = Fraction(0)
        self.now_us = START_US
        self.taken: list[tuple[int, Fraction]] = []

    def wait(self, us: int) -> None:
        """Let time pass, and the bucket drain."""
        drained = Fraction(self.limit.per_minute) * us / (60 * MICRO)
        self.level = max(Fraction(0), self.level - drained)
        self.now_us += us

    def room(self) -> Fraction:
        """Return how many units fit now."""
        return min(
            Fraction(self.limit.burst) - self.level,
            Fraction(self.limit.per_hour) - self._in_window(HOUR_US),
            Fraction(self.limit.per_day) - self._in_window(DAY_US),
        )

    def take(self, cost: Fraction) -> None:
        """Charge."""
        self.level += cost
        self.taken.append((self.now_us, cost))

    def _in_window(self, window_us: float) -> Fraction:
        size = int(window_us)
        return sum((cost for at, cost in self.taken if at // size == self.now_us // size), start=Fraction(0))


@given(limits, steps)
@settings(max_examples=300, deadline=None)
def test_charge_decides_as_the_obvious_model(limit: RateLimit, asked: list[tuple[int, float]]) -> None:
    """Allowed is what fits; the bucket is off by at most a millionth of a unit a charge."""
    model, state, charged = Model(limit), EMPTY, 0
    for wait_us, cost in asked:
        model.wait(wait_us)
        exact = Fraction(round(cost * MICRO), MICRO)
        decision = gcra.charge(state, limit, cost, float(model.now_us))
        slack = Fraction(charged, MICRO)

        assert decision.allowed or exact > model.room() - slack
        assert not decision.allowed or exact <= model.room() + Fraction(1, MICRO)
        if decision.allowed:
            model.take(exact)
            state, charged = decision.state, charged + 1
        assert abs(Fraction(decision.remaining) - max(Fraction(0), model.room())) <= Fraction(
            charged + 1, MICRO
        )


@given(limits, steps, st.sampled_from([0.001, 1.0, 2.0]))
@settings(max_examples=200, deadline=None)
def test_charge_refused_fits_after_the_time_it_names_and_not_long_before(
    limit: RateLimit, asked: list[tuple[int, float]], cost: float
) -> None:
    """Whoever comes back when told is let in; a millisecond earlier there was no room."""
    now_us, state = float(START_US), EMPTY
    for wait_us, spend in asked:
        now_us += wait_us
        decision = gcra.charge(state, limit, spend, now_us)
        state = decision.state if decision.allowed else state
    refused = gcra.charge(state, limit, cost, now_us)
    wait_us = refused.retry_after_s * MICRO
    if refused.allowed or math.isinf(wait_us):
        return

    assert gcra.charge(state, limit, cost, now_us + math.ceil(wait_us)).allowed
    if wait_us > 1000:
        assert not gcra.charge(state, limit, cost, now_us + math.floor(wait_us) - 1000).allowed


@given(limits, steps)
@settings(max_examples=200, deadline=None)
def test_charge_with_a_clock_that_goes_back_gives_nothing_free(
    limit: RateLimit, asked: list[tuple[int, float]]
) -> None:
    """To and fro by up to a minute: all that is given is the burst and what the whole time refills."""
    state, moments, given_units = EMPTY, [START_US], Fraction(0)
    for number, (wait_us, cost) in enumerate(asked):
        step_us = min(wait_us, 60 * MICRO)
        moments.append(
            max(moments[-1] - step_us, max(moments) - 60 * MICRO) if number % 2 else moments[-1] + step_us
        )
        decision = gcra.charge(state, limit, cost, float(moments[-1]))
        if decision.allowed:
            given_units += Fraction(round(cost * MICRO), MICRO)
            state = decision.state
    refilled = Fraction(limit.per_minute) * (max(moments) - min(moments)) / (60 * MICRO)

    assert given_units <= Fraction(limit.burst) + refilled


def test_charge_with_readings_to_and_fro_counts_no_second_twice() -> None:
    """Two processes whose readings differ by a second take turns: that second refills once, not each time."""
    limit = RateLimit(per_minute=60.0, per_hour=1e6, per_day=1e6, burst=5.0)
    state, allowed = EMPTY, 0
    for number in range(100):
        decision = gcra.charge(state, limit, 1.0, float(START_US + (number % 2) * MICRO))
        if decision.allowed:
            allowed, state = allowed + 1, decision.state

    assert allowed == 6


def test_charge_when_the_clock_was_set_back_by_hours_goes_on_draining() -> None:
    """A clock that was wrong and is mended does not lock its callers out until then."""
    limit = RateLimit(per_minute=60.0, per_hour=1e6, per_day=1e6, burst=2.0)
    state = gcra.charge(EMPTY, limit, 2.0, float(START_US + 5 * HOUR_US)).state
    mended = gcra.charge(state, limit, 1.0, float(START_US))

    assert not mended.allowed
    assert mended.retry_after_s == 1.000_001
    state = gcra.charge(mended.state, limit, 1.0, float(START_US + 2 * MICRO)).state
    assert state.level == 1e6
    assert state.hour == 3e6


def test_charge_beyond_the_burst_never_fits() -> None:
    """What is more than the limit ever allows is told apart from what only has to wait."""
    limit = RateLimit(per_minute=60.0, per_hour=100.0, per_day=50.0, burst=1000.0)

    assert gcra.charge(EMPTY, limit, 1001.0, float(START_US)).retry_after_s == math.inf
    assert gcra.charge(EMPTY, limit, 51.0, float(START_US)).retry_after_s == math.inf
    assert gcra.charge(EMPTY, limit, 50.0, float(START_US)).allowed


def test_decide_names_the_window_that_has_room_last() -> None:
    """Burst and hour are both used up: the hour is what to wait for."""
    limit = RateLimit(per_minute=60.0, per_hour=10.0, per_day=100.0, burst=10.0)
    now_us = float(START_US + 600 * MICRO)
    state = gcra.charge(EMPTY, limit, 10.0, now_us).state
    refused = gcra.charge(state, limit, 1.0, now_us)

    assert (refused.window, refused.retry_after_s, refused.reset_s) == ("hour", 3000.0, 3000.0)


def test_decide_refused_leaves_the_others_as_they_were() -> None:
    """All or none: one subject that had room is told of, and not charged."""
    wide = RateLimit(per_minute=60.0, per_hour=1e3, per_day=1e3, burst=10.0)
    narrow = RateLimit(per_minute=60.0, per_hour=1e3, per_day=1e3, burst=1.0)
    room, refusal = gcra.decide([ask("a", wide, 2.0), ask("b", narrow, 2.0)], [EMPTY, EMPTY], float(START_US))

    assert (room.allowed, room.remaining, room.state.level) == (True, 10.0, 0.0)
    assert not refusal.allowed


@given(limits, steps)
@settings(max_examples=100, deadline=None)
def test_life_of_a_state_is_over_when_it_says_nothing(
    limit: RateLimit, asked: list[tuple[int, float]]
) -> None:
    """After its life a state decides as an empty one does, so it may vanish."""
    now_us, state = float(START_US), EMPTY
    for wait_us, cost in asked:
        now_us += wait_us
        decision = gcra.charge(state, limit, cost, now_us)
        state = decision.state if decision.allowed else state
    bounds = gcra.bounds_of(limit)
    later_us = math.ceil(gcra.ends_us(state, bounds))

    assert gcra.settled(state, bounds, later_us)._replace(at=0.0) == EMPTY


def test_state_packs_into_32_bytes_and_back() -> None:
    """Four whole numbers, each exact."""
    state = gcra.State(2e15 - 1, float(START_US) + 1, 2e15, 3.0)

    assert len(gcra.pack(state)) == 32
    assert gcra.unpack(gcra.pack(state)) == state
    assert gcra.unpack(None) == EMPTY


def test_windows_tell_used_and_remaining() -> None:
    """The minute drains, hour and day count; each says when it is as new."""
    limit = RateLimit(per_minute=60.0, per_hour=100.0, per_day=1000.0, burst=10.0)
    now_us = float(START_US + 600 * MICRO)
    state = gcra.charge(EMPTY, limit, 8.0, now_us).state
    minute, hour, day = gcra.windows(state, limit, now_us + 3 * MICRO)

    assert minute == ("minute", 60.0, 5.0, 5.0, 5.0)
    assert hour == ("hour", 100.0, 8.0, 92.0, 2997.0)
    assert day == ("day", 1000.0, 8.0, 992.0, 86400.0 - 603.0)
