"""``kite`` against the session's cluster, in this process: what a person types, and what comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.client.async_client import AsyncKiteClient
from tasks import kite as command
from tests.cluster.conftest import Kite

pytestmark = pytest.mark.cluster
Type = Callable[..., tuple[int, Any]]


@pytest.fixture
def typed(
    kite: Kite, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Type:
    """Run a command on the session's installation; return its exit code and what it told as JSON."""
    for name in ("KITE_URL", "KITE_API_KEY", "KITE_ENV"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> tuple[int, Any]:
        where = ("--env", "testing", "--set", f"home={kite.home}", "--set", "auth.mode=required")
        code = command.main([*words, "--json", *where])
        out = capsys.readouterr().out
        try:
            return code, json.loads(out or "null")
        except json.JSONDecodeError:
            return code, [json.loads(line) for line in out.splitlines()]

    return run


def test_status_tells_every_part(typed: Type) -> None:
    """All up, exit code 0."""
    code, report = typed("status")
    assert (code, report["status"]) == (0, "healthy")
    assert {"empirical", "consistency"} <= set(report["services"])


def test_claim_and_file_are_verified_alike(typed: Type, tmp_path: Path) -> None:
    """A claim of the demo, alone and among others, has the same verdict; a bad line is told."""
    claim = "Mount Everest is 8,849 metres high."
    file = tmp_path / "claims.txt"
    file.write_text(f"{claim}\n!!!\n")
    code, alone = typed("verify", claim)
    many_code, many = typed("verify", "--file", str(file))

    assert (code, alone["verdict"]["label"]) == (0, "SUPPORTED")
    assert (many_code, many[0]["verdict"]) == (3, alone["verdict"])
    assert many[1]["metadata"]["error"]


def test_knowledge_is_imported_and_found_again(typed: Type, tmp_path: Path) -> None:
    """A document with a word that nobody else has; a row that is none is set aside."""
    file = tmp_path / "documents.jsonl"
    file.write_text(
        '{"id": "cli-1", "title": "Zorblax", "text": "The zorblax weighs nine tons."}\n{"x": 1}\n'
    )
    code, report = typed("import", str(file), "--kind", "documents")
    found_code, found = typed("search", "How heavy is the zorblax?", "--limit", "3")

    assert (code, report["imported"], report["rejected"]) == (3, 1, 1)
    assert (found_code, found[0]["document_id"]) == (0, "cli-1")


def test_dataset_is_made_searched_and_removed(typed: Type, kite: Kite) -> None:
    """Through the command line, with texts put in by the client."""
    _, made = typed("datasets", "create", "cli-papers")
    with kite.client() as client:
        put = client.post(f"/api/v1/datasets/{made['id']}/documents", json={"text": "Quokkas eat leaves."})
        assert put.status_code == 201, put.text
    code, found = typed("search", "leaves", "--dataset", made["id"], "--mode", "semantic")
    _, listed = typed("datasets", "list")
    gone_code, _ = typed("datasets", "delete", made["id"], "--yes")

    assert (code, len(found["results"])) == (0, 1)
    assert made["id"] in [one["id"] for one in listed]
    assert (gone_code, typed("datasets", "show", made["id"])[0]) == (0, 2)


def test_queued_claim_is_verified_and_counted(typed: Type) -> None:
    """Its answer is that of ``verify``."""
    claim = "The Eiffel Tower was completed in 1889."
    code, task = typed("tasks", "submit", claim, "--priority", "utility")
    for _ in range(600):
        shown_code, shown = typed("tasks", "show", task["id"])
        if shown["state"] == "done":
            break
    _, alone = typed("verify", claim)

    assert (code, shown_code) == (0, 0)
    assert shown["result"]["verdict"]["id"] == alone["verdict"]["id"]
    assert typed("tasks", "count")[1]["done"] >= 1


def test_job_is_submitted_followed_and_shown(typed: Type, kite: Kite) -> None:
    """A batch of two claims; its log ends when it does, and its report counts them."""
    claims = json.dumps([{"claim": "Water boils at 100 °C."}, {"claim": "Ice is warm."}])
    code, made = typed("jobs", "submit", "verify_batch", f"claims={claims}")
    followed_code, _ = typed("jobs", "logs", made["id"], "--follow")
    _, shown = typed("jobs", "show", made["id"])

    assert (code, followed_code, shown["status"]) == (0, 0, "succeeded")
    assert made["id"] in [one["id"] for one in typed("jobs", "list", "--kind", "verify_batch")[1]]
    assert typed("jobs", "show", "no-such-job")[0] == 2


def test_keys_are_made_and_ended_by_command(typed: Type, kite: Kite) -> None:
    """A key made here opens the API, and is shut once it is revoked."""
    code, made = typed("keys", "create", "cli", "--tenant", "default", "--role", "verifier")
    kite.secrets.add("a key of the command line", made["key"])
    with kite.client(made["key"]) as client:
        assert client.get("/api/v1/admin/me").json()["role"] == "verifier"
    ended_code, ended = typed("keys", "revoke", made["id"])

    assert (code, ended_code) == (0, 0)
    assert ended["revoked_at"] is not None


def test_doctor_finds_a_running_installation_well(typed: Type) -> None:
    """Its ports are its own, its models sound, its secrets its owner's."""
    _, checks = typed("doctor")
    states = {check["name"]: check["state"] for check in checks}

    assert states["processes"] == "ok"
    assert states["permissions"] == "ok"
    assert states["model embedder"] == "ok"
    assert [name for name, state in states.items() if state == "fail"] == []


def test_bench_measures_the_running_service(typed: Type) -> None:
    """A second of it: figures, and no error."""
    code, report = typed("bench", "--seconds", "1", "--callers", "2")

    assert (code, report["errors"]) == (0, 0)
    assert report["claims_per_s"] > 0.5
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p99"]


async def _health(kite: Kite) -> str:
    async with AsyncKiteClient(kite.head.http_url, api_key=kite.admin_key) as client:
        answers = await client.verify_batch(["Water boils at 100 °C."] * 3)
        assert len({answer["verdict"]["id"] for answer in answers if answer["verdict"]}) == 1
        return (await client.health())["status"]


def test_awaited_client_speaks_to_the_real_service(kite: Kite) -> None:
    """Three claims, one verdict."""
    assert asyncio.run(_health(kite)) == "healthy"
