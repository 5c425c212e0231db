"""Empirical: does the evidence support the claim?

Every item found is read for its stance, typed facts are compared exactly, and an aggregation model turns all
of it into probabilities of the four verdicts. Invariants: no evidence gives exactly NOT_ENOUGH_INFO;
SUPPORTED needs at least one item that supports; the order and the repetition of evidence change nothing.

Source: the pipeline of Thorne et al. 2018 (FEVER: retrieve, read, aggregate), with calibrated aggregation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.analysis import Analysis, Finding, PairFinding
from data.evidence import ClaimBatch, Evidence, Stance, StanceJudgement
from data.exact.comparison import findings
from data.exact.compound_units import load_units
from data.exact.features import balance, decisive
from data.exact.telling import as_finding, in_words
from data.models.aggregation import (
    AGGREGATE_FEATURES,
    AGGREGATOR,
    BYSTANDER,
    NO_EVIDENCE,
    Reading,
    claim_features,
    conclude,
    distinct,
    judged_text,
    names_nothing_of,
    read_evidence,
    strongest,
    with_findings,
)
from data.models.exact_answer import exact_answer, says_nothing_of
from data.ports import Scorer, StanceModel, TextAnalyser
from data.text.comparison import Comparison, compare
from data.verdicts import VERDICT_LABELS, Opinion, Outcome, Probabilities
from deployments.framework import framework

#: Stance probabilities of an item that answers exactly, by its answer.
_EXACT_ROWS: dict[Stance, tuple[float, float, float]] = {
    "SUPPORTS": (0.98, 0.01, 0.01),
    "REFUTES": (0.01, 0.98, 0.01),
}
#: Longest quotation in a rationale, in characters.
_QUOTE_CHARS = 240


@dataclass(frozen=True, slots=True)
class EmpiricalConfig:
    """``compared_items``: of how many items, strongest first, the words are compared for findings."""

    compared_items: int = 3


@dataclass(frozen=True, slots=True)
class _Case:
    """One claim on its way: its items (sorted by id), their readings, and what was compared, by item id."""

    text: str
    analysis: Analysis
    items: tuple[Evidence, ...]
    readings: tuple[Reading, ...]
    comparisons: dict[str, Comparison]
    found: dict[str, tuple[PairFinding, ...]]


@framework(
    name="empirical",
    needs=("stance", "scorer", "analyser"),
    config=EmpiricalConfig,
    decides=True,
    labels=VERDICT_LABELS,
)
class Empirical:
    """Weighs the evidence of each claim; see the module's docstring for what it promises."""

    def __init__(
        self, config: EmpiricalConfig, *, stance: StanceModel, scorer: Scorer, analyser: TextAnalyser
    ) -> None:
        self._config = config
        self._stance = stance
        self._scorer = scorer
        self._analyser = analyser
        load_units()

    def verify(self, batch: ClaimBatch) -> list[Outcome]:
        """Return one opinion a claim.

        ``confidence`` is the calibrated probability of the opinion's label,
        ``score`` is P(SUPPORTED) - P(REFUTED).
        """
        cases = self._compared(self._read(batch))
        scored = self._aggregated(cases)
        return [
            _opinion(case, conclude(row, case.readings)) if case.items else _nothing_found()
            for case, row in zip(cases, scored, strict=True)
        ]

    def _read(self, batch: ClaimBatch) -> list[_Case]:
        """Judge all items of all claims in one call, save those that speak of something else."""
        lists = [tuple(sorted(items, key=lambda item: item.id)) for items in batch.evidence]
        speaking = [
            [_speaks_of(claim.text, analysis, item) for item in items]
            for claim, analysis, items in zip(batch.claims, batch.analyses, lists, strict=True)
        ]
        pairs = [
            (claim.text, judged_text(claim.text, item))
            for claim, items, speaks in zip(batch.claims, lists, speaking, strict=True)
            for item, speaks_of in zip(items, speaks, strict=True)
            if speaks_of
        ]
        rows = iter(self._stance.judge(pairs)) if pairs else iter(())
        cases = []
        for claim, analysis, items, speaks in zip(batch.claims, batch.analyses, lists, speaking, strict=True):
            readings = tuple(
                read_evidence(item, next(rows) if speaks_of else BYSTANDER)
                for item, speaks_of in zip(items, speaks, strict=True)
            )
            cases.append(_Case(claim.text, analysis, items, readings, {}, {}))
        return cases

    def _compared(self, cases: Sequence[_Case]) -> list[_Case]:
        """Compare the words of the strongest and of all structured items; exact answers replace readings."""
        chosen = [self._worth_comparing(case) for case in cases]
        texts = [item.text for items in chosen for item in items]
        analyses = dict(zip(texts, self._analyser.analyse(texts), strict=True))
        done = []
        for case, items in zip(cases, chosen, strict=True):
            comparisons: dict[str, Comparison] = {}
            found: dict[str, tuple[PairFinding, ...]] = {}
            for item in items:
                pair = (case.text, case.analysis, item.text, analyses[item.text])
                comparisons[item.id] = compare(*pair)
                found[item.id] = findings(*pair, title=item.title)
            exact = {
                item.id: exact_answer(case.text, case.analysis, item, comparisons[item.id]) for item in items
            }
            balances = {name: balance(each) for name, each in found.items()}
            compared = with_findings(case.readings, balances)
            readings = tuple(_with_exact(reading, exact.get(reading.id)) for reading in compared)
            done.append(replace(case, readings=readings, comparisons=comparisons, found=found))
        return done

    def _worth_comparing(self, case: _Case) -> list[Evidence]:
        wanted = {reading.id for reading in strongest(case.readings, self._config.compared_items)}
        return [item for item in case.items if item.id in wanted or item.kind != "passage"]

    def _aggregated(self, cases: Sequence[_Case]) -> list[Sequence[float]]:
        """Score all claims that have evidence in one call; the others get an empty row."""
        rows = [claim_features(case.readings) for case in cases if case.items]
        if not rows:
            return [() for _ in cases]
        features = np.stack(rows).reshape(len(rows), len(AGGREGATE_FEATURES))
        answers = iter(self._scorer.predict(AGGREGATOR, features))
        return [[float(value) for value in next(answers)] if case.items else () for case in cases]


