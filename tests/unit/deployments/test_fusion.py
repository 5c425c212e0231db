"""From six opinions to one verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.analysis import Analysis, Span
from data.claims import make_claim
from data.evidence import ClaimBatch, Evidence, EvidenceKind, RetrievalScores, StanceJudgement
from data.evidence_filter import EvidenceFilter
from data.questions import Question
from data.verdicts import Opinion, Probabilities, Verdict, VerdictLabel, abstain
from deployments.fusion import UNDECIDED, FusionConfig, fuse, pool, reward, spread, weights_for

EVIDENCE = Evidence(id="p1", document_id="d1", text="It is so.", span=Span(0, 9))
SUPPORT = StanceJudgement("p1", "SUPPORTS", (0.9, 0.05, 0.05))
CONFIG = FusionConfig(weights={})


def every_label(row: Probabilities, alpha: float) -> tuple[VerdictLabel, ...]:
    del alpha
    labels: tuple[VerdictLabel, ...] = ("SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO", "CONFLICTING")
    return tuple(label for label, p in zip(labels, row, strict=True) if p >= 0.2)


def batch(seq: int = 5) -> ClaimBatch:
    return ClaimBatch(
        claims=(make_claim("It is so."),),
        analyses=(Analysis((), (), (), (), (), ()),),
        embeddings=b"\0" * 16,
        evidence=((EVIDENCE,),),
        histories=((),),
        pattern_hits=((),),
        knowledge_seq=seq,
        model_bundle="bundle",
    )


def opinion(
    row: Probabilities | None, *, score: float = 0.5, stances: tuple[StanceJudgement, ...] = ()
) -> Opinion:
    return Opinion(score, 0.8, "X", "because", probabilities=row, stances=stances)


def question(*names: str, **changes: object) -> Question:
    return replace(Question(make_claim("It is so."), names), **changes)  # type: ignore[arg-type]


def verdict(opinions: dict[str, Opinion], **changes: object) -> Verdict:
    return fuse(
        question(*opinions, **changes),
        batch(),
        0,
        opinions,
        degraded=(),
        config=CONFIG,
        prediction_set=every_label,
    )


def test_supported_needs_a_supporting_span() -> None:
    """Without an item that supports, the probability of SUPPORTED goes to NOT_ENOUGH_INFO."""
    row = (0.8, 0.1, 0.1, 0.0)

    assert verdict({"empirical": opinion(row, stances=(SUPPORT,))}).label == "SUPPORTED"
    bare = verdict({"empirical": opinion(row)})
    assert (bare.label, bare.probabilities) == ("NOT_ENOUGH_INFO", (0.0, 0.1, 0.9, 0.0))


def test_only_deciding_frameworks_move_the_label() -> None:
    """An opinion without probabilities changes the reward, not the label."""
    empirical = opinion((0.1, 0.8, 0.1, 0.0))
    alone = verdict({"empirical": empirical})
    joined = verdict({"empirical": empirical, "utility": opinion(None, score=1.0)})

    assert joined.probabilities == alone.probabilities
    assert joined.reward != alone.reward


def test_framework_with_weight_zero_has_no_say() -> None:
    """Weight 0 takes a deciding framework out of the pool."""
    opinions = {"empirical": opinion((0.1, 0.8, 0.1, 0.0)), "consistency": opinion((0.9, 0.0, 0.1, 0.0))}
    weighted = verdict(opinions, weights={"empirical": 1.0, "consistency": 0.0})

    assert weighted.probabilities == (0.1, 0.8, 0.1, 0.0)
    assert weighted.weights == {"empirical": 1.0, "consistency": 0.0}


def test_pool_of_agreeing_opinions_is_surer_than_either() -> None:
    """Two independent refutations weigh more than one."""
    row = (0.1, 0.7, 0.2, 0.0)
    pooled = pool({"a": opinion(row), "b": opinion(row)}, {"a": 0.5, "b": 0.5})

    assert pooled[1] > 0.7
    assert sum(pooled) == pytest.approx(1.0, abs=1e-5)


def test_nothing_decided_is_not_enough_info_and_abstained() -> None:
    """When no deciding framework speaks, the verdict is withheld with a reason."""
    result = verdict({"utility": opinion(None)})

    assert (result.label, result.probabilities) == ("NOT_ENOUGH_INFO", UNDECIDED)
    assert result.abstained == "No framework that can decide found anything to stand on."


def test_both_sides_in_the_prediction_set_abstains() -> None:
    """A verdict that cannot rule out its opposite is withheld."""
    result = verdict({"empirical": opinion((0.5, 0.4, 0.1, 0.0), stances=(SUPPORT,))})

    assert result.label == "SUPPORTED"
    assert "neither SUPPORTED nor REFUTED can be ruled out" in (result.abstained or "")


def test_reward_is_the_documented_formula() -> None:
    """Σ w·score·confidence + 0.1·mean(confidence) − 0.2·std(score)."""
    opinions = {"a": Opinion(1.0, 0.5, "X", "r"), "b": Opinion(0.0, 1.0, "X", "r")}

    assert spread(opinions) == 0.5
    assert reward(opinions, {"a": 0.25, "b": 0.75}) == pytest.approx(0.25 * 0.5 + 0.1 * 0.75 - 0.2 * 0.5)
    assert reward({}, {}) == 0.0


def test_weights_are_scaled_and_default_to_equal() -> None:
    """Given weights are scaled to sum 1; none given means the configured ones."""
    asked = question("a", "b", weights={"a": 1.0, "b": 3.0})

    assert weights_for(asked, CONFIG) == {"a": 0.25, "b": 0.75}
    assert weights_for(question("a", "b"), CONFIG) == {"a": 0.5, "b": 0.5}
    assert weights_for(question("a", "b"), FusionConfig({"b": 0.0})) == {"a": 1.0, "b": 0.0}
    assert weights_for(question("a", "b"), FusionConfig({"a": 0.0, "b": 0.0})) == {"a": 0.5, "b": 0.5}


def test_identity_follows_the_question_the_knowledge_and_the_models() -> None:
    """The same question gives the same id; another level, position or failed framework gives another."""
    opinions = {"empirical": opinion((0.1, 0.8, 0.1, 0.0))}

    def identity(*, alpha: float = 0.1, seq: int = 5, degraded: tuple[str, ...] = ()) -> str:
        asked = question("empirical", alpha=alpha)
        return fuse(
            asked, batch(seq), 0, opinions, degraded=degraded, config=CONFIG, prediction_set=every_label
        ).id

    assert identity() == identity()
    assert len({identity(), identity(alpha=0.2), identity(seq=6), identity(degraded=("empirical",))}) == 4


def test_abstaining_framework_is_kept_with_its_reason() -> None:
    """The report shows who abstained and why."""
    result = verdict({"empirical": opinion((0.0, 0.9, 0.1, 0.0)), "evolution": abstain("no history")})

    assert result.opinions["evolution"].abstained == "no history"
    assert result.justification == "because"


def test_verdict_over_filtered_evidence_says_so_and_has_another_id() -> None:
    """The same claim over other evidence is another answer, not a repetition of the first."""
    empirical = {"empirical": opinion((0.8, 0.1, 0.1, 0.0), stances=(SUPPORT,))}
    plain, filtered = verdict(empirical), verdict(empirical, admits=EvidenceFilter(sources=("s1",)))

    assert plain.admits is None
    assert filtered.admits == EvidenceFilter(sources=("s1",))
    assert filtered.id != plain.id


def test_evidence_that_says_and_is_near_comes_before_what_does_only_one() -> None:
    """A passage is placed by stance and retrieval together, a fact by its stance; the unjudged come last."""

    def item(name: str, fused: float, kind: EvidenceKind = "passage") -> Evidence:
        return replace(EVIDENCE, id=name, kind=kind, scores=RetrievalScores(fused=fused))

    items = (
        item("unread", 0.9),
        item("far", 0.2),
        item("both", 0.6),
        item("mute", 0.8),
        item("fact", 1.0, "fact"),
    )
    neutral = {"far": 0.3, "both": 0.4, "mute": 0.95, "fact": 0.9}
    judged = tuple(StanceJudgement(name, "NEUTRAL", (1 - p, 0.0, p)) for name, p in neutral.items())
    found = fuse(
        question("empirical"),
        replace(batch(), evidence=(items,)),
        0,
        {"empirical": opinion((0.1, 0.1, 0.8, 0.0), stances=judged)},
        degraded=(),
        config=CONFIG,
        prediction_set=every_label,
    )

    assert [one.id for one in found.evidence] == ["both", "far", "mute", "fact", "unread"]
