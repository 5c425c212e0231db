"""Traces of the running installation, as a collector gets them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from deployments.frameworks import discover
from tests.cluster.conftest import Kite
from tests.otlp_receiver import Received, Receiver

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PATIENCE_S = 90.0
CLAIM = "Mount Everest, that lonely mountain, is 8,849 metres high in Zanzibarian traces."


def traceparent() -> tuple[str, str]:
    """A new trace's id, and the header that asks for it."""
    trace_id = os.urandom(16).hex()
    return trace_id, f"00-{trace_id}-{os.urandom(8).hex()}-01"


def awaited(collector: Receiver, trace_id: str, last: str) -> list[Received]:
    """Return the trace when its first span, which is sent after all others, has come."""
    return until(
        lambda: (spans := collector.trace(trace_id)) and any(span.name == last for span in spans) and spans,
        lambda: [span.name for span in collector.trace(trace_id)],
    )


def until(found: Callable[[], object], what: Callable[[], object]) -> list[Received]:
    deadline = time.monotonic() + PATIENCE_S
    while not (spans := found()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)
    assert isinstance(spans, list)
    return spans


def paths(spans: list[Received]) -> set[tuple[str, ...]]:
    """Return each span's name after those above it."""
    known = {span.id: span for span in spans}

    def path(span: Received) -> tuple[str, ...]:
        above = path(known[span.parent]) if span.parent in known else ()
        return (*above, span.name)

    return {path(span) for span in spans}


def test_trace_of_a_claim_shows_ingress_frameworks_actors_and_stores_and_no_claim(
    kite: Kite, collector: Receiver
) -> None:
    """One trace under the caller's span, each process in its own name, parents as the work was."""
    trace_id, header = traceparent()
    with kite.client() as client:
        answer = client.post("/verify", json={"claim": CLAIM}, headers={"traceparent": header})
    assert answer.status_code == 200, answer.text
    spans = awaited(collector, trace_id, "POST /verify")

    (root,) = [span for span in spans if span.name == "POST /verify"]
    assert root.parent == header.split("-")[2]
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["kite.tenant"]
    batch = ("POST /verify", "verify", "batch")
    found = paths(spans)
    for name in discover():
        framework = (*batch, f"framework {name}", "call")
        assert (*framework, f"kite-framework-{name}/verify") in found
    look_up = (*batch, "retrieval", "keeper/look_up", "kite-keeper/look_up")
    append = (*batch, "record", "keeper/append", "kite-keeper/append", "append", "commit")
    search = (*batch, "retrieval", "index/passages/search", "kite-passage-index/search")
    wanted = {
        *((*look_up, name) for name in ("lexical search", "facts", "graph", "patterns", "history")),
        *((*append, name) for name in ("ledger", "views")),
        (*search, "faiss search"),
        (*batch, "retrieval", "models/embed", "kite-models/embed", "embedder"),
        (*batch, "cache", "lmdb put"),
        (*batch, "fusion"),
    }
    assert wanted - found == set()
    assert {span.service for span in spans} >= {"kite-gateway", "kite-keeper", "kite-models"}
    assert [path for path in found if path[0] != "POST /verify"] == []
    assert not any(span.failed for span in spans)
    assert CLAIM.encode() not in b"".join(collector.bodies)
    assert b"Zanzibarian" not in b"".join(collector.bodies)
    print(collector.tree(trace_id))


def test_metrics_give_the_trace_of_a_request_as_an_example(kite: Kite) -> None:
    """Whichever replica answers, when replicas have told each other."""
    trace_id, header = traceparent()
    asked = {"Accept": "application/openmetrics-text"}
    with kite.client() as client:
        client.post("/verify", json={"claim": CLAIM}, headers={"traceparent": header})
        deadline = time.monotonic() + PATIENCE_S
        while f'trace_id="{trace_id}"' not in (told := client.get("/metrics", headers=asked)).text:
            assert time.monotonic() < deadline, told.text[-2_000:]
            time.sleep(0.5)

    assert told.headers["content-type"].startswith("application/openmetrics-text")


def test_job_is_a_trace_of_its_own_with_a_link_to_the_request(kite: Kite, collector: Receiver) -> None:
    """A job in a process of its own: its worker's spans, and those of the frameworks that it asked."""
    trace_id, header = traceparent()
    args = {"claims": [CLAIM, "Water boils at 90 degrees."], "order": "utility"}
    with kite.client() as client:
        asked = client.post(
            "/jobs", json={"kind": "verify_batch", "args": args}, headers={"traceparent": header}
        )
        assert asked.status_code == 202, asked.text
        job = asked.json()["id"]

    def jobs() -> list[Received]:
        return [span for span in collector.spans if span.attributes.get("kite.job.id") == job]

    (root,) = until(jobs, lambda: [span.name for span in collector.spans])
    spans = collector.trace(root.trace_id)
    assert root.name == "job verify_batch"
    assert root.service == "kite-job"
    assert root.links == (trace_id,)
    wanted = ("job verify_batch", "worker", "part", "derive", "batch", "framework empirical")
    assert wanted in paths(spans)
    assert "kite-framework-empirical" in {span.service for span in spans}
    assert CLAIM.encode() not in b"".join(collector.bodies)
    print(collector.tree(root.trace_id))
