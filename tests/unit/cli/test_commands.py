"""Commands in this process against a real server: what they send, and what people and pipes see."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data.errors import InvalidValueError
from tasks import kite
from tasks.commands.batch import _shown
from tasks.commands.bench import Taken, figures, fresh
from tasks.commands.jobs import job_args
from tests.unit.client.loopback import Loopback, Reply, loopback

Type = Callable[..., tuple[int, str, str]]

JOB = {
    "id": "20261121-1",
    "kind": "verify_batch",
    "status": "running",
    "args": {},
    "progress": {"done": 1500, "total": 10000, "rate": 212.4, "eta_s": 40.02, "phase": "verifying"},
    "report": None,
    "reason": "",
    "created_at": "2026-11-21T19:00:00.000+00:00",
}
TASK = {
    "id": "t-1",
    "state": "dead",
    "claim": "Water\tboils.",
    "priority": 5,
    "attempts": 8,
    "error": "The models are away.",
    "result": None,
}


@pytest.fixture(scope="module")
def one_server() -> Iterator[Loopback]:
    with loopback() as made:
        yield made


@pytest.fixture
def server(one_server: Loopback) -> Loopback:
    one_server.asked.clear()
    return one_server


@pytest.fixture
def typed(server: Loopback, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """Type a command; return exit code, output and errors."""
    monkeypatch.setenv("KITE_API_KEY", "kite_key")

    def run(*words: str) -> tuple[int, str, str]:
        code = kite.main([*words, "--url", server.url])
        return code, *capsys.readouterr()

    return run


def reply(value: Any, **headers: str) -> Reply:
    return Reply(body=json.dumps(value).encode(), headers=headers)


def test_jobs_are_listed_with_progress_rate_and_time_left(typed: Type, server: Loopback) -> None:
    """One line each, newest first as they came; the filter is the service's."""
    server.replies(reply([JOB]))
    code, out, _ = typed("jobs", "list", "--state", "running")
    assert (code, out.split("\t")) == (
        0,
        [
            "20261121-1", "verify_batch", "running", "1,500/10,000", "212/s", "0:00:40",
            "2026-11-21T19:00:00.000+00:00\n",
        ],
    )  # fmt: skip
    assert server.asked[0].path == "/api/v1/jobs?state=running&limit=50"
    assert server.asked[0].headers["Authorization"] == "ApiKey kite_key"


def test_job_is_submitted_once_under_its_key(typed: Type, server: Loopback) -> None:
    """Words become arguments; the id alone is printed, for the next command."""
    server.replies(Reply(503, b"{}"), reply(JOB))
    code, out, _ = typed(
        "jobs",
        "submit",
        "verify_batch",
        "input=a.jsonl",
        "limit=5",
        'frameworks=["empirical"]',
        "--key",
        "k1",
    )
    body = {
        "kind": "verify_batch",
        "args": {"input": "a.jsonl", "limit": 5, "frameworks": ["empirical"]},
    }
    assert (code, out) == (0, "20261121-1\n")
    assert [json.loads(asked.body) for asked in server.asked] == [body, body]
    assert {asked.headers["Idempotency-Key"] for asked in server.asked} == {"k1"}


def test_followed_job_that_failed_fails_the_command(typed: Type, server: Loopback) -> None:
    """Scripts can wait for it; its log is the output."""
    server.replies(Reply(body=b"one\ntwo\n"), reply({**JOB, "status": "failed"}))
    assert typed("jobs", "logs", "20261121-1", "--follow")[:2] == (1, "one\ntwo\n")


def test_job_is_submitted_and_followed_to_its_end(typed: Type, server: Loopback) -> None:
    """One command does it all."""
    server.replies(reply(JOB), Reply(body=b"one\n"), reply({**JOB, "status": "succeeded"}))
    assert typed("jobs", "submit", "verify_batch", "input=a.jsonl", "--follow")[:2] == (0, "one\n")
    assert server.asked[1].path == "/api/v1/jobs/20261121-1/logs?follow=true"


def test_dead_tasks_are_listed_over_all_pages(typed: Type, server: Loopback) -> None:
    """A tab in a claim makes no other column."""
    server.replies(reply([TASK], **{"X-Next-Cursor": "c"}), reply([{**TASK, "id": "t-2"}]))
    code, out, _ = typed("tasks", "list", "--state", "dead")
    lines = [line.split("\t") for line in out.splitlines()]
    assert (code, [line[0] for line in lines]) == (0, ["t-1", "t-2"])
    assert lines[0][1:] == ["dead", "8", "5", "Water boils.", "The models are away."]


def test_claims_of_a_file_are_queued_with_their_priority(
    typed: Type, server: Loopback, tmp_path: Path
) -> None:
    """In one request; ids come out in order."""
    file = tmp_path / "claims.txt"
    file.write_text('A.\n{"claim": "B.", "priority": 9}\n')
    server.replies(reply([{**TASK, "id": "a"}, {**TASK, "id": "b"}]))
    code, out, _ = typed("tasks", "submit", "--file", str(file), "--priority", "utility")
    assert (code, out) == (0, "a\nb\n")
    assert json.loads(server.asked[0].body) == [
        {"claim": "A.", "priority": "utility"},
        {"claim": "B.", "priority": 9},
    ]


