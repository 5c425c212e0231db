"""What the power-dynamics framework promises of its opinions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from data.analysis import Span
from data.claims import ClaimContext, make_claim
from data.evidence import ClaimBatch, Evidence
from data.knowledge import PatternHit, Source
from data.text.analyser import SpacyAnalyser
from data.verdicts import Opinion
from deployments.frameworks.power_dynamics import LABELS, PowerConfig, PowerDynamics

ANALYSER = SpacyAnalyser()
NO_CONTEXT = ClaimContext()
CLAIM = "Venus is the hottest planet."
SOURCES = (
    Source("times", "The Times", "news", "https://times.example", "group"),
    Source("journal", "The Journal", "news", "https://journal.example", "group"),
    Source("group", "Press Group", "company"),
    Source("nasa", "NASA", "space agency", "https://nasa.example"),
    Source("esa", "European Space Agency", "space agency"),
    Source("ring-a", "Ring A", cites=("ring-b",)),
    Source("ring-b", "Ring B", cites=("ring-a",)),
    Source("paper", "Paper", cites=("nasa",)),
)
LOADED = PatternHit("loaded-x", "loaded", "outrage", "It condemns by its choice of word.")
HEDGE = PatternHit("hedge-x", "hedge", "appearance", "It reports an impression.")
FALLACY = PatternHit("fallacy-x", "fallacy", "ad hominem", "It attacks the speaker.")


@dataclass(frozen=True, slots=True)
class Case:
    """One claim with what was found for it."""

    evidence: tuple[Evidence, ...] = ()
    hits: tuple[PatternHit, ...] = ()
    text: str = CLAIM
    context: ClaimContext = NO_CONTEXT


def _item(
    source: str | None, number: int = 0, text: str = "Venus is the hottest planet", url: str | None = None
) -> Evidence:
    words = f"{text}, note {number} by {source}."
    return Evidence(
        f"{source}-{number}", f"doc-{source}-{number}", words, Span(0, len(words)), source=source, url=url
    )


def _verify(*cases: Case, sources: tuple[Source, ...] = SOURCES) -> list[Opinion]:
    batch = ClaimBatch(
        claims=tuple(make_claim(case.text, context=case.context) for case in cases),
        analyses=tuple(ANALYSER.analyse([case.text for case in cases])),
        embeddings=b"",
        evidence=tuple(case.evidence for case in cases),
        histories=tuple(() for _ in cases),
        pattern_hits=tuple(case.hits for case in cases),
        sources=sources,
    )
    outcomes = PowerDynamics(PowerConfig()).verify(batch)
    assert all(isinstance(outcome, Opinion) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Opinion)]


def _one(*evidence: Evidence, **rest: object) -> Opinion:
    return _verify(Case(evidence, **rest))[0]  # type: ignore[arg-type]


def _kinds(opinion: Opinion) -> list[str]:
    return [finding.kind for finding in opinion.findings]


def test_opinion_on_separate_owners_is_independent() -> None:
    """Three bodies without a common owner are three voices, and the score rises with them."""
    two, three = _one(_item("nasa"), _item("esa")), _one(_item("nasa"), _item("esa"), _item("times"))
    assert (two.label, two.score) == ("INDEPENDENT", 0.35)
    assert three.label == "INDEPENDENT"
    assert three.score == pytest.approx(1.5 * (1 - 1 / 3) - 0.4, abs=1e-6)


def test_opinion_on_papers_of_one_owner_is_single_source() -> None:
    """Two papers of one group are one voice, named as the group, and the score is negative."""
    opinion = _one(_item("times"), _item("journal"))
    assert (opinion.label, opinion.score) == ("SINGLE_SOURCE", -0.4)
    assert "group" in opinion.rationale
    assert "single_source" in _kinds(opinion)


def test_opinion_on_a_dominant_voice_is_concentrated() -> None:
    """Four documents against one leave an index of 0.68."""
    opinion = _one(*(_item("nasa", number) for number in range(4)), _item("esa"))
    assert opinion.label == "CONCENTRATED"
    assert opinion.score == pytest.approx(1.5 * (1 - 0.68) - 0.4, abs=1e-6)


def test_opinion_without_sourced_evidence_and_findings_abstains() -> None:
    """Evidence that names nobody says nothing about voices."""
    opinion = _one(_item(None))
    assert opinion.abstained is not None
    assert (opinion.score, opinion.confidence) == (0.0, 0.0)


def test_opinion_on_a_hedge_alone_abstains_and_keeps_the_finding() -> None:
    """A hedge is no slant: without sources there is nothing to stand on, but it is still told."""
    opinion = _one(hits=(HEDGE,))
    assert opinion.abstained is not None
    assert _kinds(opinion) == ["hedge:appearance"]


def test_opinion_on_loaded_wording_without_sources_is_loaded() -> None:
    """Wording alone gives an opinion against the claim, with little confidence."""
    opinion = _one(hits=(LOADED,))
    assert (opinion.label, opinion.score, opinion.confidence) == ("LOADED", -0.2, 0.1)


def test_opinion_on_loaded_wording_with_sources_keeps_the_voices() -> None:
    """Wording takes its weight from the score of the sources, and no more than that."""
    plain, loaded = _one(_item("nasa"), _item("esa")), _one(_item("nasa"), _item("esa"), hits=(LOADED,))
    assert loaded.label == "LOADED"
    assert loaded.score == pytest.approx(plain.score - 0.2)
    assert loaded.confidence > plain.confidence


def test_opinion_on_a_fallacy_leaves_it_to_consistency() -> None:
    """Families that do not bear on power change nothing."""
    assert _one(_item("nasa"), hits=(FALLACY,)) == _one(_item("nasa"))


def test_wording_takes_no_more_than_its_limit() -> None:
    """Many wordings cannot push a single source below -0.9."""
    hits = tuple(PatternHit(f"loaded-{n}", "loaded", f"name {n}", "Loaded.") for n in range(9))
    assert _one(_item("nasa"), hits=hits).score == -0.9


def test_evidence_about_something_else_gives_no_voice() -> None:
    """A source that was found but does not speak of the claim's subject is no witness."""
    opinion = _one(_item("nasa"), _item("esa", text="Rivers of Europe"))
    assert opinion.label == "SINGLE_SOURCE"


