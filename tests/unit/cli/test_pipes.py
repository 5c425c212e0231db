"""``kite`` in real pipes: a process of its own, a real server, lines one by one, readers that go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.loopback import Asked, Loopback, Reply, loopback

ROOT = Path(__file__).resolve().parents[3]


def answered(asked: Asked) -> Reply:
    """Answer as ``/batch/verify`` does, with nothing but what the command looks at."""
    return Reply(body=json.dumps([answer_to(item["claim"]) for item in json.loads(asked.body)]).encode())


def answer_to(claim: str) -> dict[str, Any]:
    if claim == "refused":
        return {"claim": claim, "verdict": None, "metadata": {"error": "It is no claim."}}
    sure = {"probabilities": {"SUPPORTED": 0.9}, "confidence": 0.9}
    verdict = {"label": "SUPPORTED", **sure, "abstained": None}
    return {"claim": claim, "verdict": verdict, "metadata": {}}


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as made:
        made.answers = answered
        yield made


def started(server: Loopback, *words: str) -> subprocess.Popen[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KITE_")}
    return subprocess.Popen(
        # Ctrl-C is ignored by what was started in the background, and a process inherits that.
        ["env", "--default-signal=INT", sys.executable, "-m", "tasks.kite", *words],
        cwd=ROOT,
        env={**clean, "KITE_URL": server.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_pipe_is_answered_line_by_line_while_it_is_open_and_in_order(server: Loopback) -> None:
    """The first answer is there before the second claim is sent; a bad line is told among the good ones."""
    with started(server, "verify", "--jsonl") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"Water boils.\n")
        process.stdin.flush()
        first = json.loads(process.stdout.readline())
        out, err = process.communicate(b'refused\n{"claim": "Ice melts."}\n')
    rest = [json.loads(line) for line in out.splitlines()]

    assert (first["claim"], first["verdict"]["label"]) == ("Water boils.", "SUPPORTED")
    assert [one["claim"] for one in rest] == ["refused", "Ice melts."]
    assert (process.returncode, err) == (3, b"")


def test_plain_answers_in_a_pipe_are_lines(server: Loopback) -> None:
    """For grep: label, probability, claim."""
    with started(server, "verify", "--file", "-") as process:
        out, _ = process.communicate("Water boils at 100 °C.\n".encode())
    assert (process.returncode, out.decode()) == (0, "SUPPORTED  90%  Water boils at 100 °C.\n")


def test_reader_that_goes_away_ends_the_command_quietly(server: Loopback) -> None:
    """As ``head`` does: no trace on standard error."""
    with started(server, "verify", "--jsonl") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"Water boils.\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"Ice melts.\n")
        process.stdin.close()
        told = process.stderr.read()
    assert (process.returncode, told) == (141, b"")


def test_interrupted_command_exits_with_130_and_no_trace(server: Loopback) -> None:
    """Ctrl-C while it waits for claims."""
    with started(server, "verify", "--jsonl") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"Water boils.\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, b"")


def test_service_that_fails_midway_says_how_far_it_was(server: Loopback) -> None:
    """What was answered stands; the exit code says that the service was at fault."""
    with started(server, "verify", "--jsonl") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"Water boils.\n")
        process.stdin.flush()
        process.stdout.readline()
        server.answers = lambda _: Reply(
            503, b'{"detail": "Full.", "code": "saturated", "request_id": "r-7"}', {"Retry-After": "900"}
        )
        _, err = process.communicate(b"Ice melts.\n")
    assert process.returncode == 4
    assert err.decode().splitlines() == [
        "kite: Full.",
        "1 claims before were answered; go on after them.",
        "request id: r-7",
    ]
