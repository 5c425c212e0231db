"""Totals of parts: the figures of all rows at once, in memory that does not grow with them."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from data.batch.results import PartSummary
from data.batch.totals import (
    KNOWN_REASONS,
    NAMED_REASONS,
    OTHER_REASONS,
    AgainstLabels,
    RepeatedIds,
    Totals,
    run_told,
)
from data.models.reliability import figures


def drawn(parts: int, rows: int) -> Iterator[PartSummary]:
    """Parts of so many labelled rows, each with an id of its own but the first, which all parts share."""
    random = np.random.default_rng(7)
    for number in range(parts):
        probabilities = random.dirichlet((0.6, 0.6, 0.6, 0.3), size=rows).astype(np.float32)
        names = ["first", *(f"{number}-{row}" for row in range(1, rows))]
        yield PartSummary(
            number,
            rows=rows,
            answered=rows,
            probabilities=probabilities.tobytes(),
            gold=random.integers(0, 4, rows).astype(np.int8).tobytes(),
            in_set=random.integers(0, 2, rows).astype(np.int8).tobytes(),
            ids=b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in names),
        )


def test_figures_by_parts_are_those_of_all_rows_at_once() -> None:
    """Brier, calibration error, bins, confusion and coverage do not hang on how the rows are cut."""
    parts, labelled = list(drawn(9, 70)), AgainstLabels()
    for part in parts:
        labelled.take(part)
    rows = np.frombuffer(b"".join(part.probabilities for part in parts), np.float32).reshape(-1, 4)
    gold = np.frombuffer(b"".join(part.gold for part in parts), np.int8).astype(np.int64)
    in_set = np.frombuffer(b"".join(part.in_set for part in parts), np.int8)
    whole, told = figures(rows.astype(np.float64), gold), labelled.told()

    assert told["samples"] == 630
    assert [told[name] for name in ("accuracy", "brier", "ece", "log_loss")] == pytest.approx(
        [whole[name] for name in ("accuracy", "brier", "ece", "log_loss")], abs=2e-6
    )
    assert [bin_["samples"] for bin_ in told["bins"]] == [bin_["samples"] for bin_ in whole["bins"]]
    assert told["coverage"] == pytest.approx(in_set.mean(), abs=1e-6)
    counted = np.zeros((4, 4), np.int64)
    for right, said in zip(gold.tolist(), rows.argmax(axis=1).tolist(), strict=True):
        counted[right, said] += 1
    assert (labelled.confusion == counted).all()


def test_ids_that_come_twice_are_counted_across_parts() -> None:
    """The second and every further row with an id is one too many."""
    with RepeatedIds() as ids:
        for part in drawn(12, 50):
            ids.take(part)
        ids.take(PartSummary(12))
        assert ids.count() == 11


def test_memory_of_totals_does_not_grow_with_the_rows() -> None:
    """Ten times the rows, the same peak."""

    def peak(parts: int) -> int:
        totals, labelled = Totals(), AgainstLabels()
        tracemalloc.start()
        with RepeatedIds() as ids:
            for part in drawn(parts, 500):
                totals.take(part)
                labelled.take(part)
                ids.take(part)
            ids.count()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(60) < 1.2 * peak(6)


def test_reasons_beyond_those_that_are_known_count_as_one() -> None:
    """A file in which every row is bad in its own words does not fill the memory."""
    totals = Totals()
    for number in range(KNOWN_REASONS + 5):
        totals.take(PartSummary(number, rows=2, dead=2, reasons={f"Reason {number}.": 2}))
    told = totals.told(wanted=3_000, knowledge_seq=4, model_bundle="m")

    assert (told["dead_letters"], told["missing"]) == (2 * KNOWN_REASONS + 10, 3_000 - 2 * KNOWN_REASONS - 10)
    assert told["errors"][0] == {"reason": OTHER_REASONS, "rows": 10}
    assert len(told["errors"]) == NAMED_REASONS


def test_run_without_time_has_no_rate() -> None:
    """Nothing is divided by nothing."""
    assert run_told(rows=0, work_s=0.0, by="here") == {
        "rows": 0,
        "work_s": 0.0,
        "rows_per_s": None,
        "by": "here",
    }
