"""Contextual: is the claim understandable and true in its context?

Reads what the wording leaves out, who is said to have said it, when and where, and whether the evidence is
about that time and place (``data.context``). Run by the framework's Serve deployment, by batch jobs and by
tests. It never decides a verdict: it says what a reader would have to ask first, and where evidence and
claim speak past each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data.analysis import Analysis, Finding
from data.claims import Claim
from data.context.agreement import (
    ReadPassage,
    ambiguous_names,
    compare_age,
    compare_place,
    compare_speaker,
    compare_time,
    own_time,
    prior_checks,
    speaks_of,
)
from data.context.lexicons import TOPICS
from data.context.structure import structure_findings
from data.context.wording import missing_context, sentiment, stated_with_distance, topics
from data.evidence import ClaimBatch, Evidence
from data.knowledge import PastVerdict
from data.ports import TextAnalyser
from data.text.syntax import SentenceReader
from data.verdicts import Opinion, Outcome, abstain
from deployments.framework import framework

LABELS = ("CLEAR", "NEEDS_CONTEXT", "OUT_OF_CONTEXT")
#: Findings that set the claim against its context, and those that leave a question open.
_AGAINST = frozenset(("dated_after_context", "other_time", "other_place"))
_GAPS = frozenset(
    (
        *("dangling_pronoun", "unnamed_reference", "relative_time", "relative_place", "unnamed_speaker"),
        *("open_comparison", "ambiguous_name"),
    )
)
#: A claim that leaves nothing open, with evidence at hand: a little for it, for it can be checked at all.
_CLEAR_SCORE = 0.1


@dataclass(frozen=True, slots=True)
class ContextualConfig:
    """Settings."""

    #: Passages read closely a claim, best first.
    passages: int = 3
    #: Evidence further than this from the day of the claim is far in time: five years.
    stale_days: int = 1_826
    #: Cosine from which an earlier claim counts as the same.
    similar_from: float = 0.9
    #: Emotionality (0 to 1) from which the wording is called emotional: three intensity points.
    emotional_from: float = 0.5


@framework(
    name="contextual", needs=("analyser",), may_use=("syntax",), config=ContextualConfig, labels=LABELS
)
class Contextual:
    """Reads claims in their context; with ``syntax``, also who does what and whom a claim quotes."""

    def __init__(
        self, config: ContextualConfig, analyser: TextAnalyser, syntax: SentenceReader | None = None
    ) -> None:
        self._config = config
        self._analyser = analyser
        self._syntax = syntax

    def verify(self, batch: ClaimBatch) -> list[Outcome]:
        """Return one opinion a claim, in order; see ``Framework.verify``."""
        chosen = [
            self._worth_reading(claim, analysis, items)
            for claim, analysis, items in zip(batch.claims, batch.analyses, batch.evidence, strict=True)
        ]
        texts = list(dict.fromkeys(item.text for items in chosen for item in items))
        read = dict(zip(texts, self._analyser.analyse(texts) if texts else [], strict=True))
        return [
            self._opinion(
                claim,
                analysis,
                evidence=evidence,
                passages=[ReadPassage(item, read[item.text]) for item in items],
                history=history,
            )
            for claim, analysis, evidence, items, history in zip(
                batch.claims, batch.analyses, batch.evidence, chosen, batch.histories, strict=True
            )
        ]

    def _worth_reading(self, claim: Claim, analysis: Analysis, items: Sequence[Evidence]) -> list[Evidence]:
        """Return the best passages about the claim's names, if it has a time, place or speaker to compare."""
        has_place = any(entity.label == "PLACE" for entity in analysis.entities)
        if not (analysis.dates or has_place or claim.context.place or claim.context.speaker):
            return []
        about = [item for item in items if item.kind == "passage" and speaks_of(analysis, item)]
        about.sort(key=lambda item: (-item.scores.fused, item.id))
        return about[: self._config.passages]

    def _opinion(
        self,
        claim: Claim,
        analysis: Analysis,
        *,
        evidence: Sequence[Evidence],
        passages: Sequence[ReadPassage],
        history: Sequence[PastVerdict],
    ) -> Opinion:
        config = self._config
        about_wording = [
            *missing_context(claim.text, analysis, claim.context),
            *stated_with_distance(claim.text, analysis),
            *self._emotion(claim, analysis),
        ]
        about_context = [
            *own_time(claim, analysis),
            *compare_time(claim, analysis, passages),
            *compare_age(claim, analysis, evidence, stale_days=config.stale_days),
            *compare_place(claim, analysis, passages),
            *compare_speaker(claim, passages),
            *ambiguous_names(analysis, evidence),
            *prior_checks(history, similar_from=config.similar_from),
        ]
        topic = _topic(claim, analysis, evidence)
        said = claim.context
        has_context = any((said.speaker, said.date, said.place, said.source_url))
        if not (about_wording or about_context or evidence or has_context):
            return abstain("no context, no evidence, and nothing in the wording that needs any", *topic)
        structure = structure_findings(claim.text, self._syntax.read([claim.text])[0]) if self._syntax else []
        weighing = [finding for finding in structure if finding.weight]
        informing = [finding for finding in structure if not finding.weight]
        return _concluded([*about_wording, *weighing, *about_context], [*informing, *topic])

    def _emotion(self, claim: Claim, analysis: Analysis) -> list[Finding]:
        feeling = sentiment(claim.text, analysis)
        if feeling.emotionality < self._config.emotional_from:
            return []
        tone = "positive" if feeling.polarity > 0 else "negative" if feeling.polarity < 0 else "mixed"
        span = feeling.spans[0] if feeling.spans else None
        message = f"The wording is emotional ({tone}, {feeling.emotionality:.2f} of 1)."
        return [Finding("emotional", message, -0.1, span)]


def _topic(claim: Claim, analysis: Analysis, evidence: Sequence[Evidence]) -> list[Finding]:
    """Return what the claim is about, and whether that is the domain the caller named. It informs only."""
    titles = sorted({item.title for item in evidence if item.title})
    ranked = topics(analysis, titles)
    if not ranked:
        return []
    found = [Finding("topic", f"Topic: {', '.join(name for name, _ in ranked[:2])}.")]
    domain = (claim.context.domain or "").casefold()
    if domain in TOPICS and domain not in dict(ranked):
        found.append(Finding("other_domain", f"Nothing in the wording or the evidence is about {domain}."))
    return found


def _concluded(findings: Sequence[Finding], topic: Sequence[Finding]) -> Opinion:
    """Add up the findings.

    The score is the sum of their weights. Confidence starts at 0.2, grows by 0.1 with each finding that
    weighs anything and ends at 0.7: these are readings of wording and metadata, and many of them agreeing is
    still no proof.
    """
    weighing = [finding for finding in findings if finding.weight]
    against = [finding for finding in findings if finding.kind in _AGAINST]
    gaps = [finding for finding in findings if finding.kind in _GAPS]
    total = sum(finding.weight for finding in weighing) if weighing else _CLEAR_SCORE
    score = round(max(-1.0, min(1.0, total)), 6)
    confidence = round(min(0.7, 0.2 + 0.1 * len(weighing)), 6)
    if against:
        label, rationale = "OUT_OF_CONTEXT", " ".join(finding.message for finding in against)
    elif gaps:
        label, rationale = "NEEDS_CONTEXT", " ".join(finding.message for finding in gaps)
    else:
        label = "CLEAR"
        rest = " ".join(finding.message for finding in weighing)
        rationale = rest or "The claim names what it is about and leaves no question open."
    return Opinion(score, confidence, label, rationale, (*findings, *topic))
