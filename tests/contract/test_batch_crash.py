"""A short run of the crash runs that ``python -m tests.crash.batch_runs`` makes longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.batch_runs import run


@pytest.mark.timeout(300)
def test_batch_killed_throughout_holds_every_row_once_in_the_same_bytes(tmp_path: Path) -> None:
    """Four times kill -9 of the driver: each output is that of a batch that ran through."""
    report = run(tmp_path, 4, seed=7, rows=600)

    assert report["faults"] == []
    assert report["kills"] == 4
    assert report["starts"] > report["kills"]
