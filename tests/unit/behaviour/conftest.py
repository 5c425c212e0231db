"""A judge over the real frameworks, with fakes of the trained models: it tests whatever is shipped."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from data.models.aggregation import AGGREGATE_FEATURES, AGGREGATOR
from data.text.analyser import SpacyAnalyser
from data.verdicts import VERDICT_LABELS, Probabilities, VerdictLabel
from deployments.framework import Framework
from deployments.frameworks import discover
from deployments.fusion import FusionConfig
from tasks.behaviour.judging import Judge
from tests.fakes import FakeEmbedder

_WORD = re.compile(r"\w+")


class FakeStance:
    """Supports by the share of the claim's words in the passage, refutes where only one side says "not"."""

    def judge(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return (n, 3) float32 probabilities."""
        rows = [self._one(claim, passage) for claim, passage in pairs]
        return np.array(rows, dtype=np.float32).reshape(len(rows), 3)

    def _one(self, claim: str, passage: str) -> tuple[float, float, float]:
        mine, theirs = (set(_WORD.findall(text.casefold())) for text in (claim, passage))
        told = 0.96 * len(mine & theirs) / (len(mine) or 1)
        denied = ("not" in mine) != ("not" in theirs)
        return (0.02, told, 0.98 - told) if denied else (told, 0.02, 0.98 - told)


class FakeScorer:
    """Takes the strongest support and refutation for the claim's, the rest is not enough information."""

    def predict(self, model: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, 4) float32 probabilities, columns as ``VERDICT_LABELS``."""
        assert model == AGGREGATOR
        both = features[:, [AGGREGATE_FEATURES.index("support_1"), AGGREGATE_FEATURES.index("refute_1")]]
        told = np.clip(both.sum(axis=1), 0.001, 0.999)
        # Aggregation weighs NOT_ENOUGH_INFO against CONFLICTING: the less is told, the more it outweighs it.
        conflict = np.full(len(both), 0.05)
        rows = np.column_stack([both, conflict * (1.0 - told) / told, conflict])
        return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)

    def bundle(self) -> str:
        """Return an identity."""
        return "fake"


def every_label(_: Probabilities, __: float) -> tuple[VerdictLabel, ...]:
    """A prediction set that rules nothing out."""
    return VERDICT_LABELS


def build_judge(stance: FakeStance | None = None, *, all_frameworks: bool = False) -> Judge:
    """Return the judge; utility, whose model reads far more than these fakes give, is left out."""
    analyser = SpacyAnalyser()
    ports = {
        "analyser": analyser,
        "stance": stance or FakeStance(),
        "scorer": FakeScorer(),
    }
    frameworks: dict[str, Framework] = {
        name: spec.build(spec.config(), **{port: ports[port] for port in spec.needs})
        for name, spec in discover().items()
        if spec.decides or (all_frameworks and name != "utility")
    }
    return Judge(
        frameworks,
        analyser=analyser,
        embedder=FakeEmbedder(),
        fusion=FusionConfig({}),
        prediction_set=every_label,
    )


@pytest.fixture(scope="session")
def judge() -> Judge:
    """The deciding frameworks."""
    return build_judge()


@pytest.fixture(scope="session")
def full_judge() -> Judge:
    """All frameworks that need no other trained model."""
    return build_judge(all_frameworks=True)
