"""What a request body may hold, as pydantic models. Used by ``api.reading`` and by the OpenAPI document.

Strict: nothing is converted (no number from a string), unknown fields are refused, NaN and infinity are
refused. ``null`` means the same as leaving an optional field out. Names of frameworks and the length of
weights are checked in ``api.reading``, which knows the frameworks there are.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from data.claims import MAX_CLAIM_CHARS
from data.evidence_filter import MAX_NAMES
from data.text.extraction import MAX_TEXT_CHARS

#: Largest weight: weights are relative, and a bound keeps their sum finite.
MAX_WEIGHT = 1_000_000.0
#: Largest ledger position that fits a signed 64-bit integer.
MAX_SEQ = 2**63 - 1
MAX_CONTEXT_KEYS = 32
MAX_CONTEXT_KEY_CHARS = 64
MAX_SESSION_STEPS = 10_000
#: Claims of one text that are verified when the caller names no limit, and at most.
DEFAULT_TEXT_CLAIMS, MAX_TEXT_CLAIMS = 20, 200
#: A session id is part of a store key, so it has no slash.
SESSION_ID_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"

ClaimText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_CLAIM_CHARS,
        description="The claim, a sentence that can be true or false.",
    ),
]
WholeText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        description="A paragraph or an article. Offsets in the answer count its characters (code points).",
    ),
]
Worthiness = Annotated[
    float,
    Field(
        ge=0.0,
        le=1.0,
        description="Check-worthiness from which a claim counts; the model's own threshold when left out.",
    ),
]
FrameworkNames = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=64)]],
    Field(
        min_length=1, max_length=64, description="Frameworks to ask, each once; all of them when left out."
    ),
]
Weights = Annotated[
    list[Annotated[float, Field(ge=0.0, le=MAX_WEIGHT)]],
    Field(min_length=1, max_length=64, description="One weight a framework, in their order; not all 0."),
]
SessionId = Annotated[
    str, Field(pattern=SESSION_ID_PATTERN, description="Letters, digits, dot, dash, underscore.")
]
Short = Annotated[str, StringConstraints(max_length=500)]


class StrictBody(BaseModel):
    """Strictness shared by every body."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class ContextFields(BaseModel):
    """What is known of the claim's origin. Further keys are kept, as text."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, Annotated[str, StringConstraints(max_length=1000)]] = Field(init=False)

    speaker: Short | None = None
    date: Annotated[str, Field(max_length=40, description="ISO 8601 day, as 2024-05-31.")] | None = None
    place: Short | None = None
    domain: Short | None = None
    source_url: Annotated[str, StringConstraints(max_length=2048)] | None = None


Day = Annotated[str, Field(max_length=40, description="ISO 8601 day, as 2024-05-31.")]
Names = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=500)]], Field(max_length=MAX_NAMES)
]


class EvidenceFilterFields(StrictBody):
    """Which evidence may be used; a field left out admits everything.

    ``since`` and ``until`` belong to the window: a passage was published in it, a fact held on a day of it.
    An item must name one of the ``entities`` and come from one of the ``sources`` (ids).
    """

    since: Day | None = None
    until: Day | None = None
    entities: Names | None = None
    sources: Names | None = None


class AnswerOptions(StrictBody):
    """How claims are to be answered."""

    frameworks: FrameworkNames | None = None
    framework_weights: Weights | None = None
    context: ContextFields | None = None
    as_of: (
        Annotated[int, Field(ge=0, le=MAX_SEQ, description="A ledger position.")]
        | Annotated[str, Field(max_length=40, description="An ISO 8601 day or instant.")]
        | None
    ) = None
    alpha: Annotated[float, Field(gt=0.0, lt=1.0, description="Level of the prediction set.")] | None = None
    risk: (
        Annotated[
            float,
            Field(
                gt=0.0,
                lt=1.0,
                description=(
                    "Largest share of wrong answers wanted among those given; less sure ones are withheld."
                ),
            ),
        ]
        | None
    ) = None
    evidence_filter: EvidenceFilterFields | None = None
    include: (
        Annotated[list[Literal["latency"]], Field(max_length=8, description="Extras to include.")] | None
    ) = None


class VerifyRequest(AnswerOptions):
    """One claim and how it is to be answered."""

    claim: ClaimText


class ExtractRequest(StrictBody):
    """A text whose claims are wanted."""

    text: WholeText
    context: ContextFields | None = None
    min_check_worthiness: Worthiness | None = None


class VerifyTextRequest(AnswerOptions):
    """A text whose claims are to be verified; ``context`` is that of the text."""

    text: WholeText
    limit: (
        Annotated[
            int,
            Field(
                ge=1,
                le=MAX_TEXT_CLAIMS,
                description=f"Most claims verified; {DEFAULT_TEXT_CLAIMS} when left out.",
            ),
        ]
        | None
    ) = None
    min_check_worthiness: Worthiness | None = None


class FeedbackRequest(StrictBody):
    """What a person says of a verdict."""

    label: Annotated[
        Literal["SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO", "CONFLICTING"],
        Field(description="The label that the verdict should have had."),
    ]
    note: Annotated[str, Field(max_length=2000, description="Why; kept, never read by a model.")] | None = (
        None
    )


class CalibrationRequest(StrictBody):
    """Which calibration your answers go through."""

    mode: Annotated[
        Literal["auto", "off", "pinned"],
        Field(description="The newest of your own, the shipped one, or your own as of seq."),
    ]
    seq: (
        Annotated[int, Field(ge=1, le=MAX_SEQ, description="A ledger position, with mode pinned.")] | None
    ) = None


class RewardFields(StrictBody):
    """Weights of the three terms of a session's reward."""

    score_weight: Annotated[float, Field(ge=-100.0, le=100.0)] = 1.0
    confidence_bonus: Annotated[float, Field(ge=-100.0, le=100.0)] = 0.1
    disagreement_penalty: Annotated[float, Field(ge=-100.0, le=100.0)] = 0.2


class ConfigFields(StrictBody):
    """How a session is set up."""

    frameworks: FrameworkNames | None = None
    max_steps: Annotated[int, Field(ge=1, le=MAX_SESSION_STEPS)] | None = None
    max_text_length: Annotated[int, Field(ge=1, le=MAX_CLAIM_CHARS)] | None = None
    reward_config: RewardFields | None = None


class ResetRequest(StrictBody):
    """Start a session, or start one again."""

    session_id: SessionId | None = None
    config: ConfigFields | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEQ)] | None = None


class StepRequest(StrictBody):
    """One step of a session: a claim to verify."""

    session_id: SessionId
    claim: ClaimText
    framework_weights: Weights | None = None