def test_unhealthy_service_is_told_by_part_and_exit_code(typed: Type, server: Loopback) -> None:
    """One line a part."""
    part = {"state": "down", "latency_ms": None, "breaker": "open", "detail": "away"}
    server.replies(reply({"status": "unhealthy", "version": "1", "services": {"keeper": part}}))
    code, out, _ = typed("status")
    assert (code, out.splitlines()[1]) == (1, "keeper\tdown\t\topen\taway")


def test_options_of_verify_travel(typed: Type, server: Loopback) -> None:
    """Names as the API spells them."""
    server.replies(Reply(422, b'{"detail": "No claim.", "code": "claim-rejected"}'))
    code, out, err = typed(
        "verify", "x", "--frameworks", "empirical, utility", "--alpha", "0.2", "--as-of", "17",
        "--context", "speaker=A=B",
    )  # fmt: skip
    assert (code, out, err) == (2, "", "kite: No claim.\n")
    assert json.loads(server.asked[0].body) == {
        "claim": "x",
        "frameworks": ["empirical", "utility"],
        "alpha": 0.2,
        "as_of": 17,
        "context": {"speaker": "A=B"},
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("verify", "x", "--file", "y"), "only one of them"),
        (("verify", "--file", "no-such-file"), "cannot be read"),
        (("verify", "x", "--context", "speaker"), "speaker=NAME"),
        (("verify", "--text", "no-such-file"), "cannot be read"),
        (("jobs", "submit", "backup", "kind"), "input=claims.jsonl"),
        (("search", "words"), "no --url"),
        (("tasks", "submit"), "one of them"),
        (("tasks", "submit", "x", "--priority", "high"), "--priority"),
        (("bench", "--seconds", "0"), "must be positive"),
        (("import", "no-such-file.jsonl"), "cannot be read"),
    ],
)
def test_mistake_is_one_line_and_nothing_is_sent(
    typed: Type, server: Loopback, words: tuple[str, ...], told: str
) -> None:
    """Exit code 2."""
    code, out, err = typed(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert server.asked == []


def test_import_with_bad_rows_is_partly_done(typed: Type, server: Loopback, tmp_path: Path) -> None:
    """Exit code 3; what was set aside is told."""
    file = tmp_path / "facts.csv"
    file.write_text("subject,predicate,object\na,b,c\n")
    errors = [{"row": 2, "reason": "no subject"}]
    server.replies(reply({"kind": "facts", "rows": 2, "imported": 1, "rejected": 1, "errors": errors}))
    code, out, _ = typed("import", str(file))
    assert code == 3
    assert "errors[0].reason: no subject\n" in out


def test_dataset_search_shows_rank_score_and_text(typed: Type, server: Loopback) -> None:
    """The text on one line."""
    vector = {"id": "v", "document_id": "d", "content": "two\nlines"}
    server.replies(reply({"results": [{"rank": 1, "score": 0.51234, "vector": vector}]}))
    code, out, _ = typed("search", "words", "--dataset", "s", "--filters", "a = 1", "--limit", "2")
    assert (code, out) == (0, "1\t0.512\tv\td\ttwo lines\n")
    assert json.loads(server.asked[0].body) == {
        "query_text": "words",
        "options": {"top_k": 2, "include_content": True, "filters": "a = 1"},
    }


def test_words_become_arguments_by_their_shape() -> None:
    """Numbers, lists and truth as JSON; all else is text."""
    assert job_args(["a=1", "b=x=y", "c=true", 'd=["e"]']) == {"a": 1, "b": "x=y", "c": True, "d": ["e"]}
    with pytest.raises(InvalidValueError, match="input=claims"):
        job_args(["=1"])


def test_figures_of_a_measurement() -> None:
    """Percentiles are of requests that were answered; none measured are null."""
    taken = Taken([0.001 * number for number in range(1, 101)], 200, 0, "", 2.0)
    assert figures(taken)["latency_ms"] == {"p50": 51.0, "p95": 96.0, "p99": 100.0}
    assert figures(taken)["claims_per_s"] == 100.0
    assert figures(Taken())["latency_ms"]["p50"] is None


def test_claims_of_a_measurement_are_never_asked_twice() -> None:
    """Or the cache of answers would be measured."""
    claims = fresh(["a", "b"])
    asked = [json.dumps(next(claims)) for _ in range(5)]
    assert len(set(asked)) == 5


def test_batch_tells_counts_and_leaves_out_what_was_asked() -> None:
    """A person sees at once how many were answered, and how fast."""
    report = {
        "rows": 3,
        "dead_letters": 0,
        "calibration": None,
        "options": {"limit": 3},
        "files": [{"rows": 3}],
    }
    assert list(_shown(report).fields) == [("rows", 3), ("dead_letters", 0)]
