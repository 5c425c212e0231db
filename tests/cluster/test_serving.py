"""A claim in, a verdict out, over HTTP, on real deployments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.conftest import Kite

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

FRAMEWORKS = {"consistency", "contextual", "empirical", "evolution", "power_dynamics", "utility"}
EVEREST = "Mount Everest is 8,849 metres high."


def label(answer: dict[str, object]) -> str:
    return str(answer["verdict"]["label"])  # type: ignore[index]


def test_claim_is_answered_by_all_six_frameworks_with_cited_evidence(kite: Kite) -> None:
    """The verdict names its evidence, and each span is the text it says it is."""
    answer = kite.verify(EVEREST)

    assert label(answer) == "SUPPORTED"
    assert set(answer["frameworks"]) == FRAMEWORKS  # type: ignore[call-overload]
    supporting = [item for item in answer["evidence"] if item["stance"] == "SUPPORTS"]  # type: ignore[attr-defined]
    assert supporting
    assert any("Everest" in item["text"] for item in supporting)
    for item in answer["evidence"]:  # type: ignore[attr-defined]
        assert item["span"]["end"] - item["span"]["start"] == len(item["text"])
        assert len(item["sha256"]) == 64


def test_same_request_gives_the_same_bytes(kite: Kite) -> None:
    """Asked twice, alone and among others, in single and in batch calls: the same answer."""
    body = {"claim": "The Louvre is in Berlin."}
    with kite.client() as client:
        first = client.post("/verify", json=body).content
        second = client.post("/verify", json=body).content
        batch = client.post(
            "/batch/verify", json=[{"claim": "Water is wet."}, body, {"claim": "Snow is warm."}]
        )

    assert first == second
    assert batch.json()[1] == json.loads(first)


def test_claim_asked_of_an_empty_past_has_not_enough_information(kite: Kite) -> None:
    """With the evidence removed (position 0 knows nothing) the same claim is NOT_ENOUGH_INFO."""
    answer = kite.verify(EVEREST, as_of=0)

    assert label(answer) == "NOT_ENOUGH_INFO"
    assert answer["evidence"] == []
    assert answer["frameworks"]["empirical"]["abstained"]  # type: ignore[index]


@pytest.mark.parametrize(
    "changed", ["Mount Everest is not 8,849 metres high.", "Mount Everest is 6,200 metres high."]
)
def test_negation_and_changed_number_turn_a_plain_claim(kite: Kite, changed: str) -> None:
    """With "not" put in, or the number changed, support is gone."""
    assert label(kite.verify(changed)) == "REFUTED"


def test_batch_keeps_length_and_order_and_answers_a_bad_items_neighbours(kite: Kite) -> None:
    """A bad item carries its error in its place."""
    items = [{"claim": EVEREST}, {"claim": ""}, {"claim": "Paris is the capital of France."}]
    with kite.client() as client:
        answers = client.post("/batch/verify", json=items).json()

    assert [answer["claim"] for answer in answers] == [EVEREST, "", "Paris is the capital of France."]
    assert "error" in answers[1]["metadata"]
    assert label(answers[0]) == label(answers[2]) == "SUPPORTED"


BAD_REQUESTS: list[tuple[str, bytes, str, int]] = [
    ("empty claim", b'{"claim": ""}', "application/json", 0),
    ("too long", json.dumps({"claim": "a" * 2001}).encode(), "application/json", 422),
    ("10 MB body", b'{"claim": "' + b"a" * 10_000_000 + b'"}', "application/json", 413),
    (
        "NaN weight",
        b'{"claim": "x is y", "frameworks": ["utility"], "framework_weights": [NaN]}',
        "application/json",
        0,
    ),
    ("wrong lengths", b'{"claim": "x is y", "framework_weights": [1]}', "application/json", 422),
    ("unknown framework", b'{"claim": "x is y", "frameworks": ["astrology"]}', "application/json", 422),
    ("invalid UTF-8", b'{"claim": "\xff\xfe"}', "application/json", 400),
    ("truncated", b'{"claim": "x is', "application/json", 400),
    ("wrong type", b"claim=x", "text/plain", 415),
]


@pytest.mark.parametrize(
    ("name", "body", "kind", "status"), BAD_REQUESTS, ids=[row[0] for row in BAD_REQUESTS]
)
def test_bad_input_is_a_clear_4xx_and_the_service_goes_on(
    kite: Kite, name: str, body: bytes, kind: str, status: int
) -> None:
    """problem+json with a sentence, and the next claim is answered."""
    del name
    before = tracebacks(kite)
    with kite.client() as client:
        answer = client.post("/verify", content=body, headers={"content-type": kind})
        problem = answer.json()
        alive = client.post("/verify", json={"claim": EVEREST})

    assert 400 <= answer.status_code < 500
    assert status in (0, answer.status_code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert alive.status_code == 200
    assert tracebacks(kite) == before


def tracebacks(kite: Kite) -> int:
    """Count the exceptions in the gateway's logs."""
    logs = [path for path in Path(kite.head.temp_dir).rglob("*gateway*") if path.is_file()]
    assert logs
    return sum(path.read_text(encoding="utf-8", errors="replace").count("Traceback") for path in logs)


def test_health_metrics_and_docs_answer(kite: Kite) -> None:
    """Every part is up, metrics are Prometheus text, and the docs need no network."""
    with kite.client() as client:
        health = client.get("/health").json()
        ready = client.get("/health/ready")
        metrics = client.get("/metrics").text
        docs = client.get("/docs").text

    assert health["status"] == "healthy"
    stores = {"knowledge", "models", "passage_index", "queue", "queue_worker", "store", "vector_datasets"}
    assert set(health["services"]) == FRAMEWORKS | stores
    assert ready.status_code == 200
    assert 'framework_duration_seconds_count{framework="empirical",replica=' in metrics
    assert "https://" not in docs


def test_client_cannot_lift_the_time_limit(kite: Kite) -> None:
    """The header with which Serve would let a caller set the timeout is ignored."""
    with kite.client() as client:
        answer = client.post(
            "/verify", json={"claim": EVEREST}, headers={"x-request-timeout-seconds": "0.000001"}
        )

    assert answer.status_code == 200


def test_session_plays_an_episode(kite: Kite) -> None:
    """Reset, step, render, list, delete; the reward is the verdict's."""
    with kite.client() as client:
        opened = client.post("/env/reset", json={"config": {"max_steps": 1}}).json()
        session = opened["session_id"]
        step = client.post("/env/step", json={"session_id": session, "claim": EVEREST}).json()
        listed = client.get("/sessions").json()
        over = client.post("/env/step", json={"session_id": session, "claim": EVEREST})
        client.delete(f"/sessions/{session}")
        gone = client.get(f"/env/render/{session}")

    assert step["reward"] == kite.verify(EVEREST)["reward"]
    assert (step["done"], step["truncated"], step["terminated"]) == (True, True, False)
    assert session in [item["session_id"] for item in listed]
    assert over.status_code == 409
    assert gone.status_code == 404


def test_serve_was_given_the_settings_it_runs_with(kite: Kite) -> None:
    """Serve drops keys it does not know; what it reports back is what was set."""
    import ray
    from ray import serve

    from tasks.session import connect

    with connect(kite.settings):
        status = serve.status()
        assert ray.is_initialized()

    names = set(status.applications)
    assert names == {f"framework-{name}" for name in FRAMEWORKS} | {"queue-worker", "gateway"}
    assert all(app.status == "RUNNING" for app in status.applications.values())
