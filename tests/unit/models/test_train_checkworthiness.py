"""The measures that the check-worthiness trainer reports, and its training on a small part of the data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from data.models import checkworthiness
from data.models.artifacts import load_artifact
from tasks import train_checkworthiness as task
from tests.unit.models import tiny


def test_f1_at_a_threshold_counts_hits_misses_and_false_alarms() -> None:
    """Two hits, one miss, one false alarm: F1 is 2/3."""
    stated = np.array([0.9, 0.8, 0.2, 0.7, 0.1], dtype=np.float32)
    assert task.f1_at(stated, np.array([1, 1, 1, 0, 0]), 0.5) == pytest.approx(2 / 3)
    assert task.f1_at(stated, np.zeros(5, dtype=np.int64), 0.95) == 0.0


def test_average_precision_of_a_known_ranking() -> None:
    """Relevant at places one and three: (1 + 2/3) / 2."""
    stated = np.array([0.9, 0.8, 0.7, 0.6], dtype=np.float32)
    assert task.average_precision(stated, np.array([1, 0, 1, 0])) == pytest.approx((1 + 2 / 3) / 2)


def test_best_threshold_separates_and_is_the_lowest_of_equals() -> None:
    """Any threshold in (0.2, 0.6] is perfect; the lowest twentieth wins."""
    stated = np.array([0.1, 0.2, 0.6, 0.9], dtype=np.float32)
    assert task.best_threshold(stated, np.array([0, 0, 1, 1])) == 0.25


def test_task_without_data_says_what_to_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No folder of labelled sets is one clear line and exit code 2."""
    monkeypatch.delenv("KITE_DATASETS", raising=False)
    assert task.main(["--embedder", str(tmp_path)]) == 2
    assert "--datasets" in capsys.readouterr().err


@pytest.mark.datasets
def test_training_twice_gives_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slice of the real set, with a tiny embedder: reproducible, and better than chance."""
    datasets = os.environ.get("KITE_DATASETS")
    if not datasets:
        pytest.skip("KITE_DATASETS names no folder of labelled sets")
    small = tmp_path / "sets" / "claimbuster"
    small.mkdir(parents=True)
    for name, every in (("train", 20), ("dev", 8)):
        lines = (Path(datasets) / "claimbuster" / f"{name}.jsonl").read_text().splitlines()
        (small / f"{name}.jsonl").write_text("\n".join(lines[::every]))
    tiny.write_embedder(tmp_path / "embedder")
    monkeypatch.setattr(checkworthiness, "VECTOR_DIM", 16)
    kept = checkworthiness.FEATURE_NAMES
    monkeypatch.setattr(checkworthiness, "FEATURE_NAMES", (*kept[:16], *kept[384:]))
    monkeypatch.setattr(task, "ROUNDS", 60)
    for out in ("one", "two"):
        task.train(tmp_path / "sets", tmp_path / "embedder", tmp_path / out, final=False)
    first, second = (tmp_path / out / "model.ubj" for out in ("one", "two"))
    record = load_artifact(tmp_path / "one").record
    assert first.read_bytes() == second.read_bytes()
    assert record["scores"]["dev"]["average_precision"] > 0.4
    assert "test" not in record["scores"]
