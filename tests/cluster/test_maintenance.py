"""Looking after a running installation from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.cluster.conftest import Kite


def told(kite: Kite, task: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    chosen = ["--env", "testing", "--set", f"home={kite.home}"]
    command = [sys.executable, "-m", f"tasks.{task}", *arguments, *chosen]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def done(kite: Kite, task: str, *arguments: str) -> dict[str, Any]:
    told_now = told(kite, task, *arguments)
    assert told_now.returncode == 0, told_now.stderr
    return dict(json.loads(told_now.stdout))


def test_vectors_are_built_anew_and_the_ledger_checked_while_it_serves(kite: Kite) -> None:
    """The answer is the same before and after, and no byte is damaged."""
    before = kite.verify("Mount Everest is 8,849 metres high.")
    rebuilt = done(kite, "rebuild_view", "vectors")
    checked = done(kite, "check_ledger", "--views")
    after = kite.verify("Mount Everest is 8,849 metres high.")

    assert rebuilt["vectors"]["applied_seq"] > 0
    assert checked["faults"] == []
    assert after["verdict"] == before["verdict"]


def test_impossible_horizon_is_told_in_one_line(kite: Kite) -> None:
    """What the keeper refuses is said in its own words, without a trace of where it runs."""
    refused = told(kite, "compact", "--horizon", "999999999", "--dry-run")

    assert refused.returncode == 2
    assert refused.stderr.startswith("The horizon 999999999 is no position of this ledger")
    assert len(refused.stderr.strip().splitlines()) == 1
