"""Finds words with a function: negation, quantifiers, hedges, comparison, attribution, deixis and more.

Called by the analyser. Kinds and their values:

- ``negation``: the word itself ("not", "without", "failed to"); it governs what follows it
(``polarity.negation_scope``);
- ``quantifier``: all, none, some, most, few, many, only, both, first, last, often, sometimes, half;
- ``hedge``: the word itself; ``modality``: possible, necessary, should, future, would, impossible;
- ``comparison``: ``comparative:more|less|equal|before|after|different`` or ``superlative:most|least|first``;
- ``attribution``: the phrase; ``implication``: if, only_if, cause, because, imply;
- ``deixis``: ``time:recently``, ``place:here``, ``speaker:we``, ``pronoun:he`` (nobody named before it),
  ``demonstrative:this``, ``definite:the company`` (nothing named before it).
"""

from __future__ import annotations

from functools import lru_cache

from data.analysis import Cue, Entity, Quantity
from data.text.cue_lexicon import (
    DEFINITE_NOUNS,
    DEMONSTRATIVES,
    LEXICON,
    PLACE_NOUNS,
    PRONOUNS,
    SPEAKER_PRONOUNS,
)
from data.text.dates import MONTHS
from data.text.stop_words import STOP_WORDS
from data.text.words import Words, listed

_KINDS = {
    "comparative": ("comparison", "comparative:"),
    "superlative": ("comparison", "superlative:"),
    "deixis_time": ("deixis", "time:"),
    "deixis_place": ("deixis", "place:"),
}
_Entry = tuple[tuple[str, ...], str, str]

#: Words that a number's comparator uses too: beside a quantity they belong to it.
_NUMERIC = frozenset(
    (
        "about",
        "around",
        "over",
        "under",
        "some",
        "approximately",
        "roughly",
        "more",
        "less",
        "above",
        "below",
        "at",
        "up",
        "fewer",
        "first",
        "estimated",
        "no",
        "not",
        "only",
        "higher",
        "lower",
        "greater",
    )
)
_WEEKDAYS = frozenset(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
#: After "there", these say that something exists, not where.
_EXISTENTIAL = frozenset(
    listed("is are was were has have had will be exists may might can must seems remains")
)
_NAMED_AFTER = frozenset(("said", "which", "who", "whose", "that"))


@lru_cache(maxsize=1)
def _phrases() -> dict[str, list[_Entry]]:
    """Return the phrases by first word, longest first."""
    table: dict[str, list[_Entry]] = {}
    for kind, lines in LEXICON.items():
        name, prefix = _KINDS.get(kind, (kind, ""))
        for line in lines.strip().splitlines():
            value, _, phrases = line.partition(":")
            for phrase in phrases.strip().split(", "):
                first, *rest = phrase.split()
                table.setdefault(first, []).append((tuple(rest), name, prefix + (value or phrase)))
    for entries in table.values():
        entries.sort(key=lambda entry: -len(entry[0]))
    return table


def find_cues(
    words: Words, sentences: list[int], entities: list[Entity], quantities: list[Quantity]
) -> list[Cue]:
    """Return the cues in order of appearance; ``sentences`` are the word indices that start one."""
    table = _phrases()
    found: list[Cue] = []
    taken: dict[str, int] = {}
    numeric = words.inside(quantity.span for quantity in quantities)
    for index, low in enumerate(words.lower):
        entries = table.get(low)
        if entries is not None:
            _match(words, index, entries, taken, found, numeric)
    found += _references(words, sentences, entities)
    found.sort(key=lambda cue: (cue.span.start, cue.kind, cue.value))
    return found


def _match(
    words: Words,
    index: int,
    entries: list[_Entry],
    taken: dict[str, int],
    found: list[Cue],
    numeric: set[int],
) -> None:
    seen: set[str] = set()
    for rest, kind, value in entries:
        size = len(rest) + 1
        if kind in seen or taken.get(kind, 0) > index:
            continue
        if rest and tuple(words.lower[index + 1 : index + size]) != rest:
            continue
        seen.add(kind)
        if words.lower[index] in _NUMERIC and index in numeric:
            continue
        if not _is_other_use(words, index, kind, value):
            found.append(Cue(kind, value, words.span(index, index + size)))
            taken[kind] = index + size


def _is_other_use(words: Words, index: int, kind: str, value: str) -> bool:
    """Return whether the word is something else here: the month of May, "all-star", "No. 3"."""
    low, before, after = words.lower[index], words.low(index - 1), words.low(index + 1)
    number = after[:1].isdigit()
    if kind in ("quantifier", "negation") and after == "-" and words.touches(index + 1):
        return True
    return (
        (low == "may" and words.surface[index] == "May" and (index > 0 or number))
        or (low == "no" and (after == "." or number))
        or (low == "not" and after == "only")
        or (kind == "comparison" and before in ("at", "no"))
        or (kind == "hedge" and low in ("about", "around") and not number)
        or (value == "place:there" and after in _EXISTENTIAL)
    )


def _references(words: Words, sentences: list[int], entities: list[Entity]) -> list[Cue]:
    """Return the words that point outside the text: nothing before them can answer them."""
    antecedent = _first_antecedent(words)
    place = min((entity.span.start for entity in entities if entity.label == "PLACE"), default=None)
    starts = set(sentences)
    found: list[Cue] = []
    for index, low in enumerate(words.lower):
        read = None
        if low in SPEAKER_PRONOUNS:
            shouted = words.surface[index].isupper() and len(low) > 1
            read = None if shouted else (f"speaker:{low}", 1)
        elif low in PRONOUNS:
            read = (f"pronoun:{low}", 1) if index <= antecedent and not _is_empty_it(words, index) else None
        elif low in DEMONSTRATIVES:
            read = (f"demonstrative:{low}", 1) if index in starts else None
        elif low == "the":
            read = _definite(words, index, opens=index < antecedent, placed=place is not None)
        if read is not None:
            found.append(Cue("deixis", read[0], words.span(index, index + read[1])))
    return found


def _first_antecedent(words: Words) -> int:
    """Return the index of the first word that a later pronoun could stand for."""
    for index, low in enumerate(words.lower):
        if low[0].isalpha() and low not in STOP_WORDS and low not in MONTHS and low not in _WEEKDAYS:
            return index
    return len(words)


def _definite(words: Words, index: int, *, opens: bool, placed: bool) -> tuple[str, int] | None:
    """Read "the company" with no company before it, and "the country" where no place is named."""
    noun, after = words.low(index + 1), words.low(index + 2)
    if after in ("of", *_NAMED_AFTER) or words.surf(index + 2)[:1].isupper():
        return None
    pointing = not placed if noun in PLACE_NOUNS else opens and noun in DEFINITE_NOUNS
    return (f"definite:the {noun}", 2) if pointing else None


def _is_empty_it(words: Words, index: int) -> bool:
    """Return whether "it" stands for nothing: "It is true that"."""
    return (
        words.lower[index] == "it"
        and words.low(index + 1) in ("is", "was")
        and "that" in words.lower[index + 2 : index + 6]
    )
