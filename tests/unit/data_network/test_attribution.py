"""What is found about who speaks in a text and of whom."""

from __future__ import annotations

import pytest

from data.attribution import attributions, content_keys, groups_in, mentions_group, overlap, quotations
from data.text.analyser import SpacyAnalyser

ANALYSER = SpacyAnalyser()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("According to NASA, Mars has two moons.", "NASA"),
        ("Albert Einstein said that time is relative.", "Albert Einstein"),
        ("“The tower is very tall,” said Gustave Eiffel.", "Gustave Eiffel"),
        ("Experts said Paris is large.", None),
        ("He told reporters that London is cold.", None),
    ],
)
def test_attribution_names_the_speaker_that_the_words_give(text: str, name: str | None) -> None:
    """The name stands before the verb, or after a phrase that leads to it; a name spoken of is not it."""
    (found,) = attributions(text, ANALYSER.analyse([text])[0])
    assert found.name == name


def test_attribution_is_absent_from_a_plain_statement() -> None:
    """A statement without a verb of saying has no attribution."""
    text = "Mars has two moons."
    assert attributions(text, ANALYSER.analyse([text])[0]) == ()


def test_quotation_of_three_words_is_found_and_a_title_is_not() -> None:
    """Scare quotes and short titles are no quotations."""
    text = 'He called "Hamlet" a play and wrote "words without thoughts never rise".'
    assert [text[span.start : span.end] for span in quotations(text)] == ["words without thoughts never rise"]


def test_groups_are_found_as_plurals_and_in_order() -> None:
    """Groups come in order of appearance; a single farmer is not the group."""
    found = groups_in("Teachers and their students met a farmer.")
    assert [group.word for group in found] == ["teachers", "students"]


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("A child was born.", True),
        ("The kids sang.", True),
        ("The childhood of a king.", False),
        ("Adults only.", False),
    ],
)
def test_group_is_mentioned_by_any_of_its_words(text: str, *, there: bool) -> None:
    """Synonyms and singular forms count as mentions, parts of other words do not."""
    (group,) = groups_in("The law protects children.")
    assert mentions_group(group, text) is there


def test_overlap_leaves_out_numbers_and_verbs_of_saying() -> None:
    """A passage with another number is about the claim as much as one with the same."""
    claim = "According to NASA, Mars has 3 moons."
    keys = content_keys(ANALYSER.analyse([claim])[0])
    assert overlap(keys, ("NASA on Mars and its 2 moons",)) == 1.0
    assert overlap(keys, ("Venus has no moons",)) == pytest.approx(1 / 3)


def test_overlap_without_content_words_excludes_nothing() -> None:
    """Where there is nothing to look for, every text is as good as another."""
    assert overlap(frozenset(), ("anything",)) == 1.0
