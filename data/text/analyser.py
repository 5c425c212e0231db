"""Takes texts apart: the ``TextAnalyser`` of the house, on spaCy's tokenizer and our own readers.

Built once a process (models actor, tests, training) and shared by its threads. The same text always gives
the same analysis: every reader is a rule, and the cache holds only what it would compute again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

from data.analysis import Analysis, Entity, Span, Token
from data.errors import ConfigError
from data.text.cues import find_cues
from data.text.dates import DATE_WORDS, MONTHS, find_dates
from data.text.entities import find_entities
from data.text.forgetting import Forgetting
from data.text.lemmas import lemma_of
from data.text.numbers import STARTERS
from data.text.quantities import find_quantities
from data.text.stop_words import STOP_WORDS
from data.text.words import Words

#: Analyses kept per process: at about 10 KB each, 40 MB.
CACHE_SIZE = 4_096
#: A word longer than this is cut for the tokenizer, whose URL rule takes quadratic time on one endless word.
MAX_WORD_CHARS = 256

_DATE_STARTERS = frozenset((*MONTHS, *DATE_WORDS))
_CLOSERS = frozenset(("''", '"', "”", "’", ")", "]", "'"))
_ENDERS = frozenset((".", "!", "?", "…", "...", "。", "！", "？"))
_DIGIT_DASH = re.compile(r"\d[–—−‒]\d")
_DASHES = re.compile(r"(?<=\d)([–—−‒])(?=\d)")
_LONG_WORD = re.compile(rf"\S{{{MAX_WORD_CHARS + 1},}}")
_LABELS = {
    "PERSON": "PERSON",
    "GPE": "PLACE",
    "LOC": "PLACE",
    "FAC": "PLACE",
    "ORG": "ORG",
    "NORP": "ORG",
    "WORK_OF_ART": "WORK",
}


class SpacyAnalyser:
    """Analyses English text with spaCy's tokenizer and rule-based readers; any Unicode text is accepted.

    ``pipeline`` names an installed spaCy pipeline whose entities and lemmas replace ours; ``None`` needs no
    model at all. Thread safe: spaCy is entered by one thread at a time.

    Raises:
        ConfigError: the named pipeline is not installed.
    """

    def __init__(self, pipeline: str | None = None) -> None:
        self._pipeline = Forgetting(_load(pipeline), again=partial(_load, pipeline))
        self._full = pipeline is not None
        self._lock = threading.Lock()
        self._analysed = lru_cache(maxsize=CACHE_SIZE)(self._analyse_one)

    def analyse(self, texts: Sequence[str]) -> list[Analysis]:
        """Return one analysis a text, in order."""
        return [self._analysed(text) for text in texts]

    def _analyse_one(self, text: str) -> Analysis:
        raw, names = self._tokenise(text)
        words = Words(
            text=text,
            surface=[word[0] for word in raw],
            lower=[word[0].lower() for word in raw],
            lemmas=[word[2] or lemma_of(word[0].lower()) for word in raw],
            starts=[word[1] for word in raw],
            ends=[word[1] + len(word[0]) for word in raw],
        )
        return assemble(words, names)

    def _tokenise(self, text: str) -> tuple[list[tuple[str, int, str]], list[Entity] | None]:
        """Return (word, offset, lemma or "") triples, and the pipeline's entities where there is one."""
        with self._lock:
            nlp = self._pipeline.for_text()
            if self._full:
                doc = nlp(text[: nlp.max_length])
                names = list(_entities_of(doc))
                return [(t.text, t.idx, t.lemma_.lower()) for t in doc if not t.is_space], names
            tokens = (
                nlp.tokenizer(_LONG_WORD.sub(_cut, text))
                if len(text) > MAX_WORD_CHARS
                else nlp.tokenizer(text)
            )
            raw = [(t.text, t.idx, "") for t in tokens if not t.is_space]
        return (_split_ranges(raw) if _DIGIT_DASH.search(text) else raw), None


def assemble(words: Words, names: list[Entity] | None = None) -> Analysis:
    """Return the analysis of tokenised ``words``; ``names`` take the place of our own entity rules."""
    first_words = _sentence_starts(words)
    dates, dated = find_dates(words, _starts(words, _DATE_STARTERS))
    quantities = find_quantities(words, _starts(words, STARTERS), dated)
    entities = find_entities(words, first_words, dated) if names is None else names
    tokens = tuple(
        Token(surface, lemma, Span(start, end), low in STOP_WORDS)
        for surface, low, lemma, start, end in zip(
            words.surface, words.lower, words.lemmas, words.starts, words.ends, strict=True
        )
    )
    return Analysis(
        tokens=tokens,
        sentences=_sentences(words, first_words),
        quantities=tuple(quantities),
        dates=tuple(dates),
        entities=tuple(entities),
        cues=tuple(find_cues(words, first_words, entities, quantities)),
    )


def _load(pipeline: str | None) -> Any:
    import spacy

    if pipeline is None:
        return spacy.blank("en")
    try:
        return spacy.load(pipeline)
    except OSError as exc:
        raise ConfigError(
            f"The spaCy pipeline {pipeline!r} is not installed: "
            "install it, or leave the setting empty for the built-in rules."
        ) from exc


def _split_ranges(raw: list[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Split "1939–45" at its dash, which spaCy does for the ASCII hyphen only."""
    found: list[tuple[str, int, str]] = []
    for word, offset, lemma in raw:
        at = offset
        for piece in _DASHES.split(word):
            found.append((piece, at, lemma))
            at += len(piece)
    return found


def _cut(match: re.Match[str]) -> str:
    """Replace characters by spaces so that no word is endless; every offset stays what it was."""
    word = match[0]
    return "".join(
        " " if index % MAX_WORD_CHARS == MAX_WORD_CHARS - 1 else char for index, char in enumerate(word)
    )


def _entities_of(doc: Any) -> Iterable[Entity]:
    for ent in doc.ents:
        label = _LABELS.get(ent.label_)
        if label is not None:
            yield Entity(ent.text, label, Span(ent.start_char, ent.end_char))


def _starts(words: Words, starters: frozenset[str]) -> list[int]:
    """Return the words that could start a number or date: listed, or a digit in the first two letters."""
    return [
        i for i, low in enumerate(words.lower) if low in starters or low[0].isdigit() or low[1:2].isdigit()
    ]


def _sentence_starts(words: Words) -> list[int]:
    """Return the index of each sentence's first word."""
    starts = [0] if len(words) else []
    surface = words.surface
    for index in range(1, len(surface)):
        if _breaks(words, index):
            starts.append(index)
    return starts


def _breaks(words: Words, index: int) -> bool:
    gap = words.starts[index] - words.ends[index - 1]
    if gap > 1 and words.text.count("\n", words.ends[index - 1], words.starts[index]) > 1:
        return True
    if not gap or words.surface[index] in _ENDERS or words.surface[index] in _CLOSERS:
        return False
    last = index - 1
    while last > 0 and words.surface[last] in _CLOSERS:
        last -= 1
    return words.surface[last] in _ENDERS and not words.surface[index].islower()


def _sentences(words: Words, starts: list[int]) -> tuple[Span, ...]:
    ends = [*starts[1:], len(words)][: len(starts)]
    return tuple(words.span(first, end) for first, end in zip(starts, ends, strict=True))