def test_page_without_source_speaks_under_its_host() -> None:
    """Two pages of one host are one voice."""
    pages = [_item(None, number, url=f"https://www.blog.example/{number}") for number in range(2)]
    opinion = _one(*pages)
    assert opinion.label == "SINGLE_SOURCE"
    assert "blog.example" in opinion.rationale


def test_unknown_sources_halve_the_confidence() -> None:
    """Of sources that are not on record nobody knows who owns them."""
    known, unknown = _one(_item("nasa")), _one(_item("stranger"))
    assert unknown.confidence == pytest.approx(known.confidence / 2)


def test_circular_citation_is_found_and_counts_as_one_voice() -> None:
    """Two that cite each other are one voice, less a tenth; their citations rank them alike."""
    opinion = _one(_item("ring-a"), _item("ring-b"))
    assert "circular_citation" in _kinds(opinion)
    assert (opinion.label, opinion.score) == ("SINGLE_SOURCE", -0.5)


def test_most_cited_source_stands_higher_than_one_that_cites_it() -> None:
    """The standing by citation lifts the score by at most a tenth."""
    cited, citing = _one(_item("nasa"), _item("paper")), _one(_item("esa"), _item("paper"))
    assert cited.score == 0.45
    assert 0.35 < citing.score < cited.score


@pytest.mark.parametrize(
    "context",
    [
        ClaimContext(speaker="Press Group"),
        ClaimContext(speaker="The Times"),
        ClaimContext(speaker="times"),
        ClaimContext(source_url="https://www.times.example/story"),
    ],
)
def test_self_support_is_found_by_name_id_owner_and_host(context: ClaimContext) -> None:
    """A claim whose speaker is or owns the only voice supports itself."""
    item = _item("times", url="https://times.example/1")
    opinion = _one(item, context=context)
    assert "self_support" in _kinds(opinion)
    assert opinion.score == pytest.approx(-0.7)


