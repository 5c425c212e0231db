"""A pipeline keeps the words of so many texts and no more, and reads as before when it has forgotten them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data.text import forgetting
from data.text.forgetting import Forgetting
from data.text.syntax import load_syntax

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "syntax"
TEXTS = ["Germany defeated Brazil in 2014.", "No vaccine causes autism."]


def blank() -> Any:
    import spacy

    return spacy.blank("en")


def test_pipeline_forgets_the_words_of_texts_and_is_loaded_again_when_their_cells_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither words nor cells grow with the texts; spaCy alone would have kept 600 of them."""
    monkeypatch.setattr(forgetting, "ZONE_TEXTS", 10)
    monkeypatch.setattr(forgetting, "MOST_WORDS", 120)
    loaded: list[Any] = []

    def again() -> Any:
        loaded.append(blank())
        return loaded[-1]

    first = blank()
    words, own = Forgetting(first, again), len(first.vocab)
    strings, cells = [], []
    for number in range(600):
        nlp = words.for_text()
        assert [token.text for token in nlp.tokenizer(f"word{number} here")] == [f"word{number}", "here"]
        strings.append(len(nlp.vocab.strings))
        cells.append(len(nlp.vocab))

    assert max(strings) - min(strings) <= 20
    assert max(cells) <= own + 120 + 30
    assert 1 <= len(loaded) <= 10
    assert words.nlp is loaded[-1]


def test_pipeline_that_cannot_be_loaded_again_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files were exchanged while it ran: it stays the one that it was."""
    monkeypatch.setattr(forgetting, "ZONE_TEXTS", 2)
    monkeypatch.setattr(forgetting, "MOST_WORDS", 0)
    first = blank()
    words = Forgetting(first, lambda: None)
    assert all(words.for_text() is first for _ in range(6))


def test_grammar_reads_the_same_when_its_pipeline_was_loaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words, heads and lemmas do not hang on what was read before."""
    expected = load_syntax(SHIPPED).read(TEXTS)
    monkeypatch.setattr(forgetting, "ZONE_TEXTS", 8)
    monkeypatch.setattr(forgetting, "MOST_WORDS", 0)
    reader = load_syntax(SHIPPED)
    first = reader._pipeline.nlp
    reader.read([f"Ship {number} sank." for number in range(8)])

    assert reader.read(TEXTS) == expected
    assert reader._pipeline.nlp is not first
