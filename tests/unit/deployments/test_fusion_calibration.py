"""Fusion with a tenant's own calibration, and abstention by risk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.analysis import Analysis, Span
from data.claims import make_claim
from data.evidence import ClaimBatch, Evidence, StanceJudgement
from data.models.conformal import ConformalLabels
from data.models.label_maps import LabelMap
from data.models.selective import RiskLadder, risk_ladder
from data.models.tenant_calibration import TenantCalibration
from data.questions import Question
from data.verdicts import VERDICT_LABELS, CalibrationUse, Opinion, Probabilities, Verdict, VerdictLabel
from deployments.fusion import FusionConfig, fuse

SUPPORT = StanceJudgement("p1", "SUPPORTS", (0.9, 0.05, 0.05))
EVIDENCE = Evidence(id="p1", document_id="d1", text="It is so.", span=Span(0, 9))
NOTHING_KNOWN = ConformalLabels(dict.fromkeys(VERDICT_LABELS, ()))
TRUSTED = risk_ladder([0.7] * 200 + [0.95] * 200, [False] * 60 + [True] * 340)


def own(**changed: object) -> TenantCalibration:
    made = TenantCalibration(17, 40, LabelMap(), NOTHING_KNOWN, risk_ladder([], []), id="c" * 32)
    return replace(made, **changed)  # type: ignore[arg-type]


def only_supported(row: Probabilities, alpha: float) -> tuple[VerdictLabel, ...]:
    del row, alpha
    return ("SUPPORTED",)


def verdict(
    row: Probabilities,
    calibration: TenantCalibration | None = None,
    *,
    ladder: RiskLadder | None = None,
    stances: tuple[StanceJudgement, ...] = (SUPPORT,),
    risk: float | None = None,
) -> Verdict:
    batch = ClaimBatch(
        claims=(make_claim("It is so."),),
        analyses=(Analysis((), (), (), (), (), ()),),
        embeddings=b"\0" * 16,
        evidence=((EVIDENCE,),),
        histories=((),),
        pattern_hits=((),),
        knowledge_seq=5,
        model_bundle="b",
    )
    return fuse(
        Question(make_claim("It is so."), ("empirical",), risk=risk),
        batch,
        0,
        {"empirical": Opinion(0.5, 0.8, "X", "because", probabilities=row, stances=stances)},
        degraded=(),
        config=FusionConfig({}, 0.45, ladder),
        prediction_set=only_supported,
        calibration=calibration,
    )


def test_own_calibration_moves_the_row_and_is_named_in_the_verdict() -> None:
    """The answer holds the new row, the row before, and which calibration stands between them."""
    answer = verdict((0.8, 0.1, 0.1, 0.0), own(map=LabelMap("temperature", slope=0.5)))

    assert answer.probabilities[0] < 0.8
    assert answer.uncalibrated == (0.8, 0.1, 0.1, 0.0)
    assert answer.calibration == CalibrationUse("c" * 32, 17, 40)


def test_without_own_calibration_the_verdict_says_nothing_of_one() -> None:
    """The shipped calibration needs no name: the model bundle has it."""
    answer = verdict((0.8, 0.1, 0.1, 0.0))

    assert (answer.calibration, answer.uncalibrated, answer.probabilities[0]) == (None, None, 0.8)


def test_calibration_has_a_say_in_the_identity_of_a_verdict() -> None:
    """Two calibrations, two ids; none, the id it always had."""
    row = (0.8, 0.1, 0.1, 0.0)
    ids = {
        verdict(row).id,
        verdict(row, own()).id,
        verdict(row, own(id="d" * 32)).id,
        verdict(row, risk=0.1).id,
    }

    assert len(ids) == 4


def test_own_sets_replace_the_shipped_ones_and_hold_the_label() -> None:
    """Sets come from the tenant's scores on the row before; the label given is always in."""
    scores = ConformalLabels({**dict.fromkeys(VERDICT_LABELS, (0.0,) * 50), "REFUTED": (0.95,) * 50})
    answer = verdict(
        (0.4, 0.3, 0.3, 0.0), own(conformal=scores, map=LabelMap("shift", shifts=(0.0, 0.0, 1.0, 0.0)))
    )

    assert answer.label == "NOT_ENOUGH_INFO"
    assert answer.prediction_set == ("SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO")


def test_recalibration_never_makes_a_claim_supported_without_a_supporting_span() -> None:
    """A shift toward SUPPORTED cannot stand in for evidence."""
    neutral = StanceJudgement("p1", "NEUTRAL", (0.3, 0.2, 0.5))
    answer = verdict(
        (0.4, 0.1, 0.5, 0.0), own(map=LabelMap("shift", shifts=(3.0, 0.0, 0.0, 0.0))), stances=(neutral,)
    )

    assert answer.label == "NOT_ENOUGH_INFO"
    assert answer.probabilities[0] == 0.0


def test_risk_withholds_answers_below_the_confidence_that_was_shown_to_keep_it() -> None:
    """At 5 % a probability of 0.7 is not enough where a third of such answers were wrong."""
    unsure = verdict((0.7, 0.2, 0.1, 0.0), ladder=TRUSTED, risk=0.05)
    sure = verdict((0.96, 0.02, 0.02, 0.0), ladder=TRUSTED, risk=0.05)

    assert unsure.abstain_below == sure.abstain_below == 0.75
    assert unsure.abstained is not None
    assert "takes a probability of 0.75" in unsure.abstained
    assert sure.abstained is None


@pytest.mark.parametrize("ladder", [None, risk_ladder([0.9] * 10, [True] * 10)])
def test_risk_that_nothing_can_keep_withholds_every_answer_and_says_so(ladder: RiskLadder | None) -> None:
    """No record, or one too small: abstain rather than promise."""
    answer = verdict((0.96, 0.02, 0.02, 0.0), ladder=ladder, risk=0.05)

    assert answer.abstain_below is None
    assert (
        answer.abstained
        == "No confidence has been shown to keep the share of wrong answers at 0.05 or below."
    )


def test_risk_is_kept_by_the_tenants_own_counts_where_it_has_a_calibration() -> None:
    """The shipped promise was made on other claims."""
    answer = verdict((0.96, 0.02, 0.02, 0.0), own(), ladder=TRUSTED, risk=0.05)

    assert answer.abstain_below is None


def test_without_a_risk_the_setting_decides_and_is_shown() -> None:
    """The usual floor."""
    assert verdict((0.8, 0.1, 0.1, 0.0), ladder=TRUSTED).abstain_below == 0.45
