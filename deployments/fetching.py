"""Reads an address that the settings name: the public keys of an issuer of tokens. Never one of a caller's.

Called by the access directory of an ingress replica, in a thread. Invariant: https only, no redirect is
followed, and what comes back is bounded in size and time.
"""

from __future__ import annotations

import httpx

from data.errors import UnavailableError

#: Bounds on one answer: seconds, bytes.
TIMEOUT_S, MAX_BYTES = 5.0, 1 << 20


def fetch_https(url: str, *, transport: httpx.BaseTransport | None = None) -> bytes:
    """Return what an https address answers.

    Raises:
        UnavailableError: it does not answer with 200 in time, or with too much.
    """
    if not url.startswith("https://"):
        raise UnavailableError("Public keys are read over https only: give such an address.")
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, transport=transport) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise UnavailableError(f"The issuer's keys are not there: status {answer.status_code}.")
            found = b""
            for part in answer.iter_bytes():
                found += part
                if len(found) > MAX_BYTES:
                    raise UnavailableError(f"The issuer's keys are more than {MAX_BYTES} bytes.")
            return found
    except httpx.HTTPError as exc:
        raise UnavailableError(f"The issuer's keys cannot be read: {type(exc).__name__}.") from exc
