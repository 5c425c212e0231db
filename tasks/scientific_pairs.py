"""Makes labelled pairs from scientific abstracts: what authors conclude, beside what they report.

Called by ``tasks.stance_pairs``. The labelled scientific sets are small; abstracts are many. A conclusion
("we show that X") is supported by its abstract's other sentences and title, refuted where one of the two
has a direction turned round, and left open by the nearest sentence of another abstract. Abstracts alone are
read, never a labelled claim. Deterministic: every choice comes from a hash of the texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

from tasks.counterfactuals import negate
from tasks.labelled import LabelledPair, read_rows, share_of

SOURCE = "abstracts"
#: Conclusions (per cent) that are also met beside the very sentence that states them.
REPEATED_SHARE = 35
#: Longest sentence that may leave another abstract's conclusion open, in words: longer ones are near to all.
MAX_WORDS = 60
#: A sentence says something about a conclusion from this share of its weighted words on, and nothing new
#: from the other share on.
MIN_OVERLAP, MAX_OVERLAP = 0.35, 0.95
#: The nearest sentence of another abstract leaves a conclusion open below this share of its weighted words.
MAX_OPEN_OVERLAP = 0.6

_CONCLUSION = re.compile(
    r"\b(?:suggest|demonstrate|show|indicate|conclude|reveal|found|find|report|provide evidence)(?:ed|s)?"
    r"(?: here)? that ([^.]{30,220})\.(?: |$)"
)
_SENTENCE = re.compile(r"(?<=[a-z0-9)%\]]\.) (?=[A-Z])")
_WORD = re.compile(r"[a-z0-9][a-z0-9\-]+")
#: Title words that state something: a title without one names a subject.
_STATES = re.compile(
    r"\b(is|are|was|were|can|may|does|do|increases?|decreases?|reduces?|inhibits?|promotes?|regulates?|"
    r"mediates?|controls?|requires?|induces?|suppress(?:es)?|enhances?|impairs?|predicts?|activates?|drives?|"
    r"prevents?|causes?|improves?|contributes?|protects?|limits?|links?|reveals?|affects?|leads?|triggers?|"
    r"stimulates?|blocks?|attenuates?|modulates?|maintains?|determines?|encodes?|confers?|accelerates?|"
    r"forms?|plays?|acts?|binds?|targets?|restricts?|restores?|directs?)\b"
)
#: Words that turn a scientific statement round, in both directions.
_OPPOSITES = (
    ("increase", "decrease"),
    ("increases", "decreases"),
    ("increased", "decreased"),
    ("increasing", "decreasing"),
    ("increased", "reduced"),
    ("enhances", "reduces"),
    ("enhanced", "impaired"),
    ("enhance", "impair"),
    ("higher", "lower"),
    ("high", "low"),
    ("greater", "smaller"),
    ("more", "less"),
    ("better", "worse"),
    ("improves", "worsens"),
    ("improved", "worsened"),
    ("promotes", "inhibits"),
    ("promote", "inhibit"),
    ("promoting", "inhibiting"),
    ("activates", "suppresses"),
    ("activate", "suppress"),
    ("activation", "inhibition"),
    ("activated", "inhibited"),
    ("induces", "prevents"),
    ("induce", "prevent"),
    ("stimulates", "blocks"),
    ("up-regulated", "down-regulated"),
    ("upregulated", "downregulated"),
    ("upregulation", "downregulation"),
    ("upregulates", "downregulates"),
    ("positive", "negative"),
    ("positively", "negatively"),
    ("gain", "loss"),
    ("presence", "absence"),
    ("accelerates", "slows"),
    ("effective", "ineffective"),
    ("sensitive", "resistant"),
    ("sensitivity", "resistance"),
    ("essential", "dispensable"),
    ("required", "dispensable"),
    ("requires", "does not require"),
    ("necessary", "unnecessary"),
    ("dependent", "independent"),
    ("associated with", "unrelated to"),
    ("linked to", "unrelated to"),
    ("protects against", "predisposes to"),
    ("causes", "prevents"),
    ("early", "late"),
    ("most", "few"),
)
_TURNED = {old: new for pair in reversed(_OPPOSITES) for old, new in (pair, pair[::-1])}
_TURNS = re.compile(rf"\b({'|'.join(sorted(map(re.escape, _TURNED), key=len, reverse=True))})\b")


@dataclass(frozen=True, slots=True)
class _Abstract:
    key: str
    title: str
    sentences: tuple[str, ...]


class _Rarity:
    """Weight of words by how few sentences have them."""

    def __init__(self, texts: Sequence[str]) -> None:
        found = Counter(word for text in texts for word in words_of(text))
        self._weights = {word: log(1 + len(texts) / count) for word, count in found.items()}
        self._most = log(1 + len(texts))

    def shared(self, claim: frozenset[str], sentence: frozenset[str]) -> float:
        """Return the share of the claim's weight that the sentence has."""
        weights = {word: self._weights.get(word, self._most) for word in claim}
        total = sum(weights.values())
        return sum(weights[word] for word in claim & sentence) / total if total else 0.0


