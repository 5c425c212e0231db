"""Whole verdicts on fuzzed texts, and what each of them promises.

Called by ``tasks.behaviour.fuzz``. The evidence is cut from the item's passage as the product cuts documents,
so every span can be checked against its source.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

import msgspec

from data.analysis import Span
from data.changes import check_fact
from data.claims import Claim
from data.documents import split
from data.errors import InvalidValueError
from data.evidence import Evidence
from data.knowledge import Fact, text_sha256
from data.statements import state
from data.verdicts import VERDICT_LABELS, Verdict
from tasks.behaviour.fuzz_stages import PASSAGES, Check, broken_finding, claim_of, document_of
from tasks.behaviour.fuzz_texts import FuzzItem
from tasks.behaviour.judging import Asked, Judge, verdict_bytes

Run = Callable[[str, FuzzItem, Check, float], None]
Note = Callable[[str, FuzzItem, str], None]


def verdict_stage(items: Sequence[FuzzItem], judge: Judge, run: Run, note: Note, limit_s: float) -> None:
    """Give each item a whole verdict, alone; then all again in other company, which must not show."""
    asked: list[tuple[FuzzItem, Asked]] = []
    first: list[bytes] = []
    for item in items:
        question = asked_of(item)
        if question is None:
            continue
        given: list[bytes] = []

        def check(
            question: Asked = question, item: FuzzItem = item, given: list[bytes] = given
        ) -> Iterator[str]:
            verdict = judge.answer([question])[0]
            given.append(verdict_bytes(verdict))
            yield from broken_verdict(verdict, item.passage)

        run("verdict", item, check, limit_s)
        if given:
            asked.append((item, question))
            first.append(given[0])
    second = judge.answer([question for _, question in asked[::-1]], block=7)[::-1]
    for (item, _), before, after in zip(asked, first, second, strict=True):
        if verdict_bytes(after) != before:
            note("verdict", item, "the same question beside others was answered with other bytes")


def asked_of(item: FuzzItem) -> Asked | None:
    """Return the item as a question with its evidence as retrieval gives it, now and then with a fact."""
    claim = claim_of(item)
    if claim is None:
        return None
    document = document_of(item.passage)
    passages = () if document is None else split(document)[:PASSAGES]
    items = [
        Evidence(
            each.id,
            each.document_id,
            each.text,
            Span(each.start, each.end),
            title=each.title,
            sha256=text_sha256(each.text),
        )
        for each in passages
    ]
    fact = _fact_of(item, claim) if item.number % 3 == 0 else None
    return Asked(claim.text, (*items, *([] if fact is None else [fact])))


def _fact_of(item: FuzzItem, claim: Claim) -> Evidence | None:
    """Return a fact whose subject and value stand in the claim, if such a fact can be stored."""
    words = claim.text.split()
    draw = random.Random(item.number)  # noqa: S311 - texts to try, not secrets
    fact = Fact(
        "fuzz",
        draw.choice(words),
        draw.choice((*words, "height", "population")),
        draw.choice(words),
        value=draw.choice((None, 0.0, -1.0, 1e308, 1e-308, 330.0, 1889.0)),
        unit=draw.choice((None, "m", "%", words[0])),
    )
    try:
        check_fact(fact)
    except InvalidValueError:
        return None
    text = state(fact)
    return Evidence(
        "fact:fuzz",
        "fact:fuzz",
        text,
        Span(0, len(text)),
        "fact",
        title=fact.subject,
        sha256=text_sha256(text),
        subject=fact.subject,
        predicate=fact.predicate,
        object=fact.object,
        value=fact.value,
        unit=fact.unit,
    )


def broken_verdict(verdict: Verdict, source: str) -> Iterator[str]:
    """Yield what is wrong with a verdict; ``source`` is the text its passages were cut from."""
    row = verdict.probabilities
    if not all(math.isfinite(value) and 0.0 <= value <= 1.0 for value in row):
        yield f"the probabilities {row} are not all in [0, 1]"
    if abs(math.fsum(row) - 1.0) > 5e-6:
        yield f"the probabilities {row} add up to {math.fsum(row)}"
    if verdict.confidence != max(row) or row[VERDICT_LABELS.index(verdict.label)] != max(row):
        yield f"{verdict.label} with {verdict.confidence} is not the likeliest of {row}"
    yield from _broken_support(verdict)
    texts = {each.id: each.text for each in verdict.evidence}
    for each in verdict.evidence:
        if each.kind == "passage" and source[each.span.start : each.span.end] != each.text:
            yield "an evidence item is not the text at its place"
    for name, opinion in verdict.opinions.items():
        for finding in opinion.findings:
            if finding.evidence_id is not None and finding.evidence_id not in texts:
                yield f"{name} names evidence that is not there"
            yield from broken_finding(finding, verdict.claim.text, texts.get(finding.evidence_id or ""))
    if any(not math.isfinite(value) for value in _numbers(msgspec.to_builtins(verdict))):
        yield "a number in the verdict is not finite"


def _broken_support(verdict: Verdict) -> Iterator[str]:
    if verdict.label != "SUPPORTED":
        return
    texts = {each.id: each.text for each in verdict.evidence}
    voices = [each for each in verdict.stances.values() if each.stance == "SUPPORTS"]
    if not any(texts.get(each.evidence_id, "").strip() for each in voices):
        yield "SUPPORTED without an evidence item that supports"


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _numbers(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _numbers(each)
