"""Verdicts as the JSON that leaves: plain dicts in a fixed key order. Pure; called by the routes.

The same verdict gives the same bytes: measured latencies are ``null`` unless asked for, and go into the
``Server-Timing`` header instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from data.analysis import Finding, PairFinding, Span
from data.evidence import STANCES, Evidence, StanceJudgement
from data.questions import Question
from data.verdicts import Opinion, Verdict
from deployments.api.labels import labelled


def verify_answer(
    verdict: Verdict, question: Question, *, scheme: str | None = None, with_latency: bool = False
) -> dict[str, Any]:
    """Return the answer of ``POST /verify`` for one verdict; frameworks in the order they were asked for."""
    opinions = [(name, verdict.opinions[name]) for name in question.frameworks if name in verdict.opinions]
    latencies = verdict.latencies_ms if with_latency else {}
    return {
        "claim": verdict.claim.text,
        "verifications": {name: opinion.score for name, opinion in opinions},
        "confidences": {name: opinion.confidence for name, opinion in opinions},
        "reward": verdict.reward,
        "metadata": {
            "frameworks_used": [name for name, _ in opinions],
            "weights": [verdict.weights.get(name, 0.0) for name, _ in opinions],
            "degraded": verdict.degraded,
            "disagreement": verdict.disagreement,
            **_filter(verdict),
        },
        "verdict": {
            "id": verdict.id,
            **labelled(verdict.label, verdict.probabilities, verdict.prediction_set, scheme),
            "confidence": verdict.confidence,
            "alpha": verdict.alpha,
            "abstained": verdict.abstained,
            "abstain_below": verdict.abstain_below,
            "risk": verdict.risk,
            "calibration": _calibration(verdict),
            "justification": verdict.justification,
        },
        "evidence": [
            _evidence(item, rank, verdict.stances.get(item.id))
            for rank, item in enumerate(verdict.evidence, 1)
        ],
        "frameworks": {name: _opinion(opinion, latencies.get(name)) for name, opinion in opinions},
        "knowledge_seq": verdict.knowledge_seq,
        "model_bundle": verdict.model_bundle,
    }


def _filter(verdict: Verdict) -> dict[str, Any]:
    """Return the filter that the evidence passed, nothing where there was none."""
    asked = verdict.admits
    if asked is None:
        return {}
    names = {"entities": list(asked.entities), "sources": list(asked.sources)}
    return {"evidence_filter": {"since": asked.since, "until": asked.until, **names}}


def _calibration(verdict: Verdict) -> dict[str, Any] | None:
    """Return which of the tenant's own calibrations the answer went through; null for the shipped one."""
    own = verdict.calibration
    return {"id": own.id, "seq": own.seq, "labels": own.labels} if own else None


def rejected_answer(item: Any, reason: str, code: str) -> dict[str, Any]:
    """Return what stands in a batch's answer for an item that could not be verified."""
    claim = item.get("claim") if isinstance(item, dict) else None
    text = claim[:2000].encode("utf-8", "replace").decode() if isinstance(claim, str) else ""
    return {
        "claim": text,
        "verifications": {},
        "confidences": {},
        "reward": 0.0,
        "metadata": {"error": reason, "code": code},
        "verdict": None,
        "evidence": [],
        "frameworks": {},
        "knowledge_seq": None,
        "model_bundle": None,
    }


def server_timing(verdicts: Iterable[Verdict], total_s: float) -> str:
    """Return the ``Server-Timing`` header (ms): the longest time of each framework, and the whole."""
    longest: dict[str, float] = {}
    for verdict in verdicts:
        for name, value in verdict.latencies_ms.items():
            longest[name] = max(value, longest.get(name, 0.0))
    parts = [f"{name};dur={value:.3f}" for name, value in longest.items()]
    return ", ".join([*parts, f"total;dur={total_s * 1000:.3f}"])


def _span(span: Span | None) -> dict[str, int] | None:
    return {"start": span.start, "end": span.end} if span is not None else None


def _evidence(item: Evidence, rank: int, judged: StanceJudgement | None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": item.id,
        "document_id": item.document_id,
        "text": item.text,
        "span": _span(item.span),
        "title": item.title,
        "url": item.url,
        "source": item.source,
        "published_at": item.published_at,
        "sha256": item.sha256,
        "rank": rank,
        "kind": item.kind,
        "sentence": _span(item.sentence),
        "scores": {"bm25": item.scores.bm25, "dense": item.scores.dense, "fused": item.scores.fused},
        "stance": judged.stance if judged else None,
        "stance_probabilities": dict(zip(STANCES, judged.probabilities, strict=True)) if judged else None,
        "findings": [_exact_finding(found) for found in judged.findings] if judged else [],
    }
    if item.kind != "passage":
        answer["fact"] = {
            "subject": item.subject,
            "predicate": item.predicate,
            "object": item.object,
            "value": item.value,
            "unit": item.unit,
        }
    return answer


def _exact_finding(found: PairFinding) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "outcome": found.outcome,
        "claim_span": _span(found.claim_span),
        "passage_span": _span(found.passage_span),
        "detail": found.detail,
        "strength": found.strength,
    }


def _opinion(opinion: Opinion, latency_ms: float | None) -> dict[str, Any]:
    return {
        "score": opinion.score,
        "confidence": opinion.confidence,
        "label": opinion.label,
        "rationale": opinion.rationale,
        "findings": [_finding(finding) for finding in opinion.findings],
        "abstained": opinion.abstained,
        "latency_ms": latency_ms,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "message": finding.message,
        "weight": finding.weight,
        "claim_span": _span(finding.claim_span),
        "evidence_id": finding.evidence_id,
        "evidence_span": _span(finding.evidence_span),
    }