def words_of(text: str) -> frozenset[str]:
    """Return the words of ``text`` in lower case, those of one letter left out."""
    return frozenset(_WORD.findall(text.lower()))


def turned(text: str) -> str | None:
    """Return ``text`` with its first word of direction turned round; ``None`` where it has none."""
    found = _TURNS.search(text)
    return None if found is None else text[: found.start()] + _TURNED[found.group()] + text[found.end() :]


def abstract_pairs(datasets: Path) -> list[LabelledPair]:
    """Return the pairs made from the SciFact corpus."""
    abstracts = [
        _Abstract(row["id"], row["title"].strip(), tuple(_SENTENCE.split(row["text"])))
        for row in read_rows(datasets, "scifact/retrieval/corpus.jsonl")
    ]
    sentences = [(each.key, text) for each in abstracts for text in each.sentences]
    rarity = _Rarity([text for _, text in sentences])
    short = [(key, text, words_of(text)) for key, text in sentences if len(text.split()) <= MAX_WORDS]
    index = _Nearest(short, rarity)
    return [pair for each in abstracts for pair in _pairs_of(each, rarity, index)]


def _pairs_of(abstract: _Abstract, rarity: _Rarity, index: _Nearest) -> Iterator[LabelledPair]:
    for claim, at in _conclusions(abstract):
        words = words_of(claim)
        rest = [text for place, text in enumerate(abstract.sentences) if place != at]
        ranked = sorted(((rarity.shared(words, words_of(text)), text) for text in rest), reverse=True)
        telling = [text for shared, text in ranked[:2] if MIN_OVERLAP <= shared <= MAX_OVERLAP]
        if telling:
            order = [text for text in abstract.sentences if text in telling]
            yield from _decided(claim, " ".join(order))
        if at is not None and share_of("repeated" + claim) < REPEATED_SHARE:
            yield from _decided(claim, abstract.sentences[at])
        near = index.other(words, abstract.key)
        if near is not None:
            yield LabelledPair(claim, near, 2, SOURCE)


def _conclusions(abstract: _Abstract) -> Iterator[tuple[str, int | None]]:
    """Yield what the abstract concludes with the sentence that says so; ``None`` stands for the title."""
    for place, text in enumerate(abstract.sentences):
        found = _CONCLUSION.search(text)
        if found is not None:
            claim = found.group(1)
            yield f"{claim[0].upper()}{claim[1:]}.", place
    title = abstract.title.rstrip(".")
    if _STATES.search(title) and "?" not in title and ":" not in title:
        yield f"{title}.", None


def _decided(claim: str, passage: str) -> Iterator[LabelledPair]:
    """The claim beside its passage, and what turning one of the two, or both, makes of them."""
    yield LabelledPair(claim, passage, 0, SOURCE)
    other = turned(claim)
    if other is None or share_of("negate" + claim, 4) == 0:
        other = negate(claim) or other
    if other is not None:
        yield LabelledPair(other, passage, 1, SOURCE)
    found = _TURNS.search(claim)
    if found is not None and re.search(rf"\b{re.escape(found.group())}\b", passage):
        against = re.sub(rf"\b{re.escape(found.group())}\b", _TURNED[found.group()], passage)
        yield LabelledPair(claim, against, 1, SOURCE)
        yield LabelledPair(turned(claim) or claim, against, 0, SOURCE)


class _Nearest:
    """Finds, for the rarest words of a claim, the sentence of another abstract that shares most."""

    def __init__(self, rows: Sequence[tuple[str, str, frozenset[str]]], rarity: _Rarity) -> None:
        self._rows, self._rarity = rows, rarity
        self._places: dict[str, list[int]] = {}
        for place, (_, _, words) in enumerate(rows):
            for word in words:
                self._places.setdefault(word, []).append(place)

    def other(self, claim: frozenset[str], key: str) -> str | None:
        """Return the nearest sentence of an abstract that is not ``key``; ``None`` where it may decide."""
        rare = sorted((len(self._places[word]), word) for word in claim if word in self._places)[:6]
        places = {place for _, word in rare for place in self._places[word][:300]}
        scored = [
            (self._rarity.shared(claim, self._rows[place][2]), place)
            for place in places
            if self._rows[place][0] != key
        ]
        if not scored:
            return None
        shared, place = max(scored)
        return self._rows[place][1] if shared < MAX_OPEN_OVERLAP else None
