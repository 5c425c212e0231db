"""A short run of the crash runs that ``python -m tests.crash.queue_runs`` makes longer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.crash.queue_runs import run


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_queue_workers_killed_throughout_lose_and_double_nothing(kind: str, tmp_path: Path) -> None:
    """2,000 tasks, workers and Redis killed: each done once with its result, or dead with its reason."""
    if kind == "redis" and not shutil.which("redis-server"):
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed: CI must test the Redis queue")
        pytest.skip("redis-server is not installed")
    report = run(tmp_path, kind, 2_000, seed=7)

    assert report.faults == []
    assert report.done + report.dead_bad + report.dead_worn == 2_000
    assert report.kills >= 10
    assert report.server_kills == (2 if kind == "redis" else 0)
