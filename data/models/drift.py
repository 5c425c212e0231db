"""Is the stated coverage still true? A test that may be looked at after every single answer.

Fed with the feedback on a tenant's answers in ledger order; asked by the calibration report. Pure. It bets
against "at most ``alpha`` (and a tolerance) of the prediction sets miss the label": each miss multiplies the
stakes, each hit takes a little away. While the statement is true the wealth has no reason to grow, and by
Ville's inequality it reaches ``1 / ALARM_LEVEL`` with probability at most ``ALARM_LEVEL``, however often one
looks, and whichever calibration made each set. Bets of several sizes run side by side, and part of each stake
enters only later, block by block, so that a late break is seen as well as an early one (a weighted mean of
test martingales is one).

Source: Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting", JRSS B 86(1),
section 4; Ville 1939; stakes that enter later: Shin, Ramdas & Rinaldo 2024, "E-detectors", section 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Probability of ever raising the alarm while coverage is as stated.
ALARM_LEVEL = 0.01
#: Missing this much more often than stated is not worth an alarm: sets promise coverage over draws of the
#: held-out sample, and one such sample is a point or two off.
TOLERANCE = 0.02
#: Share of the wealth that a hit takes away, one bet each: small bets see slow changes, large ones sudden
#: ones.
BETS: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4)
#: Answers between two entries of new stakes; the k-th entry brings 1 / (k (k + 1)) of the whole.
BLOCK = 50
#: Wealth is counted up to here: far beyond the alarm, and finite.
_MOST = 1e12


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was seen since the watch began, and the wealth won against the stated coverage (1 at the start).

    ``highest`` is the most it has been, ``expected`` the misses that the levels allow, ``raised_at`` the
    place (from 1) of the answer that raised the alarm, 0 while there is none.
    """

    answers: int = 0
    missed: int = 0
    expected: float = 0.0
    wealth: float = 1.0
    highest: float = 1.0
    raised_at: int = 0

    @property
    def alarm(self) -> bool:
        """Whether the stated coverage has been shown to be broken; good answers later do not unsay it."""
        return self.raised_at > 0


def watch(outcomes: Iterable[tuple[bool, float]]) -> Coverage:
    """Return where the bets stand after (missed, alpha) of each answer, in order.

    ``missed``: the prediction set of level ``alpha`` in (0, 1) did not hold the true label.
    """
    staked, waiting = [0.0] * len(BETS), 1.0
    answers = missed_answers = raised_at = 0
    expected, wealth, highest = 0.0, 1.0, 1.0
    for missed, alpha in outcomes:
        if answers % BLOCK == 0:
            entry = answers // BLOCK + 1
            fresh = 1.0 / (entry * (entry + 1))
            staked, waiting = [each + fresh for each in staked], waiting - fresh
        answers, missed_answers, expected = answers + 1, missed_answers + missed, expected + alpha
        level = min(alpha + TOLERANCE, 0.999)
        staked = [
            min(each * _won(bet, level, missed=missed), _MOST) for each, bet in zip(staked, BETS, strict=True)
        ]
        wealth = sum(staked) / len(BETS) + waiting
        highest = max(highest, wealth)
        if not raised_at and wealth >= 1.0 / ALARM_LEVEL:
            raised_at = answers
    figures = (round(expected, 6), round(wealth, 6), round(highest, 6))
    return Coverage(answers, missed_answers, *figures, raised_at)


def _won(bet: float, level: float, *, missed: bool) -> float:
    """Return 1 + bet / level * (miss - level): 1 on average when ``level`` of the answers miss."""
    return 1.0 + bet * (1.0 - level) / level if missed else 1.0 - bet