def _speaks_of(claim: str, analysis: Analysis, item: Evidence) -> bool:
    """Return whether an item is worth reading: it names what the claim names, and a fact its property."""
    names = [entity.text for entity in analysis.entities]
    return not says_nothing_of(claim, analysis, item) and not names_nothing_of(names, item)


def _with_exact(reading: Reading, answer: Stance | None) -> Reading:
    if answer is None:
        return reading
    return replace(reading, probabilities=_EXACT_ROWS[answer], exact=answer)


def _strength(reading: Reading) -> tuple[float, str]:
    """Sort key: the most decisive first, ties by id."""
    return -max(reading.probabilities[0], reading.probabilities[1]), reading.id


def _nothing_found() -> Opinion:
    reason = "no evidence was found"
    return Opinion(
        0.0, 0.0, "NOT_ENOUGH_INFO", "No evidence was found.", abstained=reason, probabilities=NO_EVIDENCE
    )


def _opinion(case: _Case, probabilities: Probabilities) -> Opinion:
    column = max(range(len(probabilities)), key=lambda index: (probabilities[index], index))
    label = VERDICT_LABELS[column]
    return Opinion(
        score=round(probabilities[0] - probabilities[1], 6),
        confidence=probabilities[column],
        label=label,
        rationale=_rationale(case, label),
        findings=_findings(case),
        probabilities=probabilities,
        stances=tuple(
            StanceJudgement(each.id, each.stance, each.probabilities, case.found.get(each.id, ()))
            for each in case.readings
        ),
    )


def _findings(case: _Case) -> tuple[Finding, ...]:
    """What the compared items show, item by item in id order, each naming its evidence."""
    return tuple(
        as_finding(found, item.id, case.text, item.text)
        for item in case.items
        for found in case.found.get(item.id, ())
    )


def _rationale(case: _Case, label: str) -> str:
    """Say how many items stand on each side and quote the one that weighs most for the label."""
    items = distinct(case.readings)
    sides = ("REFUTES", "SUPPORTS") if label == "REFUTED" else ("SUPPORTS", "REFUTES")
    voices = [[each for each in items if each.stance == side] for side in sides]
    spoken = [
        (side, sorted(found, key=_strength)) for side, found in zip(sides, voices, strict=True) if found
    ]
    if not spoken:
        return _undecided(len(items))
    opening = " and ".join(_counted(side, len(found)) for side, found in spoken)
    quotes = [_quoted(case, found[0]) for _, found in spoken]
    if label == "NOT_ENOUGH_INFO":
        opening += ", too weakly to decide it"
        quotes = [_quoted(case, min((found[0] for _, found in spoken), key=_strength))]
    shown = " against ".join(quotes if label == "CONFLICTING" else quotes[:1])
    reason = _reason(case, spoken[0][1][0])
    return f"{opening[0].upper()}{opening[1:]}; the strongest says {shown}.{reason}"


def _reason(case: _Case, reading: Reading) -> str:
    """Return the exact finding that bears an item's stance out most, as a sentence; "" where none does."""
    if reading.stance == "NEUTRAL":
        return ""
    best = decisive(case.found.get(reading.id, ()), against=reading.stance == "REFUTES")
    item = next(each for each in case.items if each.id == reading.id)
    return f" {in_words(best, case.text, item.text)}" if best else ""


def _undecided(count: int) -> str:
    if count == 1:
        return "The one evidence item found does not decide it."
    return f"None of the {count} evidence items found decides it."


def _counted(side: str, count: int) -> str:
    verb = "support" if side == "SUPPORTS" else "contradict"
    return f"one evidence item {verb}s it" if count == 1 else f"{count} evidence items {verb} it"


def _quoted(case: _Case, reading: Reading) -> str:
    """Return the sentence of the item that answers to the claim, in quotation marks, with where it stands."""
    item = next(each for each in case.items if each.id == reading.id)
    comparison = case.comparisons.get(item.id)
    sentence = item.text
    if comparison is not None and comparison.sentence.end > comparison.sentence.start:
        sentence = item.text[comparison.sentence.start : comparison.sentence.end]
    if len(sentence) > _QUOTE_CHARS:
        sentence = sentence[:_QUOTE_CHARS].rsplit(" ", 1)[0] + " …"
    where = item.title or item.source or item.document_id
    return f"“{sentence.strip().rstrip('.')}” ({where})"
