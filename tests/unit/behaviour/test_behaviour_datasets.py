"""The promises that must hold on every real claim, with the shipped models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from cluster.wiring import open_models
from configs.load import load_settings
from data.errors import ConfigError
from tasks.behaviour.cases import choose_cases
from tasks.behaviour.judging import shipped_judge
from tasks.behaviour.relations import Observation, observe
from tasks.build_embedder import build

#: The time is that of the fixture, which loads the models and judges every probe.
pytestmark = [pytest.mark.datasets, pytest.mark.timeout(900)]
CLAIMS = 60


@pytest.fixture(scope="module")
def observations(tmp_path_factory: pytest.TempPathFactory) -> list[Observation]:
    datasets = os.environ.get("KITE_DATASETS")
    if not datasets:
        pytest.skip("KITE_DATASETS is not set: there is no labelled data here")
    home = tmp_path_factory.mktemp("home")
    try:
        build(home / "models" / "embedder")
    except ConfigError as exc:
        pytest.skip(f"the embedder's weights are not installed: {exc}")
    settings = load_settings(environment="testing", overrides=[f"home={home}"])
    cases = choose_cases(Path(datasets), "dev", CLAIMS)
    assert len(cases) == CLAIMS
    return observe(cases, shipped_judge(open_models(settings), settings))


def failures(observations: Sequence[Observation], relation: str, *forms: str) -> list[tuple[str, str]]:
    mine = [each for each in observations if each.probe.relation == relation]
    mine = [each for each in mine if not forms or each.probe.form in forms]
    assert len(mine) >= CLAIMS
    return [(each.probe.form, each.case.claim) for each in mine if not each.held]


def test_order_of_evidence_never_shows(observations: list[Observation]) -> None:
    """Whole verdicts are the same bytes."""
    assert failures(observations, "order") == []


def test_no_evidence_is_always_not_enough_info(observations: list[Observation]) -> None:
    """Nothing found decides nothing."""
    assert failures(observations, "empty") == []


def test_copies_of_evidence_never_raise_confidence(observations: list[Observation]) -> None:
    """The same words from elsewhere, once or five times, are no more evidence."""
    assert failures(observations, "duplicates", "copy", "five_times") == []
