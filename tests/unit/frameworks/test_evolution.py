"""Evolution: what earlier verdicts and the age of evidence say of a verdict's durability."""

from __future__ import annotations

import pytest

from data.analysis import Analysis, DateMention, Finding, Span
from data.claims import ClaimContext, make_claim
from data.evidence import ClaimBatch, Evidence, RetrievalScores
from data.knowledge import PastVerdict
from data.verdicts import Opinion
from deployments.framework import registered
from deployments.frameworks.evolution import Evolution, EvolutionConfig

NOTHING = Analysis((), (), (), (), (), ())


def past(
    seq: int,
    label: str = "SUPPORTED",
    probability: float = 0.9,
    *,
    similarity: float = 1.0,
    feedback: str | None = None,
) -> PastVerdict:
    day = f"2024-01-{seq:02d}T10:00:00Z"
    return PastVerdict(f"v{seq}", "claim", label, probability, seq, day, similarity, feedback)


def dated(day: str | None, *, dense: float = 0.8, name: str | None = None) -> Evidence:
    scores = RetrievalScores(dense=dense)
    return Evidence(name or f"e-{day}", "doc", "text", Span(0, 4), published_at=day, scores=scores)


def opinion(
    *history: PastVerdict,
    evidence: tuple[Evidence, ...] = (),
    context: ClaimContext | None = None,
    analysis: Analysis = NOTHING,
    config: EvolutionConfig | None = None,
) -> Opinion:
    claim = make_claim("The tower is tall.", context=context)
    batch = ClaimBatch((claim,), (analysis,), b"", (evidence,), (history,), ((),))
    found = Evolution(config or EvolutionConfig()).verify(batch)[0]
    assert isinstance(found, Opinion)
    return found


def finding(found: Opinion, kind: str) -> Finding:
    return next(item for item in found.findings if item.kind == kind)


def test_evolution_without_history_and_dates_abstains() -> None:
    """Undated evidence is nothing to date a verdict by."""
    found = opinion(evidence=(dated(None), dated("soon")))
    assert found.abstained is not None
    assert (found.score, found.confidence) == (0.0, 0.0)


def test_evolution_steady_support_is_stable_and_positive() -> None:
    """Three like verdicts: the newest support, untouched; three of five on the confidence scale."""
    found = opinion(past(1), past(2), past(3))
    assert (found.label, found.score, found.confidence) == ("STABLE", 0.9, 0.6)


def test_evolution_steady_refutation_is_stable_and_negative() -> None:
    """The sign follows the verdict that held."""
    found = opinion(past(1, "REFUTED", 0.8), past(2, "REFUTED", 0.8))
    assert (found.label, found.score) == ("STABLE", -0.8)


def test_evolution_undecided_history_has_no_direction() -> None:
    """NOT_ENOUGH_INFO that held says nothing for or against."""
    found = opinion(past(1, "NOT_ENOUGH_INFO"), past(2, "NOT_ENOUGH_INFO"))
    assert (found.label, found.score) == ("STABLE", 0.0)
    assert found.confidence > 0.0


def test_evolution_flipped_label_is_changed_and_halves_the_score() -> None:
    """Support that came after refutation is worth the share of verdicts that agree with it."""
    found = opinion(past(1, "REFUTED"), past(2))
    assert found.label == "CHANGED"
    assert found.score == pytest.approx(0.45)
    assert "REFUTED to SUPPORTED" in finding(found, "label_changed").message


def test_evolution_old_flip_that_held_since_is_no_longer_a_change() -> None:
    """Six like verdicts after one other: the change is told, the label is not CHANGED."""
    found = opinion(past(1, "NOT_ENOUGH_INFO", 0.5), *(past(seq) for seq in range(2, 9)))
    assert found.label != "CHANGED"
    assert finding(found, "label_changed").weight < 0


def test_evolution_falling_probability_is_drift() -> None:
    """Same label, less and less sure: drifting, with a negative trend."""
    found = opinion(past(1, probability=0.95), past(2, probability=0.8), past(3, probability=0.6))
    assert found.label == "DRIFTING"
    drift = finding(found, "drift")
    assert drift.weight == pytest.approx(0.6 - 0.875)
    assert "-0.175 a verdict" in drift.message


def test_evolution_feedback_against_the_verdict_lowers_the_score() -> None:
    """Confirmed by half of the feedback: three quarters of the score."""
    confirmed = opinion(past(1, feedback="SUPPORTED"), past(2, feedback="SUPPORTED"))
    doubted = opinion(past(1, feedback="SUPPORTED"), past(2, feedback="REFUTED"))
    assert confirmed.score == 0.9
    assert doubted.score == pytest.approx(0.9 * 0.75)
    assert finding(doubted, "feedback").weight == 0.0


def test_evolution_near_identical_claims_weigh_by_similarity() -> None:
    """A verdict on a less similar claim counts for less, in stability and in confidence."""
    found = opinion(past(1, "REFUTED", similarity=0.5), past(2))
    assert found.score == pytest.approx(0.9 * (1.0 / 1.5))
    assert found.confidence == pytest.approx(1.5 / 3.5, abs=1e-6)


