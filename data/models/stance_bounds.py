"""What exact findings leave open: bounds on the learned stance where words and numbers settle the matter.

Called by the stance model for every pair, and by its training task, so that the figures in the record are those of what is
served. Pure. A bound only moves probability between stances; each is stated below with its number and tested.
"""

from __future__ import annotations

from collections.abc import Sequence

from data.text.comparison import FEATURE_NAMES, Comparison

_AT = {name: index for index, name in enumerate(FEATURE_NAMES)}

#: Highest P(SUPPORTS) beside an exact contradiction.
CONTRADICTED_SUPPORT = 0.15
#: From this share of the claim's weighted words in the passage on, a contradiction is about the same statement.
SAME_STATEMENT = 0.6
#: Lowest P(REFUTES) where the same statement is contradicted.
CONTRADICTED_REFUTE = 0.6
#: Below this share of the claim's words (stems count) a passage is about something else.
UNRELATED = 0.25
#: Highest P(SUPPORTS) and P(REFUTES) of a passage about something else.
UNRELATED_SHARE = 0.1

_CONTRADICTIONS = tuple(
    _AT[name] for name in ("numbers_conflict", "dates_disjoint", "negation_mismatch", "ordinals_conflict")
)


def bounded(learned: Sequence[float], comparison: Comparison) -> tuple[float, float, float]:
    """Return (SUPPORTS, REFUTES, NEUTRAL) after the bounds, rounded to 6 decimals and summing to 1.

    1. A passage that shares less than ``UNRELATED`` of the claim's words: SUPPORTS and REFUTES are cut to
       ``UNRELATED_SHARE`` each, the rest is NEUTRAL.
    2. A number, ordinal or date in conflict, or a negation on one side only: SUPPORTS is cut to
       ``CONTRADICTED_SUPPORT``. Where the passage has ``SAME_STATEMENT`` of the claim's words, REFUTES rises to
       ``CONTRADICTED_REFUTE`` at least; otherwise what was cut is NEUTRAL.
    """
    support, refute, neutral = (float(value) for value in learned)
    features = comparison.features
    if features[_AT["soft_recall"]] < UNRELATED:
        support, refute = min(support, UNRELATED_SHARE), min(refute, UNRELATED_SHARE)
    elif any(features[index] > 0 for index in _CONTRADICTIONS):
        support = min(support, CONTRADICTED_SUPPORT)
        if features[_AT["weighted_recall"]] >= SAME_STATEMENT and refute < CONTRADICTED_REFUTE:
            scale = (1.0 - CONTRADICTED_REFUTE) / max(support + neutral, 1e-9)
            support, refute = support * min(1.0, scale), CONTRADICTED_REFUTE
    support, refute = round(support, 6), round(refute, 6)
    return support, refute, round(1.0 - support - refute, 6)
