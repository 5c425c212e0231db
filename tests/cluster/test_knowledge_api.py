"""The knowledge API on real deployments: what is written decides answers at once; queries and replays."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import time
from typing import Any

import pytest

from tests.cluster.conftest import Kite

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

API = "/api/v1/knowledge"


def test_document_is_evidence_while_it_is_there(kite: Kite) -> None:
    """Written, cited, removed, gone; and as of then it is there still."""
    claim = "The lighthouse of Kitefoot is 47 metres tall."
    with kite.client() as client:
        made = client.post(f"{API}/documents", json={"id": "kitefoot", "text": claim}).json()
        there = kite.verify(claim)
        gone = client.delete(f"{API}/documents/kitefoot").json()
        after = kite.verify(claim)
        then = kite.verify(claim, as_of=made["knowledge_seq"])
        shown = client.get(f"{API}/documents/kitefoot", params={"as_of": made["knowledge_seq"]})
        missing = client.get(f"{API}/documents/kitefoot")

    def cited(answer: dict[str, Any]) -> bool:
        return any(item["document_id"] == "kitefoot" for item in answer["evidence"])

    assert (cited(there), cited(after), cited(then)) == (True, False, True)
    assert there["verdict"]["label"] == "SUPPORTED"  # type: ignore[index]
    assert gone["knowledge_seq"] > made["knowledge_seq"]
    assert (shown.status_code, missing.status_code) == (200, 404)
    assert shown.json()["passages"][0]["text"] == claim


def test_fact_and_statement_decide_the_next_answer(kite: Kite) -> None:
    """A typed fact refutes a number; a statement loaded as Turtle answers SPARQL and a claim."""
    turtle = (
        "@prefix e: <urn:k:> . @prefix r: <http://www.w3.org/2000/01/rdf-schema#> .\n"
        'e:kitonia r:label "Kitonia" ; e:capital e:kitopolis . e:kitopolis r:label "Kitopolis" .\n'
    )
    fact = {"subject": "Mount Kitely", "predicate": "height", "value": 1234, "unit": "m"}
    with kite.client() as client:
        assert client.post(f"{API}/facts", json=[fact]).status_code == 201
        loaded = client.post(f"{API}/graph", content=turtle, headers={"Content-Type": "text/turtle"})
        found = client.post(
            f"{API}/graph/query", json={"query": "SELECT ?c { <urn:k:kitonia> <urn:k:capital> ?c }"}
        )
    height = kite.verify("The height of Mount Kitely is 2,500 metres.")
    capital = kite.verify("The capital of Kitonia is Kitopolis.")

    assert loaded.json()["statements"] == 3
    assert found.json()["results"]["bindings"] == [{"c": {"type": "uri", "value": "urn:k:kitopolis"}}]
    assert height["verdict"]["label"] == "REFUTED"  # type: ignore[index]
    assert capital["verdict"]["label"] == "SUPPORTED"  # type: ignore[index]


def test_query_without_end_holds_up_nobody(kite: Kite) -> None:
    """While it runs, knowledge is written and claims are answered; then it is stopped and told so."""
    endless = {"query": "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"}
    limit_s = kite.settings.sparql.timeout_s
    with kite.client() as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        lines = "".join(f"<urn:n:{n}> <urn:p> {n} .\n" for n in range(2_000))
        client.post(f"{API}/graph?key=many", content=lines, headers={"Content-Type": "text/turtle"})
        started = time.monotonic()
        running = pool.submit(client.post, f"{API}/graph/query", json=endless)
        time.sleep(0.5)
        written = client.post(f"{API}/facts", json={"subject": "a", "predicate": "b", "object": "c"})
        kite.verify("The fact was written while a query ran.")
        meanwhile_s = time.monotonic() - started
        answer = running.result()

    assert written.status_code == 201
    assert meanwhile_s < limit_s
    assert (answer.status_code, answer.json()["code"]) == (400, "query-limit")


def test_verdicts_are_replayed_byte_for_byte_after_knowledge_has_changed(kite: Kite) -> None:
    """Each of sixty is the same again, though what it rests on was replaced and removed since."""
    with kite.client() as client:
        documents = [
            {"id": f"r{n}", "text": f"The bridge of Kiteham number {n} has {n + 3} arches."}
            for n in range(20)
        ]
        client.post(f"{API}/documents", json=documents)
        claims = [{"claim": f"Bridge number {n % 20} of Kiteham has {n // 3 + 3} arches."} for n in range(60)]
        answers = client.post("/batch/verify", json=claims).json()
        for n in range(0, 20, 2):
            client.delete(f"{API}/documents/r{n}")
            client.put(f"{API}/documents/r{n + 1}", json={"text": f"The bridge number {n + 1} was moved."})
        ids = [answer["verdict"]["id"] for answer in answers]
        replays = [client.post(f"/api/v1/verdicts/{one}/replay").json() for one in ids]
        review = client.get(f"/api/v1/verdicts/{ids[0]}", params={"format": "claimreview"}).json()
        listed = client.get("/api/v1/verdicts", params={"limit": 1000}).json()

    assert [one for one in replays if not one["same"]] == []
    assert review["author"]["@type"] == "SoftwareApplication"
    assert set(ids) <= {row["id"] for row in listed}


def test_file_is_imported_in_one_request_and_a_retry_changes_nothing(kite: Kite) -> None:
    """Good rows in, the bad one told; the same key writes once."""
    body = "id,title,text\nk1,Kitebird,The kitebird of Kiteham weighs 120 grams.\nk2,Nothing,\n"
    headers = {"Content-Type": "text/csv", "Idempotency-Key": "kitebirds"}
    path = f"{API}/import?on_error=skip"
    with kite.client() as client:
        first, again = (client.post(path, content=body, headers=headers) for _ in range(2))
    answer: dict[str, Any] = kite.verify("The kitebird of Kiteham weighs 120 grams.")

    assert (first.json()["imported"], first.json()["rejected"]) == (1, 1)
    assert first.json() == again.json()
    assert answer["evidence"][0]["document_id"] == "k1"


def test_verdicts_answered_while_the_keeper_is_killed_are_all_there(kite: Kite) -> None:
    """kill -9 in the middle: what was answered, singly, in a batch or of a text, is shown and replayed."""
    (keeper,) = [pid for pid, title in kite.processes().items() if title.startswith("ray::KeeperActor")]
    with kite.client() as client, concurrent.futures.ThreadPoolExecutor(3) as pool:
        single = [
            pool.submit(client.post, "/verify", json={"claim": f"The pier {n} of Kiteham is {n} m long."})
            for n in range(20)
        ]
        batch = pool.submit(
            client.post, "/batch/verify", json=[{"claim": f"The mole {n} is {n} m wide."} for n in range(20)]
        )
        text = pool.submit(
            client.post, "/verify/text", json={"text": "The quay of Kiteham is 90 metres long."}
        )
        concurrent.futures.wait(single[:3])
        os.kill(keeper, signal.SIGKILL)
        answers = [one.result() for one in (*single, batch, text)]
        told = [answer.json() for answer in answers if answer.status_code == 200]
        ids = [verdict_id for body in told for verdict_id in _verdict_ids(body)]
        shown = [client.get(f"/api/v1/verdicts/{one}").status_code for one in ids]
        replays = [client.post(f"/api/v1/verdicts/{one}/replay").json() for one in ids[:5]]

    assert {answer.status_code for answer in answers} <= {200, 503}
    assert len(ids) >= 3
    assert set(shown) == {200}
    assert [one for one in replays if not one["same"] and "away" not in one["reason"]] == []


def _verdict_ids(body: Any) -> list[str]:
    if isinstance(body, list):
        return [found for item in body for found in _verdict_ids(item)]
    if "claims" in body:
        return [found for item in body["claims"] for found in _verdict_ids(item["verification"])]
    return [body["verdict"]["id"]] if "id" in body.get("verdict", {}) else []
