"""A question: one claim and how it is to be answered.

What the API, sessions and batch jobs hand to the verifier.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from data.claims import Claim
from data.evidence_filter import NO_FILTER, EvidenceFilter

#: Level at which prediction sets are built when the caller names none: 90 % coverage.
DEFAULT_ALPHA = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """A valid claim with the frameworks to ask and their weights.

    ``frameworks`` are known names, each once, in the order asked for. ``weights`` has an entry (>= 0) for
    each when the caller gave weights and is empty otherwise (then the learned ones are used). ``as_of`` is
    a ledger position; ``None`` means now. ``alpha`` in (0, 1) is the level of the prediction set. ``risk`` in
    (0, 1) is the largest share of wrong answers wanted among those given: less sure ones are withheld.
    ``calibrated_at`` is the ledger position whose feedback counts; ``None`` means ``as_of``, or else now.
    ``admits`` says which evidence may be used.
    """

    claim: Claim
    frameworks: tuple[str, ...]
    weights: dict[str, float] = field(default_factory=dict)
    alpha: float = DEFAULT_ALPHA
    as_of: int | None = None
    risk: float | None = None
    calibrated_at: int | None = None
    admits: EvidenceFilter = NO_FILTER

    def position(self, newest: int) -> int:
        """Return the ledger position this question is about, ``newest`` being the present one."""
        return newest if self.as_of is None else min(self.as_of, newest)
