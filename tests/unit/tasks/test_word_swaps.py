"""A claim is made false by one word that its passage does not have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.text.syntax import load_syntax
from tasks.labelled import LabelledPair
from tasks.word_swaps import SOURCE, Swaps, kinds_of, swap_word, word_swapped, word_table

#: Two words as near as a pair of a kind may be, one nearer (a synonym), one of another kind and one far off.
_WORDS = ["stroke", "dementia", "apoplexy", "deteriorate", "keyboard"]
_ANGLES = np.array([0.0, 1.25, 0.8, 1.3, 3.0])
_KINDS = {"stroke": "NN", "dementia": "NN", "apoplexy": "NN", "deteriorate": "VB", "keyboard": "NN"}
_CLAIM = "Rapid worsening may be associated with stroke."
_PASSAGE = "Worsening could be associated with a neurologic event such as stroke."


def _swaps() -> Swaps:
    vectors = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1).astype(np.float32)
    table = word_table(_WORDS, vectors)
    # The few words here have a mean of their own, which a whole vocabulary has not.
    table.vectors[:] = vectors
    return Swaps(_KINDS, table)


def test_a_word_is_exchanged_for_another_of_its_kind_that_is_near_but_no_synonym() -> None:
    assert _swaps().others("stroke") == ["dementia"]


def test_a_word_of_unknown_kind_is_left_alone() -> None:
    assert _swaps().others("worsening") == []


def test_forms_of_a_word_do_not_stand_for_it() -> None:
    vectors = np.array([[1.0, 0.0], [0.3, 0.95]], dtype=np.float32)
    table = word_table(["released", "releases"], vectors)
    table.vectors[:] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    assert Swaps({"released": "VBD", "releases": "VBD"}, table).others("released") == []


def test_the_changed_claim_has_a_word_that_the_passage_has_not() -> None:
    assert swap_word(_CLAIM, _PASSAGE, _swaps()) == "Rapid worsening may be associated with dementia."


def test_a_claim_whose_words_the_passage_does_not_have_is_left_alone() -> None:
    assert swap_word(_CLAIM, "The keyboard was cleaned.", _swaps()) is None


def test_a_word_that_the_passage_also_has_is_not_put_in() -> None:
    assert swap_word(_CLAIM, f"{_PASSAGE} It also led to dementia.", _swaps()) is None


def test_supported_claims_alone_are_made_false() -> None:
    pairs = [LabelledPair(_CLAIM, _PASSAGE, label, "scifact", "Stroke") for label in (0, 1, 2)]

    made = list(word_swapped(pairs, _swaps()))

    assert [(pair.label, pair.source, pair.passage) for pair in made] == [(1, SOURCE, _PASSAGE)]


def test_words_have_the_kind_in_which_claims_nearly_always_use_them() -> None:
    claims = [f"The {word} of the city was large." for word in ("castle", "market", "harbor")]

    kinds = kinds_of(claims, load_syntax(Path("models/syntax")))

    assert kinds["city"] == "NN"
    assert "castle" not in kinds, "a word met once may be anything"
