"""Sets negation and antonyms of a claim against those of a passage.

Called by ``data.exact.comparison``. Negation and antonyms are one question, which way a predicate points: a
word and its opposite disagree, unless one of the two is negated. What is "not alive" is dead; what does "not
rise" need not fall.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.analysis import FindingOutcome, PairFinding, Span
from data.exact.converses import complementary, converses
from data.exact.frame import Frame
from data.exact.nationalities import country_of
from data.exact.side import Side
from data.text.antonyms import opposites
from data.text.words import listed

#: Least share of the claim's other words in the sentence for a word to count as the claim's.
_MIN_FRAME = 0.6
#: Content words a negation governs.
_GOVERNED = 2
_BREAKS = frozenset(
    (",", ";", ":", "but", "although", "though", "because", "while", "whereas", "(", ")", ".")
)
_REACH = 6
#: Tokens around a word in which an opposite must share a word with it.
_SLOT = 4
#: Phrases that set two things apart rather than deny one.
_CONTRASTS = frozenset(("rather than", "instead of", "far from", "free of", "without"))

#: Words that deny without a negation: where one stands, a missing negation shows nothing.
_HIDDEN = frozenset(
    listed(
        """
yet refusal refuse refuses stop stops stopped prevent prevents prevented exclude excludes excluded halt
avoid avoids avoided ban bans banned despite wasn isn aren weren didn doesn couldn wouldn hasn haven
"""
    )
)
#: After a negation, these leave part of the statement standing.
_PARTIAL = frozenset(listed("entirely only exclusively solely fully always necessarily all completely early"))


@dataclass(frozen=True, slots=True)
class _Denial:
    """A negation and the tokens it governs, nearest first."""

    cue: Span
    governed: tuple[int, ...]


def compare_predicates(frame: Frame) -> list[PairFinding]:
    """Return findings for predicates that one side negates, or says the opposite of."""
    mine, theirs = _denials(frame.claim), _denials(frame.passage)
    return [*_negations(frame, mine, theirs), *_antonyms(frame, mine, theirs)]


def _denials(side: Side) -> list[_Denial]:
    tokens = side.analysis.tokens
    found = []
    for cue in side.analysis.cues:
        if cue.kind != "negation" or cue.value in _CONTRASTS:
            continue
        first, start = side.places(cue.span)
        if first and tokens[first].text[0].isupper():
            continue  # part of a name: "Generation Nothing"
        governed: list[int] = []
        for place in range(start, min(start + _REACH, len(tokens))):
            if tokens[place].text.lower() in _BREAKS or len(governed) == _GOVERNED:
                break
            if side.keys[place]:
                governed.append(place)
        if governed:
            found.append(_Denial(cue.span, tuple(governed)))
    return found


def _negations(frame: Frame, mine: list[_Denial], theirs: list[_Denial]) -> list[PairFinding]:
    """Set what one side negates against the same word of the other.

    Both negated is agreement. One negated is conflict only where the other's sentence has no negation at
    all: a sentence that has one elsewhere may say the same in other words.
    """
    if not mine and not theirs:
        return []
    found: list[PairFinding] = []
    denied = {
        frame.passage.keys[place]: denial.cue for denial in reversed(theirs) for place in denial.governed
    }
    for denial in mine:
        keys = [frame.claim.keys[place] for place in denial.governed]
        alike = next((key for key in keys if key in denied), None)
        if alike is not None:
            found.append(_negation(frame, (denial.cue, denied[alike]), "both are negated"))
            continue
        place = _plain(frame, keys[0], theirs)
        if place is not None:
            found.append(
                _negation(
                    frame,
                    (denial.cue, frame.passage.analysis.tokens[place].span),
                    "only the claim is negated",
                )
            )
    if found or mine or not _HIDDEN.isdisjoint(frame.claim.words):
        return found
    return _denied_only_there(frame, theirs)


def _plain(frame: Frame, key: str, theirs: list[_Denial]) -> int | None:
    """Return a token of the passage with a key, in a sentence with the claim's frame and no negation."""
    closed = {frame.passage.sentence_at(denial.cue.start) for denial in theirs}
    if not _HIDDEN.isdisjoint(frame.passage.words):
        return None
    for place, other in enumerate(frame.passage.keys):
        if other != key:
            continue
        sentence = frame.passage.sentence_at(frame.passage.analysis.tokens[place].span.start)
        if sentence not in closed and frame.share_without(sentence, frozenset((key,))) >= _MIN_FRAME:
            return place
    return None


def _denied_only_there(frame: Frame, theirs: list[_Denial]) -> list[PairFinding]:
    """Return findings for what only the passage negates, where the claim has no negation."""
    for denial in theirs:
        place = denial.governed[0]
        key = frame.passage.keys[place]
        if key not in frame.claim.all_keys or _is_partial(frame.passage, denial):
            continue
        sentence = frame.passage.sentence_at(denial.cue.start)
        if frame.share_without(sentence, frozenset((key,))) >= _MIN_FRAME:
            own = frame.claim.analysis.tokens[frame.claim.keys.index(key)].span
            return [_negation(frame, (own, denial.cue), "only the passage is negated")]
    return []


def _is_partial(side: Side, denial: _Denial) -> bool:
    """Return whether a negation leaves something standing: "not produced entirely by", "not Brent but"."""
    place = denial.governed[0]
    tokens = side.analysis.tokens
    beside = tokens[side.places(denial.cue)[1] : place + 3]
    return tokens[place].text[0].isupper() or any(token.text.lower() in _PARTIAL for token in beside)


def _negation(frame: Frame, spans: tuple[Span, Span], told: str) -> PairFinding:
    outcome: FindingOutcome = "agrees" if told.startswith("both") else "conflicts"
    return frame.finding(("negation", outcome), spans, told)


def _antonyms(frame: Frame, mine: list[_Denial], theirs: list[_Denial]) -> list[PairFinding]:
    """Set words of the claim against their opposites in the passage, where neither side has both."""
    turned = {place for denial in mine for place in denial.governed}
    denied = {place for denial in theirs for place in denial.governed}
    found = []
    for lemma, place in frame.claim.opposing.items():
        if frame.claim.keys[place] in frame.passage.all_keys or country_of(lemma) is not None:
            continue
        against = _opposite(frame, lemma, place)
        if against is None:
            continue
        word, other = against
        spans = (frame.claim.analysis.tokens[place].span, frame.passage.analysis.tokens[other].span)
        if frozenset((lemma, word)) in converses():
            found.append(frame.finding(("antonym", "not_comparable"), spans, "two sides of one relation"))
        elif (place in turned) != (other in denied):
            outcome: FindingOutcome = "agrees" if complementary(lemma, word) else "not_comparable"
            found.append(frame.finding(("antonym", outcome), spans, "opposites, one of them negated"))
        else:
            found.append(frame.finding(("antonym", "conflicts"), spans, "opposites"))
    return found


def _opposite(frame: Frame, lemma: str, place: int) -> tuple[str, int] | None:
    """Return an opposite of a word of the claim that stands in its place in the passage."""
    claim, passage = frame.claim, frame.passage
    around = claim.near(claim.analysis.tokens[place].span, _SLOT)
    for word in sorted(opposites()[lemma] & passage.opposing.keys()):
        other = passage.opposing[word]
        if passage.keys[other] in claim.all_keys:
            continue
        span = passage.analysis.tokens[other].span
        share = frame.share_without(passage.sentence_at(span.start), frozenset((claim.keys[place],)))
        if share >= _MIN_FRAME and around & passage.near(span, _SLOT):
            return word, other
    return None
