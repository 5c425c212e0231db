"""Jobs of the running system: submitted, followed, stopped, killed and run again, the same by every way."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster.head import PROJECT_ROOT, client_environment
from data.jobs.records import JobState
from tests.cluster.conftest import Kite

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

JOBS = "/api/v1/jobs"
#: Longest time that a job of these takes on two loaded cores, seconds.
PATIENCE_S = 120.0


def until(what: Callable[[], Any]) -> Any:
    """Wait for something to become true and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def submit(kite: Kite, kind: str, **args: Any) -> str:
    with kite.client() as client:
        answer = client.post(JOBS, json={"kind": kind, "args": args})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def job(kite: Kite, job_id: str) -> dict[str, Any]:
    with kite.client() as client:
        return dict(client.get(f"{JOBS}/{job_id}").json())


def ended(kite: Kite, job_id: str) -> dict[str, Any]:
    final = [state.value for state in JobState if state.is_final]
    found: dict[str, Any] = until(lambda: (told := job(kite, job_id))["status"] in final and told)
    return found


def facts_file(kite: Kite, name: str, rows: int) -> str:
    """Put facts where jobs of the default tenant may read; return the path relative to that place."""
    place = kite.home / "files" / "default"
    place.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"id": f"{name}-{row}", "subject": name, "predicate": "has", "object": f"part {row}"})
        for row in range(rows)
    ]
    (place / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return f"{name}.jsonl"


def facts_of(kite: Kite, subject: str) -> list[str]:
    with kite.client() as client:
        found = client.get("/api/v1/knowledge/facts", params={"subject": subject, "limit": 1_000}).json()
    return sorted(str(fact["id"]) for fact in found)


def drivers(job_id: str) -> list[psutil.Process]:
    """The Python processes that run a job."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if "tasks.run_job" in words and any(job_id in word for word in words):
                found.append(process)
    return found


def test_job_is_followed_to_its_report(kite: Kite) -> None:
    """The log ends when the job ends; then the report is there, and what was asked for is done."""
    job_id = submit(kite, "import_knowledge", file=facts_file(kite, "gannet", 30))
    with kite.client() as client, client.stream("GET", f"{JOBS}/{job_id}/logs?follow=true") as logs:
        text = "".join(logs.iter_text())

    told = job(kite, job_id)

    assert told["status"] == "succeeded", told
    assert told["report"]["imported"] == 30
    assert told["progress"]["done"] == told["progress"]["total"] == 30
    assert "30 rows in" in text
    assert len(facts_of(kite, "gannet")) == 30


def test_job_whose_driver_is_killed_is_run_again(kite: Kite) -> None:
    """SIGKILL of the driver costs an attempt, and no row is lost or there twice."""
    job_id = submit(kite, "import_knowledge", file=facts_file(kite, "fulmar", 50))
    until(lambda: job(kite, job_id)["status"] == "running")
    (driver,) = until(lambda: drivers(job_id))

    driver.kill()
    told = ended(kite, job_id)

    assert (told["status"], told["attempt"]) == ("succeeded", 2), told
    assert facts_of(kite, "fulmar") == sorted(f"fulmar-{row}" for row in range(50))


def test_job_that_is_stopped_leaves_no_process(kite: Kite) -> None:
    """Stopped means that its driver is gone."""
    job_id = submit(kite, "import_knowledge", file=facts_file(kite, "petrel", 5_000))
    until(lambda: drivers(job_id))
    with kite.client() as client:
        client.delete(f"{JOBS}/{job_id}")

    told = ended(kite, job_id)

    assert told["status"] == "stopped"
    assert until(lambda: not drivers(job_id))


def test_ray_job_submit_leaves_the_same_folder(kite: Kite, tmp_path: Path) -> None:
    """A job of ``ray job submit`` stands in the list with its progress, report and log like any other."""
    path = kite.home / "files" / "default" / facts_file(kite, "skua", 20)
    args = json.dumps({"file": str(path)})
    command = [
        str(Path(sys.executable).parent / "ray"), "job", "submit", "--address", kite.head.dashboard_url,
        "--submission-id", "skua", "--", sys.executable, "-m", "tasks.run_job", "import_knowledge", args,
        "--env", "testing", "--set", f"home={kite.home}",
    ]  # fmt: skip
    environment = {**os.environ, **client_environment(kite.settings)}

    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False, timeout=200
    )

    assert done.returncode == 0, done.stdout + done.stderr
    with kite.client() as client:
        (told,) = [one for one in client.get(JOBS).json() if one["submission"] == "skua"]
        log = client.get(f"{JOBS}/{told['id']}/logs").text
    assert (told["status"], told["kind"], told["progress"]["done"]) == ("succeeded", "import_knowledge", 20)
    assert job(kite, told["id"])["report"]["imported"] == 20
    assert "20 rows in" in log
    assert "20 rows in" in done.stdout


def test_short_list_of_claims_is_answered_without_a_driver(kite: Kite) -> None:
    """The deployments answer at once, with the very bytes of the route; Ray hears of no job."""
    claims = [f"The Eiffel Tower is {height} metres tall." for height in range(300, 340)]
    with kite.client() as client:
        route = client.post("/batch/verify", json=[{"claim": claim} for claim in claims])
        job_id = submit(kite, "verify_batch", claims=claims)
        told = ended(kite, job_id)
        rows = client.get(f"{JOBS}/{job_id}/output").content.splitlines()

    assert (told["status"], told["submission"], told["report"]["this_run"]["by"]) == (
        "succeeded",
        None,
        "online",
    )
    assert b"[" + b",".join(row[row.index(b'"answer":') + 9 : -1] for row in rows) + b"]" == route.content


def test_job_of_a_file_goes_through_the_batch_task(kite: Kite) -> None:
    """A file of claims becomes rows beside it, by the task that ``ray job submit`` runs."""
    place = kite.home / "files" / "default"
    place.mkdir(parents=True, exist_ok=True)
    (place / "claims.txt").write_text(
        "Water boils at 100 degrees Celsius.\nWater is dry.\n", encoding="utf-8"
    )

    told = ended(kite, submit(kite, "verify_batch", input="claims.txt", output="verdicts"))

    assert told["status"] == "succeeded", told
    assert told["report"]["rows"] == 2
    assert (place / "verdicts" / "_SUCCESS").exists()
    with kite.client() as client:
        assert client.get(f"{JOBS}/{told['id']}/output").status_code == 404
