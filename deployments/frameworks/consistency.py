"""Consistency: can the claim be true at all, and beside what is already accepted?

The claim is read into typed constraints (``data.logic``) and decided by Z3; the smallest set of statements
that clash is the explanation. Accepted are facts and graph statements, and earlier verdicts that a person
confirmed; passages are not, they are weighed by the empirical framework, and here only told apart where they
have the roles of a claim the other way round. Run by the framework's Serve
deployment, by batch jobs and by tests. A consistent claim is not thereby true: only a clash, or a fact that
entails the whole claim, moves a verdict. Source: explanations as minimal unsatisfiable subsets: Liffiton and
Sakallah, Journal of Automated Reasoning 40 (2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from data.analysis import Analysis, Finding, PairFinding, Span
from data.claims import Claim
from data.evidence import ClaimBatch, Evidence
from data.exact.roles import swapped_roles, told_straight
from data.knowledge import PastVerdict, PatternHit
from data.logic.constraints import Statement
from data.logic.locate import is_covered
from data.logic.precedents import relation_to
from data.logic.reading import ClaimLogic, read_claim
from data.logic.solver import DEFAULT_RLIMIT, Solver, Z3Solver
from data.text.syntax import SentenceReader
from data.verdicts import Opinion, Outcome, Probabilities, abstain
from deployments.framework import framework

LABELS = ("CONSISTENT", "CONTRADICTORY", "CONTRADICTS_FACTS", "CONTRADICTS_PASSAGE", "FALLACIOUS")
_NOTHING = "nothing in the claim can be checked for consistency"
#: A passage is no accepted fact: what it says the other way round weighs half.
_SWAPPED_WEIGHT = -0.5
_UNDECIDED = "the claim's constraints could not be decided within the resource limit"


@dataclass(frozen=True, slots=True)
class ConsistencyConfig:
    """Settings. Probabilities are of the label that the finding speaks for."""

    #: Z3 resource units for one question.
    rlimit: int = DEFAULT_RLIMIT
    #: P(REFUTED) when the claim contradicts itself. A contradiction is certain; the rest is for misreading.
    #: No labelled claims have enough of them to measure it, so it is held to the measured precision of
    #: contradicted facts.
    contradictory: float = 0.93
    #: P(REFUTED) when an accepted fact contradicts the claim. Source: facts taken by pattern from gold
    #: evidence. FEVER train and dev, FM2, VitaminC dev, on which the readers were mended: 103 of 106
    #: contradicted claims are labelled REFUTES. FEVER test and VitaminC test, looked at once, after that:
    #: 52 of 52. Held lower, for a fact store is not always as right, or as much about the claim's subject,
    #: as gold evidence.
    contradicts_facts: float = 0.93
    #: P(SUPPORTED) when accepted facts entail the whole claim. Source: the same runs: 107 of 109 labelled
    #: SUPPORTS where the readers were mended, 47 of 47 on the test splits.
    entailed: float = 0.95
    #: Earlier verdicts count as accepted from this probability on, or with a person's feedback at any.
    accepted_from: float = 0.9
    #: What one named fallacy takes from the score, and the most that all of them may take.
    fallacy_weight: float = 0.12
    fallacy_most: float = 0.36
    #: Passages held against the roles of a claim, best first.
    passages: int = 3


@dataclass(slots=True)
class _Notes:
    """What was found for one claim, as it is collected."""

    findings: list[Finding]
    clash: bool = False
    against: bool = False
    differs: bool = False
    entailed: int = 0
    covered: bool = False
    checked: int = 0
    undecided: int = 0
    precedent: float = 0.0
    fallacies: int = 0
    swapped: bool = False


@framework(
    name="consistency",
    needs=(),
    may_use=("syntax",),
    config=ConsistencyConfig,
    decides=True,
    labels=LABELS,
)
class Consistency:
    """Checks claims against themselves and accepted knowledge; with ``syntax``, also who does what."""

    def __init__(
        self, config: ConsistencyConfig, solver: Solver | None = None, syntax: SentenceReader | None = None
    ) -> None:
        self._config = config
        self._solver = solver or Z3Solver(config.rlimit)
        self._syntax = syntax

    def verify(self, batch: ClaimBatch) -> list[Outcome]:
        """Return one opinion a claim, in order; see ``Framework.verify``."""
        return [
            self._opinion(claim, analysis, evidence=evidence, history=history, hits=hits)
            for claim, analysis, evidence, history, hits in zip(
                batch.claims, batch.analyses, batch.evidence, batch.histories, batch.pattern_hits, strict=True
            )
        ]

    def _opinion(
        self,
        claim: Claim,
        analysis: Analysis,
        *,
        evidence: Sequence[Evidence],
        history: Sequence[PastVerdict],
        hits: Sequence[PatternHit],
    ) -> Opinion:
        logic = read_claim(claim.text, analysis, evidence, moment=claim.context.date)
        notes = _Notes([])
        self._check_inner(logic, notes)
        self._check_facts(logic, notes)
        self._check_history(claim, analysis, history, notes)
        if self._syntax is not None:
            self._check_roles(self._syntax, claim, analysis, evidence=evidence, notes=notes)
        self._note_fallacies(hits, notes)
        return self._conclude(notes)

    def _check_inner(self, logic: ClaimLogic, notes: _Notes) -> None:
        """Solve each group of the claim's own statements."""
        for group in logic.inner:
            answer = self._solver.check(group)
            notes.checked += answer.status != "unknown"
            notes.undecided += answer.status == "unknown"
            if answer.status == "unsat":
                core = [statement for statement in group if statement.id in answer.core]
                notes.clash = True
                notes.findings.append(_clash(core))

    def _check_facts(self, logic: ClaimLogic, notes: _Notes) -> None:
        """Weigh each statement that meets accepted facts, and note whether they entail the whole claim."""
        pieces: list[Span] = []
        glue: frozenset[str] = frozenset()
        for match in logic.matches:
            exact, roomy = (match.exact,), (match.accepted,)
            if (
                match.located.denied
            ):  # a denial is refuted by what would entail it undenied, and the other way round
                exact, roomy = roomy, exact
            if self._weigh(match.claim, exact, roomy, notes, firm=match.predicate.firm):
                pieces += match.located.pieces
                glue |= match.predicate.glue
        for order in logic.orders:
            if self._weigh(order.claim, order.facts, order.facts, notes) and order.claim.span:
                pieces.append(order.claim.span)
        for group in logic.classes:
            facts = [statement for statement in group if statement.role == "fact"]
            for claim in (statement for statement in group if statement.role == "claim"):
                if self._weigh(claim, facts, facts, notes) and claim.span:
                    pieces.append(claim.span)
        notes.covered = bool(pieces) and is_covered(logic.reading, pieces, glue)

    def _weigh(
        self,
        claim: Statement,
        exact: Sequence[Statement],
        roomy: Sequence[Statement],
        notes: _Notes,
        *,
        firm: bool = True,
    ) -> bool:
        """Weigh one statement; return whether it is entailed."""
        answer = self._solver.weigh(claim, exact=exact, roomy=roomy)
        notes.checked += answer.status != "unknown"
        notes.undecided += answer.status == "unknown"
        if answer.status == "contradicted":
            finding = _clash([claim, *(fact for fact in roomy if fact.id in answer.core)])
            if firm:
                notes.against = True
            else:
                finding = replace(finding, kind="differs_from_fact", weight=-0.5)
                notes.differs = True
            notes.findings.append(finding)
        elif answer.status == "entailed":
            notes.entailed += 1
            told = " and ".join(f"“{fact.words}”" for fact in exact)
            message = f"The claim's “{claim.words}” follows from what is accepted: {told}."
            notes.findings.append(Finding("entailed_by_fact", message, 0.9, claim.span, exact[0].evidence_id))
        return answer.status == "entailed"

    def _check_history(
        self, claim: Claim, analysis: Analysis, history: Sequence[PastVerdict], notes: _Notes
    ) -> None:
        """Hold the claim beside earlier accepted claims.

        An earlier verdict on the very same words counts only where a person confirmed or corrected it;
        otherwise the system would take its own opinion for evidence.
        """
        for past in sorted(history, key=lambda past: (past.seq, past.id)):
            label = past.feedback_label or past.label
            relation = relation_to(claim.text, analysis, past.claim)
            if label not in ("SUPPORTED", "REFUTED") or relation is None:
                continue
            if not past.feedback_label and (
                relation == "same" or past.probability < self._config.accepted_from
            ):
                continue
            finding = _precedent(past, relation, label)
            if finding is not None:
                notes.findings.append(finding)
                notes.precedent = finding.weight  # the latest one stands

    def _check_roles(
        self,
        syntax: SentenceReader,
        claim: Claim,
        analysis: Analysis,
        *,
        evidence: Sequence[Evidence],
        notes: _Notes,
    ) -> None:
        """Note the best passage that says of the same two that the other does it to the one.

        Nothing is noted where another passage has the roles as the claim has them: it may have been both.
        """
        passages = [item for item in evidence if item.kind == "passage"]
        best = sorted(passages, key=lambda item: (-item.scores.fused, item.id))[: self._config.passages]
        for item in best:
            for found in swapped_roles(syntax, claim.text, analysis, item.text, title=item.title):
                if not told_straight(syntax, claim.text, [other.text for other in best]):
                    notes.swapped = True
                    notes.findings.append(_roles_swapped(claim, item, found))
                return

    def _note_fallacies(self, hits: Sequence[PatternHit], notes: _Notes) -> None:
        for hit in sorted(hits, key=lambda hit: hit.pattern_id):
            if hit.family == "fallacy":
                notes.fallacies += 1
                message = f"{hit.name}: {hit.message}"
                notes.findings.append(
                    Finding(
                        f"fallacy:{hit.name.lower().replace(' ', '_')}", message, -self._config.fallacy_weight
                    )
                )

    def _conclude(self, notes: _Notes) -> Opinion:
        config = self._config
        if notes.clash:
            return _refuted("CONTRADICTORY", config.contradictory, notes)
        if notes.against:
            return _refuted("CONTRADICTS_FACTS", config.contradicts_facts, notes)
        if notes.differs:
            return _opinion(notes, "CONTRADICTS_FACTS", -0.5, 0.5)
        return self._without_clash(notes)

    def _without_clash(self, notes: _Notes) -> Opinion:
        """Conclude where nothing contradicts the claim."""
        config = self._config
        malus = min(config.fallacy_most, config.fallacy_weight * notes.fallacies)
        if notes.entailed:
            return _entailed(notes, config.entailed, malus)
        if notes.precedent:
            label = "CONSISTENT" if notes.precedent > 0 else "CONTRADICTS_FACTS"
            return _opinion(notes, label, notes.precedent - malus, 0.6)
        if notes.swapped:
            return _opinion(notes, "CONTRADICTS_PASSAGE", -0.5, 0.5)
        if notes.fallacies:
            return _opinion(notes, "FALLACIOUS", -malus, 0.3)
        if notes.checked:
            text = "What can be checked fits together and with what is accepted; that alone says little."
            # Not being impossible is weak support: a small score, held with little confidence.
            return Opinion(0.05, 0.1, "CONSISTENT", text, tuple(notes.findings))
        return abstain(_UNDECIDED if notes.undecided else _NOTHING)


