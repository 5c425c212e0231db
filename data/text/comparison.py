"""How a passage stands to a claim, read from their words: findings to check, features for the stance model.

Called for every (claim, passage) pair by the empirical framework and by stance training. Pure and
deterministic: the same two texts and analyses always give the same ``Comparison``. Titles are the caller's
business: put the title before the passage text if it should count.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.analysis import Analysis, Finding, Span
from data.text.alignment import align
from data.text.date_agreement import compare_dates
from data.text.name_agreement import compare_names
from data.text.number_agreement import compare_numbers
from data.text.profile import profile_of
from data.text.word_conflicts import compare_wording

#: Order of ``Comparison.features``. "sentence" is the passage sentence that is aligned best with the claim;
#: counts are capped at 5, shares are in [0, 1], logs are natural. All are finite.
FEATURE_NAMES: tuple[str, ...] = (
    # words
    "lemma_recall",  # share of distinct claim content lemmas anywhere in the passage
    "sentence_recall",  # the same, in the best sentence only
    "weighted_recall",  # the same with names, numbers and long words counting more
    "soft_recall",  # in the passage, when words that share a stem of five letters count too
    "lemma_precision",  # share of the sentence's content lemmas that the claim has
    "lemma_jaccard",
    "lcs_recall",  # longest common subsequence of content lemmas / claim length
    "bigram_recall",  # claim bigrams of content lemmas found in the sentence
    "unmatched_words",  # claim content lemmas nowhere in the passage, capped at 10
    "first_word_matched",  # 1 when the claim's first content lemma is in the passage
    "last_word_matched",
    "claim_length",  # log(1 + content lemmas)
    "sentence_length",
    "passage_length",
    "length_ratio",  # log of claim length over sentence length, clipped to [-3, 3]
    # numbers
    "claim_numbers",
    "numbers_agree",
    "numbers_conflict",
    "numbers_open",  # comparable, but the bounds leave it open
    "numbers_missing",  # nothing comparable in the passage
    "number_gap",  # smallest |log ratio| over comparable pairs that do not agree, clipped to 3, 0 where none
    "bounds_agree",  # of those that agree, how many have "more than", "under", ...
    "bounds_conflict",
    "percents_conflict",
    "ordinals_agree",
    "ordinals_conflict",
    "nouns_conflict",  # the same number counts something else in the passage
    # dates
    "claim_dates",
    "dates_inside",
    "dates_overlap",
    "dates_disjoint",
    "dates_missing",
    # wording
    "claim_negated",
    "sentence_negated",
    "negation_mismatch",
    "antonym_pairs",
    "quantifier_agree",
    "quantifier_conflict",
    "direction_conflict",  # more/higher/before against less/lower/after
    "claim_hedges",
    "sentence_hedges",
    "sentence_attributed",  # 1 when the sentence reports what somebody said
    # names
    "claim_names",
    "name_recall",  # share of the claim's names that the passage has; 1 where the claim has none
    "names_missing",
    "name_swaps",  # a name of the same type stands in its place
    # all together
    "findings_weight",  # sum of the findings' weights, clipped to [-2, 2]
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found.

    ``features`` are in the order of ``FEATURE_NAMES``; ``sentence`` is the passage sentence that is aligned
    best with the claim (the empty span of an empty passage). ``Finding.evidence_id`` is left to the caller.
    """

    findings: tuple[Finding, ...]
    features: tuple[float, ...]
    sentence: Span


def compare(claim_text: str, claim: Analysis, passage_text: str, passage: Analysis) -> Comparison:
    """Compare a claim with a passage, given the analysis of each; spans are into the texts given."""
    mine = profile_of(claim_text, claim)
    theirs = profile_of(passage_text, passage)
    aligned = align(mine, theirs)
    findings: list[Finding] = []
    values = list(aligned.features)
    for part in (compare_numbers, compare_dates, compare_wording, compare_names):
        values += part(mine, theirs, aligned, findings)
    weight = sum(finding.weight for finding in findings)
    values.append(max(-2.0, min(2.0, weight)))
    return Comparison(tuple(findings), tuple(round(value, 6) for value in values), aligned.sentence)
