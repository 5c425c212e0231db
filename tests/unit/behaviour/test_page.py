"""The page of figures: both reports, one of them, and what falls short."""

from __future__ import annotations

from typing import Any

from tasks.behaviour.page import behaviour_page
from tasks.behaviour.relations import RELATIONS


def counted(held: int, count: int) -> dict[str, Any]:
    return {"count": count, "held": held, "rate": held / count, "interval": [0.1, 0.9]}


def related() -> dict[str, Any]:
    """Negation fails where a phrase denies; everything else holds."""
    relations: dict[str, Any] = {}
    for name, relation in RELATIONS.items():
        held = 12 if name == "negation" else 20
        relations[name] = {
            "required": relation.required,
            "decided": counted(held, 20),
            "all": counted(held, 20),
            "passed": held == 20,
            "by_form": {"phrase": counted(held - 8, 12), "never": counted(8, 8)},
            "by_start": {"SUPPORTED": counted(held, 20)},
        }
    foreign = {"auroc": 0.51, "interval": [0.45, 0.55], "required": [0.45, 0.55], "passed": True}
    return {
        "claims": 30,
        "split": "dev",
        "decided": 20,
        "models": "ab" * 32,
        "relations": relations,
        "shuffled_auroc": foreign,
    }


FUZZED: dict[str, Any] = {
    "items": 600,
    "seed": "kite",
    "models": "ab" * 32,
    "ran": {"claim": 600},
    "broken": {"claim": 2},
    "cpu_s": {"claim": 0.5},
    "slowest": {"claim": [{"cpu_s": 0.1}]},
    "growth": ["analysis of '1' repeated: too long"],
}


def test_relations_that_fall_short_are_marked_with_the_kinds_that_do() -> None:
    """Of the two kinds of denial, the one that fails and was seen often enough."""
    page = behaviour_page(related(), None)
    assert "| 0.9 | 0.600 [0.100, 0.900] | 20 | short |" in page
    assert "- negation, phrase: held in 0.333 of 12." in page
    assert "negation, never" not in page
    assert page.count("| short |") == 1
    assert "Odd texts" not in page


def test_broken_promises_and_growth_of_odd_texts_are_told() -> None:
    """Figures by stage, and that time grew too fast."""
    page = behaviour_page(None, FUZZED)
    assert "| claim | 600 | 2 | 0.5 | 0.1 |" in page
    assert "was seen in 1 cases" in page
    assert "Claims that are changed" not in page


def test_every_relation_is_on_the_page_in_words() -> None:
    """A name alone tells a reader little."""
    page = behaviour_page(related(), FUZZED)
    assert all(f"| {name} | {relation.says} |" in page for name, relation in RELATIONS.items())
