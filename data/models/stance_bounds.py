"""What exact findings leave open: bounds on the learned stance where words and numbers settle the matter.

Called by the stance model for every pair, and by its training task, so that the figures in the record are
those of what is served. Pure. A bound only moves probability between stances; each is stated below with its
number and tested.

Source of the numbers: the dev splits named in the stance model's training record, with the booster's rows of
held-out pages. There the second bound costs .005 of macro-F1 on VitaminC and .004 on FM2, and gives .011 on
FEVER symmetric, .002 on FEVER and .002 on statements with one word changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from data.text.comparison import FEATURE_NAMES

#: Figures are tokens with a digit. They catch what no quantity or date explains ("atomic number 9", "version
#: 2").
FIGURE_FEATURES: tuple[str, ...] = ("figures_missing", "figures_shared", "figures_beside")
#: Order of the features that the bounds read: the front of every stance row.
BOUNDING_FEATURES: tuple[str, ...] = (*FEATURE_NAMES, *FIGURE_FEATURES)

_AT = {name: index for index, name in enumerate(BOUNDING_FEATURES)}

#: With at most so many of the claim's words not in the passage there is no rewording: a contradiction
#: counts. With more, the comparison may have aligned the wrong words, and the booster knows better.
CHANGED_WORDS = 2
#: Highest P(SUPPORTS) beside a contradiction that counts.
CONTRADICTED_SUPPORT = 0.15
#: From this share of the claim's weighted words in the passage on, what SUPPORTS loses goes to REFUTES, else
#: to NEUTRAL.
SAME_STATEMENT = 0.6
#: Below this share of the claim's words (stems count) a passage has not one of them.
UNRELATED = 0.05
#: Highest P(SUPPORTS) and P(REFUTES) of a passage that shares no word with the claim: it may be a paraphrase,
#: as science often has it (macro-F1 on SciFact's dev pairs .644 with 0.2 and .672 with 0.6), but never sure.
UNRELATED_SHARE = 0.6

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


def bounded(learned: Sequence[float], features: Sequence[float]) -> tuple[float, float, float]:
    """Return (SUPPORTS, REFUTES, NEUTRAL) after the bounds, rounded to 6 decimals and summing to 1.

    ``features`` start with ``BOUNDING_FEATURES``.

    1. A passage without a word is NEUTRAL. One that shares less than ``UNRELATED`` of the claim's words:
       SUPPORTS and REFUTES are cut to ``UNRELATED_SHARE`` each, the rest is NEUTRAL.
    2. Otherwise, with a contradiction and at most ``CHANGED_WORDS`` of the claim's words not in the passage:
       SUPPORTS is cut to ``CONTRADICTED_SUPPORT``. What was cut goes to REFUTES where the passage has
       ``SAME_STATEMENT`` of the claim's words, else to NEUTRAL.
    """
    support, refute = float(learned[0]), float(learned[1])
    if not features[_AT["passage_length"]]:
        return 0.0, 0.0, 1.0
    if features[_AT["soft_recall"]] < UNRELATED:
        support, refute = min(support, UNRELATED_SHARE), min(refute, UNRELATED_SHARE)
    elif features[_AT["unmatched_words"]] <= CHANGED_WORDS and _contradicted(features):
        cut = max(0.0, support - CONTRADICTED_SUPPORT)
        support -= cut
        refute += cut if features[_AT["weighted_recall"]] >= SAME_STATEMENT else 0.0
    support, refute = round(support, 6), round(refute, 6)
    return support, refute, round(max(0.0, 1.0 - support - refute), 6)


def _contradicted(features: Sequence[float]) -> bool:
    """Return whether a finding contradicts, or the word missing is a figure and the passage has another."""
    if any(features[place] > 0 for place in _PLACES):
        return True
    agrees = features[_AT["numbers_agree"]] + features[_AT["dates_inside"]] + features[_AT["dates_overlap"]]
    changed = features[_AT["figures_missing"]] > 0 and features[_AT["figures_beside"]] > 0
    return changed and not agrees and features[_AT["unmatched_words"]] <= 1
