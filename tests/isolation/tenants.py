"""Tenants that each keep a secret in every store of a running installation, and what a stranger may know.

Used by ``tests.isolation.run`` and the cluster tests. Every text that a tenant keeps holds its secret word;
no stranger ever sends that word, so an answer in which it stands has leaked it, whatever was asked.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx

RDFS_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
#: Claims that every tenant asks, so that the verdict cache could mistake one for another.
CLAIMS = [
    "The Quokka tower is 330 metres tall.",
    "The Quokka bridge cost 40 million dollars in 1987.",
    "Quokka Corporation employs 1,200 people.",
]


@dataclass
class Tenant:
    """A tenant, the clients of its keys by role, its secret word, and ids that strangers may know."""

    name: str
    clients: dict[str, httpx.Client]
    secret: str = field(default_factory=lambda: f"secret{secrets.token_hex(8)}")
    ids: dict[str, list[str]] = field(default_factory=dict)
    cursors: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, role: str = "editor", **kwargs: Any) -> httpx.Response:
        return self.clients[role].request(method, f"/api/v1{path}", **kwargs)

    def know(self, kind: str, *ids: str) -> None:
        self.ids.setdefault(kind, []).extend(ids)


def client(address: str, key: str) -> httpx.Client:
    """Return a client that shows a key."""
    return httpx.Client(base_url=address, headers={"Authorization": f"ApiKey {key}"}, timeout=60.0)


def make_tenant(admin: httpx.Client, address: str, name: str, roles: tuple[str, ...]) -> Tenant:
    """Make a tenant with one key a role; return it with nothing kept yet."""
    made = admin.post("/admin/tenants", json={"id": name, "name": name})
    assert made.status_code in (201, 409), made.text
    clients, ids = {}, []
    for role in roles:
        answer = admin.post("/admin/keys", json={"name": role, "roles": [role], "tenant": name})
        assert answer.status_code == 201, answer.text
        clients[role] = client(address, answer.json()["key"])
        ids.append(answer.json()["id"])
    return Tenant(name, clients, ids={"keys": ids})


def fill(tenant: Tenant) -> None:
    """Let a tenant keep its secret in every store there is."""
    word, send = tenant.secret, tenant.send
    for number in range(4):
        # Half of the ids are everybody's, half nobody else's.
        mark = number if number < 2 else f"{tenant.name}-{number}"
        things: dict[str, dict[str, Any]] = {
            "documents": {
                "id": f"doc-{mark}",
                "title": f"Quokka {word}",
                "text": f"The Quokka tower is 330 metres tall. The bridge cost 40 million dollars. {word}.",
            },
            "facts": {
                "id": f"fact-{mark}", "subject": "Quokka tower", "predicate": f"height {word}",
                "value": 330.0 + number, "unit": "m",
            },
            "sources": {"id": f"source-{mark}", "name": f"Quokka {word}", "owner": "quokka"},
            "patterns": {
                "id": f"pattern-{mark}", "family": "hedge", "name": f"{word}", "query": "quokka",
                "message": f"Quokka {word}",
            },
        }  # fmt: skip
        for kind, body in things.items():
            answer = send("POST", f"/knowledge/{kind}", json=body)
            assert answer.status_code == 201, answer.text
            tenant.know(kind, body["id"])
            shown = send("GET", f"/knowledge/{kind}/{body['id']}")
            tenant.tags.append(shown.headers["ETag"])
    _fill_graph(tenant)
    for shards in (1, 3):
        _fill_dataset(tenant, shards)
    _fill_queue(tenant)
    for kind in ("documents", "facts", "sources", "patterns"):
        page = send("GET", f"/knowledge/{kind}", params={"limit": 1})
        tenant.cursors.append(page.headers["X-Next-Cursor"])
    _ask(tenant)


def _fill_graph(tenant: Tenant) -> None:
    turtle = f'<urn:quokka:tower> <{RDFS_LABEL}> "Quokka tower {tenant.secret}" .'
    for name in ("load", f"load-{tenant.name}"):
        answer = tenant.send(
            "POST", "/knowledge/graph", params={"key": name}, content=turtle,
            headers={"Content-Type": "text/turtle"},
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
        tenant.know("graph", name)
        tenant.know("seq", str(answer.json()["knowledge_seq"]))


def _fill_dataset(tenant: Tenant, shards: int) -> None:
    """Let a tenant keep its secret in a dataset: its name, its metadata, a vector's content and metadata."""
    asked = {"name": f"quokka {tenant.secret} {shards}", "dimensions": 2, "metadata": {"of": tenant.secret}}
    made = tenant.send("POST", "/datasets", json={**asked, "shards": shards})
    assert made.status_code == 201, made.text
    name = made.json()["id"]
    vector = {
        "id": "tower", "document_id": "tower", "values": [1.0, 0.5], "metadata": {"of": tenant.secret},
        "content": f"The Quokka tower of {tenant.secret}.",
    }  # fmt: skip
    answer = tenant.send("POST", f"/datasets/{name}/vectors", json=vector)
    assert answer.json()["inserted_count"] == 1, answer.text
    tenant.know("datasets", name)


def _fill_queue(tenant: Tenant) -> None:
    """Let a tenant keep its secret in tasks, under an id of its own and one that everybody has."""
    for name in ("task", f"task-{tenant.name}"):
        asked = {"claim": f"The {tenant.secret} is 4 metres tall.", "id": name}
        answer = tenant.send("POST", "/tasks/verify", json=asked)
        assert answer.status_code == 202, answer.text
        tenant.know("tasks", f"task-{tenant.name}")


def _ask(tenant: Tenant) -> None:
    """Ask the claims that everybody asks, with and without the secret, and hold sessions."""
    for claim in [*CLAIMS, f"The {tenant.secret} weighs 3 kilograms."]:
        answer = tenant.send("POST", "/verify", json={"claim": claim, "context": {"speaker": tenant.secret}})
        assert answer.status_code == 200, answer.text
        tenant.know("verdicts", answer.json()["verdict"]["id"])
        tenant.send("POST", "/verify", json={"claim": claim})
    first = tenant.ids["verdicts"][0]
    said = {"label": "REFUTED", "note": tenant.secret}
    assert tenant.send("POST", f"/verdicts/{first}/feedback", json=said).status_code == 200
    for name in ("session", f"session-{tenant.name}"):
        assert tenant.send("POST", "/env/reset", json={"session_id": name}).status_code == 200
        step = {"session_id": name, "claim": f"The {tenant.secret} is 3 metres tall."}
        assert tenant.send("POST", "/env/step", json=step).status_code == 200
        tenant.know("sessions", name)
