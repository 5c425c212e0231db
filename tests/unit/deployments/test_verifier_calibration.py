"""The verifier and calibration: which one a question gets, and that no cached verdict is older than it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from data.analysis import Analysis
from data.claims import Rejected, make_claim
from data.evidence import ClaimBatch
from data.models.conformal import ConformalLabels
from data.models.label_maps import LabelMap
from data.models.selective import risk_ladder
from data.models.tenant_calibration import TenantCalibration
from data.questions import Question
from data.verdicts import VERDICT_LABELS, Opinion, Outcome, Verdict
from deployments.fusion import FusionConfig
from deployments.metrics import Meter
from deployments.verdict_cache import VerdictCache
from deployments.verification import Steps, Verifier


def calibration(seq: int, slope: float) -> TenantCalibration:
    sets = ConformalLabels(dict.fromkeys(VERDICT_LABELS, (0.5,) * 20))
    made = LabelMap("temperature", slope=slope)
    return TenantCalibration(seq, 30, made, sets, risk_ladder([], []), id=f"{seq}-{slope}")


class Clock:
    def now_s(self) -> float:
        return 0.0


class House:
    """A verifier whose tenants' calibration can be changed between calls."""

    def __init__(self) -> None:
        self.own: TenantCalibration | None = None
        self.gathered = 0
        steps = Steps(
            self.position,
            self.gather,
            {"empirical": self.refutes},
            self.record,
            lambda row, alpha: ("REFUTED",),
            self.calibrate,
        )
        self.verifier = Verifier(
            steps, cache=VerdictCache(None, model_bundle="b"), fusion=FusionConfig({}), clock=Clock()
        )

    async def position(self) -> int:
        return 3

    async def record(self, answered: Sequence[tuple[Question, Verdict]]) -> None:
        return None

    async def calibrate(self, questions: Sequence[Question]) -> list[TenantCalibration | None]:
        return [None if "plain" in question.claim.text else self.own for question in questions]

    async def gather(self, questions: Sequence[Question], at: int) -> ClaimBatch:
        self.gathered += len(questions)
        count = len(questions)
        return ClaimBatch(
            claims=tuple(question.claim for question in questions),
            analyses=(Analysis((), (), (), (), (), ()),) * count,
            embeddings=b"\0" * 4 * count,
            evidence=((),) * count,
            histories=((),) * count,
            pattern_hits=((),) * count,
            knowledge_seq=at,
        )

    async def refutes(self, batch: ClaimBatch) -> list[Outcome]:
        return [Opinion(-0.5, 0.9, "X", "found", probabilities=(0.1, 0.8, 0.1, 0.0)) for _ in batch.claims]

    def ask(self, *texts: str) -> list[Verdict | Rejected]:
        questions = [Question(make_claim(text), ("empirical",)) for text in texts]
        return asyncio.run(self.verifier.answer(questions))


def confidences(results: Sequence[Verdict | Rejected]) -> list[float]:
    return [result.confidence for result in results if isinstance(result, Verdict)]


def test_each_question_of_a_batch_goes_through_its_own_calibration() -> None:
    """Neighbours with and without one do not mix, cached or not."""
    house = House()
    house.own = calibration(7, 0.5)
    house.ask("a plain claim")
    first, second, third = confidences(house.ask("a claim", "a plain claim", "another claim"))

    assert second == 0.8
    assert first == third < 0.8


def test_verdict_is_worked_out_again_when_its_calibration_changed_and_only_then() -> None:
    """The calibration is part of the cache key; going back finds the verdict of before."""
    house = House()
    (before,) = house.ask("a claim")
    house.own = calibration(7, 0.5)
    (changed,) = house.ask("a claim")
    house.ask("a claim")
    house.own = None
    (back,) = house.ask("a claim")

    assert house.gathered == 2
    assert before == back != changed


def test_meter_counts_feedback_and_tenants_in_alarm() -> None:
    """Tenants are counted, not named; one that recovers is no longer counted."""
    meter = Meter()
    meter.feedback("REFUTED")
    for tenant, alarm in (("a", True), ("b", True), ("b", True), ("a", False)):
        meter.calibration_alarm(tenant, alarm)
    text = asyncio.run(meter.render()).decode()

    assert 'kite_feedback_total{label="REFUTED"} 1.0' in text
    assert "kite_calibration_alarms 1.0" in text
