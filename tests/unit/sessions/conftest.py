"""The app over fakes."""

from __future__ import annotations

import pytest

from tests.unit.api.fakes import Rig


@pytest.fixture
def rig() -> Rig:
    """A fresh app over fakes."""
    return Rig()
