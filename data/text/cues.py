"""Finds words with a function: negation, quantifiers, hedges, modality, comparison, attribution, implication, deixis.

Called by the analyser. Kinds and their values:

- ``negation``: the word itself ("not", "without", "failed to"); it governs what follows it (``polarity.negation_scope``);
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
from data.text.cue_lexicon import DEFINITE_NOUNS, DEMONSTRATIVES, LEXICON, PRONOUNS, SPEAKER_PRONOUNS
from data.text.words import Words

_KINDS = {
    "comparative": ("comparison", "comparative:"),
    "superlative": ("comparison", "superlative:"),
    "deixis_time": ("deixis", "time:"),
    "deixis_place": ("deixis", "place:"),
}
_Entry = tuple[tuple[str, ...], str, str]

#: Words that a number's comparator uses too: beside a quantity they belong to it.
_NUMERIC = frozenset(("about", "around", "over", "under", "some", "approximately", "roughly", "more", "less", "above", "below",
                      "at", "up", "fewer", "first", "estimated", "no", "not", "only", "higher", "lower", "greater"))  # fmt: skip
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
    """Return the cues in order of appearance, then of kind. ``sentences`` are the word indices that start one."""
    table = _phrases()
    found: list[Cue] = []
    taken: dict[str, int] = {}
    numeric = _covered(quantities)
    for index, low in enumerate(words.lower):
        entries = table.get(low)
        if entries is not None:
            _match(words, index, entries, taken, found, numeric)
    found += _references(words, sentences, entities)
    found.sort(key=lambda cue: (cue.span.start, cue.kind, cue.value))
    return found


def _covered(quantities: list[Quantity]) -> list[tuple[int, int]]:
    return [(quantity.span.start, quantity.span.end) for quantity in quantities]


def _match(
    words: Words,
    index: int,
    entries: list[_Entry],
    taken: dict[str, int],
    found: list[Cue],
    numeric: list[tuple[int, int]],
) -> None:
    seen: set[str] = set()
    for rest, kind, value in entries:
        size = len(rest) + 1
        if kind in seen or taken.get(kind, 0) > index:
            continue
        if rest and tuple(words.lower[index + 1 : index + size]) != rest:
            continue
        seen.add(kind)
        start = words.starts[index]
        if words.lower[index] in _NUMERIC and any(low <= start < high for low, high in numeric):
            continue
        if not _is_other_use(words, index, kind, value):
            found.append(Cue(kind, value, words.span(index, index + size)))
            taken[kind] = index + size


def _is_other_use(words: Words, index: int, kind: str, value: str) -> bool:
    """Return whether the word is something else here: the month of May, "all-star", "more than", "said to be", "No. 3"."""
    low, surface = words.lower[index], words.surface[index]
    if low == "may" and surface == "May" and (index > 0 or words.low(index + 1)[:1].isdigit()):
        return True
    if kind in ("quantifier", "negation") and words.low(index + 1) == "-" and words.touches(index + 1):
        return True
    if low == "no" and (words.low(index + 1) == "." or words.low(index + 1)[:1].isdigit()):
        return True
    if kind == "hedge" and low in ("about", "around") and not words.low(index + 1)[:1].isdigit():
        return True
    if value == "place:there":
        return words.low(index + 1) in (
            "is",
            "are",
            "was",
            "were",
            "has",
            "have",
            "will",
            "be",
            "exists",
            "may",
            "had",
        )
    return low == "not" and words.low(index + 1) == "only"


def _references(words: Words, sentences: list[int], entities: list[Entity]) -> list[Cue]:
    """Return the words that point outside the text: pronouns and definite nouns before anything was named."""
    first_name = min((entity.span.start for entity in entities), default=len(words.text) + 1)
    starts = set(sentences)
    found: list[Cue] = []
    for index, low in enumerate(words.lower):
        cue = _reference(words, index, low, named=first_name < words.starts[index], opens=index in starts)
        if cue is not None:
            found.append(Cue("deixis", cue[0], words.span(index, index + cue[1])))
    return found


def _reference(words: Words, index: int, low: str, *, named: bool, opens: bool) -> tuple[str, int] | None:
    if low in SPEAKER_PRONOUNS:
        return None if words.surface[index].isupper() and len(low) > 1 else (f"speaker:{low}", 1)
    if low in PRONOUNS and not named:
        return None if low == "it" and _is_empty_it(words, index) else (f"pronoun:{low}", 1)
    if low in DEMONSTRATIVES and opens:
        return (f"demonstrative:{low}", 1)
    if low == "the" and not named and words.low(index + 1) in DEFINITE_NOUNS:
        after = words.low(index + 2)
        return None if after in ("of", *_NAMED_AFTER) or words.surf(index + 2)[:1].isupper() else (
            f"definite:the {words.lower[index + 1]}", 2)  # fmt: skip
    return None


def _is_empty_it(words: Words, index: int) -> bool:
    """ "It is true that", "It rained": "it" that stands for nothing."""
    return words.low(index + 1) in ("is", "was") and "that" in words.lower[index + 2 : index + 6]
