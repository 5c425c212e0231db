"""What the frameworks add where the syntax pipeline is at hand, and that they stand without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.analysis import Finding, Span
from data.claims import make_claim
from data.evidence import ClaimBatch, Evidence, RetrievalScores
from data.text.analyser import SpacyAnalyser
from data.text.syntax import SyntaxReader, load_syntax
from data.verdicts import Opinion
from deployments.framework import Framework
from deployments.frameworks.consistency import Consistency, ConsistencyConfig
from deployments.frameworks.contextual import Contextual, ContextualConfig

ANALYSER = SpacyAnalyser()
CLAIM = "Germany defeated Brazil in the final."
SWAPPED = "Brazil defeated Germany in the final."


@pytest.fixture(scope="module")
def syntax() -> SyntaxReader:
    return load_syntax(Path(__file__).resolve().parents[3] / "models" / "syntax")


@pytest.fixture(scope="module")
def contextual(syntax: SyntaxReader) -> Contextual:
    return Contextual(ContextualConfig(), ANALYSER, syntax)


@pytest.fixture(scope="module")
def consistency(syntax: SyntaxReader) -> Consistency:
    return Consistency(ConsistencyConfig(), syntax=syntax)


def passage(name: str, text: str, fused: float = 0.5) -> Evidence:
    return Evidence(name, name, text, Span(0, len(text)), scores=RetrievalScores(fused=fused))


def ask(framework: Framework, claim: str, *evidence: Evidence) -> Opinion:
    made = make_claim(claim)
    analyses = tuple(ANALYSER.analyse([made.text]))
    (outcome,) = framework.verify(ClaimBatch((made,), analyses, b"", (evidence,), ((),), ((),)))
    assert isinstance(outcome, Opinion)
    return outcome


def found(opinion: Opinion, kind: str) -> list[Finding]:
    return [finding for finding in opinion.findings if finding.kind == kind]


@pytest.mark.parametrize("claim", [CLAIM, "Brazil was defeated by Germany in the final."])
def test_contextual_tells_who_does_what_in_any_voice(contextual: Contextual, claim: str) -> None:
    """The doer stands first in the message, and the span is the predicate."""
    (finding,) = found(ask(contextual, claim, passage("p", SWAPPED)), "who_did_what")

    assert finding.message == "Who does what: Germany — defeated — Brazil."
    assert finding.weight == 0.0
    assert finding.claim_span is not None
    assert claim[finding.claim_span.start : finding.claim_span.end] == "defeated"


def test_contextual_tells_that_a_passive_hides_its_doer(contextual: Contextual) -> None:
    """A plain passive informs."""
    (finding,) = found(
        ask(contextual, "The bridge was destroyed in 1944.", passage("p", "A bridge fell.")), "passive_voice"
    )

    assert "not said by whom" in finding.message
    assert finding.weight == 0.0


def test_contextual_weighs_a_source_that_is_not_named(contextual: Contextual, syntax: SyntaxReader) -> None:
    """ "Is believed to" costs a little; without the pipeline nothing is taken."""
    claim = "The statue is believed to protect the town of Lindau."
    evidence = passage("p", "Lindau has a statue.")
    plain = ask(Contextual(ContextualConfig(), ANALYSER), claim, evidence)
    full = ask(contextual, claim, evidence)

    assert [item.weight for item in found(full, "unnamed_source")] == [-0.1]
    assert found(plain, "unnamed_source") == []
    assert full.score < plain.score


def test_contextual_names_whom_the_claim_quotes(contextual: Contextual) -> None:
    """The source of reported words is pointed at."""
    claim = "The minister said that taxes would fall."
    (finding,) = found(ask(contextual, claim, passage("p", "Taxes rose.")), "attributed_to")

    assert finding.claim_span is not None
    assert claim[finding.claim_span.start : finding.claim_span.end] == "minister"


def test_consistency_notes_swapped_roles_and_does_not_decide(consistency: Consistency) -> None:
    """A passage that has it the other way round speaks against the claim; the empirical framework decides."""
    opinion = ask(consistency, CLAIM, passage("p1", f"It was a hot day. {SWAPPED}"))
    (finding,) = found(opinion, "roles_swapped")

    assert (opinion.label, opinion.score, opinion.probabilities) == ("CONTRADICTS_PASSAGE", -0.5, None)
    assert finding.evidence_id == "p1"
    assert finding.evidence_span == Span(18, 41)
    assert finding.claim_span == Span(0, 23)


@pytest.mark.parametrize(
    "evidence",
    [
        (passage("p1", CLAIM),),
        (passage("p1", "Brazil was defeated by Germany."),),
        (passage("p1", SWAPPED), passage("p2", "Germany defeated Brazil.", 0.4)),
        (),
    ],
    ids=["same", "passive", "both tellings", "nothing"],
)
def test_consistency_notes_no_swap_where_there_is_none(
    consistency: Consistency, evidence: tuple[Evidence, ...]
) -> None:
    """The same roles in either voice, or a passage for each order, are no swap."""
    assert found(ask(consistency, CLAIM, *evidence), "roles_swapped") == []


def test_consistency_does_not_depend_on_the_order_of_evidence(consistency: Consistency) -> None:
    """The best passage is chosen by score and id."""
    items = [passage("p1", SWAPPED, 0.4), passage("p2", f"Then {SWAPPED}", 0.6), passage("p3", "Rain fell.")]

    assert ask(consistency, CLAIM, *items) == ask(consistency, CLAIM, *reversed(items))


def test_consistency_without_the_pipeline_reads_no_roles() -> None:
    """It works as it did."""
    opinion = ask(Consistency(ConsistencyConfig()), CLAIM, passage("p1", SWAPPED))

    assert found(opinion, "roles_swapped") == []
