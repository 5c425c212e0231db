"""Two tenants on one installation: neither sees, cites, lists, queries or replays what is the other's."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from data.claims import Rejected, TenantId
from data.questions import Question
from data.verdicts import Verdict
from deployments.api.asgi import create_app
from tests.unit.api.knowledge_fakes import RDFS, House, Tenant
from tests.unit.api.test_verdict_history import Installation

KINDS: dict[str, dict[str, Any]] = {
    "documents": {"id": "same", "text": "The secret weighs 3 kilograms."},
    "facts": {"id": "same", "subject": "Secret", "predicate": "weight", "value": 3.0, "unit": "kg"},
    "sources": {"id": "same", "name": "Secret"},
    "patterns": {"id": "same", "family": "hedge", "name": "secret", "query": "secret"},
}
SECRET = f'<urn:s:secret> <{RDFS}> "Secret" .'


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(House(tmp_path_factory.mktemp("house")))
    made.house.app = create_app(
        replace(made.house.services, verdicts=_desk(made), answer=_answer(made), calibration=None)
    )
    yield made
    made.house.close()


def _desk(made: Installation) -> Any:
    from deployments.replay import VerdictDesk

    return VerdictDesk(made.house.reader, made.verifier.derive, model_bundle=made.bundle)


def _answer(made: Installation) -> Any:
    async def answer(questions: Sequence[Question]) -> list[Verdict | Rejected]:
        asked = [replace(question, frameworks=("empirical",)) for question in questions]
        return await made.verifier.answer(asked)

    return answer


@pytest.fixture
def owner(installation: Installation, request: pytest.FixtureRequest) -> Tenant:
    return installation.house.tenant(f"owner {request.node.name}")


@pytest.fixture
def stranger(installation: Installation, request: pytest.FixtureRequest) -> Tenant:
    return installation.house.tenant(f"stranger {request.node.name}")


def forged(at: int, last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, last]).encode()).decode().rstrip("=")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_stranger_meets_nothing_under_any_call(owner: Tenant, stranger: Tenant, kind: str) -> None:
    """One, list, as of then, with a forged cursor, with If-Match, removed: 404 or an empty list."""
    made = owner.post(f"/knowledge/{kind}", KINDS[kind])
    path, seq = f"/knowledge/{kind}/same", made.json()["knowledge_seq"]
    tag = owner.get(path).headers["ETag"]

    assert stranger.get(path).status_code == 404
    assert stranger.get(path, as_of=seq).status_code == 404
    assert stranger.get(f"/knowledge/{kind}").json() == []
    for cursor in (forged(seq, ""), forged(0, ""), forged(2**60, ""), forged(seq, "sam")):
        assert stranger.get(f"/knowledge/{kind}", cursor=cursor).json() == []
    assert stranger.call("DELETE", path).status_code == 404
    assert stranger.call("DELETE", path, headers={"If-Match": tag}).status_code == 404
    assert stranger.call("PUT", path, json=KINDS[kind], headers={"If-Match": tag}).status_code == 412
    assert owner.get(path).headers["ETag"] == tag


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_same_id_of_two_tenants_is_two_things(owner: Tenant, stranger: Tenant, kind: str) -> None:
    """Each reads its own; removing one leaves the other."""
    field = {"documents": "title", "facts": "subject", "sources": "name", "patterns": "name"}[kind]
    for tenant, word in ((owner, "mine"), (stranger, "theirs")):
        assert tenant.post(f"/knowledge/{kind}", {**KINDS[kind], field: word}).status_code == 201
    assert owner.call("DELETE", f"/knowledge/{kind}/same").status_code == 200

    assert owner.get(f"/knowledge/{kind}").json() == []
    assert stranger.get(f"/knowledge/{kind}/same").json()[field] == "theirs"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ?o {{ ?s ?p ?o }}",
        "SELECT ?o {{ GRAPH ?g {{ ?s ?p ?o }} }}",
        "SELECT ?o {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}",
        "SELECT ?o FROM <{graph}> {{ ?s ?p ?o }}",
        "SELECT ?o FROM NAMED <{graph}> {{ GRAPH ?g {{ ?s ?p ?o }} }}",
        "SELECT ?o FROM NAMED <{load}> {{ GRAPH ?g {{ ?s ?p ?o }} }}",
        "SELECT ?o {{ GRAPH <{load}> {{ ?s ?p ?o }} }}",
        "SELECT ?o FROM <urn:kite:meta> {{ ?s ?p ?o }}",
        "SELECT ?o {{ GRAPH <urn:kite:meta> {{ ?s ?p ?o }} }}",
        "SELECT ?o {{ {{ SELECT ?o {{ GRAPH <{graph}> {{ ?s ?p ?o }} }} }} }}",
        "CONSTRUCT {{ ?s ?p ?o }} FROM <{graph}> {{ ?s ?p ?o }}",
        "DESCRIBE <urn:s:secret> FROM <{graph}>",
        "ASK FROM <{graph}> {{ ?s ?p ?o }}",
    ],
)
def test_stranger_finds_no_statement_however_it_asks(
    installation: Installation, owner: Tenant, stranger: Tenant, query: str
) -> None:
    """Neither by FROM nor by GRAPH, of the tenant, of a load or of the store's own bookkeeping."""
    from data.views.graph import graph_of

    seq = owner.send("/knowledge/graph", SECRET, "text/turtle").json()["knowledge_seq"]
    asked = query.format(graph=graph_of(owner.name), load=f"urn:kite:load:{seq}:0")
    answer = stranger.sparql(asked)
    told = answer.text

    assert "Secret" not in told
    assert "owner" not in told
    assert answer.status_code == 400 or '"boolean":true' not in told
    assert "Secret" in owner.sparql("SELECT ?o { ?s ?p ?o }").text


