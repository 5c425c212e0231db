"""When a failed call is sent again, and after how long. Pure; the one rule of both clients.

Invariant: a call that may not be done twice is sent again only where it cannot have been done (nobody was
reached, or a limit turned it away), and never earlier than ``Retry-After`` says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from data.queue.tasks import RetryRule
from deployments.client.calls import Call, Repeat

#: Turned away before anything was done; away for now; a proxy found nobody behind it.
_TURNED_AWAY, _AWAY = frozenset({429}), frozenset({429, 502, 503})
#: Trouble before the request had left.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Outcome = httpx.Response | httpx.TransportError


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is sent (``rule.max_attempts``) and the longest wait before one, seconds.

    Waits grow with full jitter (see ``RetryRule``). Where ``Retry-After`` asks for more than ``longest_s``
    the call fails at once: whoever made it decides.
    """

    rule: RetryRule = field(default_factory=lambda: RetryRule(max_attempts=4, first_s=0.25, longest_s=8.0))
    longest_s: float = 30.0

    def wait_s(self, call: Call[Any], outcome: Outcome, attempt: int, *, chance: float) -> float | None:
        """Return the seconds to wait before sending ``call`` again; ``None``: it is over, well or badly.

        ``attempt`` counts from 1; ``chance`` is uniform in [0, 1).
        """
        if self.rule.is_spent(attempt) or not _may_repeat(call, outcome):
            return None
        asked_s = retry_after_s(outcome) if isinstance(outcome, httpx.Response) else 0.0
        return None if asked_s > self.longest_s else max(asked_s, self.rule.delay_s(attempt, chance))


def retry_after_s(response: httpx.Response, *, now: datetime | None = None) -> float:
    """Return the seconds of ``Retry-After``, given as a number or as a date; 0 without one."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _may_repeat(call: Call[Any], outcome: Outcome) -> bool:
    is_harmless = call.repeat is not Repeat.ONCE
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in (_AWAY if is_harmless else _TURNED_AWAY)
    if isinstance(outcome, _NOT_SENT):
        return True
    # What took its whole time once will most likely do so again.
    return is_harmless and not isinstance(outcome, httpx.TimeoutException)
