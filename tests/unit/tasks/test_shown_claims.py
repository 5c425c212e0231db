"""How labelled claims are shown: which evidence, which label, which page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.labelled import LabelledClaim, PoolPassage
from tasks.pooled_evidence import PooledEvidence
from tasks.shown_claims import CONFLICTING, MOST_ITEMS, Shown, shown_of

RIVERS = ["Rhine", "Elbe", "Oder", "Main", "Isar", "Inn", "Spree", "Havel", "Saale", "Weser", "Ems", "Mosel"]


class FakeEmbedder:
    """A unit vector of letter counts: alike words, alike vectors."""

    dim = 26

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[text.lower().count(chr(97 + place)) for place in range(26)] for text in texts])
        return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True), dtype=np.float32)


def passages() -> list[PoolPassage]:
    return [
        PoolPassage(f"{river}-{length}", f"The {river} is {length} km long.", river)
        for place, river in enumerate(RIVERS)
        for length in (300 + 7 * place, 800 + 7 * place)
    ]


def claims(count: int = 200, *, source: str) -> list[LabelledClaim]:
    """The first length of each river is claimed, supported by one passage and refuted by the other."""
    made = []
    for number in range(count):
        place = number % len(RIVERS)
        river, right, wrong = RIVERS[place], 300 + 7 * place, 800 + 7 * place
        text = f"The {river} is {right} km long, says book {number}."
        made.append(LabelledClaim(f"{number}s", text, 0, (f"{river}-{right}",), source))
        made.append(LabelledClaim(f"{number}r", text, 1, (f"{river}-{wrong}",), source))
    return made


def all_shown(source: str, **more: Any) -> list[Shown]:
    return list(shown_of(source, claims(source=source), PooledEvidence(passages(), FakeEmbedder()), **more))


def test_shown_claims_of_two_versions_are_in_conflict_only_with_both() -> None:
    """CONFLICTING has a passage for and one against; every other claim has at most its own."""
    shown = all_shown("vitaminc")
    both = [each for each in shown if each.label == CONFLICTING]
    assert 20 < len(both) < 200
    for each in shown:
        own = [item for item in each.items if item.title == each.page]
        assert len(own) == (2 if each.label == CONFLICTING else 0 if each.way == "removed" else 1)


def test_shown_claim_without_its_evidence_is_undecided() -> None:
    """Taken away, and not found again under another name."""
    removed = [each for each in all_shown("fm2") if each.way == "removed"]
    assert len(removed) > 50
    assert {each.label for each in removed} == {2}


def test_shown_altered_claim_is_false_beside_the_evidence_of_the_true_one() -> None:
    """What the evidence supported, it refutes once the claim says otherwise."""
    altered = [each for each in all_shown("fever_dev") if each.way == "altered"]
    texts = {claim.text for claim in claims(source="fever_dev")}
    assert len(altered) > 15
    assert all(each.label == 1 and each.text not in texts for each in altered)
    assert all(any(item.title == each.page for item in each.items) for each in altered)


def test_shown_claims_stay_within_bounds_and_meet_distractors() -> None:
    """At most so many items, each once; most claims see more than their gold."""
    shown = all_shown("vitaminc")
    assert all(1 <= len(each.items) <= MOST_ITEMS for each in shown)
    assert all(len({item.id for item in each.items}) == len(each.items) for each in shown)
    assert sum(len(each.items) > 2 for each in shown) > len(shown) / 2


def test_shown_claims_are_the_same_every_time() -> None:
    """Nothing is drawn by chance."""
    assert all_shown("vitaminc") == all_shown("vitaminc")


def test_shown_claims_of_pages_the_stance_model_knows_are_left_out() -> None:
    """Of FM2 half the pages were learned from; they would look better than new ones."""
    whole, half = all_shown("fm2"), all_shown("fm2", unseen_share=50)
    assert 0 < len(half) < len(whole)
    assert {each.page for each in half} < {each.page for each in whole}