def _row(label_index: int, probability: float) -> Probabilities:
    """Return a row with ``probability`` on one label and the rest mostly on NOT_ENOUGH_INFO.

    Half of what is left goes to NOT_ENOUGH_INFO (a misread claim says nothing), a quarter to each other
    label.
    """
    rest = 1.0 - probability
    row = [rest / 4, rest / 4, rest / 2, rest / 4]
    row[label_index] = probability
    return round(row[0], 6), round(row[1], 6), round(row[2], 6), round(row[3], 6)


def _refuted(label: str, probability: float, notes: _Notes) -> Opinion:
    rationale = next(finding.message for finding in notes.findings if finding.weight <= -0.9)
    return Opinion(
        -1.0, probability, label, rationale, tuple(notes.findings), probabilities=_row(1, probability)
    )


def _entailed(notes: _Notes, probability: float, malus: float) -> Opinion:
    """Conclude from facts that entail the claim, wholly (a verdict may rest on it) or in part."""
    rationale = next(finding.message for finding in notes.findings if finding.kind == "entailed_by_fact")
    if notes.covered:
        score = round(0.9 - malus, 6)
        row = _row(0, probability)
        return Opinion(score, probability, "CONSISTENT", rationale, tuple(notes.findings), probabilities=row)
    text = rationale + " The rest of the claim is not decided by accepted facts."
    return Opinion(round(0.3 - malus, 6), 0.4, "CONSISTENT", text, tuple(notes.findings))


