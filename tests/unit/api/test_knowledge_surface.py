"""The calls that clients were promised for knowledge and verdict history are all there, as documented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.fakes import Rig

ONE = "/{thing_id}"
LISTS = [f"/knowledge/{name}" for name in ("documents", "facts", "sources", "patterns")]
#: (method, path, names of parameters that must be there)
CALLS: list[tuple[str, str, set[str]]] = [
    *((method, path, parameters) for path in LISTS for method, parameters in (
        ("post", {"Idempotency-Key"}), ("get", {"as_of", "limit", "cursor"}),
    )),
    *((method, path + ONE, parameters) for path in LISTS for method, parameters in (
        ("get", {"as_of", "If-None-Match"}), ("put", {"Idempotency-Key", "If-Match"}),
        ("delete", {"Idempotency-Key", "If-Match"}),
    )),
    ("get", "/knowledge/facts", {"subject", "predicate", "as_of"}),
    ("post", "/knowledge/graph", {"key", "Idempotency-Key"}),
    ("get", "/knowledge/graph", {"as_of", "limit", "cursor"}),
    ("get", "/knowledge/graph/{key}", {"as_of"}),
    ("delete", "/knowledge/graph/{key}", {"If-Match"}),
    ("post", "/knowledge/graph/query", set()),
    ("post", "/knowledge/import", {"kind", "on_error", "Idempotency-Key"}),
    ("get", "/verdicts", {"limit", "cursor"}),
    ("get", "/verdicts/{verdict_id}", {"format", "label_scheme"}),
    ("post", "/verdicts/{verdict_id}/replay", set()),
    ("post", "/verdicts/{verdict_id}/feedback", {"Idempotency-Key"}),
]  # fmt: skip
BODIES = {
    "/knowledge/graph": {"text/turtle", "application/n-quads", "application/ld+json"},
    "/knowledge/graph/query": {"application/sparql-query", "application/json"},
    "/knowledge/import": {
        "application/x-ndjson", "text/csv", "application/vnd.apache.parquet", "application/n-quads",
        "application/ld+json",
    },
}  # fmt: skip
FIELDS = {
    "DocumentRequest": {"text", "title", "url", "source", "published_at", "metadata"},
    "FactRequest": {
        "subject",
        "predicate",
        "object",
        "value",
        "unit",
        "valid_from",
        "valid_to",
        "confidence",
    },
    "SourceRequest": {"name", "owner", "cites"},
    "PatternRequest": {"family", "name", "query", "message"},
    "FeedbackRequest": {"label", "note"},
}


@pytest.fixture(scope="module")
def served() -> Rig:
    return Rig()


@pytest.fixture(scope="module")
def document(served: Rig) -> dict[str, Any]:
    told: dict[str, Any] = served.call("GET", "/openapi.json").json()
    return told


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize(("method", "path", "parameters"), CALLS)
def test_call_is_served_and_documented(
    served: Rig, document: dict[str, Any], prefix: str, method: str, path: str, parameters: set[str]
) -> None:
    """With its parameters, answers and at least one problem; under both prefixes a route takes it."""
    told = document["paths"][path][method]
    answer = served.call(method.upper(), prefix + path.replace("{", "").replace("}", ""))

    assert parameters <= {one["name"] for one in told["parameters"]}
    assert told["responses"].keys() & {"200", "201"}
    assert "404" in told["responses"] or "{" not in path or method == "put"
    assert answer.json().get("code") not in ("unknown-route", "method-not-allowed")


@pytest.mark.parametrize(("path", "types"), sorted(BODIES.items()))
def test_body_may_be_of_every_type_promised(document: dict[str, Any], path: str, types: set[str]) -> None:
    """RDF, SPARQL, files."""
    assert types <= document["paths"][path]["post"]["requestBody"]["content"].keys()


@pytest.mark.parametrize(("schema", "fields"), sorted(FIELDS.items()))
def test_body_has_every_field_promised(document: dict[str, Any], schema: str, fields: set[str]) -> None:
    """By the names that clients send."""
    assert fields <= document["components"]["schemas"][schema]["properties"].keys()
