"""Errors as problem+json, and the middleware that every request passes."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from typing import Any

import pytest

from configs.schema import LogSettings
from data.errors import (
    AuthError,
    CapacityError,
    ConflictError,
    CorruptDataError,
    DeadlineError,
    KiteError,
    ModelUnavailableError,
    RateLimitedError,
    StoreUnavailableError,
)
from deployments.api.logs import JsonFormatter, configure_logging
from deployments.api.middleware.client_headers import ClientHeadersMiddleware
from deployments.services import ApiLimits
from tests.unit.api.fakes import FakeVerifier, Rig

CLAIM = {"claim": "A secret claim that must not be logged."}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (CapacityError("queue of shard-7 is full", 2.4), 503, "saturated"),
        (StoreUnavailableError("lmdb at /var/x"), 503, "store-unavailable"),
        (ModelUnavailableError("models actor"), 503, "model-unavailable"),
        (DeadlineError("shard-7 took 31 s"), 504, "deadline-exceeded"),
        (CorruptDataError("checksum of /var/x"), 500, "corrupt-data"),
        (KiteError("shard-7"), 500, "internal"),
        (ValueError("shard-7"), 500, "internal"),
        (ConflictError("Somebody else changed it."), 409, "conflict"),
        (AuthError("No key."), 401, "unauthorised"),
        (RateLimitedError("Too many requests.", 9.2), 429, "rate-limited"),
    ],
)
def test_error_of_the_verifier_becomes_problem_json_by_class(
    error: Exception, status: int, code: str
) -> None:
    """One table maps the class; a 5xx shows nothing of the inside."""
    response = Rig(verifier=FakeVerifier(failure=error)).post("/verify", CLAIM)
    told = response.json()
    assert (response.status_code, told["status"], told["code"]) == (status, status, code)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert told["request_id"] == response.headers["X-Request-ID"]
    assert (str(error) in told["detail"]) == (status < 500)
    assert set(told) == {"type", "title", "status", "detail", "code", "request_id"}


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (CapacityError("full", 2.4), "3"),
        (StoreUnavailableError("away"), "1"),
        (RateLimitedError("slow", 9.2), "10"),
    ],
)
def test_retryable_error_says_when_to_come_back(error: Exception, seconds: str) -> None:
    """Retry-After is in whole seconds, rounded up."""
    response = Rig(verifier=FakeVerifier(failure=error)).post("/verify", CLAIM)
    assert response.headers["Retry-After"] == seconds


def test_unknown_exception_is_logged_once_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """The message may quote a claim, so type and place are logged and the message is not."""
    rig = Rig(verifier=FakeVerifier(failure=ZeroDivisionError(CLAIM["claim"])))
    with caplog.at_level(logging.INFO, logger="kite"):
        rig.post("/verify", CLAIM)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert any("ZeroDivisionError" in line and "fakes.py" in line for line in lines)
    assert not any("secret" in line for line in lines)


def test_slow_verifier_is_cut_off_with_504() -> None:
    """The time limit of the settings holds, whatever the client's header asks for."""
    rig = Rig(limits=ApiLimits(request_timeout_s=0.05), verifier=FakeVerifier(delay_s=30.0))
    started = time.perf_counter()
    response = rig.post("/verify", CLAIM, headers={"x-request-timeout-seconds": "0"})
    assert time.perf_counter() - started < 2.0
    assert (response.status_code, response.json()["code"]) == (504, "deadline-exceeded")


def test_header_that_lifts_time_limits_never_gets_in() -> None:
    """What runs inside cannot be told another limit by a client, however the header is spelt."""
    seen: list[bytes] = []

    async def inner(scope: Any, _receive: Any, _send: Any) -> None:
        seen.extend(name for name, _ in scope["headers"])

    headers = [(b"X-Request-Timeout-Seconds", b"0"), (b"accept", b"*/*")]
    scope = {"type": "http", "path": "/verify", "headers": headers}
    asyncio.run(ClientHeadersMiddleware(inner)(scope, None, None))  # type: ignore[arg-type]
    assert seen == [b"accept"]


def test_unknown_route_is_a_problem_and_counted_as_unmatched(rig: Rig) -> None:
    """Made-up paths do not become metric labels."""
    response = rig.call("GET", "/no/such/thing")
    assert (response.status_code, response.json()["code"]) == (404, "unknown-route")
    assert rig.observed == [("unmatched", "GET", 404)]


def test_wrong_method_is_a_problem_with_allow(rig: Rig) -> None:
    """The answer says which methods there are."""
    response = rig.call("GET", "/verify")
    assert (response.status_code, response.json()["code"]) == (405, "method-not-allowed")
    assert response.headers["Allow"] == "POST"


def test_made_up_method_is_counted_under_one_label(rig: Rig) -> None:
    """Methods are few in the metrics."""
    rig.call("BREW", "/verify")
    assert rig.observed == [("/verify", "OTHER", 405)]


def test_request_is_observed_by_route_template(rig: Rig) -> None:
    """Ids are not metric labels."""
    rig.call("GET", "/env/render/abc")
    rig.post("/api/v1/verify", CLAIM)
    assert rig.observed == [("/env/render/{session_id}", "GET", 404), ("/api/v1/verify", "POST", 200)]


def test_trailing_slash_is_accepted(rig: Rig) -> None:
    """A slash at the end is no other route."""
    assert rig.post("/verify/", CLAIM).status_code == 200


def test_sane_request_id_is_taken_over_and_returned(rig: Rig) -> None:
    """The sender's id ties its logs to ours."""
    response = rig.post("/verify", CLAIM, headers={"X-Request-ID": "order-66.a_b"})
    assert response.headers["X-Request-ID"] == "order-66.a_b"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a\tb", '"><script>'])
def test_insane_request_id_is_replaced(rig: Rig, sent: str) -> None:
    """An id goes into logs and headers, so it has a plain alphabet and a bound."""
    returned = rig.post("/verify", CLAIM, headers={"X-Request-ID": sent}).headers["X-Request-ID"]
    assert returned != sent
    assert len(returned) == 32


def test_log_line_carries_request_id_and_valid_traceparent_and_no_claim(rig: Rig) -> None:
    """Log lines are JSON that can be joined with the caller's trace."""
    stream = io.StringIO()
    logger = logging.getLogger("kite")
    before = (logger.handlers, logger.level, logger.propagate)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    try:
        configure_logging(LogSettings(), logging.StreamHandler(stream))
        rig.post("/verify", CLAIM, headers={"X-Request-ID": "r1", "traceparent": trace})
        rig.post("/verify", CLAIM, headers={"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"})
    finally:
        logger.handlers, logger.level, logger.propagate = before
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["request_id"], first["traceparent"], first["route"]) == ("r1", trace, "/verify")
    assert (first["status"], first["level"]) == (200, "INFO")
    assert "traceparent" not in second
    assert "secret" not in stream.getvalue()
