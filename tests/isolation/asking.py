"""Requests that a curious tenant might send: every route, with ids, cursors and tags of others.

Pure: a seeded generator of (method, path, keyword arguments of httpx). Used by ``tests.isolation.run``.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from tests.isolation.tenants import CLAIMS, Tenant

Asked = tuple[str, str, dict[str, Any]]
KINDS = ("documents", "facts", "sources", "patterns")
_SPARQL = [
    "SELECT * {{ ?s ?p ?o }}",
    "SELECT * {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    "SELECT * {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}",
    "SELECT * FROM <{graph}> {{ ?s ?p ?o }}",
    "SELECT * FROM NAMED <{graph}> {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    "SELECT * FROM <{load}> FROM NAMED <{graph}> {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    "SELECT * FROM <urn:kite:meta> {{ ?s ?p ?o }}",
    "SELECT * {{ SERVICE <{graph}> {{ ?s ?p ?o }} }}",
    "SELECT * {{ SERVICE SILENT <http://127.0.0.1:9/> {{ ?s ?p ?o }} }}",
    "CONSTRUCT {{ ?s ?p ?o }} FROM <{graph}> {{ ?s ?p ?o }}",
    "DESCRIBE <urn:quokka:tower> FROM <{graph}>",
    "ASK FROM <{graph}> {{ ?s ?p ?o }}",
    "SELECT ?g (COUNT(*) AS ?n) {{ GRAPH ?g {{ ?s ?p ?o }} }} GROUP BY ?g",
    "SELECT * {{ <urn:quokka:tower> (!<urn:none>)* ?o }}",
]


def requests(chance: random.Random, me: Tenant, others: Sequence[Tenant]) -> Iterator[Asked]:
    """Yield requests of ``me`` without end; what they name belongs to ``others``."""
    makers = [
        _thing,
        _thing,
        _listing,
        _listing,
        _graph,
        _sparql,
        _sparql,
        _verdict,
        _session,
        _claim,
        _admin,
        _dataset,
        _vectors,
        _task,
    ]
    while True:
        method, path, more = chance.choice(makers)(chance, chance.choice(others))
        headers = {**more.pop("headers", {}), **_posing(chance, chance.choice(others))}
        yield method, path, {**more, "headers": headers}


def _posing(chance: random.Random, other: Tenant) -> dict[str, str]:
    """Return headers by which a request poses as another tenant's, in a third of all."""
    names = ("X-Tenant", "X-Tenant-ID", "Tenant", "X-Forwarded-User", "X-Kite-Principal")
    return {chance.choice(names): other.name} if chance.random() < 0.33 else {}


def _thing(chance: random.Random, other: Tenant) -> Asked:
    kind = chance.choice(KINDS)
    path = f"/knowledge/{kind}/{_id(chance, other, kind)}"
    if chance.random() < 0.25:
        return "DELETE", f"/knowledge/{kind}/not-{chance.randrange(9)}", {"headers": _if_match(chance, other)}
    return "GET", path, {"params": _as_of(chance, other), "headers": _if_none_match(chance, other)}


def _listing(chance: random.Random, other: Tenant) -> Asked:
    kind = chance.choice((*KINDS, "graph"))
    params = {**_as_of(chance, other), **_cursor(chance, other), **_limit(chance)}
    if kind == "facts" and chance.random() < 0.5:
        params["subject"] = chance.choice(("Quokka tower", "quokka", "%", "*", "' OR 1=1 --"))
    return "GET", f"/knowledge/{kind}", {"params": params}


def _graph(chance: random.Random, other: Tenant) -> Asked:
    return "GET", f"/knowledge/graph/{_id(chance, other, 'graph')}", {"params": _as_of(chance, other)}


def _sparql(chance: random.Random, other: Tenant) -> Asked:
    load = f"urn:kite:load:{chance.choice(other.ids['seq'])}:{chance.randrange(2)}"
    query = chance.choice(_SPARQL).format(graph=f"urn:kite:tenant:{other.name}", load=load)
    if chance.random() < 0.5:
        return "POST", "/knowledge/graph/query", {"json": {"query": query}}
    return "POST", "/knowledge/graph/query", {
        "content": query, "headers": {"Content-Type": "application/sparql-query"},
    }  # fmt: skip


