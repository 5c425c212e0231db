"""How long a refused call is answered by the ingress itself: what the API tells HAProxy.

A caller far over its limit costs the service as much for each refusal as others' calls cost. So a refusal,
and the answer that uses the limit up again, carry in a header that HAProxy takes off for how long this very
call cannot be let through; HAProxy refuses it meanwhile. Written by ``deployments.api.guard`` and
``deployments.gatehouse``, read by ``cluster.held_calls``. Invariant: it never says longer than the limit
itself would refuse, so that limits stay exact.
"""

from __future__ import annotations

#: Header of a refusal, in milliseconds.
HOLD_HEADER = "X-Kite-Hold-Ms"
#: Longest hold, milliseconds: an administrator's higher limit is heard after it.
MOST_MS = 2_000


def hold_ms(retry_after_s: float) -> int:
    """Return the milliseconds for which a call with this wait is held."""
    return max(0, min(MOST_MS, int(retry_after_s * 1000.0)))
