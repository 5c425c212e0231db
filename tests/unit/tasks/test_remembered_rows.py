"""Rows kept on disk: found again for the same model and pair, and for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.remembered_rows import RememberedRows

PAIRS = [("a", "bc"), ("ab", "c"), ("a", "bc")]


class CountingJudge:
    """Gives each pair a row from its lengths, and remembers how many it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        self.asked += len(pairs)
        return np.array([(len(claim), len(passage), 0.1) for claim, passage in pairs], dtype=np.float32)


def test_rows_asked_again_are_not_judged_again(tmp_path: Path) -> None:
    """A second opening of the file answers without the model, the same to the bit."""
    judge = CountingJudge()
    first = RememberedRows(judge, "m", tmp_path / "rows.sqlite")
    rows = first.rows(PAIRS)
    first.close()
    again = RememberedRows(judge, "m", tmp_path / "rows.sqlite")
    assert again.rows(PAIRS).tobytes() == rows.tobytes()
    assert judge.asked == 2
    assert again.judged == 0


def test_rows_keep_pairs_apart_that_read_alike_when_joined(tmp_path: Path) -> None:
    """Where the claim ends is part of the pair."""
    rows = RememberedRows(CountingJudge(), "m", tmp_path / "rows.sqlite").rows(PAIRS)
    assert rows[:, 0].tolist() == [1, 2, 1]


def test_rows_of_another_model_are_judged_anew(tmp_path: Path) -> None:
    """A new model never answers with an old one's rows."""
    judge = CountingJudge()
    RememberedRows(judge, "old", tmp_path / "rows.sqlite").rows(PAIRS)
    RememberedRows(judge, "new", tmp_path / "rows.sqlite").rows(PAIRS)
    assert judge.asked == 4


def test_rows_of_no_pairs_are_none(tmp_path: Path) -> None:
    """An empty question gets an empty answer of the right width."""
    assert RememberedRows(CountingJudge(), "m", tmp_path / "rows.sqlite").rows([]).shape == (0, 3)