def _verdict(chance: random.Random, other: Tenant) -> Asked:
    verdict = _id(chance, other, "verdicts")
    return chance.choice(
        [
            ("GET", "/verdicts", {"params": {**_cursor(chance, other), **_limit(chance)}}),
            ("GET", f"/verdicts/{verdict}", {"params": {"format": "claimreview"}}),
            ("GET", f"/verdicts/{verdict}", {"headers": _if_none_match(chance, other)}),
            ("POST", f"/verdicts/{verdict}/replay", {}),
            ("POST", f"/verdicts/{verdict}/feedback", {"json": {"label": "REFUTED"}}),
            ("GET", "/calibration", {}),
            ("GET", "/calibration/plot.svg", {}),
        ]
    )


def _session(chance: random.Random, other: Tenant) -> Asked:
    name = _id(chance, other, "sessions")
    return chance.choice(
        [
            ("GET", "/sessions", {"params": {"cursor": chance.choice(("", "a", name))}}),
            ("GET", f"/env/render/{name}-x", {}),
            ("GET", f"/env/render/{quote(f'../{other.name}/{name}', safe='')}", {}),
            ("POST", "/env/step", {"json": {"session_id": f"{name}-x", "claim": chance.choice(CLAIMS)}}),
            ("DELETE", f"/sessions/{name}-x", {}),
        ]
    )


def _claim(chance: random.Random, other: Tenant) -> Asked:
    claim = {"claim": chance.choice(CLAIMS)}
    filters = {"sources": other.ids["sources"]} if chance.random() < 0.3 else None
    return chance.choice(
        [
            ("POST", "/verify", {"json": claim}),
            ("POST", "/verify", {"json": {**claim, **_filtered(filters)}}),
            ("POST", "/verify", {"json": {**claim, "as_of": int(chance.choice(other.ids["seq"]))}}),
            ("POST", "/batch/verify", {"json": [claim, {"claim": chance.choice(CLAIMS)}]}),
            ("POST", "/verify/text", {"json": {"text": " ".join(CLAIMS), "limit": 3}}),
        ]
    )


def _task(chance: random.Random, other: Tenant) -> Asked:
    path = f"/tasks/{_id(chance, other, 'tasks')}"
    states = {"state": chance.choice(("waiting", "done", "dead"))} if chance.random() < 0.5 else {}
    return chance.choice(
        [
            ("GET", "/tasks", {"params": {**states, **_cursor(chance, other), **_limit(chance)}}),
            ("GET", path, {}),
            ("POST", f"{path}/retry", {}),
            ("DELETE", path, {}),
            ("GET", "/queue", {}),
            ("GET", "/admin/queue", {}),
        ]
    )


def _admin(chance: random.Random, other: Tenant) -> Asked:
    key = _id(chance, other, "keys")
    return chance.choice(
        [
            ("GET", "/admin/me", {}),
            ("GET", "/admin/keys", {}),
            ("GET", f"/admin/keys/{key}", {}),
            ("DELETE", f"/admin/keys/{key}", {}),
            ("POST", f"/admin/keys/{key}/rotate", {"json": {}}),
            ("POST", "/admin/keys", {"json": {"name": "x", "roles": ["admin"], "tenant": other.name}}),
            ("GET", "/admin/tenants", {}),
            ("GET", f"/admin/tenants/{other.name}", {}),
            ("GET", "/admin/audit", {"params": {"subject": f"key:{key}"}}),
            ("GET", "/admin/audit/export", {}),
            ("GET", "/rate-limits/usage", {}),
            ("GET", "/metrics", {}),
        ]
    )


