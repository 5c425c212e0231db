"""How far exact findings can be believed, on real claims with gold evidence."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from data.analysis import Analysis
from data.exact.comparison import findings

HOME = os.environ.get("KITE_DATASETS")


def labels_of(read: Callable[[str], Analysis], path: str, outcomes: set[str]) -> Counter[str]:
    """Return the labels of the pairs that have a finding with one of the outcomes."""
    counted: Counter[str] = Counter()
    for line in (Path(HOME or "") / path).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        claim, passage = row["claim"], " ".join(item["text"] for item in row["evidence"])
        found = findings(claim, read(claim), passage, read(passage))
        counted[row["label"]] += any(each.outcome in outcomes for each in found)
    return counted


@pytest.mark.datasets
@pytest.mark.skipif(HOME is None, reason="KITE_DATASETS names no folder of labelled data")
@pytest.mark.parametrize(("path", "least"), [("fever_dev/dev.jsonl", 0.9), ("vitaminc/dev.jsonl", 0.75)])
def test_conflicts_are_refutations_on_held_out_claims(
    read: Callable[[str], Analysis], path: str, least: float
) -> None:
    """Of the pairs with a conflict, at least this share is labelled REFUTES."""
    counted = labels_of(read, path, {"conflicts"})
    assert counted.total() > 100
    assert counted["REFUTES"] / counted.total() >= least


@pytest.mark.datasets
@pytest.mark.skipif(HOME is None, reason="KITE_DATASETS names no folder of labelled data")
def test_entailed_values_are_support_on_held_out_claims(read: Callable[[str], Analysis]) -> None:
    """A bound that the passage's number keeps mostly means support."""
    counted = labels_of(read, "vitaminc/dev.jsonl", {"entails"})
    assert counted["SUPPORTS"] / counted.total() >= 0.75
