"""The relations hold where they should and are seen to fail where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from data.evidence import Evidence
from data.verdicts import Verdict
from tasks.behaviour.cases import (
    Case,
    evidence_of,
    names_its_subject,
    other_page,
    plain_sentence,
    stranger_to,
)
from tasks.behaviour.judging import Asked, Judge
from tasks.behaviour.relations import Observation, observe
from tasks.behaviour.report import auroc, rate, summary, table, wilson

#: Importing and loading the models counts, on a busy machine as well.
pytestmark = pytest.mark.timeout(300)
ROWS = [
    ("The Nile flows through Egypt.", "The Nile flows through Egypt and Sudan.", "Nile"),
    ("Honey contains fructose.", "Honey contains fructose and glucose in equal parts.", "Honey"),
    ("Mozart composed the Requiem in Vienna.", "Mozart composed the Requiem in Vienna in 1791.", "Mozart"),
    ("Copper conducts electricity.", "Copper conducts electricity better than iron does.", "Copper"),
]


def cases() -> list[Case]:
    return [
        Case(f"case-{title}", claim, "SUPPORTS", (evidence_of(text, title),), "plain", title)
        for claim, text, title in ROWS
    ]


def by_relation(observations: Sequence[Observation], name: str) -> list[Observation]:
    return [each for each in observations if each.probe.relation == name]


class Tampered(Judge):
    """A judge whose verdicts are altered on the way out."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def answer(self, asked: Sequence[Asked], block: int = 32) -> list[Verdict]:
        return [
            self.alter(question, verdict)
            for question, verdict in zip(asked, self._judge.answer(asked, block), strict=True)
        ]

    def alter(self, asked: Asked, verdict: Verdict) -> Verdict:
        return verdict


def test_every_relation_is_probed_for_a_plain_case(judge: Judge) -> None:
    """None is silently left out; numbers need one that the evidence states."""
    seen = {each.probe.relation for each in observe(cases(), judge)}
    assert seen == {"negation", "irrelevant", "order", "duplicates", "paraphrase", "empty", "shuffled"}


@pytest.mark.parametrize("relation", ["order", "empty"])
def test_certain_relations_hold_for_the_product(judge: Judge, relation: str) -> None:
    """Order of evidence and its absence are promises, whatever the stance model says."""
    found = by_relation(observe(cases(), judge), relation)
    assert found
    assert all(each.held for each in found)


def test_exact_copies_change_nothing(judge: Judge) -> None:
    """The same words elsewhere, once or five times, leave label and confidence."""
    found = [
        each
        for each in by_relation(observe(cases(), judge), "duplicates")
        if each.probe.form in ("copy", "five_times")
    ]
    assert found
    assert all(each.held for each in found)


def test_a_verdict_that_ignores_the_claim_fails_negation(judge: Judge) -> None:
    """The test can fail: a judge that answers SUPPORTED to all is caught."""

    class Yes(Tampered):
        def alter(self, asked: Asked, verdict: Verdict) -> Verdict:
            return replace(verdict, label="SUPPORTED", probabilities=(1.0, 0.0, 0.0, 0.0), confidence=1.0)

    observations = observe(cases(), Yes(judge))
    for relation in ("negation", "empty", "shuffled"):
        assert not any(each.held for each in by_relation(observations, relation))


def test_a_verdict_that_depends_on_order_fails_order(judge: Judge) -> None:
    """One bit of confidence is enough."""

    class First(Tampered):
        def alter(self, asked: Asked, verdict: Verdict) -> Verdict:
            return replace(verdict, disagreement=float(len(asked.items[0].text)) if asked.items else 0.0)

    assert not all(each.held for each in by_relation(observe(cases(), First(judge)), "order"))


def test_copies_that_raise_confidence_fail_duplicates(judge: Judge) -> None:
    """More of the same is no more evidence."""

    class Counting(Tampered):
        def alter(self, asked: Asked, verdict: Verdict) -> Verdict:
            return replace(verdict, confidence=round(1.0 - 1.0 / (1.0 + len(asked.items)), 6))

    assert not any(each.held for each in by_relation(observe(cases(), Counting(judge)), "duplicates"))