def _dataset(chance: random.Random, other: Tenant) -> Asked:
    path = f"/datasets/{_id(chance, other, 'datasets')}{_shard(chance)}"
    vector = {"document_id": "quokka", "values": [1.0, 0.0]}
    return chance.choice(
        [
            ("GET", "/datasets", {"params": {"page_size": 1_000}}),
            ("GET", path, {}),
            ("GET", f"{path}/stats", {}),
            ("GET", f"{path}/index", {}),
            ("PUT", path, {"json": {"description": "mine"}, "headers": _if_match(chance, other)}),
            ("DELETE", path, {}),
            ("DELETE", f"{path}/index", {}),
            ("POST", f"{path}/index", {"json": {"force_rebuild": True}}),
            ("POST", f"{path}/vectors/batch", {"json": {"vectors": [vector], "overwrite": True}}),
            ("POST", f"{path}/documents", {"json": {"text": "The Quokka tower.", "overwrite": True}}),
            ("POST", f"{path}/export", {"json": {"format": "jsonl"}}),
        ]
    )


def _vectors(chance: random.Random, other: Tenant) -> Asked:
    path = f"/datasets/{_id(chance, other, 'datasets')}{_shard(chance)}"
    options = {"top_k": 50, "include_values": True, "filters": chance.choice((None, "document_id = 'tower'"))}
    by_vector = {"query_vector": [1.0, 0.0], "options": options}
    both = {**by_vector, "query_text": "Quokka tower"}
    several = {"dataset_ids": [*other.ids["datasets"], "0" * 32][: chance.randrange(1, 4)], **by_vector}
    return chance.choice(
        [
            ("GET", f"{path}/vectors", {"params": {"include_values": "true", **_limit(chance)}}),
            ("GET", f"{path}/vectors/tower", {"headers": _if_none_match(chance, other)}),
            ("PUT", f"{path}/vectors/tower", {"json": {"language": "en"}}),
            ("DELETE", f"{path}/vectors/tower", {}),
            ("DELETE", f"{path}/vectors/batch", {"json": {"ids": ["tower"]}}),
            ("POST", f"{path}/search", {"json": by_vector}),
            ("POST", f"{path}/search/text", {"json": {"query_text": "Quokka tower"}}),
            ("POST", f"{path}/search/hybrid", {"json": both}),
            ("POST", "/search/multi-dataset", {"json": several}),
        ]
    )


def _shard(chance: random.Random) -> str:
    """What makes a dataset's id that of one of its shards; mostly nothing."""
    return chance.choice(("", "", "", "-00", "-02"))


def _id(chance: random.Random, other: Tenant, kind: str) -> str:
    """Return an id of another tenant, written as it is or in a way that might lead astray."""
    name = chance.choice(other.ids.get(kind) or ["none"])
    ways = (name, name, name, f"{other.name}/{name}", f"../{other.name}/{name}", f"{name}%00", f"{name}'--")
    return quote(chance.choice(ways), safe="%")


def _as_of(chance: random.Random, other: Tenant) -> dict[str, str]:
    return {"as_of": chance.choice(other.ids["seq"])} if chance.random() < 0.4 else {}


def _limit(chance: random.Random) -> dict[str, str]:
    return {"limit": str(chance.choice((1, 2, 1_000)))} if chance.random() < 0.5 else {}


def _cursor(chance: random.Random, other: Tenant) -> dict[str, str]:
    forged = json.dumps([chance.choice((0, 2**60, int(chance.choice(other.ids["seq"])))), ""])
    made = base64.urlsafe_b64encode(forged.encode()).decode().rstrip("=")
    return {"cursor": chance.choice((*other.cursors, made))} if chance.random() < 0.5 else {}


def _if_match(chance: random.Random, other: Tenant) -> dict[str, str]:
    return {"If-Match": chance.choice(other.tags)}


def _if_none_match(chance: random.Random, other: Tenant) -> dict[str, str]:
    return {"If-None-Match": chance.choice(other.tags)} if chance.random() < 0.3 else {}


def _filtered(filters: dict[str, Any] | None) -> dict[str, Any]:
    return {"evidence_filter": filters} if filters else {}
