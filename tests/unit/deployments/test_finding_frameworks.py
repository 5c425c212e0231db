"""Frameworks are found by name, and a process that runs one loads no other."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deployments.frameworks import discover, find


def test_find_gives_what_discover_does() -> None:
    for name, spec in discover().items():
        assert find(name) is spec


def test_find_knows_no_framework_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        find("astrology")


def test_replica_of_one_framework_loads_neither_the_gateway_nor_another_framework() -> None:
    """Every module that each of them loads is paid for by all, at every start."""
    script = (
        "import sys, deployments.framework_replica as replica; replica.find('utility'); "
        "print(*sorted(name for name in sys.modules if name.startswith('deployments.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {
        "deployments.building",
        "deployments.framework",
        "deployments.framework_replica",
        "deployments.frameworks",
        "deployments.frameworks.utility",
    }
