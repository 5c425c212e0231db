"""The empirical framework with the shipped models on plain statements, from claim and evidence to opinion.

Needs the published embedder weights, which are not in the repository; skips where they are not installed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.analysis import Span
from data.claims import make_claim
from data.errors import ConfigError
from data.evidence import ClaimBatch, Evidence
from data.models.boosters import BoosterScorer
from data.models.embedding import OnnxEmbedder
from data.models.stance import TrainedStance
from data.text.analyser import SpacyAnalyser
from data.verdicts import Opinion
from deployments.frameworks.empirical import Empirical, EmpiricalConfig
from tasks.build_embedder import build

ROOT = Path(__file__).parents[3]
FACTS = [
    fact
    for name in ("plain_facts.json", "plain_facts_unseen.json")
    for fact in json.loads((ROOT / "tests" / "unit" / "models" / name).read_text(encoding="utf-8"))
]
ANALYSER = SpacyAnalyser()


@pytest.fixture(scope="module")
def framework(tmp_path_factory: pytest.TempPathFactory) -> Empirical:
    folder = tmp_path_factory.mktemp("home") / "embedder"
    try:
        build(folder)
    except ConfigError as exc:
        pytest.skip(f"the embedder's weights are not installed: {exc}")
    embedder = OnnxEmbedder(folder)
    stance = TrainedStance(ANALYSER, ROOT / "models" / "stance")
    scorer = BoosterScorer([ROOT / "models" / "aggregator"], embedder.identity)
    return Empirical(EmpiricalConfig(), stance=stance, scorer=scorer, analyser=ANALYSER)


def opinions(framework: Empirical, cases: list[tuple[str, list[str]]]) -> list[Opinion]:
    claims = tuple(make_claim(text) for text, _ in cases)
    evidence = tuple(
        tuple(
            Evidence(f"e{place}", f"d{place}", text, Span(0, len(text))) for place, text in enumerate(texts)
        )
        for _, texts in cases
    )
    empty: tuple[tuple[()], ...] = tuple(() for _ in cases)
    batch = ClaimBatch(
        claims,
        tuple(ANALYSER.analyse([claim.text for claim in claims])),
        np.zeros((len(cases), 1), dtype=np.float32).tobytes(),
        evidence,
        empty,
        empty,
    )
    return [outcome for outcome in framework.verify(batch) if isinstance(outcome, Opinion)]


def share(labels: list[str], *wanted: str) -> float:
    return sum(label in wanted for label in labels) / len(labels)


def test_plain_facts_beside_their_source_are_supported(framework: Empirical) -> None:
    """Their passage and one about something else: nine in ten are supported at least."""
    cases = [(fact["claim"], [fact["passage"], fact["unrelated"]]) for fact in FACTS]
    assert share([each.label for each in opinions(framework, cases)], "SUPPORTED") >= 0.9


@pytest.mark.parametrize("form", ["negated", "changed"])
def test_plain_facts_denied_or_changed_are_not_supported(framework: Empirical, form: str) -> None:
    """At most one in twenty slips through."""
    cases = [(fact[form], [fact["passage"], fact["unrelated"]]) for fact in FACTS]
    assert share([each.label for each in opinions(framework, cases)], "SUPPORTED") <= 0.05


def test_plain_facts_denied_are_refuted(framework: Empirical) -> None:
    """Not merely undecided: nine in ten are refuted."""
    cases = [(fact["negated"], [fact["passage"], fact["unrelated"]]) for fact in FACTS]
    assert share([each.label for each in opinions(framework, cases)], "REFUTED") >= 0.9


def test_plain_facts_beside_other_texts_are_undecided(framework: Empirical) -> None:
    """Evidence about something else decides nothing."""
    cases = [(fact["claim"], [fact["unrelated"]]) for fact in FACTS]
    assert share([each.label for each in opinions(framework, cases)], "NOT_ENOUGH_INFO") >= 0.95


def test_opinions_are_the_same_bytes_alone_and_in_a_batch(framework: Empirical) -> None:
    """With the real models too, neighbours never show."""
    cases = [(fact["claim"], [fact["passage"], fact["unrelated"]]) for fact in FACTS[:12]]
    assert opinions(framework, cases) == [opinions(framework, [case])[0] for case in cases]