def test_refuted_starts_count_only_for_changes_that_reverse(judge: Judge) -> None:
    """A false claim may stay false when its number or one of its parts changes."""

    class No(Tampered):
        def alter(self, asked: Asked, verdict: Verdict) -> Verdict:
            return replace(verdict, label="REFUTED")

    compound = replace(cases()[0], claim="The Nile was long and flows through Egypt.")
    observations = observe([compound, *cases()[1:]], No(judge), every_form=True)
    own = [each for each in by_relation(observations, "negation") if each.case.id == compound.id]
    assert {each.probe.form: each.applies for each in own} == {
        "phrase": True,
        "never": False,
        "contraction": False,
    }


def test_one_form_a_claim_is_the_same_every_time(judge: Judge) -> None:
    """The choice needs no seed, so a report can be repeated."""
    first, second = observe(cases(), judge), observe(cases(), judge)
    assert [each.probe for each in first] == [each.probe for each in second]


def test_strangers_share_no_content_word_and_other_pages_are_other_pages() -> None:
    """What is called irrelevant must be."""
    mine, *others = cases()
    stranger = stranger_to(mine, cases(), "salt")
    assert stranger is not None
    assert not stranger.words() & mine.words()
    assert other_page(mine, cases()) in others
    assert plain_sentence(mine) == mine.items[0].text


@pytest.mark.parametrize(
    ("text", "title", "names"),
    [
        ("The Nile flows through Egypt. It is long.", "Nile", True),
        ("It flows through Egypt. The Nile is long.", "Nile", False),
        ("The series finale aired in August.", "Highway", False),
        ("Moreover, honey contains fructose.", "", False),
        ("Honey contains fructose.", "", True),
    ],
)
def test_only_a_sentence_that_names_its_subject_stands_alone(text: str, title: str, names: bool) -> None:
    """Elsewhere any other would be read as being about what the text around it names."""
    assert names_its_subject(text, title) is names


def test_a_sentence_that_does_not_name_its_subject_is_never_called_irrelevant() -> None:
    """Beside another title it would be a statement about that."""
    silent = replace(cases()[0], items=(evidence_of("The finale aired on a Sunday in August.", "Nile"),))
    assert plain_sentence(silent) is None


def test_copies_of_evidence_have_another_id_and_the_same_words() -> None:
    """Otherwise they would be the same item twice, which no retrieval gives."""
    one, two = evidence_of("It rains.", "Rain"), evidence_of("It rains.", "Rain", "again")
    assert one.id != two.id
    assert isinstance(one, Evidence)
    assert one.text == two.text


def test_report_counts_decided_starts_and_everything(judge: Judge) -> None:
    """Both rates are there, with intervals, and the table names each relation."""
    document = summary(observe(cases(), judge))
    figures = document["relations"]["order"]
    assert figures["decided"]["count"] <= figures["all"]["count"] == 8
    assert figures["all"]["rate"] == 1.0
    shown = table({"claims": 4, "split": "dev", "decided": 4, **document})
    assert all(name in shown for name in document["relations"])


def test_relation_without_an_observation_does_not_pass() -> None:
    """Nothing seen is nothing shown."""
    document = summary([])
    assert not document["passed"]
    assert document["relations"]["number"]["decided"]["rate"] is None


def test_wilson_and_rate_agree_with_hand_computed_values() -> None:
    """9 of 10: 0.596 to 0.982 (Wilson 1927)."""
    assert wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=2e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert rate([])["rate"] is None


def test_auroc_of_sorted_tied_and_reversed_scores() -> None:
    """1, one half, and 0."""
    import numpy as np

    positive = np.array([True, True, False, False])
    assert auroc(np.array([4.0, 3.0, 2.0, 1.0]), positive) == 1.0
    assert auroc(np.array([1.0, 1.0, 1.0, 1.0]), positive) == 0.5
    assert auroc(np.array([1.0, 2.0, 3.0, 4.0]), positive) == 0.0
