"""Two thousand odd texts through every stage, some to whole verdicts; and what the fuzz test itself sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.analysis import Analysis, Entity, Finding, Quantity, Span, Token
from data.text.comparison import FEATURE_NAMES, Comparison
from data.text.extraction import Reading, Skipped, TextClaim
from tasks.behaviour.fuzz import Plan, Record, fuzz, fuzz_table
from tasks.behaviour.fuzz_stages import broken_analysis, broken_comparison, broken_extraction
from tasks.behaviour.fuzz_texts import FuzzItem, FuzzTexts
from tasks.behaviour.fuzz_verdicts import asked_of, broken_verdict
from tasks.behaviour.growth import growth
from tasks.behaviour.judging import Asked, Judge
from tests.unit.behaviour.conftest import build_judge

#: Importing and loading the models counts, on a busy machine as well.
pytestmark = pytest.mark.timeout(600)
ITEM = FuzzItem(0, "plain", "The Nile flows through Egypt.", "The Nile flows through Egypt and Sudan.")


def test_two_thousand_odd_texts_break_nothing(full_judge: Judge) -> None:
    """No exception, no span outside, no wild number, no SUPPORTED without support, the same bytes twice."""
    document = fuzz(Plan(2_000, 60, "small", huge=3_000, growth=False), judge=full_judge)
    assert document["passed"], fuzz_table(document)
    assert document["ran"]["analysis"] == 2_000
    assert document["ran"]["verdict"] >= 30


def test_items_are_the_same_alone_and_among_others() -> None:
    """A failure can be repeated from its number."""
    texts = FuzzTexts("seed")
    many = [texts.item(number) for number in range(60)]
    assert FuzzTexts("seed").item(41) == many[41]
    assert FuzzTexts("other").item(41) != many[41]
    assert len({item.kind for item in many}) == 16


def test_plain_text_grows_in_line_with_its_length() -> None:
    """Of pieces that once were slow or might be."""
    assert growth(("1999–2000 ", "A. ", "not ", "“")) == []


def test_an_exception_is_noted_with_where_it_arose() -> None:
    """It does not stop the run."""

    def fails() -> list[str]:
        raise ValueError("no such month")

    record = Record()
    record.run("analysis", ITEM, fails, 10.0)
    assert record.broken["analysis"] == 1
    assert record.examples[0]["broken"] == "ValueError in test_fuzz.py:fails: no such month"


def test_a_stage_that_takes_too_long_is_noted() -> None:
    """The limit is CPU time, so a busy machine fails nothing."""
    record = Record()
    record.run("analysis", ITEM, list, -1.0)
    assert "more than" in record.examples[0]["broken"]


def test_a_token_that_is_not_at_its_place_is_seen() -> None:
    """Spans always slice to the quoted text."""
    token = Token("Nile", "nile", Span(0, 4))
    sound = Analysis((token,), (Span(0, 4),), (), (), (), ())
    assert list(broken_analysis("Nile", sound)) == []
    assert list(broken_analysis("The Nile", sound))
    assert list(broken_analysis("Nile", replace(sound, entities=(Entity("Nil", "PLACE", Span(0, 4)),))))
    assert list(broken_analysis("Nile", replace(sound, sentences=(Span(0, 5),))))
    endless = Quantity(float("inf"), None, 1.0, "count", "=", None, Span(0, 4))
    assert list(broken_analysis("Nile", replace(sound, quantities=(endless,))))


def test_a_claim_of_a_text_outside_of_it_is_seen() -> None:
    """So is one that overlaps the claim before it."""
    one = TextClaim(Span(0, 4), Span(0, 4), 0)
    assert list(broken_extraction("Nile", Reading((one,), ()))) == []
    assert list(broken_extraction("Nil", Reading((one,), ())))
    assert list(broken_extraction("Nile", Reading((one, one), ())))
    assert list(broken_extraction("Nile", Reading((), (Skipped(Span(2, 2), "fragment"),))))


def test_a_finding_outside_of_its_text_is_seen() -> None:
    """So is a feature that is not finite."""
    sound = Comparison((), (0.0,) * len(FEATURE_NAMES), Span(0, 4))
    assert list(broken_comparison("Nile", "Nile", sound)) == []
    finding = Finding("number_mismatch", "", -0.5, Span(0, 9))
    assert list(broken_comparison("Nile", "Nile", replace(sound, findings=(finding,))))
    assert list(broken_comparison("Nile", "Nile", replace(sound, features=(float("nan"),))))


@pytest.mark.parametrize(
    "change",
    [
        {"probabilities": (0.9, 0.2, 0.0, 0.0)},
        {"probabilities": (float("nan"), 0.0, 1.0, 0.0)},
        {"confidence": 0.1},
        {"label": "REFUTED"},
        {"stances": {}},
        {"evidence": ()},
    ],
)
def test_a_verdict_that_breaks_a_promise_is_seen(judge: Judge, change: dict[str, object]) -> None:
    """A sound verdict passes, each altered one is caught."""
    asked = asked_of(replace(ITEM, number=1))
    assert asked is not None
    verdict = judge.answer([asked])[0]
    assert verdict.label == "SUPPORTED"
    assert list(broken_verdict(verdict, ITEM.passage)) == []
    assert list(broken_verdict(replace(verdict, **change), ITEM.passage))


def test_a_verdict_that_depends_on_its_neighbours_is_seen() -> None:
    """The second pass asks in other company."""

    class Moody(Judge):
        def answer(self, asked: list[Asked], block: int = 32) -> list[object]:  # type: ignore[override]
            found = build.answer(asked, block)
            return [replace(each, disagreement=float(block)) for each in found]

    build = build_judge()
    document = fuzz(Plan(4, 4, growth=False, huge=500), judge=Moody.__new__(Moody))
    assert not document["passed"]
    assert any("other bytes" in each["broken"] for each in document["examples"])
