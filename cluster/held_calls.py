"""What HAProxy does with calls whose limit is used up: it refuses them itself until there is room again.

Called by ``cluster.ingress``. A call is held by its method, path, credentials, tenant and address together,
each as they came, and only after the service itself said for how long it would refuse the next one.
Invariant: no call of another caller is ever held, and no hold outlives what the service said.
"""

from __future__ import annotations

import json

from data.limits.hold import HOLD_HEADER

#: Calls held at once at most; beyond it the oldest are forgotten, and the service refuses them again.
MOST_HELD = 100_000
#: Moments are kept in 32 bits: milliseconds, counted round.
_ROUND_MS = 1_000_000_000
#: A hold is forgotten long before the count is round; longer than the longest hold.
_FORGOTTEN_S = 10
_NAMED = ("authorization", "x-api-key", "x-kite-tenant", "x-forwarded-for")
_HELD = f"{{ var(txn.held_ms) -m int gt 0 }} {{ var(txn.held_ms) -m int lt {_FORGOTTEN_S * 1000} }}"
_TOLD = f"{{ res.hdr({HOLD_HEADER}) -m found }}"


def frontend_rules() -> list[str]:
    """Return the lines of the API's frontend; they stand behind those that set who a caller is."""
    call = " ".join(["%[method]", "%[path]", *(f"%[req.fhdr({name})]" for name in _NAMED)])
    return [
        f'http-request set-var-fmt(txn.call) "{call}"',
        f"http-request set-var(txn.now) date(0,ms),mod({_ROUND_MS})",
        "http-request set-var(txn.held_ms) var(txn.call),sha1,table_gpt0(held_calls),sub(txn.now)",
        "http-request set-var(txn.held_s) var(txn.held_ms),add(999),div(1000)",
        f"http-request return status 429 {_refusal()} if {_HELD}",
        f"http-response track-sc0 var(txn.call),sha1 table held_calls if {_TOLD}",
        f"http-response set-var(txn.now) date(0,ms),mod({_ROUND_MS}) if {_TOLD}",
        f"http-response sc-set-gpt0(0) res.hdr({HOLD_HEADER}),add(txn.now) if {_TOLD}",
        f"http-response del-header {HOLD_HEADER}",
    ]


def table() -> list[str]:
    """Return the section that the holds are kept in."""
    return [
        "backend held_calls",
        f"    stick-table type binary len 20 size {MOST_HELD} expire {_FORGOTTEN_S}s store gpt0",
    ]


def _refusal() -> str:
    body = {
        "type": "urn:brahminy-kite:problem:rate-limited",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "The limit is used up: send again in %[var(txn.held_s)] s.",
        "code": "rate-limited",
        "request_id": "",
    }
    retry_after = "hdr retry-after %[var(txn.held_s)]"
    return f"content-type application/problem+json lf-string '{json.dumps(body)}' {retry_after}"
