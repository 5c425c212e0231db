"""The stages that fuzzed texts go through, and what each promises.

Called by ``tasks.behaviour.fuzz``. A stage yields one sentence for every promise that it finds broken; an
exception breaks one too. What is refused with an error of ours (a claim without a letter, a document that is
not Unicode) is an answer, and later stages skip it.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import msgspec

from data.analysis import Analysis, Finding, Span
from data.changes import put_document
from data.claims import Claim, fingerprint, make_claim
from data.documents import split
from data.errors import ClaimRejectedError, InvalidValueError, KiteError
from data.knowledge import Document, Passage
from data.text.analyser import SpacyAnalyser
from data.text.comparison import Comparison, compare
from data.text.extraction import MAX_TEXT_CHARS, Reading, find_claims
from deployments.api.reading import QuestionReader, decode
from tasks.behaviour.fuzz_texts import FuzzItem

Check = Callable[[], Iterable[str]]

#: Passages of a document that are compared, and that a verdict rests on.
PASSAGES = 4
#: A whole document is taken apart, as text to be verified is, up to so many characters.
_WHOLE_CHARS = 20_000


class CheapStages:
    """Everything that needs no model: claims, documents, requests, extraction, analysis, comparison."""

    def __init__(self) -> None:
        self._analyser = SpacyAnalyser()
        #: A second one, with caches of its own, to see the same text afresh.
        self._again = SpacyAnalyser()
        self._reader = QuestionReader(("empirical", "consistency"), _no_position)

    def of(self, item: FuzzItem) -> Iterator[tuple[str, Check]]:
        """Yield the stages of one item, lazily: the later ones see what the earlier ones made."""
        yield "claim", lambda: _check_claim(item.claim)
        yield "document", lambda: _check_document(item.passage)
        yield "request", lambda: asyncio.run(self._check_request(item))
        yield "extraction", lambda: self._check_extraction(item.passage)
        texts = _texts_of(item)
        yield "analysis", lambda: self._check_analysis(texts)
        claim = claim_of(item)
        passages = [passage.text for passage in _passages_of(item)[:PASSAGES]]
        if claim is not None and passages:
            yield "comparison", lambda: self._check_comparison(claim.text, passages)
            yield "again", lambda: self._check_again(claim.text, passages)

    async def _check_request(self, item: FuzzItem) -> list[str]:
        broken = []
        for body in _bodies(item):
            try:
                asked = await self._reader.read(decode(body))
            except KiteError as exc:
                str(exc).encode()
                continue
            if not 0.0 < asked.question.alpha < 1.0:
                broken.append(f"a request was read with alpha {asked.question.alpha}")
        return broken

    def _check_extraction(self, text: str) -> Iterator[str]:
        if document_of(text) is not None:
            yield from broken_extraction(text, find_claims(text[:MAX_TEXT_CHARS], self._analyser))

    def _check_analysis(self, texts: Sequence[str]) -> Iterator[str]:
        for text, analysis in zip(texts, self._analyser.analyse(texts), strict=True):
            yield from broken_analysis(text, analysis)

    def _check_comparison(self, claim: str, passages: Sequence[str]) -> Iterator[str]:
        for passage, comparison in zip(passages, compared(self._analyser, claim, passages), strict=True):
            yield from broken_comparison(claim, passage, comparison)

    def _check_again(self, claim: str, passages: Sequence[str]) -> Iterator[str]:
        first = compared(self._analyser, claim, passages)
        second = compared(self._again, claim, passages[::-1])[::-1]
        if msgspec.json.encode(first) != msgspec.json.encode(second):
            yield "the same texts were compared twice with different results"


async def _no_position(_: str) -> int:
    return 0


def compared(analyser: SpacyAnalyser, claim: str, passages: Sequence[str]) -> list[Comparison]:
    """Return the comparison of the claim with each passage."""
    mine, *theirs = analyser.analyse([claim, *passages])
    return [compare(claim, mine, passage, each) for passage, each in zip(passages, theirs, strict=True)]


def claim_of(item: FuzzItem) -> Claim | None:
    """Return the claim if the API would take it."""
    try:
        return make_claim(item.claim)
    except ClaimRejectedError:
        return None


def document_of(text: str) -> Document | None:
    """Return the document if it can be stored; what cannot is never evidence."""
    document = Document("fuzz", text, title=text[:40])
    try:
        put_document(document)
    except InvalidValueError:
        return None
    return document


def _passages_of(item: FuzzItem) -> tuple[Passage, ...]:
    document = document_of(item.passage)
    return () if document is None else split(document)


def _texts_of(item: FuzzItem) -> list[str]:
    """Return the texts to be taken apart: the claim, the whole passage, and the pieces it is stored in."""
    claim, document = claim_of(item), document_of(item.passage)
    texts = [] if claim is None else [claim.text]
    if document is not None:
        texts += [document.text[:_WHOLE_CHARS], *(piece.text for piece in split(document)[:PASSAGES])]
    return texts


def _check_claim(raw: str) -> Iterator[str]:
    try:
        claim = make_claim(raw)
    except ClaimRejectedError as exc:
        str(exc).encode()
        return
    if make_claim(claim.text) != claim:
        yield "a claim that was made ready is changed by making it ready again"
    if len(fingerprint(claim)) != 64:
        yield "the claim has no fingerprint"
    claim.text.encode()


def _check_document(text: str) -> Iterator[str]:
    document = document_of(text)
    if document is None:
        return
    end = 0
    for passage in split(document):
        if text[passage.start : passage.end] != passage.text or not passage.text.strip():
            yield "a passage is not the text at its place"
        if passage.start < end:
            yield "passages overlap"
        if text[end : passage.start].strip():
            yield "words between two passages are lost"
        end = passage.end
    if text[end:].strip():
        yield "words after the last passage are lost"


def _bodies(item: FuzzItem) -> list[bytes]:
    """Return requests with these texts in their fields, whole and damaged, as bytes."""
    draw = random.Random(item.number)  # noqa: S311 - texts to try, not secrets
    odd: list[Any] = [
        None,
        -1,
        0.5,
        1e308,
        float("nan"),
        "2024-05-31",
        "9999-12-31T23:59:59-23:59",
        item.claim[:30],
        [],
        {},
    ]
    whole = {
        "claim": item.claim,
        "context": {
            "speaker": item.passage[:600],
            "date": draw.choice(odd),
            item.claim[:70]: item.passage[:80],
        },
        "alpha": draw.choice(odd),
        "as_of": draw.choice(odd),
        "frameworks": draw.choice((None, ["empirical"], [item.claim[:20]], ["empirical", "empirical"], [])),
    }
    plain = {"claim": item.claim}
    encoded = [
        json.dumps(whole).encode(),
        json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        item.passage[:5_000].encode("utf-8", "surrogatepass"),
    ]
    cut = encoded[draw.randrange(2)]
    at = draw.randrange(len(cut))
    return [*encoded, cut[:at] + bytes([draw.randrange(256)]) + cut[at + 1 :], cut[:at]]


def outside(span: Span, text: str) -> bool:
    """Return whether a span is empty or reaches out of the text."""
    return not 0 <= span.start < span.end <= len(text)


def broken_analysis(text: str, analysis: Analysis) -> Iterator[str]:
    """Yield what is wrong with an analysis: a span outside, words not there, a wild number or day."""
    for token in analysis.tokens:
        if text[token.span.start : token.span.end] != token.text or not token.text:
            yield f"the token {token.text[:40]!a} is not the text at its place"
    for entity in analysis.entities:
        if text[entity.span.start : entity.span.end] != entity.text or not entity.text:
            yield f"the name {entity.text[:40]!a} is not the text at its place"
    spans = [*analysis.sentences, *(quantity.span for quantity in analysis.quantities)]
    spans += [*(mention.span for mention in analysis.dates), *(cue.span for cue in analysis.cues)]
    if any(outside(span, text) for span in spans):
        yield "a span is empty or outside of the text"
    for quantity in analysis.quantities:
        if not (math.isfinite(quantity.value) and math.isfinite(quantity.base_value)):
            yield f"the quantity {quantity.value} {quantity.unit} is not finite"
    for mention in analysis.dates:
        if date.fromisoformat(mention.first_day) > date.fromisoformat(mention.last_day):
            yield f"the date from {mention.first_day} ends on {mention.last_day}"


def broken_extraction(text: str, reading: Reading) -> Iterator[str]:
    """Yield what is wrong with the claims found in a text: a place, their order, or one no API would take."""
    end = 0
    for claim in reading.claims:
        if claim.span.start < end or outside(claim.span, text):
            yield "a claim of the text overlaps another, or is empty or outside of the text"
        end = claim.span.end
        make_claim(text[claim.span.start : claim.span.end])
        for each in claim.depends_on:
            said = each.candidate
            if outside(each.span, text):
                yield f"{each.reason} names words outside of the text"
            if said is not None and text[said.span.start : said.span.end] != said.text:
                yield "a candidate is not the text at its place"
    if any(outside(skipped.span, text) for skipped in reading.skipped):
        yield "a skipped stretch is empty or outside of the text"


def broken_comparison(claim: str, passage: str, comparison: Comparison) -> Iterator[str]:
    """Yield what is wrong with a comparison."""
    if not all(math.isfinite(value) for value in comparison.features):
        yield "a feature is not finite"
    sentence = comparison.sentence
    if sentence != Span(0, 0) and outside(sentence, passage):
        yield "the aligned sentence is outside of the passage"
    for finding in comparison.findings:
        yield from broken_finding(finding, claim, passage)


def broken_finding(finding: Finding, claim: str, passage: str | None) -> Iterator[str]:
    """Yield what is wrong with a finding; ``passage`` is ``None`` where it names no evidence."""
    if not -1.0 <= finding.weight <= 1.0:
        yield f"{finding.kind} weighs {finding.weight}"
    if finding.claim_span is not None and outside(finding.claim_span, claim):
        yield f"{finding.kind} names words outside of the claim"
    if finding.evidence_span is not None and (passage is None or outside(finding.evidence_span, passage)):
        yield f"{finding.kind} names words outside of its evidence"
