"""The engine of a batch: every question is pinned, what is away is waited for, what failed is asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from configs.schema import Settings
from data.claims import DEFAULT_TENANT, Rejected, make_claim
from data.errors import StoreUnavailableError
from data.questions import Question
from data.verdicts import Verdict
from tasks import verify_batch_engine as module
from tasks.verify_batch_engine import PATIENCE_S, Engine, Standpoint
from tests.crash.house_of_batches import FakeEngine

STAND = Standpoint(7, 3)


class FakeTime:
    """Passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class FakeVerifier:
    """Answers by the claim; ``faults`` are raised first, ``bad`` claims fail with all beside them."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.bad: dict[str, int] = {}
        self.asked: list[list[Question]] = []

    async def derive(self, questions: Sequence[Question]) -> list[Verdict | Rejected]:
        self.asked.append(list(questions))
        if self.faults:
            raise self.faults.pop(0)
        failed = False
        for question in questions:
            left = self.bad.get(question.claim.text, 0)
            self.bad[question.claim.text] = left - 1
            failed = failed or left > 0
        found = FakeEngine().answer(questions, STAND)
        return [replace(one, degraded=failed) if isinstance(one, Verdict) else one for one in found]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    passing = FakeTime()
    monkeypatch.setattr(module, "time", passing)
    return passing


@pytest.fixture
def verifier(monkeypatch: pytest.MonkeyPatch) -> FakeVerifier:
    fake = FakeVerifier()
    own = SimpleNamespace(seq=3)
    monkeypatch.setattr(module, "build_retriever", lambda *_: SimpleNamespace(model_bundle="m"))
    monkeypatch.setattr(module, "build_calibrations", lambda *_: SimpleNamespace(of=lambda _: [own]))
    monkeypatch.setattr(module, "build_verifier", lambda *_, **__: fake)
    return fake


@pytest.fixture
def engine(verifier: FakeVerifier, clock: FakeTime) -> Iterator[Engine]:
    del verifier, clock
    parts: Any = SimpleNamespace(reader=SimpleNamespace(position=lambda: 7, seq_at=lambda _: 5))
    made = Engine(parts, Settings(), {})
    yield made
    made.close()


def questions(*texts: str) -> list[Question]:
    return [Question(make_claim(text), ("utility",)) for text in texts]


def test_engine_stands_at_the_knowledge_and_the_calibration_of_now(engine: Engine) -> None:
    """The position, and the feedback that counts for the tenant."""
    assert engine.standpoint(DEFAULT_TENANT) == STAND


def test_question_is_asked_as_of_the_batch_unless_it_names_a_position(
    engine: Engine, verifier: FakeVerifier
) -> None:
    """A row of its own position keeps it, with the calibration of that position."""
    now, then = questions("Now it is.", "Then it was.")
    engine.answer([now, replace(then, as_of=2)], STAND)
    (asked,) = verifier.asked

    assert [(one.as_of, one.calibrated_at) for one in asked] == [(7, 3), (2, None)]


def test_engine_waits_while_the_installation_is_away(
    engine: Engine, verifier: FakeVerifier, clock: FakeTime
) -> None:
    """A keeper that restarts costs time and no row."""
    verifier.faults = [StoreUnavailableError("away")] * 5
    (answer,) = engine.answer(questions("One is one."), STAND)

    assert isinstance(answer, Verdict)
    assert 0 < clock.now_s < PATIENCE_S


def test_engine_gives_up_when_its_patience_is_over(
    engine: Engine, verifier: FakeVerifier, clock: FakeTime
) -> None:
    """The batch ends with the reason, and goes on when it is started again."""
    verifier.faults = [StoreUnavailableError("away")] * 1_000

    with pytest.raises(StoreUnavailableError):
        engine.answer(questions("One is one."), STAND)
    assert clock.now_s == pytest.approx(PATIENCE_S, rel=0.05)


def test_claims_beside_one_that_failed_are_answered_whole(engine: Engine, verifier: FakeVerifier) -> None:
    """A failure that passes leaves no trace in the rows."""
    verifier.bad = {"Two is two.": 1}
    answers = engine.answer(questions("One is one.", "Two is two."), STAND)

    assert [one.degraded for one in answers if isinstance(one, Verdict)] == [False, False]


def test_claim_that_always_fails_is_degraded_alone(engine: Engine, verifier: FakeVerifier) -> None:
    """Asked on their own at last, its neighbours are whole."""
    verifier.bad = {"Two is two.": 100}
    answers = engine.answer(questions("One is one.", "Two is two.", "Three is three."), STAND)

    assert [one.degraded for one in answers if isinstance(one, Verdict)] == [False, True, False]


def test_settings_of_the_batch_change_no_answer() -> None:
    """Time, records and caches are the batch's own; what an answer depends on is the installation's."""
    settings = Settings()
    patient = module._patient(settings)

    assert not patient.verdicts.record
    assert patient.verdicts.abstain_below == settings.verdicts.abstain_below
    assert patient.retrieval == settings.retrieval
