"""Makes claims false by one word: another of its kind stands where the passage has the claim's own.

Called by ``tasks.stance_pairs``. "… associated with stroke" becomes "… with pneumonia": nothing but the word
tells that the passage no longer bears it out, and no number, name or negation does. The other word is a
neighbour of the claim's in the published encoder's word table, of the same part of speech and met in other
claims. Deterministic: every choice comes from a hash of the texts.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.text.syntax import SyntaxReader
from tasks.labelled import LabelledPair, share_of
from tasks.word_vectors import whole_word_vectors

SOURCE = "word_swapped"
#: Supported claims (per cent) that are made false so, by their source; more where few other changes apply.
SHARES = {"abstracts": 60, "scifact": 100, "vitaminc": 18, "fever_dev": 18, "fm2": 60}
#: Cosines in the word table (mean taken off). Nearer words are forms and synonyms of each other; words
#: further apart make a claim that nobody would make.
NEAREST, FURTHEST = 0.42, 0.22
#: A word is of one kind if this share of its occurrences is; words met less often are left alone.
SURE_SHARE, MIN_MET = 0.8, 3
#: Words that begin alike are forms of each other.
_SAME_START = 4
_KINDS = ("NN", "NNS", "JJ", "VB", "VBD", "VBZ", "VBN")
_WORD = re.compile(r"\b[a-z]{4,}\b")
_SUPPORTS, _REFUTES = 0, 1
Pairs = Sequence[LabelledPair]


@dataclass(frozen=True, slots=True)
class WordTable:
    """Words and their vectors (n, dim) float32 of length one."""

    places: dict[str, int]
    vectors: NDArray[np.float32]


def word_table(words: Sequence[str], vectors: NDArray[np.float32]) -> WordTable:
    """Return the table of ``words`` with the mean taken off their vectors (n, dim)."""
    centred = vectors - vectors.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    return WordTable({word: place for place, word in enumerate(words)}, unit.astype(np.float32))


def kinds_of(claims: Sequence[str], reader: SyntaxReader) -> dict[str, str]:
    """Return the fine tag of each lower-case word that the claims nearly always use in one way."""
    met: dict[str, Counter[str]] = defaultdict(Counter)
    for parsed in reader.read(claims):
        for sentence in parsed:
            for token in sentence.tokens:
                if _WORD.fullmatch(token.text):
                    met[token.text][token.tag] += 1
    kinds = {}
    for word, tags in met.items():
        tag, count = tags.most_common(1)[0]
        total = tags.total()
        if tag in _KINDS and total >= MIN_MET and count >= SURE_SHARE * total:
            kinds[word] = tag
    return kinds


class Swaps:
    """Finds, for a word, others of its kind that are near it but no form of it."""

    def __init__(self, kinds: dict[str, str], table: WordTable) -> None:
        self._kinds = {word: kind for word, kind in kinds.items() if word in table.places}
        self._table = table
        self._of_kind: dict[str, list[str]] = defaultdict(list)
        for word, kind in sorted(self._kinds.items()):
            self._of_kind[kind].append(word)
        self._rows = {
            kind: table.vectors[[table.places[word] for word in words]]
            for kind, words in self._of_kind.items()
        }
        self._found: dict[str, list[str]] = {}

    def others(self, word: str) -> list[str]:
        """Return the words that may stand for ``word``, nearest first; none where its kind is unknown."""
        if word not in self._found:
            self._found[word] = self._near(word) if word in self._kinds else []
        return self._found[word]

    def _near(self, word: str) -> list[str]:
        kind = self._kinds[word]
        cosines = self._rows[kind] @ self._table.vectors[self._table.places[word]]
        words = self._of_kind[kind]
        return [
            words[place]
            for place in np.argsort(-cosines, kind="stable").tolist()
            if FURTHEST <= cosines[place] <= NEAREST and words[place][:_SAME_START] != word[:_SAME_START]
        ]


def swaps_among(claims: Sequence[str], reader: SyntaxReader) -> Swaps:
    """Return the exchanges among the words of ``claims``; reads every claim's grammar: minutes."""
    return Swaps(kinds_of(sorted(set(claims)), reader), word_table(*whole_word_vectors()))


def swap_word(claim: str, passage: str, swaps: Swaps) -> str | None:
    """Return the claim with one of its words that the passage has replaced by one that it has not."""
    below = passage.lower()
    known = [
        found for found in _WORD.finditer(claim) if found.group() in below and swaps.others(found.group())
    ]
    if not known:
        return None
    old = known[share_of("which" + claim + passage, len(known))]
    others = [word for word in swaps.others(old.group())[:12] if word not in below and word not in claim]
    if not others:
        return None
    new = others[share_of("new" + claim + passage, len(others))]
    return claim[: old.start()] + new + claim[old.end() :]


def word_swapped(pairs: Pairs, swaps: Swaps) -> Iterator[LabelledPair]:
    """Yield a share of the supported claims made false by one word."""
    for pair in pairs:
        share = SHARES.get(pair.source, 0)
        if pair.label != _SUPPORTS or share_of("swap" + pair.claim + pair.passage) >= share:
            continue
        changed = swap_word(pair.claim, pair.passage, swaps)
        if changed is not None:
            yield LabelledPair(changed, pair.passage, _REFUTES, SOURCE, pair.title)
