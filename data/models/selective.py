"""How sure an answer must be so that, of the answers given, few enough are wrong: abstention by risk.

Counted on labelled held-out answers, kept beside the model (``data.models.reliability``) or made from a
tenant's feedback, asked by fusion when a request names a ``risk``. Pure.

The promise: with probability at least ``1 - DELTA`` over the held-out sample, at most ``risk`` of the answers
whose confidence reaches the threshold are wrong, on claims like those of the sample. Each threshold of a
fixed ladder is tested with the exact binomial tail (Clopper & Pearson 1934) at ``DELTA`` over the number of
thresholds. Source: Angelopoulos et al. 2021, "Learn then Test", section 2 (Bonferroni); Geifman & El-Yaniv
2017, "Selective Classification for Deep Neural Networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data.errors import CorruptDataError, InvalidValueError

#: The ladder of thresholds: fixed beforehand, as the test needs it.
LADDER: tuple[float, ...] = (0.0, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
#: How often, over held-out samples, the promise may fail.
DELTA = 0.1


@dataclass(frozen=True, slots=True)
class Rung:
    """Of the held-out answers with at least this confidence: how many there are and how many are wrong."""

    threshold: float
    answers: int
    wrong: int


@dataclass(frozen=True, slots=True)
class RiskLadder:
    """Held-out counts at each threshold of :data:`LADDER`, ascending."""

    rungs: tuple[Rung, ...]

    def threshold(self, risk: float, *, at_least: float = 0.0) -> float | None:
        """Return the lowest confidence, ``at_least`` so high, at which at most ``risk`` of answers are wrong.

        ``None`` where the sample cannot show it for any threshold.

        Raises:
            InvalidValueError: ``risk`` is not between 0 and 1.
        """
        if not 0.0 < risk < 1.0:
            raise InvalidValueError(f"A risk of {risk} is not between 0 and 1: ask for 0.05, say.")
        shown = (
            rung.threshold for rung in self.rungs if rung.threshold >= at_least and self._holds(rung, risk)
        )
        return min(shown, default=None)

    def _holds(self, rung: Rung, risk: float) -> bool:
        return binomial_tail(rung.wrong, rung.answers, risk) <= DELTA / len(self.rungs)

    def to_list(self) -> list[list[float]]:
        """Return plain JSON values: [threshold, answers, wrong] a rung."""
        return [[rung.threshold, rung.answers, rung.wrong] for rung in self.rungs]


def risk_ladder(confidences: Sequence[float], right: Sequence[bool]) -> RiskLadder:
    """Return the counts of held-out answers by confidence in [0, 1] and whether each was right."""
    pairs = list(zip(confidences, right, strict=True))
    rungs = []
    for threshold in LADDER:
        kept = [hit for confidence, hit in pairs if confidence >= threshold]
        rungs.append(Rung(threshold, len(kept), len(kept) - sum(map(bool, kept))))
    return RiskLadder(tuple(rungs))


def risk_ladder_from(rows: object) -> RiskLadder:
    """Rebuild from :meth:`RiskLadder.to_list`.

    Raises:
        CorruptDataError: not rungs of the present ladder with possible counts.
    """
    try:
        rungs = tuple(Rung(float(t), int(n), int(wrong)) for t, n, wrong in rows)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as exc:
        raise CorruptDataError(f"The risk ladder cannot be read ({exc}): restore the model.") from exc
    sound = all(0 <= rung.wrong <= rung.answers for rung in rungs)
    if not sound or tuple(rung.threshold for rung in rungs) != LADDER:
        raise CorruptDataError("The risk ladder has impossible counts or thresholds: restore the model.")
    return RiskLadder(rungs)


def binomial_tail(wrong: int, answers: int, risk: float) -> float:
    """Return P(at most ``wrong`` errors among ``answers``) were the error rate ``risk``; 1 for no answers."""
    from scipy.special import bdtr

    return float(bdtr(wrong, answers, risk)) if answers else 1.0


def error_bound(wrong: int, answers: int, delta: float = DELTA) -> float:
    """Return the Clopper-Pearson upper bound of the error rate, missed with probability ``delta`` at most."""
    from scipy.special import betaincinv

    return float(betaincinv(wrong + 1, answers - wrong, 1.0 - delta)) if answers > wrong else 1.0