def test_evolution_order_of_history_and_evidence_changes_nothing() -> None:
    """The ledger position orders verdicts, whatever order they come in."""
    verdicts = [past(1, "REFUTED", 0.71), past(2, probability=0.83), past(3, probability=0.64)]
    items = [
        dated("2020-01-01", dense=0.61),
        dated("2021-07-03", dense=0.47),
        dated("2019-02-05", dense=0.59),
    ]
    forward = opinion(*verdicts, evidence=tuple(items))
    assert opinion(*verdicts[::-1], evidence=tuple(items[::-1])) == forward


def test_evolution_age_is_counted_from_the_claims_own_date() -> None:
    """One half-life before the claim's date: half the say, and three quarters of the score."""
    context = ClaimContext(date="2024-12-31", domain="Economy")
    found = opinion(past(1), past(2), evidence=(dated("2024-01-01"),), context=context)
    assert finding(found, "evidence_age").weight == pytest.approx(0.0, abs=1e-6)
    assert found.score == pytest.approx(0.9 * 0.75)
    assert "economy" in finding(found, "evidence_age").message


def test_evolution_without_a_claim_date_age_is_counted_from_the_newest_evidence() -> None:
    """The newest item is fresh by definition; older ones pull the mean down."""
    config = EvolutionConfig(default_half_life=365.0)
    found = opinion(evidence=(dated("2022-01-01"), dated("2023-01-01")), config=config)
    assert finding(found, "evidence_age").weight == pytest.approx(2 * 0.75 - 1)
    assert finding(found, "evidence_age").evidence_id == "e-2023-01-01"


def test_evolution_evidence_younger_than_the_claim_is_fresh() -> None:
    """Looking back is not staleness."""
    found = opinion(evidence=(dated("2024-05-01"),), context=ClaimContext(date="2020-01-01"))
    assert (found.label, finding(found, "evidence_age").weight) == ("FRESH", 1.0)


def test_evolution_stale_evidence_is_ageing() -> None:
    """Three half-lives are stale, history or not."""
    context = ClaimContext(date="2024-01-01", domain="sports")
    old = (dated("2022-07-01"),)
    assert opinion(evidence=old, context=context).label == "AGEING"
    assert opinion(past(1), past(2), evidence=old, context=context).label == "AGEING"


def test_evolution_claim_about_a_time_that_is_over_hardly_ages() -> None:
    """What happened in 1889 is no staler for being old."""
    context = ClaimContext(date="2024-01-01", domain="sports")
    mention = DateMention("1889-01-01", "1889-12-31", "year", Span(0, 4))
    over = Analysis((), (), (), (mention,), (), ())
    assert opinion(evidence=(dated("2020-01-01"),), context=context, analysis=over).label == "FRESH"
    assert opinion(evidence=(dated("2020-01-01"),), context=context).label == "AGEING"


def test_evolution_unrelated_evidence_does_not_date_the_claim() -> None:
    """Retrieval always brings something; what is far from the claim has no say."""
    assert opinion(evidence=(dated("2020-01-01", dense=0.2),)).abstained is not None


def test_evolution_evidence_alone_has_no_direction() -> None:
    """Fresh evidence without a verdict speaks for nothing yet."""
    found = opinion(evidence=(dated("2024-01-01"),))
    assert (found.label, found.score) == ("FRESH", 0.0)
    assert found.confidence == pytest.approx(0.1)


def test_evolution_single_verdict_is_not_called_stable() -> None:
    """Once is no stability."""
    assert opinion(past(1)).label == "ONE_VERDICT"


def test_evolution_broken_dates_are_passed_over() -> None:
    """A malformed date is no date; the others count."""
    found = opinion(
        evidence=(dated("2023-13-45"), dated("2023-01-01")), context=ClaimContext(date="yesterday")
    )
    assert finding(found, "evidence_age").message.startswith(
        "1 dated items up to 2023-01-01; seen from 2023-01-01"
    )


def test_evolution_dissimilar_history_is_no_history() -> None:
    """Verdicts of similarity zero carry nothing."""
    assert opinion(past(1, similarity=0.0)).abstained is not None


def test_evolution_batch_keeps_order_and_claims_apart() -> None:
    """A claim's opinion is the same alone and beside others."""
    claims = tuple(make_claim(text) for text in ("one", "two", "three"))
    histories = ((past(1),), (), (past(1, "REFUTED"), past(2, "REFUTED")))
    batch = ClaimBatch(claims, (NOTHING,) * 3, b"", ((),) * 3, histories, ((),) * 3)
    found = Evolution(EvolutionConfig()).verify(batch)
    assert found == [opinion(*history) for history in histories]


def test_evolution_is_registered_and_does_not_decide() -> None:
    """The composition root finds it, and it needs no port."""
    spec = registered()["evolution"]
    assert (spec.needs, spec.decides, spec.config) == ((), False, EvolutionConfig)
