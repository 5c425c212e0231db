"""``evidence_filter`` of ``POST /verify``: it reaches the question, or is refused where it means nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from data.evidence_filter import NO_FILTER, EvidenceFilter
from deployments.api.wire import VerifyAnswer
from tests.unit.api.fakes import PASSAGE, Rig

CLAIM = "Water boils at 100 degrees Celsius at sea level."


def test_filter_reaches_the_question_and_is_told_in_the_answer(rig: Rig) -> None:
    """Every field arrives, repeats once; the answer says which evidence was admitted."""
    sent = {"since": "2020-01-01", "entities": ["Water", "Water"], "sources": ["s1"]}
    answer = rig.post("/verify", {"claim": CLAIM, "evidence_filter": sent}).json()
    admits = EvidenceFilter(since="2020-01-01", entities=("Water",), sources=("s1",))

    assert rig.verifier.batches[0][0].admits == admits
    assert answer["metadata"]["evidence_filter"] == {
        "since": "2020-01-01",
        "until": None,
        "entities": ["Water"],
        "sources": ["s1"],
    }
    assert TypeAdapter(VerifyAnswer).validate_python(answer, strict=True) == answer


@pytest.mark.parametrize("body", [{}, {"evidence_filter": None}, {"evidence_filter": {}}])
def test_no_filter_admits_everything_and_is_not_told(rig: Rig, body: dict[str, Any]) -> None:
    """Left out, null and empty are the same."""
    answer = rig.post("/verify", {"claim": CLAIM, **body}).json()

    assert rig.verifier.batches[0][0].admits == NO_FILTER
    assert "evidence_filter" not in answer["metadata"]


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({"since": "last week"}, "evidence_filter: The filter's since"),
        ({"since": "2021-01-01", "until": "2020-01-01"}, "evidence_filter: The filter ends"),
        ({"entities": ["…"]}, "evidence_filter: The filter's entity"),
        ({"entities": "Water"}, "evidence_filter.entities"),
        ({"sources": [""]}, "evidence_filter.sources[0]"),
        ({"sources": ["s"] * 101}, "evidence_filter.sources"),
        ({"until": 2020}, "evidence_filter.until"),
        ({"places": ["Lyon"]}, "evidence_filter.places: is not a known field"),
    ],
)
def test_filter_that_cannot_be_meant_is_422_naming_it(rig: Rig, sent: dict[str, Any], named: str) -> None:
    """Nothing is asked of the verifier; the sentence begins with the field to mend."""
    response = rig.post("/verify", {"claim": CLAIM, "evidence_filter": sent})

    assert response.status_code == 422
    assert response.json()["detail"].startswith(named)
    assert rig.verifier.batches == []


def test_evidence_tells_the_sentence_that_answers_to_the_claim(rig: Rig) -> None:
    """Its place counts characters of the text quoted; facts have none."""
    passage, fact = rig.post("/verify", {"claim": CLAIM}).json()["evidence"]

    assert passage["text"][passage["sentence"]["start"] : passage["sentence"]["end"]] == PASSAGE
    assert fact["sentence"] is None