def test_document_is_evidence_for_its_tenant_alone(
    installation: Installation, owner: Tenant, stranger: Tenant
) -> None:
    """The same claim, asked singly, in a batch and twice: only the owner's verdict cites it."""
    installation.learn(owner, "a")
    claim = {"claim": "The tower is 330 metres tall."}

    def cited(tenant: Tenant) -> list[int]:
        single = tenant.post("/verify", claim).json()
        (batched,) = tenant.post("/batch/verify", [claim]).json()
        return [len(one["evidence"]) for one in (single, batched)]

    assert cited(owner) == [1, 1]
    assert cited(stranger) == [0, 0]
    assert cited(owner) == [1, 1]


def test_verdicts_of_every_route_stand_in_their_tenants_history_alone(
    owner: Tenant, stranger: Tenant
) -> None:
    """Of a claim, a batch, a text and a session; each once; replayed by the owner only."""
    owner.post("/verify", {"claim": "The tower is 330 metres tall."})
    owner.post("/batch/verify", [{"claim": f"Tower {n} is 330 metres tall."} for n in (1, 2)])
    owner.post("/verify/text", {"text": "The bridge is 120 metres long and cost 3 million dollars."})
    owner.post("/env/reset", {"session_id": "s"})
    owner.post("/env/step", {"session_id": "s", "claim": "The dam is 50 metres high."})
    kept = owner.get("/verdicts").json()
    shown = [owner.get(f"/verdicts/{one['id']}").json() for one in kept]

    assert [one["claim"].split()[1] for one in kept] == ["dam", "bridge", "2", "1", "tower"]
    assert {(one["knowledge_seq"] >= 0, one["model_bundle"]) for one in shown} == {(True, "bundle-1")}
    assert stranger.get("/verdicts").json() == []
    assert stranger.get("/verdicts", cursor=forged(2**60, "")).json() == []
    for one in kept:
        assert stranger.get(f"/verdicts/{one['id']}").status_code == 404
        assert stranger.post(f"/verdicts/{one['id']}/replay", None).status_code == 404
        assert owner.post(f"/verdicts/{one['id']}/replay", None).json()["same"] is True


def test_sessions_are_seen_by_their_tenant_alone(owner: Tenant, stranger: Tenant) -> None:
    """Not listed, shown, stepped nor removed by another."""
    owner.post("/env/reset", {"session_id": "mine"})

    assert [one["session_id"] for one in owner.get("/sessions").json()] == ["mine"]
    assert stranger.get("/sessions").json() == []
    assert stranger.get("/env/render/mine").status_code == 404
    assert stranger.post("/env/step", {"session_id": "mine", "claim": "It is 3 m."}).status_code == 404
    assert stranger.call("DELETE", "/sessions/mine").status_code == 404


def test_header_or_field_that_names_a_tenant_changes_nothing(owner: Tenant, stranger: Tenant) -> None:
    """Whose a request is, is not the sender's to say."""
    owner.post("/knowledge/sources", {"id": "x", "name": "Owner's"})
    name = TenantId(owner.name)
    headers = {"X-Tenant": name, "Tenant": name, "X-Tenant-ID": name}

    assert stranger.call("GET", "/knowledge/sources", headers=headers).json() == []
    assert stranger.get("/knowledge/sources", tenant=name).json() == []
    assert stranger.post("/knowledge/sources", {"name": "x", "tenant": name}).status_code == 422
