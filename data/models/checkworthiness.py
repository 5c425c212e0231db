"""Feature rows of the check-worthiness model, the same for training and for serving.

Called by ``tasks.train_checkworthiness`` and the utility framework. Everything is computed from the text
and its vector by rules frozen in this file, not from the analyser, so that a better analyser never moves a
model that is already trained. The last ``SLOTS`` columns hold the numbers of the text's words and pairs of
words, for the linear stage of the model (``data.models.linear_stage``). Invariant: a row depends on its own
text and vector alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from data.models.linear_stage import gram_slots

#: Name of the model, and of its folder.
MODEL = "checkworthiness"
CLASSES = ("NOT_CHECK_WORTHY", "CHECK_WORTHY")
VECTOR_DIM = 384
#: Words and pairs of words read of a sentence: more than any of 120 words has.
SLOTS = 240

#: Calibrated probability from which a sentence counts as check-worthy: the best F1 on the dev split.
THRESHOLD = 0.4

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d[\d,.]*|[%$?!]")
_YEAR = re.compile(r"\b(?:1[89]|20)\d\d\b")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Word classes counted per sentence. Own lists, closed-class English words.
GROUPS: dict[str, frozenset[str]] = {
    "first_person": _words("i i'm i've i'd i'll me my"),
    "we": _words("we we're we've our us we'll"),
    "you": _words("you your you're"),
    "third_person": _words("he she his her they their them"),
    "modal": _words("will going would should must could can may might shall"),
    "attitude": _words("think believe feel hope want know guess like love wish"),
    "past_auxiliary": _words("was were had did been has have"),
    "present_copula": _words("is are am be"),
    "magnitude": _words("million billion trillion percent thousand hundred times half double"),
    "comparison": _words("more less most least than fewer higher lower highest lowest largest biggest"),
    "negation": _words("not no never don't didn't isn't won't can't"),
}

#: Words that say most about the label: highest log-likelihood ratio on the train split among those in 15
#: sentences or more (Dunning 1993), without names of people and places, so that the model does not learn
#: who or where.
VOCABULARY = tuple(
    """
    # $ percent billion million year in dollars was i % of than think trillion he years tax were ? since cut
    had the by said voted has increase under half do five bill budget last want been against hundred over fact
    passed administration per more spending be six vetoed can for believe which ago need i'm took average
    supported federal when his rate four two three now did eight unemployment going largest senate don't
    because president taxes thousand office make ought up hope program went proposed doubled me jobs
    increased question history into gone today times income insurance will lowest loans added department from
    deficit months seven dollar less thousands killed businesses opposed nine senator reduced number even
    debt out companies medicare congress oil important state plan quarter cost health lost inflation signed a
    before biggest
    """.split()  # noqa: SIM905 - a hundred and fifty one-word lines would hide the list
)
_PLACE = {word: place for place, word in enumerate(VOCABULARY)}

_SHAPE = (
    "characters",
    "words",
    "word_length",
    "capitals",
    "capital_share",
    "numbers",
    "number_share",
    "percent_sign",
    "dollar_sign",
    "question",
    "exclamation",
    "ends_ed",
    "ends_ing",
    "ends_ly",
    "year",
    "lower_start",
    "commas",
)

FEATURE_NAMES: tuple[str, ...] = (
    *(f"vector_{place:03d}" for place in range(VECTOR_DIM)),
    *_SHAPE,
    *(f"count:{name}" for name in GROUPS),
    *(f"word:{word}" for word in VOCABULARY),
    *(f"gram_{place:03d}" for place in range(SLOTS)),
)


def features(texts: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, len(FEATURE_NAMES)) float32 for ``texts`` and their vectors (n, VECTOR_DIM)."""
    rows = np.zeros((len(texts), len(FEATURE_NAMES)), dtype=np.float32)
    rows[:, :VECTOR_DIM] = vectors
    for row, text in zip(rows, texts, strict=True):
        words = _WORD.findall(text.lower())
        shape = _shape(text, words)
        counts = [sum(word in group for word in words) for group in GROUPS.values()]
        start = VECTOR_DIM + len(shape) + len(counts)
        row[VECTOR_DIM:start] = (*shape, *counts)
        plain = ["#" if word[0].isdigit() else word for word in words]
        for word in plain:
            place = _PLACE.get(word)
            if place is not None:
                row[start + place] = 1.0
        row[-SLOTS:] = gram_slots(_grams(plain), SLOTS)
    return rows


def _grams(words: Sequence[str]) -> Iterator[str]:
    """Yield the words and pairs of words of a sentence, its begin and end among them."""
    bounded = ("^", *words, ".")
    for word, after in pairwise(bounded):
        yield word
        yield f"{word} {after}"


def _shape(text: str, words: Sequence[str]) -> tuple[float, ...]:
    """Return the figures named by ``_SHAPE``."""
    count = max(1, len(words))
    capitals = sum(part[0].isupper() and part != "I" and part[:2] != "I'" for part in text.split()[1:])
    numbers = sum(word[0].isdigit() for word in words)
    return (
        len(text),
        count,
        len(text) / count,
        capitals,
        capitals / count,
        numbers,
        numbers / count,
        float("%" in text),
        float("$" in text),
        float("?" in text),
        float("!" in text),
        _endings(words, "ed", 4),
        _endings(words, "ing", 5),
        _endings(words, "ly", 4),
        float(_YEAR.search(text) is not None),
        float(text[:1].islower()),
        text.count(","),
    )


def _endings(words: Sequence[str], ending: str, shortest: int) -> int:
    return sum(len(word) >= shortest and word.endswith(ending) for word in words)
