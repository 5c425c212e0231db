"""Feedback from the ledger to the answer: marks, samples, decisions, and the desk over a real keeper."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from data import changes
from data.changes import Feedback
from data.claims import Claim, ClaimContext, TenantId, fingerprint
from data.codec import MARK_QUERIES, MARKS, SAMPLES
from data.errors import ConflictError, InvalidValueError, NotFoundError
from data.feedback import CalibrationMark, CalibrationMode, CalibrationQuery
from data.keeper import Keeper
from data.knowledge import Change, Document
from data.lookup import LocalReader
from data.models.conformal import ConformalLabels
from data.questions import Question
from data.standing import BoardReader
from data.verdicts import VERDICT_LABELS, Opinion, Probabilities, Verdict, VerdictLabel
from deployments.assembly import to_change
from deployments.calibration import NOW, CalibrationDesk, TenantCalibrations
from tests.fakes import FakeClock, FakeVectorSink

A, B = TenantId("a"), TenantId("b")
SURE: Probabilities = (0.9, 0.05, 0.05, 0.0)
SHIPPED = ConformalLabels(dict.fromkeys(VERDICT_LABELS, (0.05, 0.1, 0.2, 0.4)))


def verdict_of(
    place: int, tenant: TenantId = A, row: Probabilities = SURE, *, bundle: str = "m1", words: str = ""
) -> Verdict:
    claim = Claim(words or f"Claim number {place}.", tenant, ClaimContext(domain="health"))
    return Verdict(
        id=f"v{place}",
        claim=claim,
        label="SUPPORTED",
        probabilities=row,
        confidence=max(row),
        prediction_set=("SUPPORTED",),
        alpha=0.1,
        abstained=None,
        justification="because",
        reward=0.0,
        weights={},
        opinions={"empirical": Opinion(0.5, 0.5, "X", "r", probabilities=row)},
        evidence=(),
        stances={},
        knowledge_seq=0,
        model_bundle=bundle,
    )


@dataclass
class House:
    """A keeper and a desk over it; remembers what the metrics were told."""

    keeper: Keeper
    home: Path

    def __post_init__(self) -> None:
        self.told: list[tuple[str, bool]] = []
        self.counted: list[str] = []
        self.reader = LocalReader(self.keeper)
        self.calibrations = TenantCalibrations(self.reader, SHIPPED, model_bundle="m1")
        self.desk = CalibrationDesk(
            self.reader,
            self.calibrations,
            reliability=None,
            count_feedback=self.counted.append,
            tell_alarm=lambda tenant, alarm: self.told.append((tenant, alarm)),
        )

    def write(self, *written: Change) -> int:
        return self.keeper.append(written).last_seq

    def label(self, places: Sequence[int], labels: Sequence[VerdictLabel], tenant: TenantId = A) -> int:
        """Record verdicts and give each its label; return the last position."""
        for place, label in zip(places, labels, strict=True):
            self.write(to_change(verdict_of(place, tenant)))
            last = self.write(changes.put_feedback(Feedback(f"v{place}", label), tenant))
        return last

    def mark(self, tenant: TenantId = A, at: int = NOW, bundle: str = "m1") -> CalibrationMark:
        (found,) = self.keeper.calibration_marks([CalibrationQuery(tenant, bundle, at)])
        return found

    def say(
        self, label: str, verdict: str = "v0", key: str | None = None, note: str = ""
    ) -> dict[str, object]:
        return asyncio.run(self.desk.give_feedback(A, Feedback(verdict, label, note), idempotency_key=key))

    def report(self, **narrowed: str) -> dict[str, object]:
        asked = {"framework": None, "domain": None, **narrowed}
        return asyncio.run(self.desk.report(A, asked["framework"], asked["domain"]))

    def decide(self, mode: CalibrationMode) -> dict[str, object]:
        return asyncio.run(self.desk.decide(A, mode))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    made = House(keeper, tmp_path)
    yield made
    made.keeper.close()


def thirds(count: int) -> list[VerdictLabel]:
    """Two of three answers are right, the third should have been REFUTED."""
    return ["REFUTED" if place % 3 == 2 else "SUPPORTED" for place in range(count)]


def test_below_thirty_labels_there_is_no_mark_and_the_number_missing_is_told(house: House) -> None:
    """29 labelled claims change nothing."""
    house.label(range(29), thirds(29))
    told = house.report()["recalibration"]

    assert house.mark() == CalibrationMark(known=29, latest=house.mark().latest)
    assert told["missing"] == 1  # type: ignore[index]
    assert told["message"] == "1 more labelled claim is needed before answers are recalibrated."  # type: ignore[index]


def test_thirtieth_label_makes_a_mark_that_later_labels_do_not_move(house: House) -> None:
    """The mark is where the thirtieth claim got its label; the next comes at forty."""
    thirtieth = house.label(range(30), thirds(30))
    house.label(range(30, 39), thirds(9))

    assert (house.mark().seq, house.mark().labels, house.mark().known) == (thirtieth, 30, 39)
    fortieth = house.label([39], ["SUPPORTED"])
    assert house.mark().seq == fortieth


def test_a_claim_labelled_twice_counts_once_with_its_last_word(house: House) -> None:
    """The latest word on a claim counts, also where another verdict on it was given since."""
    house.label(range(3), ["SUPPORTED"] * 3)
    house.write(changes.put_feedback(Feedback("v1", "REFUTED"), A))
    house.write(to_change(replace(verdict_of(9, words="Claim number 2."), id="again")))
    house.write(changes.put_feedback(Feedback("again", "CONFLICTING"), A))
    samples = house.keeper.feedback_samples(CalibrationQuery(A, "m1", NOW))

    assert [sample.label for sample in samples] == ["SUPPORTED", "REFUTED", "CONFLICTING"]
    assert house.mark().known == 3


def test_sample_carries_what_was_answered(house: House) -> None:
    """Row, set, level, domain, and the rows of the frameworks that decide."""
    house.label([1], ["REFUTED"])
    (sample,) = house.keeper.feedback_samples(CalibrationQuery(A, "m1", NOW))

    assert (sample.raw, sample.prediction_set, sample.alpha) == (SURE, ("SUPPORTED",), 0.1)
    assert (sample.domain, dict(sample.frameworks)) == ("health", {"empirical": SURE})
    assert sample.fingerprint == fingerprint(verdict_of(1).claim)


def test_feedback_of_one_tenant_is_unseen_by_another(house: House) -> None:
    """Thirty labels of A leave B at none."""
    house.label(range(30), thirds(30))

    assert house.mark(B) == CalibrationMark()
    assert house.keeper.feedback_samples(CalibrationQuery(B, "m1", NOW)) == []


def test_feedback_on_answers_of_other_models_does_not_count_and_is_told(house: House) -> None:
    """After an upgrade the labels of the old models are counted apart."""
    house.label(range(30), thirds(30))

    assert (house.mark(bundle="m2").seq, house.mark(bundle="m2").elsewhere) == (0, 30)


def test_mark_and_samples_survive_the_loss_of_the_view(house: House) -> None:
    """Built again from the ledger alone, the calibration is the same to its identity."""
    last = house.label(range(30), thirds(30))
    (before,) = house.calibrations.of([Question(verdict_of(0).claim, ("empirical",))])
    house.keeper.close()
    for file in (house.home / "views").glob("history.sqlite*"):
        file.unlink()
    house.keeper = Keeper(house.home, FakeClock(), FakeVectorSink())
    again = House(house.keeper, house.home)
    (after,) = again.calibrations.of([Question(verdict_of(0).claim, ("empirical",))])

    assert before is not None
    assert before == after
    assert before.seq == last


def test_question_about_the_past_is_answered_by_the_calibration_of_then(house: House) -> None:
    """A position before the thirtieth label has the shipped calibration; the recorded one finds its own."""
    last = house.label(range(30), thirds(30))
    house.label(range(30, 45), thirds(15))
    question = Question(verdict_of(0).claim, ("empirical",))
    asked = [replace(question, as_of=last - 1), replace(question, calibrated_at=last), question]
    early, then, now = house.calibrations.of(asked)

    assert early is None
    assert then is not None
    assert now is not None
    assert (then.seq, then.labels, now.labels) == (last, 30, 40)


def test_switched_off_and_on_again_gives_back_the_same_calibration(house: House) -> None:
    """Rolling back is a decision in the ledger; so is rolling forward."""
    house.label(range(40), thirds(40))
    before = house.mark()
    off = house.decide(CalibrationMode("off"))["recalibration"]
    house.decide(CalibrationMode("auto"))

    assert (off["active"], off["seq"], off["mode"]) == (False, 0, "off")  # type: ignore[index]
    assert (house.mark().seq, house.mark().labels) == (before.seq, before.labels)


def test_pinned_calibration_stays_when_labels_come_in(house: House) -> None:
    """Back to an earlier one, and no later feedback moves it."""
    thirtieth = house.label(range(30), thirds(30))
    house.label(range(30, 60), thirds(30))
    house.decide(CalibrationMode("pinned", thirtieth))
    house.label(range(60, 80), thirds(20))

    assert (house.mark().seq, house.mark().mode, house.mark().known) == (thirtieth, "pinned", 80)


def test_pinning_where_there_was_no_calibration_is_refused(house: House) -> None:
    """A position before the thirtieth label names nothing."""
    house.label(range(5), thirds(5))

    with pytest.raises(InvalidValueError, match="no calibration of yours"):
        house.decide(CalibrationMode("pinned", 3))


def test_calibration_and_feedback_are_not_knowledge(house: House) -> None:
    """Neither moves the knowledge position, so cached answers of other tenants stay valid."""
    house.write(changes.put_document(Document("d", "Words."), A))
    before = house.keeper.knowledge_seq()
    house.label(range(2), thirds(2))
    house.decide(CalibrationMode("off"))

    assert house.keeper.knowledge_seq() == before
    assert house.keeper.seq_at("2030-01-01") == before


def test_feedback_said_twice_is_written_once(house: House) -> None:
    """The same word again changes nothing; another word is new, and so is the first one after it."""
    house.write(to_change(verdict_of(0)))
    told = [house.say(label)["repeated"] for label in ("REFUTED", "REFUTED", "SUPPORTED", "REFUTED")]

    assert told == [False, True, False, False]
    assert house.counted == ["REFUTED", "SUPPORTED", "REFUTED"]


def test_feedback_with_an_idempotency_key_is_written_once_and_bound_to_its_words(house: House) -> None:
    """The same key and words are answered again; the same key with others is a conflict."""
    house.write(to_change(verdict_of(0)))
    first, second = house.say("REFUTED", key="k"), house.say("REFUTED", key="k")

    assert (first["repeated"], second["repeated"]) == (False, True)
    with pytest.raises(ConflictError):
        house.say("SUPPORTED", key="k")


def test_feedback_on_an_unknown_verdict_or_with_an_unknown_label_is_refused(house: House) -> None:
    """One sentence says what to send."""
    with pytest.raises(NotFoundError, match="There is no verdict 'v0'"):
        house.say("REFUTED")
    with pytest.raises(InvalidValueError, match="use one of SUPPORTED, REFUTED"):
        house.say("FALSE")


def test_alarm_is_raised_when_sets_miss_and_rests_after_the_next_calibration(house: House) -> None:
    """Fifteen sets in a row miss: alarm. Answers of a calibration fitted later begin a new watch."""
    house.label(range(15), ["REFUTED"] * 15)
    raised = house.report()["drift"]
    house.label(range(15, 30), thirds(15))
    rested = house.report()["drift"]

    assert raised["alarm"]  # type: ignore[index]
    assert house.told[0] == (A, True)
    assert (rested["alarm"], rested["answers"], rested["since_seq"]) == (False, 0, house.mark().seq)  # type: ignore[index]
    assert house.told[-1] == (A, False)


def test_report_is_narrowed_by_domain_and_framework(house: House) -> None:
    """Another domain has no samples; a framework that gives no probabilities has none either."""
    house.label(range(6), thirds(6))
    counts = [
        house.report(**narrowed)["feedback"]["samples"]  # type: ignore[index]
        for narrowed in (
            {"domain": "Health"},
            {"domain": "sport"},
            {"framework": "empirical"},
            {"framework": "utility"},
        )
    ]

    assert counts == [6, 0, 6, 0]


def test_report_measures_answers_as_they_were_given(house: House) -> None:
    """Six answers at 0.9, four of them right, sets that hold four of six labels."""
    house.label(range(6), thirds(6))
    told = house.report()["feedback"]

    assert told["accuracy"] == pytest.approx(4 / 6, abs=1e-6)  # type: ignore[index]
    assert told["ece"] == pytest.approx(0.9 - 4 / 6, abs=1e-6)  # type: ignore[index]
    assert told["coverage"][0]["coverage"] == pytest.approx(4 / 6, abs=1e-6)  # type: ignore[index]


def test_marks_and_samples_survive_the_wire(house: House) -> None:
    """What the keeper actor sends is what the gateway reads."""
    house.label(range(30), thirds(30))
    query = CalibrationQuery(A, "m1", NOW)
    samples = house.keeper.feedback_samples(query)

    assert MARK_QUERIES.decode(MARK_QUERIES.encode([query])) == [query]
    assert MARKS.decode(MARKS.encode([house.mark()])) == [house.mark()]
    assert SAMPLES.decode(SAMPLES.encode(samples)) == samples


def test_recalibrated_verdict_teaches_from_the_row_before_recalibration(house: House) -> None:
    """Feedback on a recalibrated answer counts with its uncalibrated row and names its calibration."""
    house.label(range(30), thirds(30))
    (own,) = house.calibrations.of([Question(verdict_of(0).claim, ("empirical",))])
    assert own is not None
    answered = replace(verdict_of(50), probabilities=own.apply(SURE), uncalibrated=SURE, calibration=own.use)
    house.write(to_change(answered), changes.put_feedback(Feedback("v50", "REFUTED"), A))
    sample = house.keeper.feedback_samples(CalibrationQuery(A, "m1", NOW))[-1]

    assert (sample.raw, sample.calibrated_at) == (SURE, own.seq)
    assert sample.probabilities == own.apply(SURE) != SURE
    assert msgspec.json.decode(to_change(answered).payload)["document"]["calibration"]["id"] == own.id


def test_calibration_is_remembered_until_somebody_says_something(house: House) -> None:
    """With the board, a known calibration asks nobody; new words and decisions are heard at once."""
    calibrations = TenantCalibrations(
        house.reader, SHIPPED, model_bundle="m1", edition=BoardReader(house.home).edition
    )
    question = Question(Claim("Claim number 1.", A), ("empirical",))
    unasked = calibrations.remembered([question])
    none_yet = calibrations.of([question])
    remembered = calibrations.remembered([question])
    last = house.label(range(30), thirds(30))
    forgotten = calibrations.remembered([question])
    (fitted,) = calibrations.of([question])
    again = calibrations.remembered([question, question])
    house.decide(CalibrationMode("off"))
    decided = calibrations.remembered([question])

    assert (unasked, none_yet, remembered) == (None, [None], [None])
    assert (forgotten, decided) == (None, None)
    assert fitted is not None
    assert fitted.seq == last
    assert again == [fitted, fitted]
    assert calibrations.of([question]) == [None]
