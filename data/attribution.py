"""Who speaks in a claim and of whom: attribution, quotation, groups of people, and what evidence is about it.

Called by the power-dynamics framework. Pure, over texts and analyses already made; everything found is
literal, so that an absence ("no item mentions farmers") can be said of the words and not of a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from data.analysis import Analysis, Entity, Span

#: Longest way, in characters, between a verb of saying and its name ("said the physicist Ada Lovelace").
_NAME_REACH = 24
#: Ends of the phrases whose speaker follows ("according to", "as reported by", "in the words of", "citing").
_LEADING = (" to", " by", " of", "citing")
#: What stands before an inverted verb of saying: '"It works," said Ada Lovelace'.
_CLOSING = (",", '"', "”", "’")
#: Names are compared by this many first letters, which joins "discovered", "discovery" and "discoverer".
_STEM_LETTERS = 6
_WORD = re.compile(r"[^\W\d_]+")
#: A quotation of three words or more; shorter ones are titles and scare quotes.
_QUOTATION = re.compile(r"[\"“]((?:[^\"“”\s]+\s+){2,}[^\"“”\s]+)[\"”]")
_SPEAKERS = frozenset({"PERSON", "ORG", "NAME", "PLACE"})

#: Groups that have a stake of their own: the words that name each. Only people are listed, as plural nouns,
#: since a singular ("a farmer from Ohio") is one person and not the group.
_GROUPS: tuple[tuple[str, ...], ...] = (
    ("asylum seekers", "asylum-seekers", "refugees"),
    ("children", "kids", "minors", "pupils", "schoolchildren"),
    ("consumers", "customers"),
    ("disabled people", "people with disabilities", "persons with disabilities"),
    ("employees", "workers", "labourers", "laborers"),
    ("farmers", "peasants", "growers"),
    ("homeless people", "the homeless", "rough sleepers"),
    ("immigrants", "migrants"),
    ("indigenous people", "indigenous peoples", "native people", "native americans", "aboriginal people"),
    ("patients",),
    ("pensioners", "retirees", "older people", "the elderly", "elderly people", "senior citizens"),
    ("prisoners", "inmates", "detainees"),
    ("students",),
    ("teachers",),
    ("tenants", "renters"),
    ("unemployed people", "the unemployed", "jobless people"),
    ("veterans",),
    ("women", "girls", "mothers"),
)


@dataclass(frozen=True, slots=True)
class Attribution:
    """A place where a text says who says so. ``name`` is ``None`` where it names nobody."""

    phrase: str
    name: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Group:
    """A group of people that a text speaks of: the word it used, where, and all words for that group."""

    word: str
    span: Span
    forms: tuple[str, ...]


def attributions(text: str, analysis: Analysis) -> tuple[Attribution, ...]:
    """Return the attributions of a text in order, each with the name that the words give it, if any."""
    names = [entity for entity in analysis.entities if entity.label in _SPEAKERS]
    return tuple(
        Attribution(cue.value, _speaker(text, cue.span, names), cue.span)
        for cue in analysis.cues_of("attribution")
    )


def quotations(text: str) -> tuple[Span, ...]:
    """Return where the text quotes three words or more."""
    return tuple(Span(*found.span(1)) for found in _QUOTATION.finditer(text))


def groups_in(text: str) -> tuple[Group, ...]:
    """Return the groups of people that the text names, each once, in order of appearance."""
    found = []
    for forms, pattern in _group_patterns():
        if hit := pattern.search(text):
            found.append(Group(hit.group().casefold(), Span(*hit.span()), forms))
    return tuple(sorted(found, key=lambda group: (group.span.start, group.word)))


def mentions_group(group: Group, text: str) -> bool:
    """Say whether a text has any of the words for the group, singular forms included."""
    return bool(_mention_pattern(group.forms).search(text))


def content_keys(analysis: Analysis) -> frozenset[str]:
    """Return the first letters of the words that carry the subject matter.

    Stop words, numbers and verbs of saying are left out: evidence need not repeat them to be about the claim.
    """
    said = [cue.span for cue in analysis.cues_of("attribution")]
    return frozenset(
        key
        for token in analysis.tokens
        if not token.is_stop and not any(span.start <= token.span.start < span.end for span in said)
        for key in word_keys(token.text)
        if len(key) > 1
    )


@lru_cache(maxsize=16_384)
def word_keys(text: str) -> frozenset[str]:
    """Return the words of a text, case folded and cut to their first letters."""
    return frozenset(word[:_STEM_LETTERS] for word in _WORD.findall(text.casefold()))


def overlap(keys: frozenset[str], texts: Iterable[str]) -> float:
    """Return the share of ``keys`` that occur in the texts, in [0, 1]; 1 when there is no key to look for."""
    if not keys:
        return 1.0
    there = frozenset().union(*(word_keys(text) for text in texts))
    return len(keys & there) / len(keys)


def _speaker(text: str, cue: Span, names: list[Entity]) -> str | None:
    """Return the name before a verb of saying ("Ada Lovelace said"), or after one that asks for it there."""
    phrase = text[cue.start : cue.end].casefold()
    if not phrase.endswith(_LEADING):
        before = [name for name in names if 0 <= cue.start - name.span.end <= _NAME_REACH]
        if before:
            return max(before, key=lambda name: name.span.end).text
        if not text[: cue.start].rstrip().endswith(_CLOSING):
            return None
    after = [name for name in names if 0 <= name.span.start - cue.end <= _NAME_REACH]
    return min(after, key=lambda name: name.span.start).text if after else None


@lru_cache(maxsize=1)
def _group_patterns() -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    return tuple(
        (forms, re.compile(rf"\b(?:{'|'.join(map(re.escape, forms))})\b", re.IGNORECASE)) for forms in _GROUPS
    )


@lru_cache(maxsize=64)
def _mention_pattern(forms: tuple[str, ...]) -> re.Pattern[str]:
    singular = {"children": "child", "women": "woman"}
    words = {*forms, *(singular.get(form, form.removesuffix("s")) for form in forms)}
    return re.compile(rf"\b(?:{'|'.join(re.escape(word) for word in sorted(words))})\b", re.IGNORECASE)