def test_self_support_weighs_less_when_others_speak_too() -> None:
    """With a second voice half of it is taken."""
    opinion = _one(_item("nasa"), _item("esa"), context=ClaimContext(speaker="NASA"))
    assert opinion.score == pytest.approx(0.35 - 0.15)


def test_speaker_who_is_nobody_of_the_sources_is_no_self_support() -> None:
    """A name that only resembles a source's is another name."""
    opinion = _one(_item("nasa"), context=ClaimContext(speaker="NASA Watch"))
    assert "self_support" not in _kinds(opinion)


def test_missing_stakeholder_is_said_of_a_group_that_no_item_mentions() -> None:
    """The claim speaks of farmers and three items do not; the words are pointed at."""
    text = "The hottest planet worries farmers."
    opinion = _one(_item("nasa"), _item("esa"), _item("times"), text=text)
    (finding,) = [one for one in opinion.findings if one.kind == "missing_stakeholder"]
    assert finding.claim_span is not None
    assert text[finding.claim_span.start : finding.claim_span.end] == "farmers"
    assert finding.weight == 0.0


def test_missing_stakeholder_is_not_said_when_one_item_mentions_the_group() -> None:
    """One mention, in a singular too, is enough."""
    evidence = (_item("nasa"), _item("esa"), _item("times", text="A farmer looks at the hottest planet"))
    assert "missing_stakeholder" not in _kinds(_one(*evidence, text="The hottest planet worries farmers."))


def test_missing_stakeholder_is_not_said_on_thin_evidence() -> None:
    """Two items cannot show that a group is left out."""
    opinion = _one(_item("nasa"), _item("esa"), text="The hottest planet worries farmers.")
    assert "missing_stakeholder" not in _kinds(opinion)


def test_attribution_in_the_claim_is_told_without_weight() -> None:
    """Who is said to say so is reported; a named speaker is neither for nor against the claim."""
    opinion = _one(_item("nasa"), _item("esa"), text="According to NASA, Venus is the hottest planet.")
    (finding,) = [one for one in opinion.findings if one.kind.startswith("attribution")]
    assert (finding.kind, finding.weight) == ("attribution:named", 0.0)


def test_quotation_without_speaker_is_told_unless_the_context_names_one() -> None:
    """Quoted words need somebody who said them."""
    text = "“Venus is the hottest planet” was on the wall."
    assert "attribution:quote_without_speaker" in _kinds(_one(_item("nasa"), text=text))
    named = _one(_item("nasa"), text=text, context=ClaimContext(speaker="Ann"))
    assert "attribution:quote_without_speaker" not in _kinds(named)


def test_opinion_is_the_same_whatever_the_order_or_repetition_of_evidence() -> None:
    """Evidence reversed and given twice changes nothing."""
    items = (_item("nasa"), _item("esa"), _item("ring-a"), _item("ring-b"))
    assert _one(*items) == _one(*items[::-1], *items)


def test_opinion_does_not_depend_on_neighbours_or_their_sources() -> None:
    """A claim alone, with only its own sources, gets the opinion that it gets among others."""
    case = Case((_item("paper"), _item("esa")))
    own = tuple(source for source in SOURCES if source.id in ("paper", "nasa", "esa"))
    alone = _verify(case, sources=own)[0]
    among = _verify(Case((_item("ring-a"),)), case, Case(hits=(LOADED,)))[1]
    assert alone == among


def test_opinions_keep_the_order_of_the_batch_and_never_decide() -> None:
    """One opinion a claim, in order, with labels of the framework and no verdict probabilities."""
    opinions = _verify(Case((_item("nasa"),)), Case(), Case((_item("nasa"), _item("esa"))))
    assert [one.label for one in opinions] == ["SINGLE_SOURCE", "ABSTAINED", "INDEPENDENT"]
    assert all(one.probabilities is None for one in opinions)
    assert {"SINGLE_SOURCE", "INDEPENDENT"} <= set(LABELS)


def test_empty_batch_gives_no_opinions() -> None:
    """Nothing in, nothing out."""
    assert _verify() == []
