"""Limits by time as a leaky bucket used as a meter: what one subject has spent, and whether more fits. Pure.

The generic cell rate algorithm in its continuous-state form, and beside the bucket the units of the present
hour and day in UTC. Called by every key-value store within its own transaction; the script of the Redis store
does the same arithmetic in the server. Invariant: every number of a state is a whole number below 2**53, so
double precision holds it exactly and all stores agree to the millionth of a unit.

Source: ITU-T Recommendation I.371, annex A: "continuous-state leaky bucket algorithm", there shown to decide
as the virtual scheduling algorithm with its theoretical arrival time does. This form is kept because its
sums are of units and therefore exact; arrival times would round at rates that do not divide a minute.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from data.limits.policy import RateLimit

#: Smallest part of a unit that is counted: a millionth.
MICRO = 1_000_000
#: Most units that any limit or cost may say; more means as many. Keeps sums below 2**53.
MOST_UNITS = 2e9
#: Lengths of the counted windows, microseconds.
HOUR_US = 3_600_000_000.0
DAY_US = 24 * HOUR_US
#: A clock this far behind the last charge is another process's reading, microseconds; beyond it was set back.
BEHIND_US = 60_000_000.0

_STATE = struct.Struct(">dddd")
#: Size of a kept state.
STATE_BYTES = _STATE.size

# Named tuples here, not dataclasses: several are made for every request, and they are made in a third of
# the time.


class State(NamedTuple):
    """What a subject has spent, in millionths of a unit.

    ``level`` is what the bucket held at moment ``at`` (microseconds since the epoch) of the last charge;
    ``hour`` and ``day`` what was charged in that moment's hour and day.
    """

    level: float
    at: float
    hour: float
    day: float


EMPTY = State(0.0, 0.0, 0.0, 0.0)


class Bounds(NamedTuple):
    """A limit in the numbers of the arithmetic: ``rate`` in millionths of a unit a microsecond."""

    rate: float
    burst: float
    hour: float
    day: float


class Charge(NamedTuple):
    """Asks for ``spend`` millionths of a unit of the subject whose state is kept under ``key``."""

    key: str
    bounds: Bounds
    spend: float


class Decision(NamedTuple):
    """Whether one subject had room, and how it stands now.

    ``state`` is as of now, with the cost only if every subject of the request had room. ``remaining`` units
    could be had at once. ``window`` (minute, hour or day) is the one that refuses, or leaves the least;
    ``reset_s`` is how long until that one is as new. ``retry_after_s`` is 0 where there was room and infinite
    where the cost is more than the limit ever allows.
    """

    allowed: bool
    state: State
    remaining: float
    retry_after_s: float
    reset_s: float
    window: str


class WindowUse(NamedTuple):
    """How much of one window of a limit is spent, in units.

    The minute's ``used`` is what the bucket holds, which drains all the time; its ``remaining`` counts from
    the burst, because that is what could be had at once.
    """

    window: str
    limit: float
    used: float
    remaining: float
    reset_s: float


@lru_cache(maxsize=4096)
def bounds_of(limit: RateLimit) -> Bounds:
    """Return a limit in the numbers of the arithmetic."""
    return Bounds(
        min(limit.per_minute, MOST_UNITS) / 60.0,
        micro(limit.burst),
        micro(limit.per_hour),
        micro(limit.per_day),
    )


def micro(units: float) -> float:
    """Return units in millionths: whole, at least one."""
    return float(max(1, round(min(units, MOST_UNITS) * MICRO)))


def micros_of(now_s: float) -> float:
    """Return a moment in whole microseconds since the epoch."""
    return float(round(now_s * MICRO))


def pack(state: State) -> bytes:
    """Return a state as the stores keep it: 32 bytes."""
    return _STATE.pack(*state)


def unpack(value: bytes | None) -> State:
    """Return a kept state; nothing kept is nothing spent."""
    return State._make(_STATE.unpack(value)) if value else EMPTY


def settled(state: State, bounds: Bounds, now_us: float) -> State:
    """Return a state as of now: what drained is gone, hours and days that ended begin anew.

    A clock that goes back gives nothing free: nothing drains and no window begins anew. When it was set back
    by more than :data:`BEHIND_US` draining goes on from the time it now says.
    """
    level, at, hour, day = state
    if now_us <= at:
        return state if at - now_us <= BEHIND_US else State(level, now_us, hour, day)
    level -= (now_us - at) * bounds.rate // 1
    return State(
        level if level > 0.0 else 0.0,
        now_us,
        hour if now_us // HOUR_US == at // HOUR_US else 0.0,
        day if now_us // DAY_US == at // DAY_US else 0.0,
    )


def ask(key: str, limit: RateLimit, cost: float) -> Charge:
    """Return what asks for ``cost`` units (more than 0) of a subject."""
    return Charge(key, bounds_of(limit), micro(cost))


def charge(state: State, limit: RateLimit, cost: float, now_us: float) -> Decision:
    """Return whether a subject has room for ``cost`` units now, and what is to be kept of it if so."""
    return decide([ask("", limit, cost)], [state], now_us)[0]


def decide(charges: Sequence[Charge], states: Sequence[State], now_us: float) -> list[Decision]:
    """Return one decision a charge, all of one request: charged are all of them, or none."""
    decisions = []
    for (_, bounds, spend), state in zip(charges, states, strict=True):
        present = settled(state, bounds, now_us)
        if not _fits(present, bounds, spend):
            return _refuse(charges, states, now_us)
        decisions.append(_standing(_spent(present, spend), bounds, now_us))
    return decisions


def full_for_s(state: State, bounds: Bounds, spend: float) -> float:
    """Return how long a subject in this state has no room for ``spend`` millionths; 0 where it has.

    Counted from the state's own moment, so it is never longer than the limit itself would refuse.
    """
    return 0.0 if _fits(state, bounds, spend) else _refusal(state, bounds, spend, state.at).retry_after_s


def ends_us(state: State, bounds: Bounds) -> float:
    """Return until when a state says anything: the bucket is empty then and the day over."""
    level, at, _, _ = state
    drained, midnight = at + level / bounds.rate + 1.0, (at // DAY_US + 1.0) * DAY_US
    return drained if drained > midnight else midnight


def windows(state: State, limit: RateLimit, now_us: float) -> list[WindowUse]:
    """Return how a subject stands now in each window: minute, hour, day."""
    bounds = bounds_of(limit)
    present = settled(state, bounds, now_us)
    spent = [
        ("minute", limit.per_minute, present.level, bounds.burst),
        ("hour", limit.per_hour, present.hour, bounds.hour),
        ("day", limit.per_day, present.day, bounds.day),
    ]
    return [
        WindowUse(
            window=window,
            limit=allowed,
            used=used / MICRO,
            remaining=max(0.0, most - used) / MICRO,
            reset_s=_reset_us(window, present, bounds, now_us) / MICRO if used else 0.0,
        )
        for window, allowed, used, most in spent
    ]


def _refuse(charges: Sequence[Charge], states: Sequence[State], now_us: float) -> list[Decision]:
    """Return the decisions of a request that has not room everywhere: nothing is charged."""
    present = [settled(state, asked.bounds, now_us) for asked, state in zip(charges, states, strict=True)]
    return [
        _standing(state, bounds, now_us)
        if _fits(state, bounds, spend)
        else _refusal(state, bounds, spend, now_us)
        for (_, bounds, spend), state in zip(charges, present, strict=True)
    ]


def _fits(state: State, bounds: Bounds, spend: float) -> bool:
    level, _, hour, day = state
    return level + spend <= bounds.burst and hour + spend <= bounds.hour and day + spend <= bounds.day


def _spent(state: State, spend: float) -> State:
    level, at, hour, day = state
    return State(level + spend, at, hour + spend, day + spend)


def _left_us(at: float, window_us: float, now_us: float) -> float:
    """Return how long the window of moment ``at`` goes on from now."""
    return (at // window_us + 1.0) * window_us - now_us


def _standing(state: State, bounds: Bounds, now_us: float) -> Decision:
    level, _, hour, day = state
    remaining, window = bounds.burst - level, "minute"
    if bounds.hour - hour < remaining:
        remaining, window = bounds.hour - hour, "hour"
    if bounds.day - day < remaining:
        remaining, window = bounds.day - day, "day"
    left = remaining / MICRO if remaining > 0.0 else 0.0
    return Decision._make((True, state, left, 0.0, _reset_us(window, state, bounds, now_us) / MICRO, window))


def _reset_us(window: str, state: State, bounds: Bounds, now_us: float) -> float:
    if window == "minute":
        drained_us = state.level / bounds.rate
        return drained_us + state.at - now_us if state.at > now_us else drained_us
    return _left_us(state.at, HOUR_US if window == "hour" else DAY_US, now_us)


def _refusal(state: State, bounds: Bounds, spend: float, now_us: float) -> Decision:
    """Return the refusal by the window that has room last."""
    level, at, hour, day = state
    drained_us = max(0.0, at - now_us) + _drain_us(level + spend - bounds.burst, bounds)
    waits = [
        ("minute", level, bounds.burst, drained_us),
        ("hour", hour, bounds.hour, _left_us(at, HOUR_US, now_us)),
        ("day", day, bounds.day, _left_us(at, DAY_US, now_us)),
    ]
    wait_us, window = max(
        (math.inf if spend > most else wait_us, name)
        for name, used, most, wait_us in waits
        if used + spend > most
    )
    return _standing(state, bounds, now_us)._replace(
        allowed=False,
        retry_after_s=wait_us / MICRO,
        reset_s=_reset_us(window, state, bounds, now_us) / MICRO,
        window=window,
    )


def _drain_us(amount: float, bounds: Bounds) -> float:
    """Return how long it takes to drain an amount; a microsecond more, because drained is rounded down."""
    return math.ceil(max(0.0, amount) / bounds.rate) + 1.0
