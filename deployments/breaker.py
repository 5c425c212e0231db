"""A circuit breaker: keeps a broken framework from taking every claim's time.

One a framework in each ingress replica. Closed: calls pass. After ``failures`` failures in a row it opens:
calls are refused for ``reset_s``. Then one call is let through (half-open): success closes it, failure
opens it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data.ports import Clock

State = Literal["closed", "open", "half-open"]


@dataclass(slots=True)
class CircuitBreaker:
    """The state of one breaker; not thread-safe, it lives in one event loop."""

    clock: Clock
    failures: int
    reset_s: float
    _failed: int = 0
    _opened_at_s: float | None = None
    _probing: bool = False

    @property
    def state(self) -> State:
        """Closed, open or half-open, now."""
        if self._opened_at_s is None:
            return "closed"
        waited = self.clock.now_s() - self._opened_at_s >= self.reset_s
        return "half-open" if waited else "open"

    def allows(self) -> bool:
        """Return whether a call may pass now; in half-open state only the first may."""
        state = self.state
        if state == "half-open" and not self._probing:
            self._probing = True
            return True
        return state == "closed"

    def succeeded(self) -> None:
        """Report that a call went well."""
        self._failed, self._opened_at_s, self._probing = 0, None, False

    def failed(self) -> None:
        """Report that a call failed or ran out of time."""
        self._failed += 1
        if self._probing or self._failed >= self.failures:
            self._opened_at_s, self._probing = self.clock.now_s(), False
