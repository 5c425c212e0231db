"""One text as exact comparison sees it: keys of its content words, its values and its times, worked out once.

Called by ``data.exact.comparison`` for claims and passages alike; kept by text, since a claim meets many
passages. Invariant: nothing here depends on any other text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property

from data.analysis import Analysis, Span
from data.exact.times import Time, read_times
from data.exact.values import Value, read_values
from data.exact.word_keys import key_of
from data.text.antonyms import opposites

#: Sides kept; the oldest half goes when it is full. About 6 KB each.
_MAX_KEPT = 4_096
#: Negations with a content word of their own that says nothing but "not".
_DENYING = frozenset(
    (
        *("lack", "lacks", "lacked", "lacking", "unable to", "absence of", "devoid of"),
        *("failed to", "fail to", "fails to", "failing to", "failure to"),
    )
)
_PHRASE_BREAKS = frozenset((",", ";", ":", "(", ")", ".", "and", "or", "but", "–", "—"))
#: Tokens to either side of a value that stand next to it, and near it.
_NEXT, _NEAR = 3, 8
#: Weight of a name in a frame, against 1 for another content word.
NAME_WEIGHT = 1.5


@dataclass(frozen=True, slots=True)
class Context:
    """Keys beside a value or time: next to it, near it (the next ones included), just before and after it."""

    next: frozenset[str]
    near: frozenset[str]
    before: str
    after: str

    def likeness(self, other: Context) -> float:
        """Return how much two contexts share, 0 to 3: half a point a near key, one a next one.

        The same key just before or just after is one more: "ended in 1918" is of the end.
        """
        close = float(bool(self.before) and self.before == other.before)
        close += float(bool(self.after) and self.after == other.after)
        return min(3.0, 0.5 * len(self.near & other.near) + 0.5 * len(self.next & other.next) + close)


class Side:
    """A text and its analysis, with what was derived from them. Shared between threads, never changed."""

    def __init__(self, text: str, analysis: Analysis) -> None:
        self.text = text
        self.analysis = analysis
        self.values: tuple[Value, ...] = read_values(text, analysis)
        self.times: tuple[Time, ...] = read_times(text, analysis)
        self._starts = [token.span.start for token in analysis.tokens]
        self._sentence_starts = [span.start for span in analysis.sentences]
        self.keys: tuple[str, ...] = self._keys()

    def _keys(self) -> tuple[str, ...]:
        """Return one key a token: "" for grammar, punctuation, and what is part of a value or a time."""
        keys = [
            "" if token.is_stop or not token.text[0].isalpha() else key_of(token.lemma)
            for token in self.analysis.tokens
        ]
        spans = [value.span for value in self.values] + [time.span for time in self.times]
        spans += [cue.span for cue in self.analysis.cues if cue.kind == "negation" and cue.value in _DENYING]
        for span in spans:
            for place in range(*self.places(span)):
                keys[place] = ""
        return tuple(keys)

    def places(self, span: Span) -> tuple[int, int]:
        """Return the tokens ``[first, end)`` that start inside ``span``."""
        return bisect_left(self._starts, span.start), bisect_left(self._starts, span.end)

    def sentence_at(self, offset: int) -> int:
        """Return the number of the sentence that holds ``offset``; 0 in a text without any."""
        return max(0, bisect_right(self._sentence_starts, offset) - 1)

    @cached_property
    def sentence_places(self) -> tuple[tuple[int, int], ...]:
        """Tokens ``[first, end)`` of each sentence."""
        return tuple(self.places(span) for span in self.analysis.sentences)

    @cached_property
    def sentence_keys(self) -> tuple[frozenset[str], ...]:
        """Distinct keys of each sentence."""
        return tuple(frozenset(self.keys[first:end]) - {""} for first, end in self.sentence_places)

    @cached_property
    def all_keys(self) -> frozenset[str]:
        """Distinct keys of the text."""
        return frozenset(self.keys) - {""}

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word in lower case."""
        return frozenset(token.text.lower() for token in self.analysis.tokens)

    @cached_property
    def weights(self) -> dict[str, float]:
        """Weight of each key in a frame, in order of appearance."""
        weights: dict[str, float] = {}
        for token, key in zip(self.analysis.tokens, self.keys, strict=True):
            if key:
                weights[key] = max(weights.get(key, 0.0), NAME_WEIGHT if token.text[0].isupper() else 1.0)
        return weights

    def near(self, span: Span, reach: int) -> frozenset[str]:
        """Return the keys within ``reach`` tokens of ``span``, inside its sentence."""
        first, end = self.places(span)
        low, high = self.sentence_places[self.sentence_at(span.start)] if self.sentence_places else (0, 0)
        return frozenset(self.keys[max(low, first - reach) : min(high, end + reach)]) - {""}

    @cached_property
    def value_contexts(self) -> tuple[Context, ...]:
        """What stands beside each value, in the order of ``values``."""
        return tuple(self._context(value.span) for value in self.values)

    @cached_property
    def time_contexts(self) -> tuple[Context, ...]:
        """What stands beside each time, in the order of ``times``."""
        return tuple(self._context(time.span) for time in self.times)

    def _context(self, span: Span) -> Context:
        first, end = self.places(span)
        before = self._first_key(range(first - 1, max(-1, first - 1 - _NEXT), -1))
        after = self._first_key(range(end, min(len(self.keys), end + _NEXT)))
        return Context(self.near(span, _NEXT), self.near(span, _NEAR), before, after)

    def _first_key(self, places: range) -> str:
        """Return the first key at ``places`` before the phrase ends, or ""."""
        for place in places:
            if self.keys[place] or self.analysis.tokens[place].text in _PHRASE_BREAKS:
                return self.keys[place]
        return ""

    @cached_property
    def opposing(self) -> dict[str, int]:
        """For each lemma with an opposite, the token where it stands first."""
        table = opposites()
        found: dict[str, int] = {}
        for place, token in enumerate(self.analysis.tokens):
            if self.keys[place] and token.lemma in table:
                found.setdefault(token.lemma, place)
        return found

    def said(self, span: Span) -> str:
        """Return the words of ``span`` on one line."""
        return " ".join(self.text[span.start : span.end].split()).rstrip(".")


_kept: dict[str, Side] = {}


def side_of(text: str, analysis: Analysis) -> Side:
    """Return the side of a text, from the cache when this very analysis has been seen."""
    kept = _kept.get(text)
    if kept is not None and kept.analysis is analysis:
        return kept
    made = Side(text, analysis)
    if len(_kept) >= _MAX_KEPT:
        for old in list(_kept)[: _MAX_KEPT // 2]:
            _kept.pop(old, None)
    _kept[text] = made
    return made
