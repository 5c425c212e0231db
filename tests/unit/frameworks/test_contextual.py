"""What the contextual framework promises of its opinions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from data.analysis import Analysis, Span
from data.claims import ClaimContext, make_claim
from data.context.wording import sentiment, topics
from data.evidence import ClaimBatch, Evidence, RetrievalScores
from data.knowledge import PastVerdict
from data.text.analyser import SpacyAnalyser
from data.verdicts import Opinion
from deployments.frameworks.contextual import Contextual, ContextualConfig

ANALYSER = SpacyAnalyser()
FRAMEWORK = Contextual(ContextualConfig(), ANALYSER)


def passage(name: str, text: str, *, title: str = "", published_at: str | None = None) -> Evidence:
    scores = RetrievalScores(fused=0.5)
    return Evidence(
        name, name, text, Span(0, len(text)), title=title, published_at=published_at, scores=scores
    )


def ask(
    claim: str,
    *evidence: Evidence,
    context: ClaimContext | None = None,
    history: tuple[PastVerdict, ...] = (),
    framework: Contextual = FRAMEWORK,
) -> Opinion:
    made = make_claim(claim, context=context)
    analyses = tuple(ANALYSER.analyse([made.text]))
    (outcome,) = framework.verify(ClaimBatch((made,), analyses, b"", (evidence,), (history,), ((),)))
    assert isinstance(outcome, Opinion)
    return outcome


def kinds(opinion: Opinion) -> list[str]:
    return [finding.kind for finding in opinion.findings]


@pytest.mark.parametrize(
    ("claim", "kind", "words"),
    [
        ("He won three medals.", "dangling_pronoun", "He"),
        ("The company fired half of its workers.", "unnamed_reference", "The company"),
        ("Unemployment in Norway fell last year.", "relative_time", "last year"),
        ("Crime in this city has doubled.", "relative_place", "this city"),
        ("We created ten million jobs.", "unnamed_speaker", "We"),
        ("Electric cars are cheaper.", "open_comparison", "cheaper"),
    ],
)
def test_claim_that_leaves_a_question_open_needs_context(claim: str, kind: str, words: str) -> None:
    """The finding points at the words that leave it open."""
    opinion = ask(claim)

    found = next(finding for finding in opinion.findings if finding.kind == kind)
    assert opinion.label == "NEEDS_CONTEXT"
    assert opinion.score < 0
    assert found.claim_span is not None
    assert claim[found.claim_span.start : found.claim_span.end] == words


@pytest.mark.parametrize(
    ("claim", "context", "kind"),
    [
        ("Unemployment in Norway fell last year.", ClaimContext(date="2019-05-01"), "relative_time"),
        ("Crime in this city has doubled.", ClaimContext(place="Oslo"), "relative_place"),
        ("We created ten million jobs.", ClaimContext(speaker="Jane Doe"), "unnamed_speaker"),
    ],
)
def test_context_answers_the_open_question(claim: str, context: ClaimContext, kind: str) -> None:
    """Date, place and speaker of the context resolve "last year", "here" and "we"."""
    assert kind not in kinds(ask(claim, context=context))


@pytest.mark.parametrize(
    "claim",
    [
        "Electric cars are cheaper than petrol cars.",
        "Marie Curie said that she won two prizes.",
        "Fauci wrote: I reject the notion.",
        "The novel coronavirus was found in Ethiopia.",
    ],
)
def test_claim_that_names_what_it_means_leaves_nothing_open(claim: str) -> None:
    """Comparisons with something, names before pronouns and named speakers are no gaps."""
    assert ask(claim).label in ("CLEAR", "ABSTAINED")


def test_claim_of_something_still_to_come_is_out_of_context() -> None:
    """Nobody reported in 2019 what happened in 2021."""
    opinion = ask("Bo Olsen won the election in 2021.", context=ClaimContext(date="2019-03-01"))

    assert (opinion.label, opinion.score) == ("OUT_OF_CONTEXT", -0.5)
    assert "dated_after_context" in kinds(opinion)


def test_claim_that_announces_the_future_is_not_out_of_context() -> None:
    """A plan may speak of a later year."""
    opinion = ask("Bo Olsen said he will run in 2021.", context=ClaimContext(date="2019-03-01"))

    assert "dated_after_context" not in kinds(opinion)


def test_evidence_of_another_time_is_out_of_context() -> None:
    """All dated passages about the same name speak of other years."""
    opinion = ask(
        "Bo Olsen led Acme in 2010.",
        passage("a", "Bo Olsen joined Acme in 1995."),
        passage("b", "In 1997 Bo Olsen left for Rome."),
    )

    assert opinion.label == "OUT_OF_CONTEXT"
    found = next(finding for finding in opinion.findings if finding.kind == "other_time")
    assert found.evidence_id == "a"
    assert found.evidence_span is not None


def test_evidence_of_the_same_time_speaks_for_the_context() -> None:
    """One passage of the claim's own year is enough."""
    opinion = ask(
        "Bo Olsen led Acme in 2010.",
        passage("a", "Bo Olsen joined Acme in 1995."),
        passage("b", "On 3 May 2010 Bo Olsen was still in office."),
    )

    assert opinion.label == "CLEAR"
    assert opinion.score > 0
    assert "same_time" in kinds(opinion)


def test_evidence_about_other_names_is_not_held_against_the_claim() -> None:
    """Passages on other matters are of another time by nature."""
    opinion = ask(
        "Bo Olsen led Acme in 2010.", passage("a", "Rome fell in 1527."), passage("b", "It rained in 1911.")
    )

    assert opinion.label == "CLEAR"


