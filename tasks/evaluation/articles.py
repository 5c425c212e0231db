"""A claim beside a whole article: which sentences are worth reading, and how much of the claim it holds.

Called by ``tasks.evaluation.gold`` and ``tasks.evaluation.told``. Sentences are found inside the article as
the product finds passages in its knowledge: by their words and by their vectors, fused by rank.
Deterministic: ties go to the earlier sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from data.ports import Embedder
from data.text.stop_words import STOP_WORDS

#: Sentences that share most words with the claim, among which vectors choose.
CANDIDATES = 16
#: Constants of BM25 (Robertson and Zaragoza 2009) and of reciprocal rank fusion (Cormack et al. 2009).
_K1, _B, _RRF = 1.2, 0.75, 60
_WORD = re.compile(r"\w+")
_FIGURE = re.compile(r"\d(?:[\d.,]*\d)?")
_NAME = re.compile(r"(?<!^)\b[A-Z]\w+")
_STEM = 6

#: Columns of :func:`coverage`.
COVERAGE: tuple[str, ...] = (
    "words_anywhere",  # share of the claim's words that the article has
    "words_in_one",  # greatest share that one sentence has
    "words_in_two",  # share that the two nearest sentences have together
    "words_in_five",
    "pairs_anywhere",  # share of the claim's neighbouring words that stand side by side in a sentence
    "figures",  # figures of the claim, at most five
    "figures_missing",  # of these, how many the article has not
    "figures_far",  # how many the five nearest sentences have not
    "names_missing",
    "names_far",
    "claim_words",
    "article_words",  # natural logarithm
)


def stems(text: str) -> list[str]:
    """Return the words that carry meaning, in lower case, cut to six letters as a rough stem."""
    found = (word.casefold() for word in _WORD.findall(text))
    return [word[:_STEM] for word in found if word not in STOP_WORDS]


def nearest(claim: str, sentences: Sequence[str], embedder: Embedder) -> list[int]:
    """Return the places of at most ``CANDIDATES`` sentences, nearest to the claim first."""
    scores = _bm25(stems(claim), [stems(each) for each in sentences])
    lexical = sorted(range(len(sentences)), key=lambda place: (-scores[place], place))[:CANDIDATES]
    vectors = embedder.embed([claim, *(sentences[place] for place in lexical)])
    cosines = np.round(vectors[1:] @ vectors[0], 6)
    dense = sorted(range(len(lexical)), key=lambda rank: (-cosines[rank], rank))
    fused = {rank: 1 / (_RRF + rank) + 1 / (_RRF + place) for place, rank in enumerate(dense)}
    return [lexical[rank] for rank in sorted(fused, key=lambda rank: (-fused[rank], rank))]


def coverage(claim: str, sentences: Sequence[str], near: Sequence[int]) -> list[float]:
    """Return the values of ``COVERAGE`` for a claim, its article, and the nearest sentences in order."""
    wanted, held = set(stems(claim)), [stems(each) for each in sentences]
    sets = [set(each) for each in held]
    article = " ".join(sentences)
    close = " ".join(sentences[place] for place in near[:5])
    figures, names = set(_FIGURE.findall(claim)), {each.casefold() for each in _NAME.findall(claim)}
    return [
        _share(wanted, set().union(*sets)),
        max((_share(wanted, each) for each in sets), default=0.0),
        _share(wanted, set().union(*(sets[place] for place in near[:2]))),
        _share(wanted, set().union(*(sets[place] for place in near[:5]))),
        _share(_neighbours(stems(claim)), set().union(*map(_neighbours, held))),
        float(min(5, len(figures))),
        float(min(5, len(figures - set(_FIGURE.findall(article))))),
        float(min(5, len(figures - set(_FIGURE.findall(close))))),
        float(min(6, len(names - _words(article)))),
        float(min(6, len(names - _words(close)))),
        float(len(claim.split())),
        math.log(1 + len(article.split())),
    ]


def _bm25(wanted: Sequence[str], held: Sequence[Sequence[str]]) -> list[float]:
    count, mean = len(held), sum(map(len, held)) / max(1, len(held)) or 1.0
    sets = [set(each) for each in held]
    weights = {}
    for word in sorted(set(wanted)):
        inside = sum(word in each for each in sets)
        weights[word] = math.log(1 + (count - inside + 0.5) / (inside + 0.5))
    scores = []
    for words in held:
        length = _K1 * (1 - _B + _B * len(words) / mean)
        times = ((weight, words.count(word)) for word, weight in weights.items())
        scores.append(math.fsum(weight * n * (_K1 + 1) / (n + length) for weight, n in times if n))
    return scores


def _share(wanted: set[str], held: set[str]) -> float:
    return round(len(wanted & held) / len(wanted), 6) if wanted else 1.0


def _neighbours(words: Sequence[str]) -> set[str]:
    return {f"{left} {right}" for left, right in pairwise(words)}


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}
