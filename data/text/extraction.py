"""Takes a whole text to claims: what in it states something, who says so, and what each claim leaves open.

Called by ``deployments.extraction``, which adds check-worthiness. Every claim is a slice of the text as it
was handed in. A claim that hangs on its neighbours ("It fell to 2 %") is flagged with the reason; where the
sentence before names exactly one thing that the words could mean, that is reported beside the flag and never
put in their place. Pure: no model but the analyser's rules. Invariant: claims and skipped stretches are in
order of their offsets, claims do not overlap, and ``text[span.start:span.end]`` is what was read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from data.analysis import Analysis, Finding, Span
from data.claims import MAX_CLAIM_CHARS, ClaimContext, normalise
from data.context.wording import missing_context
from data.ports import TextAnalyser
from data.text.reported import Reported, clauses, quotations, reported_in
from data.text.sentence_types import no_claim
from data.text.sentences import Piece, split_text

#: Longest text read, in characters: some 16,000 words.
MAX_TEXT_CHARS = 100_000

#: Words that leave out what a sentence before has said.
_ELLIPSIS = re.compile(
    r"^(?:…|\.\.\.)"
    r"|\b(?:so|neither|nor) (?:did|does|do|has|had|have|is|are|was|were|will|can|could|would)\b"
    r"|\b(?:did|does|do|has|have|had|is|are|was|were|will) (?:so|too|not|the same)\W*$"
    r"|\bthe (?:latter|former)(?=[.,;]|\s+(?:is|are|was|were|has|have|had|will|did|does|rose|fell|"
    r"of (?:which|whom)))"
    r"|\b(?:as (?:mentioned|noted|stated|described) (?:above|earlier|before)|the same (?:is|was) true)\b",
    re.IGNORECASE,
)
_PERSONAL = frozenset(("he", "she", "him", "her", "his", "hers"))
_THINGS = frozenset(("it", "its", "they", "them", "their", "theirs"))
#: The labels of names that a word could stand for; a name of unknown kind always could.
_PEOPLE, _OTHERS, _BODIES = (
    frozenset(("PERSON", "NAME")),
    frozenset(("ORG", "PLACE", "WORK", "NAME")),
    frozenset(("ORG", "NAME")),
)
_PLACES = frozenset(("PLACE", "NAME"))
_PLACE_NOUNS = re.compile(r"the (?:country|city|state|region|area|town|island)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """The only name before that the words could mean: reported, not put in their place."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Dependence:
    """One thing a claim leaves open: ``reason`` is a stable slug, ``span`` the words, in the whole text."""

    reason: str
    message: str
    span: Span
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True)
class TextClaim:
    """A claim of a text: ``span`` is what it states, ``sentence`` where it stands.

    ``attribution`` are the words that say whose it is, where it is reported; ``speaker`` is the name in them,
    or ``None`` where they name nobody. ``paragraph`` numbers the paragraph.
    """

    span: Span
    sentence: Span
    paragraph: int
    speaker: str | None = None
    attribution: Span | None = None
    depends_on: tuple[Dependence, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A stretch that is no claim, and why.

    ``reason`` is question, imperative, opinion, fragment, heading, code, link or too_long.
    """

    span: Span
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything found in one text, in order of the offsets."""

    claims: tuple[TextClaim, ...]
    skipped: tuple[Skipped, ...]


def find_claims(text: str, analyser: TextAnalyser, context: ClaimContext | None = None) -> Reading:
    """Return the claims of a text; ``context`` is what is known of the whole text: date, place, speaker."""
    pieces = split_text(text)
    claims: list[TextClaim] = []
    skipped: list[Skipped] = []
    voices = _Voices(text, pieces)
    for piece in pieces:
        reason = _reason_to_skip(text, piece)
        if reason is not None:
            skipped.append(Skipped(piece.span, reason))
            continue
        for claim in voices.claims_of(piece):
            reason = _statement_problem(text, claim, piece)
            if reason is None:
                claims.append(claim)
            else:
                skipped.append(Skipped(claim.span, reason))
    flagged = _flag(text, claims, pieces, analyser=analyser, context=context or ClaimContext())
    return Reading(tuple(flagged), tuple(skipped))


def context_of(claim: TextClaim, context: ClaimContext) -> ClaimContext:
    """Return the context of one claim: its own speaker where the text names one, the text's otherwise."""
    if claim.attribution is None:
        return context
    return ClaimContext(
        speaker=claim.speaker,
        date=context.date,
        place=context.place,
        domain=context.domain,
        source_url=context.source_url,
        extra=context.extra,
    )


def _reason_to_skip(text: str, piece: Piece) -> str | None:
    if piece.kind in ("heading", "code", "link"):
        return piece.kind
    words = text[piece.span.start : piece.span.end]
    return "too_long" if len(words) > MAX_CLAIM_CHARS or len(normalise(words)) > MAX_CLAIM_CHARS else None


def _statement_problem(text: str, claim: TextClaim, piece: Piece) -> str | None:
    words = text[claim.span.start : claim.span.end]
    if not any(char.isalnum() for char in normalise(words)):
        return "fragment"
    return no_claim(words, is_item=piece.kind == "item")


class _Voices:
    """Cuts sentences into statements and keeps track of who speaks, paragraph by paragraph."""

    def __init__(self, text: str, pieces: Sequence[Piece]) -> None:
        self._text = text
        self._quotes: dict[int, list[Span]] = {}
        self._reports: dict[Span, Reported] = {}
        self._by_paragraph: dict[int, list[Reported]] = {}
        bounds: dict[int, list[int]] = {}
        for piece in pieces:
            bounds.setdefault(piece.paragraph, []).extend((piece.span.start, piece.span.end))
            if piece.kind in ("sentence", "item") and piece.span.end - piece.span.start <= MAX_CLAIM_CHARS:
                report = reported_in(text, piece.span)
                if report is not None:
                    self._reports[piece.span] = report
                    self._by_paragraph.setdefault(piece.paragraph, []).append(report)
        for number, edges in bounds.items():
            self._quotes[number] = quotations(text, Span(edges[0], edges[-1]))

    def claims_of(self, piece: Piece) -> list[TextClaim]:
        """Return the statements of one sentence, in order."""
        report = self._reports.get(piece.span)
        if report is not None:
            return self._parts(piece, report.said, report.speaker, report.attribution)
        quote = self._quote_around(piece)
        if quote is None:
            return self._parts(piece, piece.span, None, None)
        inner = Span(max(piece.span.start, quote.start), min(piece.span.end, quote.end))
        if inner.start >= inner.end:  # nothing but its marks
            return self._parts(piece, piece.span, None, None)
        speaker = self._speaker_of(piece, quote)
        said = speaker.attribution if speaker else None
        return self._parts(piece, inner, speaker.speaker if speaker else None, said)

    def _parts(
        self, piece: Piece, span: Span, speaker: str | None, attribution: Span | None
    ) -> list[TextClaim]:
        return [
            TextClaim(part, piece.span, piece.paragraph, speaker, attribution)
            for part in clauses(self._text, span)
        ]

    def _quote_around(self, piece: Piece) -> Span | None:
        """Return the quotation that all words of a sentence stand in, its marks aside."""
        for quote in self._quotes.get(piece.paragraph, ()):
            if quote.start - 1 <= piece.span.start and piece.span.end <= quote.end + 1:
                return quote
        return None

    def _speaker_of(self, piece: Piece, quote: Span) -> Reported | None:
        """Return the report whose quotation this is, else the last one before it in the paragraph."""
        reports = self._by_paragraph.get(piece.paragraph, [])
        for report in reports:
            if quote.start <= report.said.start < quote.end + 1:
                return report
        before = [report for report in reports if report.said.start < piece.span.start]
        quoted = [report for report in before if self._is_quoted(report, piece.paragraph)]
        return quoted[-1] if quoted else None

    def _is_quoted(self, report: Reported, paragraph: int) -> bool:
        return any(q.start <= report.said.start <= q.end for q in self._quotes.get(paragraph, ()))


def _flag(
    text: str,
    claims: Sequence[TextClaim],
    pieces: Sequence[Piece],
    *,
    analyser: TextAnalyser,
    context: ClaimContext,
) -> list[TextClaim]:
    """Return the claims with what each leaves open; every text is analysed once, all in one call."""
    before = _sentences_before(claims, pieces)
    wanted = [claim.span for claim in claims] + [span for span in before if span is not None]
    texts = list(dict.fromkeys(text[span.start : span.end] for span in wanted))
    read = dict(zip(texts, analyser.analyse(texts) if texts else [], strict=True))
    found = []
    for claim, previous in zip(claims, before, strict=True):
        words = text[claim.span.start : claim.span.end]
        findings = missing_context(words, read[words], context_of(claim, context))
        names = (previous, read[text[previous.start : previous.end]]) if previous else None
        depends = [_dependence(claim, finding, names) for finding in findings]
        ellipsis = _ELLIPSIS.search(words)
        if ellipsis:
            span = Span(claim.span.start + ellipsis.start(), claim.span.start + max(1, ellipsis.end()))
            message = f"“{text[span.start : span.end]}”: it leaves out what was said before."
            depends.append(Dependence("ellipsis", message, span))
        depends.sort(key=lambda item: (item.span.start, item.reason))
        found.append(
            TextClaim(
                claim.span, claim.sentence, claim.paragraph, claim.speaker, claim.attribution, tuple(depends)
            )
        )
    return found


def _sentences_before(claims: Sequence[TextClaim], pieces: Sequence[Piece]) -> list[Span | None]:
    """Return, a claim, the sentence before its own, where the same paragraph has one."""
    previous: dict[int, Span] = {}
    for first, second in pairwise(pieces):
        if first.paragraph == second.paragraph and first.span.end - first.span.start <= MAX_CLAIM_CHARS:
            previous[second.span.start] = first.span
    return [previous.get(claim.sentence.start) for claim in claims]


def _dependence(claim: TextClaim, finding: Finding, before: tuple[Span, Analysis] | None) -> Dependence:
    at = finding.claim_span or Span(0, claim.span.end - claim.span.start)
    span = Span(claim.span.start + at.start, claim.span.start + at.end)
    candidate = _candidate(finding, before) if before else None
    return Dependence(finding.kind, finding.message, span, candidate)


def _candidate(finding: Finding, before: tuple[Span, Analysis]) -> Candidate | None:
    """Return the one name of the sentence before that can be meant; none where there are two or more."""
    labels = _labels_for(finding)
    sentence, analysis = before
    named = {item.text.casefold(): item for item in analysis.entities if item.label in labels}
    if len(named) != 1:
        return None
    (entity,) = named.values()
    span = Span(sentence.start + entity.span.start, sentence.start + entity.span.end)
    return Candidate(entity.text, span)


def _labels_for(finding: Finding) -> frozenset[str]:
    quoted = re.match(r"“([^”]+)”", finding.message)
    word = quoted[1].casefold() if quoted else ""
    if finding.kind == "dangling_pronoun":
        return _PEOPLE if word in _PERSONAL else _OTHERS if word in _THINGS else frozenset()
    if finding.kind == "unnamed_reference":
        return _PLACES if _PLACE_NOUNS.match(word) else _BODIES
    return frozenset()
