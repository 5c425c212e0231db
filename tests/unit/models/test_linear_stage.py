"""The linear stage in front of a booster: its sums, its file, and that neighbours never move a score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.errors import CorruptDataError
from data.models.linear_stage import (
    EMPTY_SLOT,
    GRAM_NUMBERS,
    LinearStage,
    gram_number,
    gram_slots,
    load_stage,
)


def stage() -> LinearStage:
    """Two dense columns, four slots, two scores, three known n-grams."""
    return LinearStage(
        slots=4,
        numbers=np.array([3, 7, 900], dtype=np.int32),
        grams=np.array([[1.0, 0.0], [2.0, -1.0], [0.5, 4.0]], dtype=np.float32),
        dense=np.array([[10.0, 0.0], [0.0, 100.0]], dtype=np.float32),
        bias=np.array([0.25, -0.5], dtype=np.float32),
    )


def test_score_is_the_sum_that_the_weights_say() -> None:
    """Known n-grams count one over the root of their number, unknown ones and empty slots nothing."""
    row = np.array([[1.0, 2.0, 3.0, 7.0, 8.0, EMPTY_SLOT]], dtype=np.float32)
    expected = [10.0 + 0.25 + 3.0 / np.sqrt(2), 200.0 - 0.5 - 1.0 / np.sqrt(2)]
    found = stage().extend(row)
    assert found.shape == (1, 4)
    assert found[0, :2].tolist() == [1.0, 2.0]
    assert found[0, 2:] == pytest.approx(expected)


def test_row_without_known_grams_has_the_dense_score_alone() -> None:
    """No n-gram is known: nothing is divided by nought."""
    row = np.array([[0.0, 0.0, *[EMPTY_SLOT] * 4]], dtype=np.float32)
    assert stage().extend(row)[0, 2:].tolist() == [0.25, -0.5]


def test_scores_do_not_depend_on_the_batch() -> None:
    """To the last bit: alone, or among a thousand."""
    random = np.random.default_rng(5)
    made = replace(stage(), dense=random.normal(size=(384, 2)).astype(np.float32))
    rows = random.normal(size=(1_000, 388)).astype(np.float32)
    rows[:, -4:] = random.choice([3.0, 7.0, 12.0, EMPTY_SLOT], size=(1_000, 4))
    together = made.extend(rows)
    assert all(np.array_equal(made.extend(rows[i : i + 1])[0], together[i]) for i in range(0, 1_000, 97))


def test_stage_survives_its_file(tmp_path: Path) -> None:
    """Written and read again it gives the same scores, from the same bytes."""
    path = tmp_path / "linear.npz"
    path.write_bytes(stage().to_bytes())
    row = np.array([[1.0, 2.0, 3.0, 900.0, EMPTY_SLOT, EMPTY_SLOT]], dtype=np.float32)
    assert np.array_equal(load_stage(path).extend(row), stage().extend(row))
    assert load_stage(path).to_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "damaged",
    [
        replace(stage(), numbers=np.array([7, 3, 900], dtype=np.int32)),
        replace(stage(), numbers=np.array([3, 7], dtype=np.int32)),
        replace(stage(), dense=np.zeros((2, 3), dtype=np.float32)),
    ],
    ids=["order", "count", "scores"],
)
def test_stage_whose_arrays_do_not_fit_is_refused(tmp_path: Path, damaged: LinearStage) -> None:
    """A file that can be read but means nothing is damage, not a model."""
    path = tmp_path / "linear.npz"
    path.write_bytes(damaged.to_bytes())
    with pytest.raises(CorruptDataError, match="do not fit"):
        load_stage(path)


def test_stage_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Bytes of another kind, a pickle among them, are never interpreted."""
    path = tmp_path / "linear.npz"
    path.write_bytes(b"\x80\x04N.")
    with pytest.raises(CorruptDataError, match="cannot be read"):
        load_stage(path)


def test_gram_number_is_fixed_and_exact_in_single_precision() -> None:
    """The number of a word is part of the model's file: it may never change."""
    assert gram_number("percent of") == 8_617_083
    assert all(int(np.float32(gram_number(str(n)))) == gram_number(str(n)) < GRAM_NUMBERS for n in range(500))


def test_gram_slots_hold_each_gram_once_and_the_first_ones() -> None:
    """Repetitions take no room; what is beyond the slots is left out."""
    row = gram_slots(["b", "a", "b", "c"], 2)
    assert row.tolist() == sorted([float(gram_number("b")), float(gram_number("a"))])
    assert gram_slots(["a"], 3).tolist() == [float(gram_number("a")), EMPTY_SLOT, EMPTY_SLOT]
