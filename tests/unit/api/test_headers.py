"""What every answer tells a browser, and which pages of other origins may call."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from deployments.api.asgi import create_app
from deployments.api.middleware.security_headers import HEADERS, HSTS
from deployments.services import Transport
from tests.unit.api.fakes import Rig

APP = "https://app.example.org"


def sent(
    rig: Rig, method: str, path: str, transport: Transport | None = None, **headers: str
) -> httpx.Response:
    app = create_app(replace(rig.services(), transport=transport or Transport()))

    async def send() -> httpx.Response:
        link = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=link, base_url="http://kite") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/health", 405),
        ("POST", "/verify", 415),
        ("GET", "/docs/assets/swagger-ui.css", 200),
        ("GET", "/openapi.json", 200),
    ],
)
def test_every_answer_has_the_headers(rig: Rig, method: str, path: str, status: int) -> None:
    """Answers of routes, of files, and errors from anywhere."""
    answer = sent(rig, method, path)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "strict-transport-security" not in answer.headers
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_keep_their_own_policy(rig: Rig, path: str) -> None:
    """A page says itself what it loads."""
    policy = sent(rig, "GET", path, accept="text/html").headers.get_list("content-security-policy")

    assert len(policy) == 1
    assert "style-src" in policy[0]


def test_callers_by_tls_are_told_to_stay_there(rig: Rig) -> None:
    """HSTS goes with TLS only."""
    answer = sent(rig, "GET", "/health/live", Transport(tls=True))

    assert answer.headers["strict-transport-security"] == HSTS


@pytest.mark.parametrize(
    ("path", "kept"), [("/sessions", "no-store"), ("/nowhere", "no-store"), ("/openapi.json", None)]
)
def test_what_a_caller_was_let_in_for_is_not_kept(rig: Rig, path: str, kept: str | None) -> None:
    """Nor are errors; public answers may be."""
    assert sent(rig, "GET", path).headers.get("cache-control") == kept


PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}


def test_preflight_of_a_named_origin_is_answered_without_a_credential(rig: Rig) -> None:
    """The origin itself is named, never a star, and cookies are not allowed."""
    answer = sent(rig, "OPTIONS", "/verify", Transport(cors_origins=(APP,)), origin=APP, **PREFLIGHT)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == APP
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{APP}.evil.example", "http://app.example.org", "null"]
)
def test_other_origins_are_not_allowed(rig: Rig, origin: str) -> None:
    """Neither by a preflight nor by a plain call: the browser keeps the answer from the page."""
    transport = Transport(cors_origins=(APP,))
    preflight = sent(rig, "OPTIONS", "/verify", transport, origin=origin, **PREFLIGHT)
    call = sent(rig, "GET", "/health/live", transport, origin=origin)

    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in {*preflight.headers, *call.headers}


def test_answers_vary_by_origin_even_where_none_is_named(rig: Rig) -> None:
    """Or a cache would give one page's answer to another."""
    answer = sent(rig, "GET", "/health/live", Transport(cors_origins=(APP,)))

    assert "Origin" in answer.headers["vary"]


def test_without_named_origins_no_page_may_call(rig: Rig) -> None:
    """The default: a preflight is a method that is not there."""
    answer = sent(rig, "OPTIONS", "/verify", origin=APP, **PREFLIGHT)

    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers
