"""Homes of these tests lie in memory where the system offers it: a hundred are made, copied and killed.

What a kill leaves behind is the same there; what a power cut leaves behind is not tested here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.keeper import Keeper
from tests.fakes import FakeVectorSink
from tests.unit.backups.homes import SEALERS, House

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder that is gone after the test."""
    if not MEMORY.is_dir():
        yield tmp_path_factory.mktemp("backups")
        return
    with tempfile.TemporaryDirectory(prefix="kite-backups-", dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(params=sorted(SEALERS))
def sealed_house(tmp_path: Path, request: pytest.FixtureRequest) -> House:
    """An empty home whose backups are plain, and one whose backups are sealed."""
    return House(tmp_path, request.param)


@pytest.fixture
def keeper(house: House) -> Iterator[Keeper]:
    """The home of the test's own ``house``, running."""
    made = Keeper(house.home, house.clock, FakeVectorSink())
    yield made
    made.close()
