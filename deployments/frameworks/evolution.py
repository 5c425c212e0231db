"""Evolution: does the verdict last?

Reads the earlier verdicts on the claim (all of them before the knowledge position, so that the answer can be
replayed) and the age of the evidence. Run by the framework's Serve deployment, by batch jobs and by tests.
It informs; it never decides a verdict. Invariants: no clock is read, for age is counted from the claim's own
date or else the newest evidence; an opinion depends on its own claim's history and evidence alone, whatever
their order.

    support of a verdict = +p SUPPORTED, -p REFUTED, 0 otherwise             p its probability
    score      = support of the newest verdict x stability x (0.5 + 0.5 agreement) x (0.5 + 0.5 freshness)
    confidence = 1 - (1 - n / (n + 2)) x (1 - 0.5 m / (m + 4))        n verdicts, m dated items, weighed

Above 0: a supported verdict that held, with evidence that is not stale; below 0: a refuted one that held.
Without history the direction is unknown and the score is 0. ``stability`` is the share of verdicts with the
newest label, ``agreement`` that of feedback which confirms the verdict it was given on, ``freshness`` the
mean of 0.5^(age / half-life); a term without data is 1. Verdicts weigh by the similarity of their claim,
evidence by its strength.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from data.analysis import Analysis, Finding
from data.claims import Claim
from data.evidence import ClaimBatch, Evidence
from data.evidence_strength import strength
from data.knowledge import PastVerdict
from data.verdicts import Opinion, Outcome, abstain
from deployments.framework import framework

LABELS = ("STABLE", "CHANGED", "DRIFTING", "AGEING", "FRESH", "ONE_VERDICT")
_NOTHING = "there is no earlier verdict on this claim and no dated evidence about it"

#: Days in which evidence of a domain loses half its say. ``health``: systematic reviews needed an update
#: after a median of 5.5 years (Shojania et al. 2007, Annals of Internal Medicine 147:224). The others are
#: our own defaults, by how often the figures of the field are published anew: set them for your domain.
HALF_LIVES: Mapping[str, float] = {
    "health": 2008.0,
    "economy": 365.0,
    "finance": 180.0,
    "politics": 365.0,
    "sports": 180.0,
    "technology": 730.0,
    "science": 3650.0,
    "geography": 7300.0,
    "history": 36500.0,
}


@dataclass(frozen=True, slots=True)
class EvolutionConfig:
    """Settings. Half-lives are days; ``drift_at`` is a change of support, the shares are in [0, 1]."""

    half_lives: Mapping[str, float] = field(default_factory=lambda: dict(HALF_LIVES))
    #: For claims whose domain is not told or not listed: five years.
    default_half_life: float = 1825.0
    #: For claims about a stated time that is over: what happened then does not change, only what is known
    #: of it.
    past_half_life: float = 36500.0
    drift_at: float = 0.15
    stable_from: float = 0.75
    stale_below: float = 0.25


@dataclass(frozen=True, slots=True)
class History:
    """What the earlier verdicts show. ``weight`` is their number by similarity; ``support`` in [-1, 1]."""

    label: str
    support: float
    stability: float
    drift: float
    weight: float
    count: int
    agreement: float | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Dating:
    """What the evidence's dates show. ``weight`` is the number of dated items by strength."""

    freshness: float
    weight: float
    findings: tuple[Finding, ...]


@framework(name="evolution", config=EvolutionConfig, labels=LABELS)
class Evolution:
    """Judges how well a verdict on the claim would last."""

    def __init__(self, config: EvolutionConfig) -> None:
        self._config = config

    def verify(self, batch: ClaimBatch) -> list[Outcome]:
        """Return one opinion a claim, in order."""
        columns = zip(batch.claims, batch.analyses, batch.evidence, batch.histories, strict=True)
        return [
            self._opinion(read_history(history), self._dating(claim, analysis, evidence))
            for claim, analysis, evidence, history in columns
        ]

    def _opinion(self, history: History | None, dating: Dating | None) -> Opinion:
        if history is None and dating is None:
            return abstain(_NOTHING)
        verdicts = history.weight if history else 0.0
        dated = dating.weight if dating else 0.0
        confidence = 1.0 - (1.0 - verdicts / (verdicts + 2.0)) * (1.0 - 0.5 * dated / (dated + 4.0))
        label = self._label(history, dating)
        return Opinion(
            score=round(_score(history, dating), 6),
            confidence=round(confidence, 6),
            label=label,
            rationale=_rationale(label, history, dating),
            findings=(*(history.findings if history else ()), *(dating.findings if dating else ())),
        )

    def _label(self, history: History | None, dating: Dating | None) -> str:
        if history is not None and history.stability < self._config.stable_from:
            return "CHANGED"
        if history is not None and abs(history.drift) >= self._config.drift_at:
            return "DRIFTING"
        if dating is not None and dating.freshness < self._config.stale_below:
            return "AGEING"
        if history is None:
            return "FRESH"
        return "STABLE" if history.count > 1 else "ONE_VERDICT"

    def _dating(self, claim: Claim, analysis: Analysis, evidence: tuple[Evidence, ...]) -> Dating | None:
        # In order of id, so that the order of retrieval cannot move the last digit.
        pairs = [(item, _day(item.published_at)) for item in sorted(evidence, key=lambda item: item.id)]
        known = [
            (item, day, strength(item)) for item, day in pairs if day is not None and strength(item) > 0.0
        ]
        if not known:
            return None
        newest = max(day for _, day, _ in known)
        reference = _day(claim.context.date) or newest
        half_life, why = self._half_life(claim, analysis, reference)
        weight = sum(share for _, _, share in known)
        ages = [(max(0, (reference - day).days), share) for _, day, share in known]
        freshness = sum(share * 0.5 ** (age / half_life) for age, share in ages) / weight
        latest = next(item for item, day, _ in known if day == newest)
        message = (
            f"{len(known)} dated items up to {newest.isoformat()}; seen from {reference.isoformat()} with a "
            f"half-life of {half_life:.0f} days ({why}) they keep {freshness:.0%} of their say"
        )
        finding = Finding("evidence_age", message, round(2.0 * freshness - 1.0, 6), evidence_id=latest.id)
        return Dating(freshness, weight, (finding,))

    def _half_life(self, claim: Claim, analysis: Analysis, reference: date) -> tuple[float, str]:
        if analysis.dates and all(mention.last_day < reference.isoformat() for mention in analysis.dates):
            return self._config.past_half_life, "a time that is over"
        domain = (claim.context.domain or "").casefold()
        if domain in self._config.half_lives:
            return self._config.half_lives[domain], domain
        return self._config.default_half_life, "default"


