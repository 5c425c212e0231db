"""A home with jobs for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.jobs.job_house import JobHouse


@pytest.fixture
def house(tmp_path: Path) -> JobHouse:
    """A home in which one job runs at a time and dies three times at most."""
    return JobHouse(tmp_path, concurrent=1, attempts=3)
