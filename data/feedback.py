"""What people said of verdicts, as calibration reads it: samples, and the marks at which maps are fitted.

Filled by the history view, carried by the keeper's ports, read by ``deployments.calibration``. Plain values.
Invariant: a mark follows from the ledger alone, so every replica, and every replay, fits the same map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from data.claims import TenantId
from data.verdicts import Probabilities, VerdictLabel

#: Labelled claims below which nothing changes.
FEWEST_LABELS = 30
#: Later maps follow when this many labels, and this share of those there were, have come in. Not at every
#: label: answers would change with each, and no map would last long enough to be watched for drift.
STEP_LABELS, STEP_SHARE = 10, 10

#: ``auto``: the newest mark; ``off``: the shipped calibration; ``pinned``: the mark at ``seq``, no later one.
CalibrationChoice = Literal["auto", "off", "pinned"]


@dataclass(frozen=True, slots=True)
class CalibrationMode:
    """A tenant's decision about its recalibration; ``seq`` is a ledger position, read when pinned."""

    mode: CalibrationChoice
    seq: int = 0


@dataclass(frozen=True, slots=True)
class CalibrationQuery:
    """Asks for a tenant's feedback on answers of one model bundle, up to a ledger position (inclusive)."""

    tenant: TenantId
    model_bundle: str
    at: int


@dataclass(frozen=True, slots=True)
class CalibrationMark:
    """The position whose feedback makes the map in use, 0 where the shipped one is.

    ``labels`` are the claims with feedback by then, ``known`` those by the position asked, ``latest`` the
    position of the last feedback, ``elsewhere`` the claims whose feedback is on answers of other models.
    """

    seq: int = 0
    labels: int = 0
    known: int = 0
    latest: int = 0
    elsewhere: int = 0
    mode: CalibrationChoice = "auto"


@dataclass(frozen=True, slots=True)
class FeedbackSample:
    """The last word on one claim, with the answer it was given on.

    ``probabilities`` and ``prediction_set`` are what was answered, ``raw`` the row before recalibration,
    ``calibrated_at`` the position of the map that was in use (0: the shipped one), ``frameworks`` the rows of
    those that can decide.
    """

    seq: int
    fingerprint: str
    label: VerdictLabel
    probabilities: Probabilities
    raw: Probabilities
    prediction_set: tuple[VerdictLabel, ...]
    alpha: float
    calibrated_at: int = 0
    domain: str | None = None
    frameworks: Mapping[str, Probabilities] = field(default_factory=dict)


def last_mark(labels: int) -> int:
    """Return the number of labels at which the map in use was fitted; 0 below ``FEWEST_LABELS``."""
    if labels < FEWEST_LABELS:
        return 0
    at = FEWEST_LABELS
    while next_mark(at) <= labels:
        at = next_mark(at)
    return at


def next_mark(labels: int) -> int:
    """Return the number of labels at which the next map is fitted, ``labels`` being a mark (or too few)."""
    return FEWEST_LABELS if labels < FEWEST_LABELS else labels + max(STEP_LABELS, labels // STEP_SHARE)