def _opinion(notes: _Notes, label: str, score: float, confidence: float) -> Opinion:
    bounded = round(max(-1.0, min(1.0, score)), 6)
    strongest = max(notes.findings, key=lambda finding: abs(finding.weight))
    return Opinion(bounded, confidence, label, strongest.message, tuple(notes.findings))


def _clash(core: Sequence[Statement]) -> Finding:
    """Tell a clash in words: what the claim says, and what it cannot be true beside."""
    spans = [statement.span for statement in core if statement.span is not None]
    span = Span(min(span.start for span in spans), max(span.end for span in spans)) if spans else None
    says = " and ".join(f"“{statement.words}”" for statement in core if statement.role == "claim")
    rules = "; ".join(statement.words for statement in core if statement.role == "rule")
    facts = [statement for statement in core if statement.role == "fact"]
    if facts:
        told = " and ".join(f"“{fact.words}”" for fact in facts)
        message = f"The claim says {says}, but it is accepted that {told}: both cannot be true."
        return Finding("contradicts_fact", message, -0.95, span, facts[0].evidence_id)
    because = f", for {rules}" if rules else ""
    return Finding("self_contradiction", f"The claim says {says}, which cannot be true{because}.", -1.0, span)


def _roles_swapped(claim: Claim, item: Evidence, found: PairFinding) -> Finding:
    """Tell what the claim says and what a passage says the other way round."""
    mine, theirs = found.claim_span, found.passage_span
    says, told = claim.text[mine.start : mine.end], item.text[theirs.start : theirs.end]
    message = f"The claim says “{says}”, and a passage has it the other way round: “{told}”."
    return Finding("roles_swapped", message, _SWAPPED_WEIGHT, mine, item.id, theirs)


def _precedent(past: PastVerdict, relation: str, label: str) -> Finding | None:
    """Return what an earlier accepted claim says of this one; ``None`` where it says nothing."""
    said = "a person confirmed" if past.feedback_label else "an earlier verdict found"
    if relation == "same":
        weight = 0.6 if label == "SUPPORTED" else -0.6
        return Finding("accepted_before", f"Of this same claim {said}: {label}.", weight)
    if relation == "denial":
        weight = -0.6 if label == "SUPPORTED" else 0.4
        return Finding("denies_accepted_claim", f"Of its opposite, “{past.claim}”, {said}: {label}.", weight)
    if label == "REFUTED":
        return None  # another number was wrong; this one may be right or wrong
    message = f"With another number, “{past.claim}”, {said}: {label}."
    return Finding("other_number_accepted", message, -0.4)
