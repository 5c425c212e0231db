"""Heads, relations and parts of speech against a treebank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from data.analysis import Span
from data.text.syntax import ParsedToken, SyntaxReader
from tasks.evaluation.statistics import ratio
from tasks.evaluation.syntax import holds_treebank, score
from tasks.treebank import Sentence, Word


class FlatReader(SyntaxReader):
    """Calls every word a noun that modifies the first."""

    def __init__(self) -> None:
        import spacy

        super().__init__(spacy.blank("en"))

    def read_words(self, sentences: Iterable[Sequence[str]]) -> Iterator[tuple[ParsedToken, ...]]:
        for words in sentences:
            yield tuple(
                ParsedToken(word, Span(0, 1), word, "NOUN", "NN", 0, "root" if not place else "nmod")
                for place, word in enumerate(words)
            )


def word(head: int, relation: str, part: str) -> Word:
    return Word("x", "x", part, "NN", head, relation, space=True)


def test_right_heads_relations_and_parts_of_speech_are_counted() -> None:
    """A subtype of the right relation is right; the right relation to a wrong head is not."""
    words = (
        word(0, "root", "NOUN"),
        word(0, "nmod:poss", "PRON"),
        word(1, "nmod", "NOUN"),
        word(0, "punct", "PUNCT"),
    )
    assert score(FlatReader(), [Sentence(words, opens_paragraph=True)]) == [(3, 2, 2)]


def test_long_sentences_count_for_more_than_short_ones() -> None:
    """Shares are of words, not of sentences."""
    found = ratio(np.array([1.0, 0.0]), np.array([1.0, 9.0]))
    assert found.value == pytest.approx(0.1)
    assert found.low <= found.value <= found.high


def test_a_folder_without_the_split_is_no_treebank_of_it(tmp_path: Path) -> None:
    """Only the file of that split tells."""
    (tmp_path / "dev.conllu.gz").write_bytes(b"")
    assert holds_treebank(tmp_path, "dev")
    assert not holds_treebank(tmp_path, "test")
