"""Readers of the labelled sets: what they give and what must never leak."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from data.errors import ConfigError
from tasks.labelled import LICENCES, file_record, read_claims, read_pairs, share_of
from tasks.measures import figures


@pytest.fixture
def datasets() -> Path:
    folder = os.environ.get("KITE_DATASETS")
    if not folder:
        pytest.skip("KITE_DATASETS is not set")
    return Path(folder)


def test_read_pairs_without_the_sets_says_what_to_set(tmp_path: Path) -> None:
    """One sentence with the path and the mend."""
    with pytest.raises(ConfigError, match="KITE_DATASETS"):
        read_pairs(tmp_path, "vitaminc", "dev")


def test_share_of_is_stable_and_spread() -> None:
    """The same key always falls in the same part; parts are about even."""
    shares = [share_of(f"key {index}", 10) for index in range(2_000)]
    assert shares == [share_of(f"key {index}", 10) for index in range(2_000)]
    assert all(150 < shares.count(part) < 250 for part in range(10))


def test_figures_of_a_two_way_set_choose_among_its_labels() -> None:
    """NEUTRAL is not an answer where a set has no neutral rows; the plain accuracy still counts it."""
    rows = np.array([[0.3, 0.2, 0.5], [0.1, 0.6, 0.3]], dtype=np.float32)
    found = figures(rows, np.array([0, 1]))
    assert found["accuracy"] == 0.5
    assert found["accuracy_among_its_labels"] == 1.0


@pytest.mark.datasets
@pytest.mark.parametrize("name", ["vitaminc", "fever_dev", "fever_nei", "scifact", "citation_integrity"])
def test_read_pairs_gives_labelled_texts(datasets: Path, name: str) -> None:
    """Every pair has both texts and a label among three."""
    pairs = read_pairs(datasets, name, "dev")
    assert len(pairs) > 100
    assert all(pair.claim and pair.passage and pair.label in (0, 1, 2) for pair in pairs)


@pytest.mark.datasets
def test_read_pairs_train_and_test_share_no_claim(datasets: Path) -> None:
    """What is measured on was not learned from."""
    learned = {pair.claim for pair in read_pairs(datasets, "vitaminc", "train")}
    assert not learned & {pair.claim for pair in read_pairs(datasets, "vitaminc", "test")}


@pytest.mark.datasets
@pytest.mark.parametrize("name", ["vitaminc", "fever_dev", "fm2", "scifact"])
def test_read_claims_names_passages_of_its_pool(datasets: Path, name: str) -> None:
    """Gold ids can be looked up, and a claim without gold is one that nobody could decide."""
    claims, pool = read_claims(datasets, name, "dev")
    known = {passage.id for passage in pool}
    assert all(set(claim.gold) | set(claim.beside) <= known for claim in claims)
    assert all(bool(claim.gold) == (claim.label != 2) for claim in claims)


@pytest.mark.datasets
def test_file_record_names_hash_and_licence(datasets: Path) -> None:
    """A training record can be checked against the file."""
    record = file_record(datasets, "snli_cad/dev.jsonl")
    assert len(record["sha256"]) == 64
    assert record["licence"] == LICENCES["snli_cad"]
