"""Pairs made from abstracts: conclusions are found, turned round, and left open by other abstracts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.evidence import STANCES
from tasks.labelled import LabelledPair
from tasks.scientific_pairs import SOURCE, abstract_pairs, turned

ASPIRIN = {
    "id": "1",
    "title": "Daily aspirin reduces the risk of stroke in older adults.",
    "text": (
        "Stroke is a common cause of death. We followed 900 older adults for ten years. "
        "The risk of stroke was reduced in older adults who took daily aspirin. "
        "These results suggest that aspirin reduces the risk of stroke in older adults."
    ),
}
SALT = {
    "id": "2",
    "title": "Salt and blood pressure: a survey.",
    "text": (
        "Blood pressure differs between regions. Older adults with a stroke in their history took less salt. "
        "We asked 400 households."
    ),
}


@pytest.fixture
def pairs(tmp_path: Path) -> list[LabelledPair]:
    folder = tmp_path / "scifact" / "retrieval"
    folder.mkdir(parents=True)
    lines = [json.dumps(each) for each in (ASPIRIN, SALT)]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return abstract_pairs(tmp_path)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Aspirin reduces risk.", "Aspirin enhances risk."),
        ("Smoking increases risk.", "Smoking decreases risk."),
        ("It was up-regulated in mice.", "It was down-regulated in mice."),
        ("The loss of PTEN is linked to cancer.", "The gain of PTEN is linked to cancer."),
        ("Highlands are cold.", None),
    ],
)
def test_turned_text_has_its_first_direction_the_other_way(text: str, other: str | None) -> None:
    """Whole words only; a text without a direction cannot be turned."""
    assert turned(text) == other


def test_conclusion_beside_the_other_sentences_is_supported(pairs: list[LabelledPair]) -> None:
    """What the authors conclude is borne out by what they report, and every pair names its origin."""
    claim = "Aspirin reduces the risk of stroke in older adults."
    supporting = [pair for pair in pairs if pair.claim == claim and STANCES[pair.label] == "SUPPORTS"]
    assert supporting
    assert "who took daily aspirin" in supporting[0].passage
    assert {pair.source for pair in pairs} == {SOURCE}


def test_title_that_states_something_is_a_claim_and_a_subject_is_not(pairs: list[LabelledPair]) -> None:
    """Salt and blood pressure: a survey says nothing that could be true."""
    claims = {pair.claim for pair in pairs}
    assert "Daily aspirin reduces the risk of stroke in older adults." in claims
    assert not any("survey" in claim for claim in claims)


def test_other_abstract_leaves_the_conclusion_open(pairs: list[LabelledPair]) -> None:
    """The nearest sentence of another abstract is NEUTRAL, never one of its own."""
    open_ = [pair for pair in pairs if STANCES[pair.label] == "NEUTRAL"]
    assert open_
    assert all(pair.passage in SALT["text"] for pair in open_)


def test_same_corpus_gives_the_same_pairs(tmp_path: Path, pairs: list[LabelledPair]) -> None:
    """Training meets the same pairs every time."""
    assert abstract_pairs(tmp_path) == pairs