def test_evidence_from_another_country_is_out_of_context() -> None:
    """The claim names one country, the evidence on the same name another."""
    opinion = ask(
        "Acme Corporation built a plant in Kenya.", passage("a", "Acme Corporation opened a plant in Ghana.")
    )

    assert (opinion.label, kinds(opinion)[0]) == ("OUT_OF_CONTEXT", "other_place")


def test_evidence_spelling_the_country_otherwise_is_the_same_place() -> None:
    """ "U.S." and "United States" are one place."""
    opinion = ask(
        "Acme Corporation left the United States.",
        passage("a", "Acme Corporation had its U.S. seat in Ohio."),
    )

    assert "same_place" in kinds(opinion)


def test_evidence_far_from_the_claims_day_weighs_against() -> None:
    """Evidence twenty years older than an undated claim may speak of another world."""
    old = passage("a", "Acme employs 300 people.", published_at="1999-01-01")

    opinion = ask("Acme employs 300 people.", old, context=ClaimContext(date="2020-01-01"))

    assert "evidence_far_in_time" in kinds(opinion)
    assert opinion.score < 0


def test_name_with_several_meanings_in_the_evidence_is_ambiguous() -> None:
    """Two titles for one name: a reader has to ask which."""
    opinion = ask(
        "Mercury is toxic.",
        passage("a", "A planet.", title="Mercury (planet)"),
        passage("b", "A metal.", title="Mercury (element)"),
    )

    assert "ambiguous_name" in kinds(opinion)
    assert opinion.label == "NEEDS_CONTEXT"


@pytest.mark.parametrize(("feedback", "weight"), [(None, 0.0), ("REFUTED", -0.2), ("SUPPORTED", 0.2)])
def test_prior_check_weighs_only_with_a_persons_feedback(feedback: str | None, weight: float) -> None:
    """The system's own earlier verdict informs; a person's weighs."""
    past = PastVerdict("v1", "Acme left Oslo.", "REFUTED", 0.9, 3, "2023-02-01", 0.97, feedback)

    opinion = ask("Acme has left Oslo.", history=(past,))

    found = next(finding for finding in opinion.findings if finding.kind == "prior_check")
    assert found.weight == weight


def test_prior_check_of_a_different_claim_is_left_out() -> None:
    """Below the similarity asked for it is another claim."""
    past = PastVerdict("v1", "Acme bought Oslo.", "REFUTED", 0.9, 3, "2023-02-01", 0.7)

    assert "prior_check" not in kinds(ask("Acme has left Oslo.", history=(past,)))


def test_claim_with_nothing_around_it_abstains() -> None:
    """No context, no evidence, plain wording: nothing to say."""
    opinion = ask("Mount Everest is in Nepal.")

    assert opinion.abstained is not None
    assert (opinion.score, opinion.confidence) == (0.0, 0.0)


def test_plain_claim_with_evidence_is_clear() -> None:
    """Nothing open and evidence at hand: a little for it."""
    opinion = ask("Water boils at 100 °C.", passage("a", "Water boils at 100 °C at sea level."))

    assert (opinion.label, opinion.score) == ("CLEAR", 0.1)


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("This is a disgusting, horrific lie!", -1),
        ("A wonderful, great success.", 1),
        ("It is not a great success.", -1),
    ],
)
def test_sentiment_follows_words_and_negation(text: str, sign: int) -> None:
    """Charged words give the polarity; a negation just before turns it."""
    feeling = sentiment(text, ANALYSER.analyse([text])[0])

    assert feeling.polarity * sign > 0


def test_sentiment_booster_raises_emotionality() -> None:
    """ "Extremely bad" is more than "bad"."""
    plain, boosted = "The result is bad.", "The result is extremely bad."

    values = [sentiment(text, ANALYSER.analyse([text])[0]).emotionality for text in (plain, boosted)]

    assert values[0] < values[1]


def test_topics_most_hits_come_first() -> None:
    """The topic with most words wins; titles count too."""
    analysis = ANALYSER.analyse(["The vaccine protects patients from the virus at school."])[0]

    assert topics(analysis)[0] == ("health", 3)


class CountingAnalyser:
    """Counts the texts it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def analyse(self, texts: Sequence[str]) -> list[Analysis]:
        self.texts += texts
        return ANALYSER.analyse(texts)


def test_only_the_best_passages_about_the_claims_names_are_read() -> None:
    """Three passages at most, and none where there is no date, place or speaker to compare."""
    counter = CountingAnalyser()
    framework = Contextual(ContextualConfig(), counter)
    items = [passage(f"p{n}", f"Bo Olsen was seen in 201{n}.") for n in range(5)]

    ask("Bo Olsen led Acme in 2010.", *items, passage("x", "Rome fell in 1527."), framework=framework)
    ask("Bo Olsen is tall.", *items, framework=framework)

    assert counter.texts == [item.text for item in items[:3]]


def test_opinions_do_not_depend_on_neighbours() -> None:
    """Alone and in a batch a claim gets the same opinion."""
    texts = ("He won three medals.", "Bo Olsen led Acme in 2010.", "Acme left Oslo in 1999.")
    claims = tuple(make_claim(text) for text in texts)
    evidence = (passage("a", "Bo Olsen joined Acme in 1995."), passage("b", "Acme left Oslo in 1998."))
    analyses = tuple(ANALYSER.analyse(list(texts)))

    together = FRAMEWORK.verify(ClaimBatch(claims, analyses, b"", (evidence,) * 3, ((),) * 3, ((),) * 3))

    assert together == [ask(text, *evidence) for text in texts]
