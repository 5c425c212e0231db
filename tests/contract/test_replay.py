"""Replay with the shipped models over the real stores: the bytes of then, whatever was learnt since.

Needs the published embedder weights, which are not in the repository; skips where they are not installed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from configs.load import load_settings
from data.errors import ConfigError
from tests.benchmarks.replay import Report, material, prepare, run

#: The time is that of the fixture, which loads the models three times and verifies every claim twice.
pytestmark = pytest.mark.timeout(600)


def replayed(
    home: Path, *, datasets: Path | None, claims: int, documents: int, restored: bool = False
) -> Report:
    settings = load_settings(environment="testing", environ={}, overrides=[f"home={home}"])
    try:
        prepare(settings)
    except ConfigError as exc:
        pytest.skip(f"the embedder's weights are not installed: {exc}")
    return run(settings, material(datasets, claims, documents), more=documents // 3, restored=restored)


def test_replay_of_the_demos_claims_gives_the_same_bytes(tmp_path: Path) -> None:
    """After changes of every kind, a restart, and vectors and a view built again: no difference."""
    report = replayed(tmp_path, datasets=None, claims=40, documents=0)

    assert (dict(report.different), report.same) == ({}, report.verdicts)
    assert report.verdicts == 40
    assert report.positions > 1
    assert len(report.labels) >= 3


def test_restore_to_a_moment_gives_the_verdicts_of_that_moment(tmp_path: Path) -> None:
    """Backed up after changes of every kind and brought back to before them: the same bytes."""
    report = replayed(tmp_path, datasets=None, claims=20, documents=0, restored=True)

    assert (dict(report.different), report.same) == ({}, report.verdicts)
    assert (report.verdicts, report.restored_to is None) == (20, False)


@pytest.mark.datasets
def test_replay_of_real_claims_gives_the_same_bytes(tmp_path: Path) -> None:
    """The same over a corpus, of which a third is removed and a third comes later, with calibration."""
    named = os.environ.get("KITE_DATASETS")
    if not named:
        pytest.skip("KITE_DATASETS is not set: there is no labelled data here")
    report = replayed(tmp_path, datasets=Path(named), claims=100, documents=300)

    assert (dict(report.different), report.same) == ({}, report.verdicts)
    assert report.verdicts == 100
    assert report.calibrated > 0
    assert report.changes_after > 100
