"""Homes of these tests lie in memory where the system offers it: a hundred are made, copied and killed.

What a kill leaves behind is the same there; what a power cut leaves behind is not tested here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder that is gone after the test."""
    if not MEMORY.is_dir():
        yield tmp_path_factory.mktemp("backups")
        return
    with tempfile.TemporaryDirectory(prefix="kite-backups-", dir=MEMORY) as folder:
        yield Path(folder)
