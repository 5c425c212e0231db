"""Whatever bytes arrive, the answer is a success or a problem with one sentence: never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.rdf import RDF_TYPES
from deployments.knowledge_import import FORMS
from tests.unit.api.knowledge_fakes import House, Tenant

SETTINGS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FIELDS = [
    "id", "text", "title", "url", "source", "published_at", "metadata", "subject", "predicate", "object",
    "value", "unit", "valid_from", "valid_to", "confidence", "name", "kind", "owner", "cites", "family",
    "query", "message", "claimReviewed", "reviewRating", "@id", "@context", "@graph",
]  # fmt: skip
WORDS = st.sampled_from(
    ["a", "", " ", "\0", "2024-01-01", "9999-99-99", "m/s", "a" * 600, '"x" AND', "ß\U0001f600"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.text(max_size=20)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8)
BODIES = OBJECTS | st.lists(OBJECTS, max_size=3) | VALUES
SNIPPETS = st.sampled_from(
    ["<urn:a>", "<", ">", '"', "'''", "@prefix e: <urn:e:> .", "e:a", "[", "]", "(", ")", " . ", ";", "\n",
     "#", "_:b", "^^", "@en", "\\u0000", "\0", "{", "}", "SELECT * {", "?s", "FILTER(", "1e999", "text,id\n",
     ","]
)  # fmt: skip
TEXTS = st.lists(SNIPPETS, max_size=12).map(" ".join) | st.text(max_size=60)


@pytest.fixture
def fuzzed(house: House) -> Tenant:
    return house.tenant("fuzzed")


def check(tenant: Tenant, method: str, path: str, **kwargs: Any) -> None:
    answer = tenant.call(method, path, **kwargs)
    assert answer.status_code < 500, (answer.status_code, answer.text, kwargs)
    if answer.status_code >= 400:
        problem: Mapping[str, Any] = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["detail"].strip()
        assert problem["status"] == answer.status_code


@pytest.mark.timeout(300)
@SETTINGS
@given(kind=st.sampled_from(["documents", "facts", "sources", "patterns"]), body=BODIES)
def test_any_json_is_written_or_refused(fuzzed: Tenant, kind: str, body: Any) -> None:
    """POST and PUT of every kind."""
    raw = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    check(fuzzed, "POST", f"/knowledge/{kind}", content=raw, headers=headers)
    check(fuzzed, "PUT", f"/knowledge/{kind}/x", content=raw, headers=headers)
    check(fuzzed, "GET", f"/knowledge/{kind}?limit=1000")


@pytest.mark.timeout(300)
@SETTINGS
@given(media_type=st.sampled_from(sorted(RDF_TYPES)), body=TEXTS | BODIES.map(json.dumps))
def test_any_text_is_a_graph_or_refused(fuzzed: Tenant, media_type: str, body: str) -> None:
    """Every RDF format."""
    content = body.encode("utf-8", "surrogatepass")
    check(fuzzed, "POST", "/knowledge/graph", content=content, headers={"Content-Type": media_type})


@pytest.mark.timeout(300)
@SETTINGS
@given(body=TEXTS)
def test_any_text_is_a_query_or_refused(fuzzed: Tenant, body: str) -> None:
    """SPARQL as itself and as JSON."""
    content = body.encode("utf-8", "surrogatepass")
    headers = {"Content-Type": "application/sparql-query"}
    check(fuzzed, "POST", "/knowledge/graph/query", content=content, headers=headers)


@pytest.mark.timeout(300)
@SETTINGS
@given(
    media_type=st.sampled_from(sorted(FORMS)),
    body=st.binary(max_size=80) | TEXTS.map(lambda text: text.encode("utf-8", "replace"))
    | BODIES.map(lambda value: json.dumps(value).encode()),
)  # fmt: skip
def test_any_bytes_are_a_file_or_refused(fuzzed: Tenant, media_type: str, body: bytes) -> None:
    """Every import format."""
    check(fuzzed, "POST", "/knowledge/import", content=body, headers={"Content-Type": media_type})


@pytest.mark.timeout(300)
@SETTINGS
@given(
    query=st.dictionaries(
        st.sampled_from(["as_of", "limit", "cursor", "subject", "predicate", "format"]), WORDS | st.text()
    ),
    path=st.sampled_from(["documents", "facts", "sources", "patterns", "graph", "facts/x", "graph/x"]),
)
def test_any_query_string_is_read_or_refused(fuzzed: Tenant, query: dict[str, str], path: str) -> None:
    """Lists and single things."""
    clean = {name: text.encode("utf-8", "replace").decode() for name, text in query.items()}
    check(fuzzed, "GET", f"/knowledge/{path}", params=clean)
