"""What a claim's wording alone tells of its context: what it leaves out, its colour, its topic.

Used by the contextual framework and its tools. Pure: the claim's text, its analysis and the caller's context
go in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from data.analysis import Analysis, Cue, Finding, Span, Token
from data.claims import ClaimContext
from data.context.lexicons import BOOSTERS, INTENSITY, TOPICS_OF

#: Comparatives that leave a question open when nothing says with what is compared.
_OPEN_COMPARATIVE = frozenset(
    (
        *(
            "higher",
            "greater",
            "larger",
            "bigger",
            "taller",
            "faster",
            "better",
            "stronger",
            "heavier",
            "richer",
        ),
        *(
            "lower",
            "smaller",
            "shorter",
            "slower",
            "worse",
            "weaker",
            "cheaper",
            "fewer",
            "safer",
            "poorer",
            "deeper",
        ),
    )
)
_COMPARED_WITH = re.compile(
    r"\b(?:than|as|compared|relative|versus|vs|from|since|among|between|of the|the \w+er the)\b",
    re.IGNORECASE,
)
#: Somebody has begun to speak: "Fauci wrote: I ...".
_SPOKEN = re.compile(
    r"\b(?:said|says|wrote|writes|tweeted|declared|added|asked|replied|told|claim(?:s|ed)|stat(?:es|ed))\b"
)
#: The part of a ``deixis`` cue's value before the colon -> finding kind, question, and how much its absence
#: weighs. The weights order the gaps by how much of the claim hangs in the air; they are conventions of
#: this file.
_GAPS = {
    "pronoun": ("dangling_pronoun", "nobody is named whom it can mean", -0.3),
    "demonstrative": ("dangling_pronoun", "nothing is named that it can mean", -0.2),
    "definite": ("unnamed_reference", "it is not said which", -0.25),
    "time": ("relative_time", "the claim has no date to count from", -0.2),
    "place": ("relative_place", "it is not said where that is", -0.2),
    "speaker": ("unnamed_speaker", "it is not said who speaks", -0.2),
}
#: "You" mostly means anybody; "the novel coronavirus" names no book.
_GENERIC = ("speaker:you", "speaker:your", "speaker:yours", "definite:the novel")
#: "so far", "there" and their like often mean nothing definite.
_WEAK = frozenset(("time:so far", "time:soon", "place:there", "time:this time", "place:at home", *_GENERIC))


@dataclass(frozen=True, slots=True)
class Sentiment:
    """``polarity`` in [-1, 1]; ``emotionality`` in [0, 1] is how charged the words are, either way."""

    polarity: float
    emotionality: float
    spans: tuple[Span, ...]


def missing_context(text: str, analysis: Analysis, context: ClaimContext) -> list[Finding]:
    """Return what a reader would have to ask before the claim can be checked, each thing once, in order."""
    found: list[Finding] = []
    asked: set[str] = set()
    for cue in analysis.cues:
        finding = _gap(text, cue, context) if cue.kind == "deixis" else _open_comparison(text, analysis, cue)
        if finding is not None and finding.message not in asked:
            asked.add(finding.message)
            found.append(finding)
    return found


def _gap(text: str, cue: Cue, context: ClaimContext) -> Finding | None:
    """Return the question that a pointing word leaves open, unless the context answers it."""
    sort, _, _ = cue.value.partition(":")
    answers = {"time": context.date, "place": context.place, "speaker": context.speaker}
    if sort not in _GAPS or answers.get(sort) or cue.value in _WEAK:
        return None
    if sort == "speaker" and _SPOKEN.search(text, 0, cue.span.start):
        return None  # "Fauci wrote: I reject ..." names its speaker
    words = text[cue.span.start : cue.span.end]
    if sort == "demonstrative" and not re.match(
        r"\s+(?:is|are|was|were|has|have|will|can|does)\b", text[cue.span.end :]
    ):
        return None
    kind, question, weight = _GAPS[sort]
    return Finding(kind, f"“{words}”: {question}.", weight, cue.span)


def _open_comparison(text: str, analysis: Analysis, cue: Cue) -> Finding | None:
    words = text[cue.span.start : cue.span.end]
    if cue.kind != "comparison" or words.lower() not in _OPEN_COMPARATIVE:
        return None
    sentence = next((s for s in analysis.sentences if s.start <= cue.span.start < s.end), Span(0, len(text)))
    if _COMPARED_WITH.search(text, sentence.start, sentence.end):
        return None
    return Finding("open_comparison", f"“{words}”: it is not said than what.", -0.15, cue.span)


def stated_with_distance(text: str, analysis: Analysis) -> list[Finding]:
    """Return the words by which the claim is somebody else's, or less than certain. They inform only."""
    found = []
    for cue in analysis.cues:
        words = text[cue.span.start : cue.span.end]
        if cue.kind == "attribution":
            found.append(
                Finding("attributed", f"“{words}”: the claim reports somebody's words.", 0.0, cue.span)
            )
        elif cue.kind == "hedge":
            found.append(Finding("hedged", f"“{words}”: the claim is not stated as certain.", 0.0, cue.span))
    return found


def sentiment(text: str, analysis: Analysis) -> Sentiment:
    """Measure emotional colour with the own lexicon.

    Each word counts with its intensity (1 to 3), one more after a booster, turned round inside three words
    after a negation; exclamation marks and words in capitals add to emotionality. 6 intensity points make it
    1.
    """
    negated = [cue.span.start for cue in analysis.cues_of("negation")]
    total, charge = 0, 0
    spans: list[Span] = []
    previous: list[Token] = []
    for token in analysis.tokens:
        value = INTENSITY.get(token.lemma) or INTENSITY.get(token.text.lower())
        if value:
            strength = abs(value) + (bool(previous) and previous[-1].text.lower() in BOOSTERS)
            turned = any(near.span.start in negated for near in previous[-3:])
            total += -strength if (value > 0) == turned else strength
            charge += strength
            spans.append(token.span)
        previous.append(token)
    charge += text.count("!") + _shouted(analysis.tokens)
    return Sentiment(round(max(-1.0, min(1.0, total / 6)), 6), round(min(1.0, charge / 6), 6), tuple(spans))


def _shouted(tokens: tuple[Token, ...]) -> int:
    """Count words in capitals of more than five letters (shorter ones are mostly acronyms), at most three."""
    return min(
        3, sum(len(token.text) > 5 and token.text.isalpha() and token.text.isupper() for token in tokens)
    )


def topics(analysis: Analysis, titles: Iterable[str] = ()) -> list[tuple[str, int]]:
    """Return topics with their hits, most first, ties by name; a title's word counts like a claim's."""
    counts: dict[str, int] = {}
    words = [token.lemma for token in analysis.tokens]
    words += [word for title in titles for word in re.findall(r"[\w-]+", title.lower())]
    for word in words:
        for topic in TOPICS_OF.get(word, ()):
            counts[topic] = counts.get(topic, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
