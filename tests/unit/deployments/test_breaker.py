"""The circuit breaker: closed, open, half-open."""

from __future__ import annotations

from deployments.breaker import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(clock, failures=2, reset_s=5.0)
    breaker.failed()
    breaker.failed()
    return breaker


def test_breaker_stays_closed_until_failures_in_a_row() -> None:
    """A success between failures starts the count again."""
    breaker = CircuitBreaker(Clock(), failures=2, reset_s=5.0)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()

    assert breaker.state == "closed"
    assert breaker.allows()


def test_breaker_opens_and_refuses() -> None:
    """Enough failures in a row open it."""
    breaker = opened(Clock())

    assert breaker.state == "open"
    assert not breaker.allows()


def test_breaker_lets_one_probe_through_after_the_rest() -> None:
    """Half-open admits exactly one call."""
    clock = Clock()
    breaker = opened(clock)
    clock.time_s = 5.0

    assert breaker.state == "half-open"
    assert [breaker.allows(), breaker.allows()] == [True, False]


def test_breaker_closes_when_the_probe_succeeds_and_reopens_when_it_fails() -> None:
    """The probe decides."""
    clock = Clock()
    well, ill = opened(clock), opened(clock)
    clock.time_s = 5.0
    well.allows()
    ill.allows()
    well.succeeded()
    ill.failed()

    assert (well.state, ill.state) == ("closed", "open")
    clock.time_s = 9.0
    assert ill.state == "open"
    clock.time_s = 10.0
    assert ill.allows()
