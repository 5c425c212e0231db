"""How the shipped stance model behaves on plain statements: said, denied, changed in one place, beside
another text.

The file ``plain_facts.json`` was at hand when bounds were chosen, ``plain_facts_unseen.json`` was
not.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.evidence import STANCES
from data.models.stance import TrainedStance
from data.text.analyser import SpacyAnalyser

HERE = Path(__file__).parent
SHIPPED = HERE.parents[2] / "models" / "stance"
#: Share of statements that must behave, over all kinds of change.
WANTED = 0.95


@pytest.fixture(scope="module")
def stance() -> TrainedStance:
    return TrainedStance(SpacyAnalyser(), SHIPPED)


def stances(stance: TrainedStance, pairs: list[tuple[str, str]]) -> list[str]:
    return [STANCES[int(row.argmax())] for row in stance.judge(pairs)]


def misbehaving(stance: TrainedStance, name: str) -> tuple[list[str], int]:
    """Return the pairs that do not behave, in words, and how many there are in all."""
    facts = json.loads((HERE / name).read_text(encoding="utf-8"))
    checks = [
        (fact[claim], fact[passage], wanted)
        for fact in facts
        for claim, passage, wanted in (
            ("claim", "passage", ("SUPPORTS",)),
            ("negated", "passage", ("REFUTES", "NEUTRAL")),
            ("changed", "passage", ("REFUTES", "NEUTRAL")),
            ("claim", "unrelated", ("NEUTRAL",)),
        )
    ]
    said = stances(stance, [(claim, passage) for claim, passage, _ in checks])
    wrong = [
        f"{each}: {claim} | {passage}"
        for each, (claim, passage, wanted) in zip(said, checks, strict=True)
        if each not in wanted
    ]
    return wrong, len(checks)


@pytest.mark.parametrize("name", ["plain_facts.json", "plain_facts_unseen.json"])
def test_judge_of_plain_facts_behaves(stance: TrainedStance, name: str) -> None:
    """Said supports; denied or changed does not support; another text is neutral."""
    wrong, count = misbehaving(stance, name)
    assert 1 - len(wrong) / count >= WANTED, "\n".join(wrong)


def test_judge_of_a_denied_plain_fact_refutes(stance: TrainedStance) -> None:
    """Not merely "does not support": at least nineteen in twenty are refuted."""
    facts = json.loads((HERE / "plain_facts.json").read_text(encoding="utf-8"))
    said = stances(stance, [(fact["negated"], fact["passage"]) for fact in facts])
    assert said.count("REFUTES") >= WANTED * len(said)