def read_history(verdicts: tuple[PastVerdict, ...]) -> History | None:
    """Return what earlier verdicts show, ordered by ledger position; ``None`` when there are none."""
    past = sorted(verdicts, key=lambda verdict: (verdict.seq, verdict.id))
    shares = [min(1.0, max(0.0, verdict.similarity)) for verdict in past]
    weight = sum(shares)
    if weight <= 0.0:
        return None
    newest = past[-1]
    supports = [_support(verdict) for verdict in past]
    same = sum(share for verdict, share in zip(past, shares, strict=True) if verdict.label == newest.label)
    flips = sum(before.label != after.label for before, after in pairwise(past))
    earlier = supports[:-1]
    drift = supports[-1] - sum(earlier) / len(earlier) if earlier else 0.0
    trend, agreement = _slope(supports), _agreement(past)
    findings = _history_findings(past, flips=flips, drift=drift, trend=trend, agreement=agreement)
    return History(
        label=newest.label,
        support=supports[-1],
        stability=same / weight,
        drift=drift,
        weight=weight,
        count=len(past),
        agreement=agreement,
        findings=findings,
    )


def _support(verdict: PastVerdict) -> float:
    sign = {"SUPPORTED": 1.0, "REFUTED": -1.0}.get(verdict.label, 0.0)
    return sign * min(1.0, max(0.0, verdict.probability))


def _slope(values: list[float]) -> float:
    """Return the least-squares change of support from one verdict to the next; 0 for fewer than two."""
    middle = (len(values) - 1) / 2.0
    spread = sum((place - middle) ** 2 for place in range(len(values)))
    return sum((place - middle) * value for place, value in enumerate(values)) / spread if spread else 0.0


def _agreement(past: list[PastVerdict]) -> float | None:
    told = [verdict for verdict in past if verdict.feedback_label is not None]
    return sum(verdict.feedback_label == verdict.label for verdict in told) / len(told) if told else None


def _history_findings(
    past: list[PastVerdict], *, flips: int, drift: float, trend: float, agreement: float | None
) -> tuple[Finding, ...]:
    first, last = past[0], past[-1]
    told = f"{len(past)} earlier verdicts" if len(past) > 1 else "1 earlier verdict"
    span = f"{first.decided_at[:10]} to {last.decided_at[:10]}" if len(past) > 1 else last.decided_at[:10]
    found = [
        Finding(
            "history", f"{told} ({span}), the newest {last.label} at {last.probability:.2f}", _support(last)
        )
    ]
    if flips:
        changes = [f"{a.label} to {b.label}" for a, b in pairwise(past) if a.label != b.label]
        found.append(
            Finding("label_changed", f"the label changed: {', '.join(changes)}", round(-flips / len(past), 6))
        )
    if round(drift, 6):
        message = f"support moved by {drift:+.2f} from the earlier mean, {trend:+.3f} a verdict"
        found.append(Finding("drift", message, round(max(-1.0, min(1.0, drift)), 6)))
    if agreement is not None:
        message = f"feedback confirms {agreement:.0%} of the verdicts it was given on"
        found.append(Finding("feedback", message, round(2.0 * agreement - 1.0, 6)))
    return tuple(found)


def _score(history: History | None, dating: Dating | None) -> float:
    if history is None:
        return 0.0
    agreement = 1.0 if history.agreement is None else history.agreement
    freshness = 1.0 if dating is None else dating.freshness
    return history.support * history.stability * (0.5 + 0.5 * agreement) * (0.5 + 0.5 * freshness)


def _rationale(label: str, history: History | None, dating: Dating | None) -> str:
    parts = []
    if history is not None:
        parts.append(
            f"{history.stability:.0%} of {history.count} earlier verdicts carry the newest label, "
            f"{history.label}"
        )
    if dating is not None:
        parts.append(f"the dated evidence keeps {dating.freshness:.0%} of its say")
    lead = {
        "STABLE": "The verdict held",
        "CHANGED": "The verdict changed",
        "DRIFTING": "The verdict is drifting",
        "AGEING": "The evidence is ageing",
        "FRESH": "The evidence is fresh",
        "ONE_VERDICT": "There is one earlier verdict",
    }[label]
    return f"{lead}: {'; '.join(parts)}."


def _day(text: str | None) -> date | None:
    """Return the day of an ISO date or instant; ``None`` when missing or not one."""
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        return None
