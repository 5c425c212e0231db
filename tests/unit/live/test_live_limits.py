"""Limits that change while requests come."""

from __future__ import annotations

from tests.fakes import FakeClock
from tests.unit.limits.test_limiter import limited, rate, settings_of, spend


def test_new_limits_hold_from_the_next_request_on_for_callers_that_are_known() -> None:
    """What was spent stays spent: a wider limit gives the difference, not all of it anew."""
    limiter = limited(FakeClock(), settings_of(tenant=rate(5.0), key=rate(5.0), address=rate(5.0)))
    before = spend(limiter, 10)
    limiter.use(settings_of(tenant=rate(8.0), key=rate(8.0), address=rate(8.0)))

    assert (before, spend(limiter, 10)) == (5, 3)


def test_new_costs_are_asked_at_once() -> None:
    """A claim may cost more from now on."""
    limiter = limited(FakeClock(), settings_of(tenant=rate(6.0)))
    before = spend(limiter, 2)
    limiter.use(settings_of(tenant=rate(6.0), costs={"verify": 2.0}))

    assert (before, spend(limiter, 10)) == (2, 2)
