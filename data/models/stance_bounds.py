"""What exact findings leave open: bounds on the learned stance where words and numbers settle the matter.

Called by the stance model for every pair, and by its training task, so that the figures in the record are those of what is
served. Pure. A bound only moves probability between stances; each is stated below with its number and tested.

Source of the numbers: the dev splits named in the stance model's training record. There the bounds cost 0.01 of macro-F1
(VitaminC, where people reword freely) and, on plain statements with one number changed, take the share that is still
called supported from one in eight to one in twenty-five.
"""

from __future__ import annotations

from collections.abc import Sequence

from data.text.comparison import FEATURE_NAMES, Comparison

_AT = {name: index for index, name in enumerate(FEATURE_NAMES)}

#: From this P(SUPPORTS) on the booster is sure, and knows of a rewording that the comparison does not see.
SURE = 0.6
#: From this share of the claim's weighted words in the passage on there is no rewording: a contradiction always counts.
SAME_WORDS = 0.9
#: Highest P(SUPPORTS) beside a contradiction that counts.
CONTRADICTED_SUPPORT = 0.15
#: From this share of the claim's weighted words in the passage on, what SUPPORTS loses goes to REFUTES, else to NEUTRAL.
SAME_STATEMENT = 0.6
#: Below this share of the claim's words (stems count) a passage is about something else.
UNRELATED = 0.15
#: Highest P(SUPPORTS) and P(REFUTES) of a passage about something else.
UNRELATED_SHARE = 0.1

#: Findings that contradict: each is a value or a word on one side that excludes the one on the other side.
CONTRADICTIONS = (
    "numbers_conflict",
    "percents_conflict",
    "ordinals_conflict",
    "dates_disjoint",
    "negation_mismatch",
    "antonym_pairs",
)
_PLACES = tuple(_AT[name] for name in CONTRADICTIONS)


def bounded(learned: Sequence[float], comparison: Comparison) -> tuple[float, float, float]:
    """Return (SUPPORTS, REFUTES, NEUTRAL) after the bounds, rounded to 6 decimals and summing to 1.

    1. A passage that shares less than ``UNRELATED`` of the claim's words: SUPPORTS and REFUTES are cut to
       ``UNRELATED_SHARE`` each, the rest is NEUTRAL.
    2. Otherwise, with any of ``CONTRADICTIONS``: SUPPORTS is cut to ``CONTRADICTED_SUPPORT`` unless it is ``SURE`` and
       the passage has less than ``SAME_WORDS`` of the claim's words. What was cut goes to REFUTES where the passage
       has ``SAME_STATEMENT`` of the claim's words, else to NEUTRAL.
    """
    support, refute = float(learned[0]), float(learned[1])
    features = comparison.features
    shared = features[_AT["weighted_recall"]]
    if features[_AT["soft_recall"]] < UNRELATED:
        support, refute = min(support, UNRELATED_SHARE), min(refute, UNRELATED_SHARE)
    elif any(features[place] > 0 for place in _PLACES) and (support < SURE or shared >= SAME_WORDS):
        cut = max(0.0, support - CONTRADICTED_SUPPORT)
        support -= cut
        refute += cut if shared >= SAME_STATEMENT else 0.0
    support, refute = round(support, 6), round(refute, 6)
    return support, refute, round(max(0.0, 1.0 - support - refute), 6)
