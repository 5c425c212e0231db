"""The shapes of the answers, as typed dictionaries: what OpenAPI shows and what the client returns.

Only descriptions: answers are built in ``api.answers`` and ``sessions.environment``, and tests hold the two
together.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from data.analysis import FindingKind, FindingOutcome

StanceName = Literal["SUPPORTS", "REFUTES", "NEUTRAL"]


class SpanAnswer(TypedDict):
    """Half-open range of characters."""

    start: int
    end: int


class FindingAnswer(TypedDict):
    """One thing a framework noticed; ``weight`` in [-1, 1] is how far it speaks for or against the claim."""

    kind: str
    message: str
    weight: float
    claim_span: SpanAnswer | None
    evidence_id: str | None
    evidence_span: SpanAnswer | None


class ExactFindingAnswer(TypedDict):
    """Words of the claim beside words of a piece of evidence, compared exactly.

    ``claim_span`` counts characters of the claim, ``passage_span`` of the evidence's text. ``strength`` in
    (0, 1] is how sure it is that both speak of the same thing.
    """

    kind: FindingKind
    outcome: FindingOutcome
    claim_span: SpanAnswer
    passage_span: SpanAnswer
    detail: str
    strength: float


class FrameworkAnswer(TypedDict):
    """What one framework says. ``latency_ms`` is null unless ``include`` has "latency"."""

    score: float
    confidence: float
    label: str
    rationale: str
    findings: list[FindingAnswer]
    abstained: str | None
    latency_ms: float | None


class ScoresAnswer(TypedDict):
    """How a piece of evidence was found; null where that way did not find it."""

    bm25: float | None
    dense: float | None
    fused: float


class StatedAnswer(TypedDict):
    """The typed statement behind evidence of kind fact or graph."""

    subject: str | None
    predicate: str | None
    object: str | None
    value: float | None
    unit: str | None


class EvidenceAnswer(TypedDict):
    """A stretch of a document found for the claim, and what it says of it.

    ``span`` counts characters of the document, ``sentence`` (the one that answers to the claim) of ``text``.
    """

    id: str
    document_id: str
    text: str
    span: SpanAnswer
    title: str
    url: str | None
    source: str | None
    published_at: str | None
    sha256: str
    rank: int
    kind: Literal["passage", "fact", "graph"]
    sentence: SpanAnswer | None
    scores: ScoresAnswer
    stance: StanceName | None
    stance_probabilities: dict[str, float] | None
    findings: list[ExactFindingAnswer]
    fact: NotRequired[StatedAnswer]


class NativeLabels(TypedDict):
    """Our own labels, shown beside those of another scheme."""

    label: str
    probabilities: dict[str, float]
    prediction_set: list[str]


class CalibrationUseAnswer(TypedDict):
    """Your own calibration that an answer went through: id, the position that made it, labelled claims."""

    id: str
    seq: int
    labels: int


class VerdictAnswer(TypedDict):
    """The fused verdict. ``prediction_set`` holds every label that cannot be ruled out at level ``alpha``.

    ``abstain_below`` is the confidence under which a verdict is withheld; null where none has been shown to
    keep the ``risk`` asked for. ``calibration`` is null for the shipped one.
    """

    id: str
    label: str
    probabilities: dict[str, float]
    prediction_set: list[str]
    label_scheme: NotRequired[str]
    native: NotRequired[NativeLabels]
    confidence: float
    alpha: float
    abstained: str | None
    abstain_below: float | None
    risk: float | None
    calibration: CalibrationUseAnswer | None
    justification: str


class EvidenceFilterAnswer(TypedDict):
    """The filter that was asked for; null and empty admit everything."""

    since: str | None
    until: str | None
    entities: list[str]
    sources: list[str]


class VerifyMetadata(TypedDict):
    """``weights`` in the order of ``frameworks_used``; a bad item of a batch has only ``error``, ``code``."""

    frameworks_used: NotRequired[list[str]]
    weights: NotRequired[list[float]]
    degraded: NotRequired[bool]
    disagreement: NotRequired[float]
    evidence_filter: NotRequired[EvidenceFilterAnswer]
    error: NotRequired[str]
    code: NotRequired[str]


class VerifyAnswer(TypedDict):
    """The answer to one claim; for a bad item of a batch, empty and null but for ``metadata.error``."""

    claim: str
    verifications: dict[str, float]
    confidences: dict[str, float]
    reward: float
    metadata: VerifyMetadata
    verdict: VerdictAnswer | None
    evidence: list[EvidenceAnswer]
    frameworks: dict[str, FrameworkAnswer]
    knowledge_seq: int | None
    model_bundle: str | None


class Observation(TypedDict):
    """What an agent sees; ``verifications`` and ``confidence`` by framework."""

    claim: str
    verifications: dict[str, float]
    confidence: dict[str, float]
    metadata: dict[str, Any]


class ResetInfo(TypedDict):
    """How the session is set up."""

    frameworks: list[str]
    max_steps: int
    max_text_length: int
    seed: int | None


class ResetAnswer(TypedDict):
    """A session that has begun."""

    session_id: str
    observation: Observation
    info: ResetInfo


class StepInfo(TypedDict):
    """Where the episode stands."""

    claim: str
    framework_results: dict[str, float]
    episode_reward: float
    steps: int


class StepAnswer(TypedDict):
    """One step taken; ``done`` is ``terminated`` or ``truncated``."""

    observation: Observation
    reward: float
    done: bool
    terminated: bool
    truncated: bool
    info: StepInfo


class SessionAnswer(TypedDict):
    """One session in a list."""

    session_id: str
    created_at: str
    steps: int
    episode_reward: float
    active: bool


class BinAnswer(TypedDict):
    """Answers whose confidence lies in [from, to): how many, their mean confidence, the share right."""

    samples: int
    confidence: float
    accuracy: float


class CoverageAnswer(TypedDict):
    """How often prediction sets of level ``alpha`` held the true label; ``stated`` is 1 - alpha."""

    alpha: float
    stated: float
    samples: int
    coverage: float | None
    mean_set_size: float | None
    by_label: dict[str, dict[str, float]]


class FiguresAnswer(TypedDict):
    """Figures of labelled answers; null where there are none."""

    samples: int
    accuracy: float | None
    brier: float | None
    ece: float | None
    log_loss: float | None
    bins: list[BinAnswer]
    coverage: list[CoverageAnswer]


class CurvePointAnswer(TypedDict):
    """Cross-validated figures at a number of labels: log_loss, ece, brier, accuracy, coverage, set size."""

    labels: int
    shipped: dict[str, float]
    recalibrated: dict[str, float]


class RecalibrationAnswer(TypedDict):
    """How your answers are recalibrated from your feedback; ``missing`` labels are needed before they are."""

    mode: Literal["auto", "off", "pinned"]
    active: bool
    known: int
    elsewhere: int
    needed: int
    missing: int
    message: str
    id: str | None
    seq: int
    labels: int
    next_at: int | None
    map: dict[str, Any] | None
    own_sets: list[str]
    learning_curve: list[CurvePointAnswer]


class DriftAnswer(TypedDict):
    """Whether prediction sets miss more than stated; ``evidence`` against that grows to ``alarm_at``."""

    alarm: bool
    evidence: float
    highest: float
    alarm_at: float
    answers: int
    missed: int
    expected: float
    since_seq: int


class CalibrationAnswer(TypedDict):
    """How far the probabilities can be believed: on held-out claims, and on your own feedback."""

    framework: str | None
    domain: str | None
    shipped: FiguresAnswer | None
    shipped_note: str | None
    feedback: FiguresAnswer
    recalibration: RecalibrationAnswer
    drift: DriftAnswer


class FeedbackStanding(TypedDict):
    """How many claims are labelled, and how many more are needed."""

    known: int
    missing: int
    message: str


class FeedbackAnswer(TypedDict):
    """Feedback that was taken in; ``repeated`` when it had been said before and was not written again."""

    verdict_id: str
    label: str
    note: str
    repeated: bool
    recalibration: FeedbackStanding


class MessageAnswer(TypedDict):
    """What was done, in words."""

    message: str


class ServiceAnswer(TypedDict):
    """One framework's or store's health."""

    state: str
    latency_ms: float | None
    breaker: str | None
    detail: str | None
    required: bool


class HealthAnswer(TypedDict):
    """The health of everything; ``active_sessions`` is null when the session store does not answer."""

    status: Literal["healthy", "degraded", "unhealthy"]
    service: str
    version: str
    services: dict[str, ServiceAnswer]
    dependencies: dict[str, str]
    active_sessions: int | None
    timestamp: str


class StatusAnswer(TypedDict):
    """One word."""

    status: str


class RootAnswer(TypedDict):
    """Name, version, paths and links of the service."""

    name: str
    version: str
    endpoints: list[str]
    links: dict[str, str]


class ProblemAnswer(TypedDict):
    """RFC 9457 problem details; ``errors`` names fields, ``failing`` the parts that are down.

    ``error`` is RFC 6749's word where a token was asked for.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: NotRequired[list[dict[str, str]]]
    failing: NotRequired[list[str]]
    error: NotRequired[str]
