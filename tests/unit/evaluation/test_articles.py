"""Which sentences of an article are read for a claim, and how much of the claim the article holds."""

from __future__ import annotations

import pytest

from tasks.evaluation.articles import CANDIDATES, COVERAGE, coverage, nearest
from tests.fakes import FakeEmbedder

CLAIM = "The Kestrel Bridge opened in 1931 and is 412 metres long."
ARTICLE = [
    "Skip to content",
    "The town market sells bread on Mondays.",
    "Kestrel Bridge is 412 metres long.",
    "Ferries crossed the river for two centuries.",
    "The bridge opened in 1931 after six years of work.",
]


def told(claim: str, sentences: list[str]) -> dict[str, float]:
    near = nearest(claim, sentences, FakeEmbedder())
    return dict(zip(COVERAGE, coverage(claim, sentences, near), strict=True))


def test_sentences_on_the_claim_come_first() -> None:
    """Of five sentences the two that speak of the bridge."""
    assert set(nearest(CLAIM, ARTICLE, FakeEmbedder())[:2]) == {2, 4}


def test_of_many_equal_sentences_the_earliest_are_kept_in_order() -> None:
    """A tie never depends on how a list was sorted."""
    same = ["The bridge is long."] * (CANDIDATES + 5)
    assert nearest(CLAIM, same, FakeEmbedder()) == list(range(CANDIDATES))


def test_a_claim_that_the_article_holds_in_parts_is_told_so() -> None:
    """All words are somewhere, no sentence has all of them, two together do."""
    found = told(CLAIM, ARTICLE)
    assert found["words_anywhere"] == found["words_in_two"] == 1.0
    assert found["words_in_one"] < 1.0
    assert (found["figures"], found["figures_missing"], found["names_missing"]) == (2.0, 0.0, 0.0)


def test_figures_and_names_that_the_article_lacks_are_counted() -> None:
    """Another year and another bridge."""
    found = told("The Falcon Bridge opened in 1932.", ARTICLE)
    assert (found["figures_missing"], found["names_missing"]) == (1.0, 1.0)
    assert found["words_anywhere"] == pytest.approx(0.5)


def test_an_article_without_words_holds_nothing() -> None:
    """No division by nothing, and no share of nothing."""
    found = told(CLAIM, [])
    assert (found["words_anywhere"], found["words_in_one"], found["article_words"]) == (0.0, 0.0, 0.0)
