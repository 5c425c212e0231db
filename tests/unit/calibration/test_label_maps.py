"""Label maps: what they keep, what they mend, and how one is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import CorruptDataError
from data.models.calibration import fit_best
from data.models.label_maps import (
    MAP_KINDS,
    LabelMap,
    MapKind,
    choose_map,
    fit_map,
    label_map_from,
    log_loss,
)


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose labels were drawn from them: perfectly calibrated."""
    random = np.random.default_rng(seed)
    rows = random.dirichlet((0.8, 0.8, 0.8, 0.3), size=count)
    return rows, np.array([random.choice(4, p=row) for row in rows])


def overconfident(rows: np.ndarray) -> np.ndarray:
    """The same rows, told twice as sure (temperature 1/2)."""
    sharp = np.clip(rows, 1e-9, 1.0) ** 2
    return np.asarray(sharp / sharp.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("kind", MAP_KINDS)
def test_map_of_any_kind_gives_rows_that_sum_to_one_and_keep_their_zeros(kind: MapKind) -> None:
    """A label that nothing speaks for stays impossible, whatever the map learned."""
    rows, labels = drawn(1, 300)
    fitted = fit_map(kind, overconfident(rows), labels)
    mapped = fitted.apply((0.0, 0.3, 0.7, 0.0))

    assert mapped[0] == mapped[3] == 0.0
    assert sum(mapped) == pytest.approx(1.0, abs=1e-9)
    assert all(0.0 <= value <= 1.0 for value in mapped)


def test_temperature_undoes_overconfidence() -> None:
    """Rows told at temperature 1/2 come back with a temperature near 2."""
    rows, labels = drawn(2, 4_000)

    assert 1.0 / fit_map("temperature", overconfident(rows), labels).slope == pytest.approx(2.0, abs=0.15)


def test_shift_learns_labels_that_are_told_too_rarely() -> None:
    """Where REFUTED is told at a third of its odds, its shift is near log 3 above the others'."""
    rows, labels = drawn(3, 6_000)
    told = rows * np.array([1.0, 1.0 / 3.0, 1.0, 1.0])
    fitted = fit_map("shift", told / told.sum(axis=1, keepdims=True), labels)

    others = (fitted.shifts[0] + fitted.shifts[2]) / 2.0
    assert fitted.shifts[1] - others == pytest.approx(np.log(3.0), abs=0.2)


def test_isotonic_map_never_falls_as_a_probability_rises() -> None:
    """Pool adjacent violators: each label's own map is monotone."""
    rows, labels = drawn(4, 500)
    fitted = fit_map("isotonic", overconfident(rows), labels)

    assert all(list(y) == sorted(y) and list(x) == sorted(set(x)) for x, y in fitted.knots)


def test_map_fitted_on_few_labels_stays_near_the_shipped_one() -> None:
    """Five surprising labels move a row less than five hundred of the same kind."""
    row = (0.7, 0.1, 0.15, 0.05)
    few = fit_map("shift", np.array([row] * 5), np.ones(5, dtype=np.int64)).apply(row)
    many = fit_map("shift", np.array([row] * 500), np.ones(500, dtype=np.int64)).apply(row)

    assert row[1] < few[1] < many[1] - 0.2


def test_map_fitted_twice_is_the_same_whatever_the_order_of_folds() -> None:
    """Fitting is arithmetic: the same rows give the same map, to the last digit shown."""
    rows, labels = drawn(5, 200)

    assert fit_map("shift", rows, labels) == fit_map("shift", rows.copy(), labels.copy())


def test_choice_keeps_what_is_calibrated_already() -> None:
    """On calibrated rows no map earns its place by more than chance, and the loss is not made worse."""
    rows, labels = drawn(6, 1_000)
    chosen, losses = choose_map(rows, labels, np.arange(1_000) % 5)
    fresh, truth = drawn(7, 4_000)

    assert log_loss(chosen.apply_all(fresh), truth) <= log_loss(fresh, truth) + 0.01
    assert losses[chosen.kind] == min(losses.values())


def test_choice_mends_overconfident_rows_on_fresh_claims() -> None:
    """Two hundred labels are enough to win back half of what overconfidence costs."""
    rows, labels = drawn(8, 200)
    chosen, _ = choose_map(overconfident(rows), labels, np.arange(200) % 5)
    fresh, truth = drawn(9, 4_000)
    told = overconfident(fresh)
    cost = log_loss(told, truth) - log_loss(fresh, truth)

    assert chosen.kind != "identity"
    assert log_loss(told, truth) - log_loss(chosen.apply_all(told), truth) > cost / 2


def test_map_leaves_out_rows_that_no_map_can_mend() -> None:
    """A claim without evidence whose true label has probability 0 teaches nothing."""
    rows, labels = drawn(10, 100)
    hopeless = np.vstack([rows, np.tile((0.0, 0.0, 1.0, 0.0), (50, 1))])

    assert fit_map("temperature", hopeless, np.append(labels, [0] * 50)) == fit_map(
        "temperature", rows, labels
    )


@pytest.mark.parametrize("kind", MAP_KINDS)
def test_map_survives_its_document(kind: MapKind) -> None:
    """What is stored gives the same rows."""
    fitted = fit_map(kind, *drawn(11, 150))

    assert label_map_from(fitted.to_dict()) == fitted


@pytest.mark.parametrize("spoilt", [{"kind": "magic"}, {"slope": None}, {"knots": [[1]]}])
def test_spoilt_document_is_refused(spoilt: dict[str, object]) -> None:
    """A map that cannot be read is corruption, not the identity."""
    with pytest.raises(CorruptDataError):
        label_map_from({**LabelMap().to_dict(), **spoilt})


def test_best_calibration_of_a_three_way_model_is_applied_like_any_other() -> None:
    """What training tasks store with a model maps (n, 3) float32 rows to rows that sum to 1."""
    random = np.random.default_rng(12)
    rows = random.dirichlet((0.8, 0.8, 0.8), size=1_500)
    labels = np.array([random.choice(3, p=row) for row in rows])
    told = overconfident(rows).astype(np.float32)
    best, losses = fit_best(told, labels, np.arange(1_500) % 5)

    assert best.kind == "label_map"
    assert min(losses, key=lambda kind: losses[kind]) != "identity"
    assert np.allclose(best.apply(told).sum(axis=1), 1.0, atol=1e-5)
