"""The syntax pipeline on a treebank: how many words get the right head, relation and part of speech.

Called by ``tasks.evaluate`` for sets of ``*.conllu.gz`` files. Words and sentences are given as annotated, so
the figures are of tagger and parser alone; every word counts, punctuation too, and of a relation only the
universal part ("nmod" of "nmod:poss") is compared, as in the shared task of CoNLL 2018 (Zeman et al.).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.text.syntax import ParsedToken, SyntaxReader
from tasks.evaluation.statistics import ratio
from tasks.treebank import Sentence, Word, read_treebank

#: Figures by name, in the order of :func:`score`.
MEASURES = ("uas", "las", "upos")


def holds_treebank(folder: Path, split: str) -> bool:
    """Return whether ``folder`` has this split as a treebank."""
    return (folder / f"{split}.conllu.gz").is_file()


def measure(reader: SyntaxReader, folder: Path, split: str, limit: int | None = None) -> dict[str, Any]:
    """Return the figures of a pipeline on a split, with intervals over its sentences.

    Raises:
        ConfigError: the split is not there.
        CorruptDataError: the file is no treebank.
    """
    sentences = read_treebank(folder, split)[:limit]
    hits = score(reader, sentences)
    words = np.array([len(each.words) for each in sentences], dtype=np.float64)
    found: dict[str, Any] = {"rows": float(words.sum())}
    for place, name in enumerate(MEASURES):
        found[name] = ratio(np.array([row[place] for row in hits], dtype=np.float64), words)
    return found


def score(reader: SyntaxReader, sentences: Sequence[Sentence]) -> list[tuple[int, int, int]]:
    """Return, for each sentence, the words with the right head, head and relation, and part of speech."""
    read = reader.read_words([word.text for word in sentence.words] for sentence in sentences)
    return [_hits(tokens, sentence.words) for tokens, sentence in zip(read, sentences, strict=True)]


def _hits(tokens: Sequence[ParsedToken], words: Sequence[Word]) -> tuple[int, int, int]:
    attached = related = tagged = 0
    for token, word in zip(tokens, words, strict=True):
        right_head = token.head == word.head
        attached += right_head
        related += right_head and _universal(token.dependency) == _universal(word.dependency)
        tagged += token.upos == word.upos
    return attached, related, tagged


def _universal(relation: str) -> str:
    return relation.partition(":")[0]
