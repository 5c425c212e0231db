"""Exact findings as numbers and in words."""

from __future__ import annotations

import itertools

import pytest

from data.analysis import FINDING_KINDS, FindingKind, FindingOutcome, PairFinding, Span
from data.exact.features import (
    CLAIM_FINDING_FEATURES,
    FINDING_FEATURES,
    RELIABILITY,
    balance,
    claim_features,
    decisive,
    pair_features,
    weight,
)
from data.exact.telling import as_finding, in_words

CLAIM, PASSAGE = "The tower is 330 m tall.", "The tower is 300 m tall."


def made(
    kind: FindingKind = "quantity", outcome: FindingOutcome = "conflicts", strength: float = 1.0
) -> PairFinding:
    return PairFinding(
        kind, outcome, Span(13, 18), Span(13, 18), "claim: 330 m; passage: 300 m — 10 % apart", strength
    )


def named(found: list[PairFinding]) -> dict[str, float]:
    return dict(zip(FINDING_FEATURES, pair_features(found), strict=True))


def test_pair_features_hold_the_strongest_of_each_kind_and_side() -> None:
    """Two conflicts of a kind show as the stronger one; an entailment counts as agreement."""
    row = named([made(strength=0.4), made(strength=0.7), made("date", "entails", 0.5)])
    assert (row["quantity_conflicts"], row["date_agrees"], row["quantity_agrees"]) == (0.7, 0.5, 0.0)
    assert (row["findings_agreeing"], row["findings_conflicting"]) == (1.0, 2.0)


def test_open_findings_weigh_nothing() -> None:
    """What settles nothing shows in its own feature only."""
    row = named([made(outcome="not_comparable", strength=0.8)])
    assert row.pop("findings_open") == 0.8
    assert set(row.values()) == {0.0}


def test_claim_features_do_not_depend_on_order_or_repetition_of_findings() -> None:
    """Any order of the items gives the same row."""
    items = [[made()], [made("date", "agrees", 0.6)], []]
    rows = {tuple(claim_features(order)) for order in itertools.permutations(items)}
    assert len(rows) == 1
    row = dict(zip(CLAIM_FINDING_FEATURES, rows.pop(), strict=True))
    assert (row["items_agreeing"], row["items_conflicting"]) == (1.0, 1.0)
    assert row["balance_best"] > 0 > row["balance_worst"]


def test_claim_features_without_items_are_zeros() -> None:
    """No evidence tells nothing."""
    assert claim_features([]) == [0.0] * len(CLAIM_FINDING_FEATURES)


def test_one_more_agreeing_item_never_lowers_what_speaks_for_the_claim() -> None:
    """Maxima and counts only grow."""
    before = [[made("quantity", "agrees", 0.5)]]
    after = [*before, [made("date", "agrees", 0.9)]]
    assert all(
        later >= earlier for later, earlier in zip(claim_features(after), claim_features(before), strict=True)
    )


@pytest.mark.parametrize("kind", FINDING_KINDS)
def test_every_kind_has_a_reliability_better_than_a_guess(kind: FindingKind) -> None:
    """A kind no better than a coin would have been left out."""
    assert all(0.5 < share < 1.0 for share in RELIABILITY[kind])


def test_weight_has_the_sign_of_the_outcome_and_grows_with_strength() -> None:
    """Conflicts speak against the claim, agreement for it."""
    assert weight(made(strength=1.0)) < weight(made(strength=0.5)) < 0 < weight(made(outcome="agrees"))


def test_decisive_finding_is_the_weightiest_of_the_side_asked_for() -> None:
    """A strong date conflict yields to a strong number conflict, and agreement is not asked."""
    found = [made("date"), made("quantity"), made("percentage", "agrees")]
    assert decisive(found, against=True) == made("quantity")
    assert decisive(found, against=False) == made("percentage", "agrees")
    assert decisive(found[:2], against=False) is None


def test_balance_sets_the_strongest_of_both_sides_against_each_other() -> None:
    """The same reliability on both sides would cancel out; nothing found is zero."""
    found = [made("percentage", "agrees"), made("percentage")]
    assert balance(found) == pytest.approx(weight(found[0]) + weight(found[1]))
    assert balance([]) == 0.0


def test_as_finding_keeps_both_spans_and_names_the_evidence() -> None:
    """What a framework reports can be checked by hand."""
    finding = as_finding(made(), "p1", CLAIM, PASSAGE)
    assert (finding.kind, finding.evidence_id) == ("number_mismatch", "p1")
    assert (finding.claim_span, finding.evidence_span) == (Span(13, 18), Span(13, 18))
    assert finding.message == "The passage says “300 m”, the claim “330 m”: 10 % apart."


def test_in_words_of_the_same_words_says_so() -> None:
    """Agreement word for word needs no second quotation."""
    assert in_words(made(outcome="agrees"), CLAIM, CLAIM) == "The passage says “330 m”, as the claim does."
