"""Opinions of the frameworks, and the verdict they are fused into: the values that come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from data.analysis import Finding
from data.claims import Claim, Rejected
from data.evidence import Evidence, StanceJudgement
from data.evidence_filter import EvidenceFilter

VerdictLabel = Literal["SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO", "CONFLICTING"]
#: Column order of every verdict probability row.
VERDICT_LABELS: tuple[VerdictLabel, ...] = (
    "SUPPORTED",
    "REFUTED",
    "NOT_ENOUGH_INFO",
    "CONFLICTING",
)

Probabilities = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one framework says of one claim.

    ``score`` in [-1, 1] (for the claim +, against it -), ``confidence`` in [0, 1]. ``abstained`` holds the
    reason when the framework has nothing to stand on; score and confidence are then 0. ``probabilities``
    (order of ``VERDICT_LABELS``) is given only by frameworks that can push a verdict: empirical and
    consistency.
    """

    score: float
    confidence: float
    label: str
    rationale: str
    findings: tuple[Finding, ...] = ()
    abstained: str | None = None
    probabilities: Probabilities | None = None
    stances: tuple[StanceJudgement, ...] = ()

    def __post_init__(self) -> None:
        if not -1.0 <= self.score <= 1.0:
            raise ValueError(f"score {self.score} is outside [-1, 1]")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence {self.confidence} is outside [0, 1]")
        if self.abstained is not None and (self.score, self.confidence) != (0.0, 0.0):
            raise ValueError("an abstention has score 0 and confidence 0")


#: What ``Framework.verify`` returns for each claim, in order.
Outcome = Opinion | Rejected


def abstain(reason: str, *findings: Finding) -> Opinion:
    """Return the opinion of a framework that has nothing to stand on."""
    return Opinion(0.0, 0.0, "ABSTAINED", reason, findings, abstained=reason)


@dataclass(frozen=True, slots=True)
class CalibrationUse:
    """Which of a tenant's own calibrations an answer went through.

    ``id`` is a digest of the calibration, ``seq`` the last ledger position whose feedback made it, ``labels``
    how many claims that were.
    """

    id: str
    seq: int
    labels: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The fused answer for one claim, with all it rests on.

    ``id`` is derived from the question, the knowledge position and the model bundle: asking again gives the
    same id. ``prediction_set`` holds every label that cannot be ruled out at level ``alpha``.
    ``latencies_ms`` is a measurement, not part of the decision, and is left out of ``id`` and of the
    ledger. ``calibration`` is ``None`` where the shipped one was used; else ``uncalibrated`` holds the row
    before it. ``abstain_below`` is the confidence under which the verdict is withheld, ``None`` where no
    confidence is enough for the ``risk`` asked for. ``admits`` is the filter of its evidence, if any.
    """

    id: str
    claim: Claim
    label: VerdictLabel
    probabilities: Probabilities
    confidence: float
    prediction_set: tuple[VerdictLabel, ...]
    alpha: float
    abstained: str | None
    justification: str
    reward: float
    weights: dict[str, float]
    opinions: dict[str, Opinion]
    evidence: tuple[Evidence, ...]
    stances: dict[str, StanceJudgement]
    knowledge_seq: int
    model_bundle: str
    disagreement: float = 0.0
    degraded: bool = False
    latencies_ms: dict[str, float] = field(default_factory=dict)
    calibration: CalibrationUse | None = None
    uncalibrated: Probabilities | None = None
    abstain_below: float | None = None
    risk: float | None = None
    admits: EvidenceFilter | None = None
