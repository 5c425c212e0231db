"""Figures of reliability, by hand where they can be, and the record that ships with a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.errors import CorruptDataError
from data.models.reliability import (
    coverage_of,
    crossed_coverage,
    figures,
    ladder_of,
    load_reliability,
    reliability_record,
    write_reliability,
)


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rows = random.dirichlet((0.6, 0.6, 0.6, 0.3), size=count)
    return rows, np.array([random.choice(4, p=row) for row in rows])


def test_figures_of_two_answers_are_those_of_the_definitions() -> None:
    """One answer right at 0.8, one wrong at 0.6: Brier, ECE, accuracy and log loss by hand."""
    rows = np.array([[0.8, 0.1, 0.1, 0.0], [0.6, 0.4, 0.0, 0.0]])
    told = figures(rows, np.array([0, 1]))

    assert told["samples"] == 2
    assert told["accuracy"] == 0.5
    assert told["brier"] == pytest.approx((0.04 + 0.01 + 0.01 + 0.36 + 0.36) / 2)
    assert told["ece"] == pytest.approx((0.2 + 0.6) / 2)
    assert told["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2, abs=1e-6)


def test_bins_hold_every_answer_once_and_lie_where_their_confidence_is() -> None:
    """The counts add up, and a bin's mean confidence is between its bounds."""
    told = figures(*drawn(1, 500))["bins"]

    assert sum(row["samples"] for row in told) == 500
    assert all(row["from"] <= row["confidence"] <= row["to"] for row in told)


def test_full_confidence_falls_in_the_last_bin() -> None:
    """1.0 is inside [14/15, 1], not beyond it."""
    (row,) = figures(np.array([[0.0, 0.0, 1.0, 0.0]]), np.array([2]))["bins"]

    assert (row["to"], row["accuracy"]) == (1.0, 1.0)


def test_calibrated_answers_have_a_small_error_and_overconfident_ones_a_large_one() -> None:
    """The measure tells them apart."""
    rows, labels = drawn(2, 5_000)
    sharp = rows**3 / (rows**3).sum(axis=1, keepdims=True)

    assert figures(rows, labels)["ece"] < 0.03
    assert figures(sharp, labels)["ece"] > 0.1


def test_coverage_is_counted_overall_and_by_true_label() -> None:
    """Three sets, two of which hold the label."""
    told = coverage_of(
        [["SUPPORTED"], ["REFUTED", "SUPPORTED"], ["REFUTED"]], ["SUPPORTED"] * 2 + ["CONFLICTING"], 0.1
    )

    assert told["coverage"] == pytest.approx(2 / 3, abs=1e-6)
    assert told["mean_set_size"] == pytest.approx(4 / 3, abs=1e-6)
    assert told["by_label"]["SUPPORTED"] == {"samples": 2, "coverage": 1.0}
    assert "REFUTED" not in told["by_label"]


def test_crossed_coverage_is_near_the_level_in_every_label_group() -> None:
    """Each row is covered by sets made without it, so coverage is honest: 1 - alpha, label by label."""
    for told in crossed_coverage(*drawn(3, 4_000), alphas=(0.1, 0.3)):
        for group in told["by_label"].values():
            assert group["coverage"] >= told["stated"] - 0.05


def test_record_has_every_group_and_promises_risk_from_its_counts() -> None:
    """The record holds figures of all and of each group, and the ladder of held-out answers."""
    rows, labels = drawn(4, 600)
    record = reliability_record(rows, labels, ["health"] * 200 + ["news"] * 400)
    ladder = ladder_of(record)

    assert record["all"]["samples"] == 600
    assert {name: part["samples"] for name, part in record["groups"].items()} == {"health": 200, "news": 400}
    assert ladder is not None
    assert ladder.rungs[0].answers == 600


def test_record_survives_its_file(tmp_path: Path) -> None:
    """What is written beside a model is what is read."""
    record = reliability_record(*drawn(5, 60), ["a"] * 60)
    write_reliability(tmp_path, record)

    assert load_reliability(tmp_path) == json.loads(json.dumps(record))


def test_model_without_a_record_has_none(tmp_path: Path) -> None:
    """No file is no record, and no risk ladder."""
    assert load_reliability(tmp_path) is None
    assert ladder_of(None) is None


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2, "all": {"samples": 1}, "risk": []}'])
def test_spoilt_record_is_refused(tmp_path: Path, text: str) -> None:
    """A damaged record is not taken for a smaller one."""
    (tmp_path / "reliability.json").write_text(text, encoding="utf-8")

    with pytest.raises(CorruptDataError, match=r"reliability\.json"):
        load_reliability(tmp_path)


def test_figures_of_nothing_are_empty() -> None:
    """Without answers there is nothing to say, and no division by zero."""
    told = figures(np.zeros((0, 4)), np.zeros(0, dtype=np.int64))

    assert (told["samples"], told["brier"], told["bins"]) == (0, None, [])
