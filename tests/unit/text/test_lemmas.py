"""Forms of one word meet in one lemma."""

from __future__ import annotations

import pytest

from data.text.lemmas import lemma_of


@pytest.mark.parametrize(
    ("forms", "lemma"),
    [
        ("increase increases increased increasing", "increase"),
        ("stop stops stopped stopping", "stop"),
        ("fill fills filled filling", "fill"),
        ("study studies studied studying", "study"),
        ("create creates created creating", "create"),
        ("treat treats treated treating", "treat"),
        ("change changes changed changing", "change"),
        ("go goes went gone going", "go"),
        ("woman women", "woman"),
        ("virus viruses", "virus"),
        ("be is was were been being", "be"),
        ("bring brings brought bringing", "bring"),
        ("during", "during"),
        ("series", "series"),
        ("appear appears appeared appearing", "appear"),
    ],
)
def test_forms_of_a_word_share_its_lemma(forms: str, lemma: str) -> None:
    """Regular, doubled, silent-e and irregular forms."""
    assert {lemma_of(form) for form in forms.split()} == {lemma}
