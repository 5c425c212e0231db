"""What a text says, taken apart once: tokens, sentences, quantities, dates, negation, names.

Produced by ``data.text`` (and served by the models actor); read by every framework. Offsets are
character offsets into the analysed text, so ``text[span.start:span.end]`` is always the words meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open character range ``[start, end)``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Token:
    """One token: surface text, a lower-case lemma (rule based), and its place."""

    text: str
    lemma: str
    span: Span
    is_stop: bool = False


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as written, in canonical form.

    ``value`` is the stated number in ``unit`` (``None`` for a bare count); ``base_value``/``dimension`` are
    the same in SI base units when the unit is known (``"length"``, ``"mass"``, ``"percent"``,
    ``"money:usd"``, ``"count"``, ...). ``comparator`` is one of ``= < <= > >= ~``; ``noun`` is the head
    noun counted, lemma, if any.
    """

    value: float
    unit: str | None
    base_value: float
    dimension: str
    comparator: str
    noun: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class DateMention:
    """A point or interval in time as inclusive ISO days; ``grain`` is day, month, year, decade or century."""

    first_day: str
    last_day: str
    grain: str
    span: Span


@dataclass(frozen=True, slots=True)
class Entity:
    """A name. ``label`` is PERSON, PLACE, ORG, WORK or NAME when the kind is not known."""

    text: str
    label: str
    span: Span


@dataclass(frozen=True, slots=True)
class Cue:
    """A word or phrase with a function: ``kind`` is negation, quantifier, hedge, comparison, deixis, ..."""

    kind: str
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything found in one text, each list in order of appearance."""

    tokens: tuple[Token, ...]
    sentences: tuple[Span, ...]
    quantities: tuple[Quantity, ...]
    dates: tuple[DateMention, ...]
    entities: tuple[Entity, ...]
    cues: tuple[Cue, ...]

    def cues_of(self, kind: str) -> tuple[Cue, ...]:
        """Return the cues of one kind, in order."""
        return tuple(cue for cue in self.cues if cue.kind == kind)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a framework noticed, with the words it rests on.

    ``kind`` is a stable slug (``number_mismatch``, ``fallacy:ad_hominem``, ``dangling_pronoun``);
    ``weight`` in [-1, 1] is how far it speaks for (+) or against (-) the claim, 0 where it only informs.
    """

    kind: str
    message: str
    weight: float = 0.0
    claim_span: Span | None = None
    evidence_id: str | None = None
    evidence_span: Span | None = None


#: What is compared word by word.
FindingKind = Literal[
    "quantity", "percentage", "ordinal", "date", "quantifier", "negation", "antonym", "entity", "role"
]
FINDING_KINDS: tuple[FindingKind, ...] = (
    "quantity",
    "percentage",
    "ordinal",
    "date",
    "quantifier",
    "negation",
    "antonym",
    "entity",
    "role",
)
#: How the passage's words stand to the claim's: the same; true of what the passage says though said more
#: widely; impossible beside it; or about the same thing without settling it.
FindingOutcome = Literal["agrees", "entails", "conflicts", "not_comparable"]


@dataclass(frozen=True, slots=True)
class PairFinding:
    """One exact comparison between words of a claim and words of a passage.

    Both spans always slice to the words compared. ``detail`` says it in one line ("claim: 330 m; passage:
    300 m - 10 % apart"). ``strength`` in (0, 1] is how sure it is that both speak of the same thing.
    """

    kind: FindingKind
    outcome: FindingOutcome
    claim_span: Span
    passage_span: Span
    detail: str
    strength: float
