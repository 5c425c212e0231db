"""Front page, health, metrics, and the documentation that works without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from deployments.api.wire import HealthAnswer
from deployments.services import ServiceState
from tests.unit.api.fakes import FRAMEWORKS, Rig


def test_root_names_the_service_and_its_calls(rig: Rig) -> None:
    """A program gets JSON with paths and links."""
    answer = rig.call("GET", "/").json()
    assert (answer["name"], answer["version"]) == ("Brahminy Kite", "0.1.0")
    assert {"/verify", "/env/step", "/sessions"} <= set(answer["endpoints"])
    assert answer["links"]["dashboard"] == "http://127.0.0.1:8265"


@pytest.mark.parametrize("path", ["/", "/docs", "/api/v1/docs"])
def test_page_loads_nothing_from_another_host(rig: Rig, path: str) -> None:
    """Pages work on a machine without a network."""
    response = rig.call("GET", path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.headers["Content-Type"].startswith("text/html")
    assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(?:\w+:)?//', response.text) == []


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_docs_assets_come_from_the_installed_package(rig: Rig, prefix: str) -> None:
    """Every file that the page asks for is served here."""
    page = rig.call("GET", f"{prefix}/docs").text
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(wanted) == 4
    for name in wanted:
        assert rig.call("GET", f"{prefix}/{name}").status_code == 200, name


def test_docs_assets_do_not_reach_outside_their_folder(rig: Rig) -> None:
    """A path with dots finds nothing."""
    assert rig.call("GET", "/docs/assets/%2e%2e/%2e%2e/__init__.py").status_code == 404


def test_metrics_are_prometheus_text(rig: Rig) -> None:
    """The scraper gets its own format."""
    response = rig.call("GET", "/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"kite_requests_total 1" in response.content


@pytest.mark.parametrize(
    ("states", "status", "ready"),
    [
        ({"keeper": "up", "empirical": "up"}, "healthy", 200),
        ({"keeper": "up", "empirical": "down"}, "degraded", 200),
        ({"keeper": "degraded", "empirical": "up"}, "degraded", 200),
        ({"keeper": "down", "empirical": "up"}, "unhealthy", 503),
        ({"empirical": "up"}, "unhealthy", 503),
    ],
)
def test_health_follows_the_parts_and_readiness_the_required_ones(
    states: dict[str, str], status: str, ready: int
) -> None:
    """A part that is not required degrades; a required one stops readiness."""
    rig = Rig(states={name: ServiceState(state, 1.5, "closed") for name, state in states.items()})
    answer = rig.call("GET", "/health").json()
    assert TypeAdapter(HealthAnswer).validate_python(answer, strict=True)["status"] == status
    assert rig.call("GET", "/health/ready").status_code == ready


def test_readiness_names_what_is_down(rig: Rig) -> None:
    """An operator reads the names, not a number only."""
    rig.states["keeper"] = ServiceState("down")
    told = rig.call("GET", "/health/ready").json()
    assert (told["failing"], told["code"]) == (["keeper"], "not-ready")
    assert "keeper" in told["detail"]


def test_liveness_asks_nobody(rig: Rig) -> None:
    """A process with a dead store is alive."""
    rig.store.away = True
    assert rig.call("GET", "/health/live").json() == {"status": "alive"}


def test_health_without_the_session_store_is_degraded_not_an_error(rig: Rig) -> None:
    """The report on a broken part must not break."""
    rig.store.away = True
    answer = rig.call("GET", "/health").json()
    assert (answer["status"], answer["active_sessions"]) == ("degraded", None)


def test_openapi_documents_every_route_with_its_limits(rig: Rig) -> None:
    """No route without words, limits and error answers."""
    document = rig.call("GET", "/openapi.json").json()
    served = {
        (route.path_format, next(iter(route.methods or ())))
        for route in rig.app.routes
        if isinstance(route, APIRoute)
    }
    root_served = {(p, m) for p, m in served if not p.startswith("/api/v1") and p != "/docs/start.js"}
    documented = {(p, m.upper()) for p, operations in document["paths"].items() for m in operations}
    assert documented == root_served
    assert {("/api/v1" + p).rstrip("/") for p, _ in root_served} <= {p for p, _ in served}
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["x-limits"]["timeout_s"] == 30.0
            assert "Limits: " in operation["description"]
            assert "500" in operation["responses"]


def test_openapi_states_bounds_of_claims_and_batches(rig: Rig) -> None:
    """A client generator learns the bounds."""
    document = rig.call("GET", "/openapi.json").json()
    fields = document["components"]["schemas"]["VerifyRequest"]
    assert fields["properties"]["claim"]["maxLength"] == 2000
    assert fields["properties"]["frameworks"]["items"]["enum"] == list(FRAMEWORKS)
    assert fields["additionalProperties"] is False
    batch = document["paths"]["/batch/verify"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert (batch["type"], batch["minItems"], batch["maxItems"]) == ("array", 1, 1000)


def test_openapi_is_in_the_dialect_that_the_installed_page_reads(rig: Rig) -> None:
    """Swagger UI 4 shows 3.0 documents only: no null type, no const, every reference resolves."""
    document = rig.call("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.0.")
    for node in nodes(document):
        assert node.get("type") != "null"
        assert "const" not in node
        assert "$defs" not in node
        assert not isinstance(node.get("exclusiveMinimum"), float)
        if isinstance(node.get("$ref"), str):
            assert node["$ref"].rpartition("/")[2] in document["components"]["schemas"]


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)
