"""The verdict path for a given list of evidence: frameworks, fusion, prediction set, in this process.

Called by the behaviour tests. Nothing is retrieved and nothing is written; everything after retrieval is what
the product runs, with whatever models the settings name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from cluster.wiring import AGGREGATOR, SYNTAX, Models, model_folder
from configs.schema import Settings
from data.claims import make_claim
from data.evidence import ClaimBatch, Evidence
from data.models.conformal import load_conformal
from data.ports import Embedder, TextAnalyser
from data.questions import Question
from data.text.syntax import open_syntax
from data.verdicts import Opinion, Verdict
from deployments.assembly import check_framework_settings
from deployments.building import framework_config
from deployments.framework import Framework
from deployments.fusion import FusionConfig, PredictionSet, fuse

#: Claims judged at once.
BLOCK = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """A claim with the evidence it is to be judged by."""

    claim: str
    items: tuple[Evidence, ...]


class Judge:
    """Gives verdicts on claims with their evidence at hand."""

    def __init__(
        self,
        frameworks: Mapping[str, Framework],
        *,
        analyser: TextAnalyser,
        embedder: Embedder,
        fusion: FusionConfig,
        prediction_set: PredictionSet,
    ) -> None:
        self._frameworks = dict(sorted(frameworks.items()))
        self._analyser = analyser
        self._embedder = embedder
        self._fusion = fusion
        self._prediction_set = prediction_set

    def answer(self, asked: Sequence[Asked], block: int = BLOCK) -> list[Verdict]:
        """Return one verdict a claim, in order.

        Raises:
            ClaimRejectedError: a claim that the API would refuse.
        """
        blocks = [asked[start : start + block] for start in range(0, len(asked), block)]
        return [verdict for each in blocks for verdict in self._answer(each)]

    def _answer(self, asked: Sequence[Asked]) -> list[Verdict]:
        batch = self._batch(asked)
        outcomes = {name: each.verify(batch) for name, each in self._frameworks.items()}
        verdicts = []
        for index, claim in enumerate(batch.claims):
            opinions = {
                name: outcome
                for name, found in outcomes.items()
                if isinstance(outcome := found[index], Opinion)
            }
            verdicts.append(
                fuse(
                    Question(claim, tuple(opinions)),
                    batch,
                    index,
                    opinions,
                    degraded=(),
                    config=self._fusion,
                    prediction_set=self._prediction_set,
                )
            )
        return verdicts

    def _batch(self, asked: Sequence[Asked]) -> ClaimBatch:
        claims = tuple(make_claim(each.claim) for each in asked)
        texts = [claim.text for claim in claims]
        empty: tuple[tuple[()], ...] = tuple(() for _ in claims)
        return ClaimBatch(
            claims=claims,
            analyses=tuple(self._analyser.analyse(texts)),
            embeddings=np.ascontiguousarray(self._embedder.embed(texts), dtype=np.float32).tobytes(),
            evidence=tuple(each.items for each in asked),
            histories=empty,
            pattern_hits=empty,
        )


def shipped_judge(models: Models, settings: Settings, *, all_frameworks: bool = False) -> Judge:
    """Return the judge over these models: the deciding frameworks, which alone move a label, or all."""
    frameworks = {}
    for name, spec in check_framework_settings(settings).items():
        if spec.decides or all_frameworks:
            ports = {port: getattr(models, port) for port in spec.needs}
            if "syntax" in spec.may_use:
                ports["syntax"] = open_syntax(model_folder(settings) / SYNTAX)
            frameworks[name] = spec.build(framework_config(spec, settings.frameworks.get(name, {})), **ports)
    return Judge(
        frameworks,
        analyser=models.analyser,
        embedder=models.embedder,
        fusion=FusionConfig(settings.framework_weights, settings.verdicts.abstain_below),
        prediction_set=load_conformal(model_folder(settings) / AGGREGATOR).prediction_set,
    )


def verdict_bytes(verdict: Verdict) -> bytes:
    """Return the verdict as canonical JSON: equal verdicts give equal bytes."""
    return msgspec.json.encode(verdict, order="sorted")
