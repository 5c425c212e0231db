"""Sets who did what to whom in a claim against a passage: "A defeated B" beside "B defeated A".

Called by the consistency framework, and usable as the ``others`` of ``data.exact.comparison.findings``. Pure.
Only predicates with both a doer and an undergoer are compared, and only where both are the same two: that one
of them is another name is for ``data.exact.names`` to say. Source of the word lists: own, general knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from data.analysis import Analysis, PairFinding, Span
from data.text.roles import Argument, Predication, predications
from data.text.sentences import split_text
from data.text.syntax import Parsed, ParsedSentence, SentenceReader
from data.text.words import listed

#: Said of two in either order: "A married B", "B married A".
_MUTUAL = frozenset(
    listed(
        """
marry wed divorce meet meeting date face play fight battle equal resemble match contact join accompany
oppose border adjoin neighbour neighbor neighbour overlap intersect cross combine mix contain include be have
befriend engage rival contrast parallel mirror involve confront encounter see know like love help
"""
    )
)
#: Verbs that say one thing.
_SAME = {
    word: group[0]
    for group in (
        ("defeat", "beat", "conquer", "vanquish", "overcome", "outplay"),
        ("kill", "murder", "assassinate", "slay"),
        ("buy", "purchase", "acquire"),
        ("succeed", "follow"),
        ("create", "invent"),
        ("build", "construct"),
        ("begin", "start"),
        ("invade", "attack"),
    )
    for word in group
}
_PRONOUNS = frozenset(listed("he she it they him her them"))
_YEAR = re.compile(r"\b1\d{3}\b|\b20\d{2}\b")
#: Sentences of a passage that are read for a claim at most.
_MOST_READ = 2

Relation = Literal["same", "swapped"]


@dataclass(frozen=True, slots=True)
class RoleMatch:
    """A predicate of the claim beside one of the passage, with the same two taking part."""

    relation: Relation
    claim: Predication
    passage: Predication


def compare_roles(
    claim: str, claim_parsed: Parsed, passage: str, passage_parsed: Parsed, *, title: str = ""
) -> list[PairFinding]:
    """Return a finding for each predicate of the claim that the passage has of the same two, in order.

    ``title`` names what the passage is about: its pronouns may mean it.
    """
    found = []
    for match in role_matches(claim_parsed, passage_parsed, title=title):
        mine, theirs = extent(match.claim), extent(match.passage)
        swapped = match.relation == "swapped"
        told = "the roles are the other way round" if swapped else "the same does it to the same"
        detail = f"claim: {_said(claim, mine)}; passage: {_said(passage, theirs)} — {told}"
        found.append(PairFinding("role", "conflicts" if swapped else "agrees", mine, theirs, detail, 1.0))
    return found


def swapped_roles(
    reader: SentenceReader, claim: str, analysis: Analysis, passage: str, *, title: str = ""
) -> list[PairFinding]:
    """Return a finding for each predicate whose roles the passage has the other way round.

    Grammar is read only where the order of the names and the voice leave room for it: a few claims in a
    hundred.
    """
    names = _names(claim, analysis)
    if len(names) < 2:
        return []
    pieces = []
    for piece in split_text(passage):
        sentence = passage[piece.span.start : piece.span.end]
        if may_be_swapped(claim, names, sentence) and _is_of_one_time(claim, sentence):
            pieces.append(piece.span)
    if not pieces:
        return []
    (mine,) = reader.read([claim])
    found: list[PairFinding] = []
    for span in pieces[:_MOST_READ]:
        text = passage[span.start : span.end]
        (theirs,) = reader.read([text])
        for finding in compare_roles(claim, mine, text, theirs, title=title):
            if finding.outcome == "conflicts":
                found.append(replace(finding, passage_span=_moved(finding.passage_span, span.start)))
    return found


def may_be_swapped(claim: str, names: Sequence[str], sentence: str) -> bool:
    """Return whether two names of a claim stand in a sentence as swapped roles would.

    In the other order in the same voice, or in the same order in the other voice; "by" before one of the
    names tells the voice.
    """
    places = [found for name in names if (found := sentence.find(name)) >= 0]
    if len(places) < 2:
        return False
    turned = any(later < earlier for earlier, later in pairwise(places))
    straight = any(earlier < later for earlier, later in pairwise(places))
    by = re.compile(rf"\bby (?:the |an? )?(?:{'|'.join(map(re.escape, names))})")
    other_voice = bool(by.search(claim)) != bool(by.search(sentence))
    return straight if other_voice else turned


def told_straight(reader: SentenceReader, claim: str, passages: Sequence[str]) -> bool:
    """Return whether any passage has a predicate of the claim with the roles as the claim has them."""
    (mine,) = reader.read([claim])
    return any(
        match.relation == "same" for theirs in reader.read(passages) for match in role_matches(mine, theirs)
    )


def _is_of_one_time(claim: str, sentence: str) -> bool:
    """Return whether two texts may speak of one event: they share a year, or one of them names none."""
    mine, theirs = set(_YEAR.findall(claim)), set(_YEAR.findall(sentence))
    return not mine or not theirs or bool(mine & theirs)


def _names(claim: str, analysis: Analysis) -> tuple[str, ...]:
    """Return the last word of each name in the claim, in order."""
    words = (claim[entity.span.start : entity.span.end].split() for entity in analysis.entities)
    return tuple(dict.fromkeys(parts[-1] for parts in words if parts))


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)


def role_matches(claim: Parsed, passage: Parsed, *, title: str = "") -> Iterator[RoleMatch]:
    """Yield, a predicate of the claim, the first of the passage with the same two; a plain one goes first.

    Predicates that one side denies and the other does not are left to ``data.exact.predicates``.
    """
    titled = frozenset(word for word in title.lower().replace("(", " ").split() if word[:1].isalnum())
    theirs = [item for sentence in passage for item in _whole(sentence)]
    for mine in (item for sentence in claim for item in _whole(sentence)):
        related = [
            RoleMatch(relation, mine, item)
            for item in theirs
            if (relation := relation_of(mine, item, titled)) is not None
        ]
        plain = [match for match in related if match.relation == "same"]
        if plain or related:
            yield (plain or related)[0]


def relation_of(
    mine: Predication, theirs: Predication, titled: frozenset[str] = frozenset()
) -> Relation | None:
    """Return how the roles of two predicates stand to one another; ``None`` where they do not meet."""
    if _verb(mine) != _verb(theirs) or bool(mine.negation) != bool(theirs.negation):
        return None
    one, other, first, second = mine.doer, mine.undergoer, theirs.doer, theirs.undergoer
    if one is None or other is None or first is None or second is None:
        return None
    straight = (is_same(one, first, titled), is_same(other, second, titled))
    crossed = (is_same(one, second, titled), is_same(other, first, titled))
    if all(straight) and not all(crossed):
        return "same"
    mutual = _verb(mine) in _MUTUAL or mine.lemma in _MUTUAL
    return "swapped" if all(crossed) and not any(straight) and not mutual else None


def is_same(one: Argument, other: Argument, titled: frozenset[str] = frozenset()) -> bool:
    """Return whether two arguments name the same: one's words are all among the other's.

    A pronoun of the passage means what the page's title names.
    """
    if other.head in _PRONOUNS:
        return bool(titled) and one.keys <= titled
    return one.keys <= other.keys or other.keys <= one.keys


def extent(item: Predication) -> Span:
    """Return the characters from the first to the last word of a predicate and those who take part."""
    parts = [item.span, *(each.span for each in (item.doer, item.undergoer) if each is not None)]
    return Span(min(part.start for part in parts), max(part.end for part in parts))


def _whole(sentence: ParsedSentence) -> list[Predication]:
    """Return the predicates that name both who does it and to whom it is done."""
    return [item for item in predications(sentence) if item.doer is not None and item.undergoer is not None]


def _verb(item: Predication) -> str:
    return _SAME.get(item.lemma, item.lemma)


def _said(text: str, span: Span) -> str:
    return " ".join(text[span.start : span.end].split())
