"""Words with a function."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data.analysis import Analysis

Read = Callable[[str], Analysis]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("The film was not a success.", "negation", "not"),
        ("Cells don't divide.", "negation", "n't"),
        ("He failed to win.", "negation", "failed to"),
        ("They left without him.", "negation", "without"),
        ("Every bird can fly.", "quantifier", "all"),
        ("Nobody came.", "quantifier", "none"),
        ("Most critics liked it.", "quantifier", "most"),
        ("Only adults vote.", "quantifier", "only"),
        ("Vitamin D may help.", "hedge", "may"),
        ("He reportedly left.", "hedge", "reportedly"),
        ("Drivers must stop.", "modality", "necessary"),
        ("Rome is larger than Milan.", "comparison", "comparative:more"),
        ("It is the smallest planet.", "comparison", "superlative:least"),
        ("According to police, he left.", "attribution", "according to"),
        ("Smoking causes cancer.", "implication", "cause"),
        ("If it rains, we stay.", "implication", "if"),
        ("He won the cup.", "deixis", "pronoun:he"),
        ("This is wrong.", "deixis", "demonstrative:this"),
        ("Taxes rose recently.", "deixis", "time:recently"),
        ("Prices fell last year.", "deixis", "time:last year"),
        ("Crime is high here.", "deixis", "place:here"),
        ("The company lost money.", "deixis", "definite:the company"),
        ("We lost money.", "deixis", "speaker:we"),
    ],
)
def test_cue_is_found_with_its_kind_and_value(read: Read, text: str, kind: str, value: str) -> None:
    """One word of each family."""
    assert value in [cue.value for cue in read(text).cues_of(kind)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("It opened in May 2014.", "hedge"),
        ("He was the league's all-time leader.", "quantifier"),
        ("At least 5 people died.", "comparison"),
        ("There is a tower in Paris.", "deixis"),
        ("Kristen Stewart said that she left.", "deixis"),
        ("It is true that cats sleep.", "deixis"),
        ("Bus No. 3 stops at noon.", "negation"),
    ],
)
def test_word_in_another_use_is_no_cue(read: Read, text: str, kind: str) -> None:
    """Months, names, comparators of numbers and answered pronouns are left alone."""
    assert read(text).cues_of(kind) == ()


def test_pronoun_after_its_noun_is_not_dangling(read: Read) -> None:
    """A pronoun dangles only while nothing was named."""
    assert read("The doctor retired when he was old.").cues_of("deixis") == ()
