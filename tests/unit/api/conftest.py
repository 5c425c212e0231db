"""The app over fakes, and over a keeper of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.api.fakes import Rig
from tests.unit.api.knowledge_fakes import House, Tenant


@pytest.fixture
def rig() -> Rig:
    """A fresh app over fakes."""
    return Rig()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A keeper for the tests of one module: each speaks as tenants of its own."""
    made = House(tmp_path_factory.mktemp("house"))
    yield made
    made.close()


@pytest.fixture
def mine(house: House, request: pytest.FixtureRequest) -> Tenant:
    """A tenant that nobody has been yet."""
    return house.tenant(f"mine {request.node.name}")


@pytest.fixture
def other(house: House, request: pytest.FixtureRequest) -> Tenant:
    """Another tenant that nobody has been yet."""
    return house.tenant(f"other {request.node.name}")
