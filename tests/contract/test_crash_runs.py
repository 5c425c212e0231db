"""A few of the crash runs that ``make crash`` makes by the hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.runs import run


@pytest.mark.timeout(300)
def test_keeper_killed_under_full_load_loses_doubles_and_tears_nothing(tmp_path: Path) -> None:
    """Five times kill -9: every acknowledged write is there once, views and chain agree with the ledger."""
    report = run(tmp_path, 5, seed=7)

    assert report.faults == []
    assert report.runs == 5
    assert report.acknowledged > 0
