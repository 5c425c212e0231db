"""Two rankings made one: what the weights say, what a list that ends says, and who is noise."""

from __future__ import annotations

import pytest

from data.ports import Hit
from data.retrieval_fusion import FusionRule, fuse

RULE = FusionRule(lexical_weight=0.25, min_dense=0.3)


def test_fuse_is_the_weighted_sum_of_share_of_best_and_cosine() -> None:
    """A passage found both ways gets a quarter of its share of the best BM25 and the rest of its cosine."""
    merged = fuse([Hit("best", 8.0), Hit("half", 4.0)], [Hit("half", 0.8)], depth=5, rule=RULE)

    assert merged["half"].fused == pytest.approx(0.25 * 0.5 + 0.75 * 0.8)
    assert (merged["half"].bm25, merged["half"].dense) == (4.0, 0.8)


def test_fuse_list_that_says_all_gives_nothing_to_what_it_leaves_out() -> None:
    """With fewer hits than were asked for, a passage not named has no score there."""
    merged = fuse([Hit("words", 8.0)], [Hit("near", 0.6)], depth=5, rule=RULE)

    assert merged["words"].fused == pytest.approx(0.25)
    assert merged["near"].fused == pytest.approx(0.75 * 0.6)
    assert merged["words"].dense is None
    assert merged["near"].bm25 is None


def test_fuse_full_list_gives_its_last_score_to_what_it_leaves_out() -> None:
    """A list cut at its depth says of the others only that they stand no higher than its end."""
    merged = fuse([Hit("a", 8.0), Hit("b", 2.0)], [Hit("c", 0.9), Hit("d", 0.5)], depth=2, rule=RULE)

    assert merged["a"].fused == pytest.approx(0.25 + 0.75 * 0.5)
    assert merged["c"].fused == pytest.approx(0.25 * 0.25 + 0.75 * 0.9)
    assert merged["a"].dense is None


def test_fuse_order_is_best_first_and_ties_by_id() -> None:
    """Equal scores come in id order whatever the order of the lists."""
    hits = [Hit("z", 0.7), Hit("a", 0.7), Hit("m", 0.9)]

    assert list(fuse([], hits, depth=9, rule=RULE)) == ["m", "a", "z"]
    assert list(fuse([], hits[::-1], depth=9, rule=RULE)) == ["m", "a", "z"]


def test_fuse_drops_faint_dense_hits_unless_words_agree() -> None:
    """A cosine below the threshold counts only beside a BM25 hit."""
    merged = fuse([Hit("x", 1.0)], [Hit("x", 0.1), Hit("y", 0.1)], depth=5, rule=RULE)

    assert list(merged) == ["x"]
    assert merged["x"].dense == 0.1


def test_fuse_weight_moves_the_order() -> None:
    """All weight on words gives the order of BM25, none of it that of the cosines."""
    lists = [Hit("words", 9.0), Hit("both", 1.0)], [Hit("both", 0.9), Hit("words", 0.4)]

    assert next(iter(fuse(*lists, depth=5, rule=FusionRule(1.0, 0.3)))) == "words"
    assert next(iter(fuse(*lists, depth=5, rule=FusionRule(0.0, 0.3)))) == "both"


def test_fuse_nothing_found_is_empty() -> None:
    """No hits, no ranking."""
    assert fuse([], [], depth=5, rule=RULE) == {}
