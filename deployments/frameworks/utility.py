"""Utility: is the claim worth checking, and what follows from it?

Joins the check-worthiness model with readings of the words (can it be checked, what may it lead people to do,
how much harm if it is wrong) and of the evidence (how much is still to be learnt). Run by the framework's
deployment, by batch jobs to order their queue, and by tests. It informs; it never decides a verdict.
Invariant: an opinion depends on its own claim, vector and evidence alone.

    worth      = 0.45 check-worthiness + 0.25 verifiability + 0.12 harm + 0.08 actionability + 0.1 information
    score      = 2 worth - 1      above 0: worth the work; below 0: check others first
    confidence = |2 p - 1|        p: the calibrated probability that the claim is check-worthy

- verifiability: 0.4, +0.3 for a quantity or date, +0.2 for a name, +0.1 for a comparison, cause or
  quantifier; -0.5 for a question, -0.3 each for an opinion, a prediction and a demand; held to [0, 1].
- actionability: 1 - 0.5^n for n different words that name or urge something to do.
- harm: the severity of the gravest topic touched (``TOPICS``) x (0.6 + 0.4 actionability).
- information: 1 / (1 + s), s the sum of the evidence's strengths: 1 when nothing was found.

A claim is HIGH_STAKES when it can be checked and would do harm, though the model, which learnt from political
debates, would not have picked it.

Source of the weights: own choice, so that the trained model outweighs any one reading and the readings
together can overrule it. The model's record (``models/checkworthiness``) states its data and scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data.analysis import Analysis, Finding, Span, Token
from data.claims import Claim
from data.evidence import ClaimBatch, Evidence
from data.evidence_strength import strength
from data.models import checkworthiness
from data.ports import Scorer
from data.verdicts import Opinion, Outcome, abstain
from deployments.framework import framework

LABELS = ("CHECK_WORTHY", "HIGH_STAKES", "NOT_CHECK_WORTHY", "NOT_VERIFIABLE")


def _lemmas(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Topic:
    """A field in which being wrong does harm: how grave in [0, 1], and the lemmas that show it."""

    severity: float
    lemmas: frozenset[str]


#: Own lexicon of lemmas; the order breaks ties between topics of equal severity.
TOPICS: dict[str, Topic] = {
    "safety": Topic(
        0.9,
        _lemmas(
            """
            poison poisonous toxic explosion explode bomb attack weapon gun shooting fire flood
            earthquake hurricane evacuate radiation nuclear terrorism terrorist crash hazard unsafe
            danger dangerous recall contamination contaminated bleach overdose kill war missile drown
            electrocute
            """
        ),
    ),
    "health": Topic(
        0.8,
        _lemmas(
            """
            cancer vaccine vaccination vaccinate virus covid covid-19 coronavirus infection disease drug
            medicine medication treatment treat cure therapy symptom patient hospital doctor surgery
            diabetes heart stroke pregnancy pregnant autism hiv aids malaria measles flu vitamin
            supplement diet obesity mortality death die antibiotic tumor tumour health dose immune
            immunity allergy mask
            """
        ),
    ),
    "law": Topic(
        0.6,
        _lemmas(
            """
            law illegal legal court judge crime criminal convict arrest prison police fraud election
            vote voter ballot constitution murder rape trial lawsuit immigrant immigration deport asylum
            guilty
            """
        ),
    ),
    "finance": Topic(
        0.5,
        _lemmas(
            """
            tax invest investment stock bond bank loan mortgage debt deficit inflation pension price
            wage salary income economy market bitcoin crypto currency bankruptcy insurance budget
            unemployment interest profit
            """
        ),
    ),
}

#: Lemmas that name or urge something people can do, with modal words of duty.
ACTIONS = _lemmas(
    """
    drink eat avoid buy sell invest vote vaccinate evacuate wear donate boycott inject swallow inhale
    treat cure prevent ban sue borrow withdraw must should ought
    """
)
ATTITUDES = _lemmas("think believe feel hope like love hate prefer want wish guess suppose doubt")
JUDGEMENTS = _lemmas(
    """
    beautiful wonderful terrible awful amazing horrible disgusting lovely ugly boring delicious
    fantastic disgraceful shameful pathetic stupid
    """
)


@dataclass(frozen=True, slots=True)
class UtilityConfig:
    """Settings: probability, verifiability and harm from which a claim counts, each in [0, 1]."""

    check_worthy_at: float = checkworthiness.THRESHOLD
    verifiable_at: float = 0.3
    #: Any claim about health or safety reaches this (0.8 x 0.6); law and finance only where they urge to act.
    harmful_at: float = 0.45


@dataclass(frozen=True, slots=True)
class Reading:
    """One quality of a claim in [0, 1] and what it rests on."""

    value: float
    findings: tuple[Finding, ...] = ()


@framework(name="utility", needs=("scorer",), config=UtilityConfig, labels=LABELS)
class Utility:
    """Weighs what checking a claim is worth. ``scorer`` must have the model ``checkworthiness`` loaded."""

    def __init__(self, config: UtilityConfig, *, scorer: Scorer) -> None:
        self._config = config
        self._scorer = scorer

    def verify(self, batch: ClaimBatch) -> list[Outcome]:
        """Return one opinion a claim, in order.

        Raises:
            ModelUnavailableError: the scorer has no check-worthiness model.
        """
        if not len(batch):
            return []
        rows = checkworthiness.features([claim.text for claim in batch.claims], batch.vectors())
        probabilities = self._scorer.predict(checkworthiness.MODEL, rows)[:, 1]
        columns = zip(batch.claims, batch.analyses, batch.evidence, probabilities.tolist(), strict=True)
        return [
            self._opinion(claim, analysis, evidence, worthy=probability)
            for claim, analysis, evidence, probability in columns
        ]

    def _opinion(
        self, claim: Claim, analysis: Analysis, evidence: tuple[Evidence, ...], *, worthy: float
    ) -> Opinion:
        if not any(_has_meaning(token) for token in analysis.tokens):
            return abstain("the claim has no word that carries meaning, so its worth cannot be read")
        checkable = verifiability(claim.text, analysis)
        action = actionability(analysis)
        risk = harm(analysis, action.value)
        unknown = information(evidence)
        worth = (
            0.45 * worthy
            + 0.25 * checkable.value
            + 0.12 * risk.value
            + 0.08 * action.value
            + 0.10 * unknown.value
        )
        label = self._label(worthy, checkable.value, risk.value)
        return Opinion(
            score=round(2.0 * worth - 1.0, 6),
            confidence=round(abs(2.0 * worthy - 1.0), 6),
            label=label,
            rationale=_rationale(label, worthy, checkable, risk=risk, unknown=unknown),
            findings=(
                Finding("check_worthiness", f"check-worthy with probability {worthy:.2f}", _centred(worthy)),
                *checkable.findings,
                *action.findings,
                *risk.findings,
                *unknown.findings,
            ),
        )

    def _label(self, worthy: float, checkable: float, risk: float) -> str:
        if checkable < self._config.verifiable_at:
            return "NOT_VERIFIABLE"
        if worthy >= self._config.check_worthy_at:
            return "CHECK_WORTHY"
        return "HIGH_STAKES" if risk >= self._config.harmful_at else "NOT_CHECK_WORTHY"


def verifiability(text: str, analysis: Analysis) -> Reading:
    """Return how far the claim states something that can be looked up (module docstring)."""
    findings = [*_anchors(analysis), *_obstacles(text, analysis)]
    value = 0.4 + sum(finding.weight for finding in findings)
    return Reading(min(1.0, max(0.0, value)), tuple(findings))


def actionability(analysis: Analysis) -> Reading:
    """Return how far the claim names or urges something to do."""
    tokens = [token for token in analysis.tokens if _is_among(token, ACTIONS)]
    if not tokens:
        return Reading(0.0)
    message = f"it names or urges something to do: {_quoted(tokens)}"
    value = 1.0 - 0.5 ** len({token.lemma for token in tokens})
    return Reading(value, (Finding("actionable", message, round(value, 6), tokens[0].span),))


def harm(analysis: Analysis, action: float) -> Reading:
    """Return the expected harm if the claim is wrong, by the gravest topic; one finding a topic each."""
    gravest, findings = 0.0, []
    for name, topic in TOPICS.items():
        tokens = [token for token in analysis.tokens if _is_among(token, topic.lemmas)]
        if tokens:
            gravest = max(gravest, topic.severity)
            message = f"it touches {name}: {_quoted(tokens)}"
            findings.append(Finding(f"harm:{name}", message, topic.severity, tokens[0].span))
    return Reading(gravest * (0.6 + 0.4 * action), tuple(findings))


def information(evidence: tuple[Evidence, ...]) -> Reading:
    """Return how much is still to be learnt: 1 when nothing was found, less with each near item."""
    # Summed in order of id, so that the order of the list cannot move the last digit.
    total = sum(strength(item) for item in sorted(evidence, key=lambda item: item.id))
    value = 1.0 / (1.0 + total)
    if not evidence:
        return Reading(1.0, (Finding("value_of_information", "nothing is known about it yet", 1.0),))
    best = min(evidence, key=lambda item: (-strength(item), item.id))
    message = f"{len(evidence)} items of evidence with a joint strength of {total:.2f}"
    return Reading(value, (Finding("value_of_information", message, round(value, 6), evidence_id=best.id),))


def _anchors(analysis: Analysis) -> list[Finding]:
    found: list[Finding] = []
    numbers = [item.span for item in analysis.quantities] + [item.span for item in analysis.dates]
    if numbers:
        first = min(numbers, key=lambda span: span.start)
        found.append(Finding("checkable_number", "it states a quantity or a date", 0.3, first))
    if analysis.entities:
        entity = analysis.entities[0]
        found.append(Finding("checkable_name", f"it is about {entity.text}", 0.2, entity.span))
    relations = [cue for cue in analysis.cues if cue.kind in ("comparison", "implication", "quantifier")]
    if relations:
        cue = relations[0]
        found.append(Finding("checkable_relation", f"it states a relation: {cue.value}", 0.1, cue.span))
    return found


def _obstacles(text: str, analysis: Analysis) -> list[Finding]:
    found: list[Finding] = []
    if text.rstrip().endswith("?"):
        place = text.rindex("?")
        found.append(Finding("question", "it asks rather than states", -0.5, Span(place, place + 1)))
    opinion = _opinion_span(analysis)
    if opinion is not None:
        found.append(Finding("opinion", "it tells an attitude or a taste", -0.3, opinion))
    modes: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
        ("prediction", "it speaks of what is still to come", lambda value: value == "future"),
        ("demand", "it says what ought to be", lambda value: value == "should"),
    )
    for kind, message, fits in modes:
        span = next((cue.span for cue in analysis.cues_of("modality") if fits(cue.value)), None)
        if span is not None:
            found.append(Finding(kind, message, -0.3, span))
    return found


def _opinion_span(analysis: Analysis) -> Span | None:
    """Return the words of an opinion: a speaker's attitude ("I think"), or a word of taste."""
    speaks = any(cue.value in ("speaker:i", "speaker:we") for cue in analysis.cues_of("deixis"))
    for token in analysis.tokens:
        if _is_among(token, JUDGEMENTS) or (speaks and token.lemma in ATTITUDES):
            return token.span
    return None


def _is_among(token: Token, words: frozenset[str]) -> bool:
    """Return whether a token or its lemma is listed: rules make "disgust" of "disgusting"."""
    return token.lemma in words or token.text.casefold() in words


def _has_meaning(token: Token) -> bool:
    return not token.is_stop and any(char.isalnum() for char in token.text)


def _quoted(tokens: list[Token]) -> str:
    return ", ".join(dict.fromkeys(f'"{token.text}"' for token in tokens))


def _centred(probability: float) -> float:
    return round(2.0 * probability - 1.0, 6)


def _rationale(label: str, worthy: float, checkable: Reading, *, risk: Reading, unknown: Reading) -> str:
    lead = {
        "CHECK_WORTHY": "Worth checking",
        "HIGH_STAKES": "Worth checking for the harm it could do",
        "NOT_CHECK_WORTHY": "Not worth checking first",
        "NOT_VERIFIABLE": "Hard to verify as worded",
    }[label]
    return (
        f"{lead}: check-worthy with probability {worthy:.2f}, verifiability {checkable.value:.2f}, "
        f"harm if wrong {risk.value:.2f}, still to be learnt {unknown.value:.2f}."
    )
