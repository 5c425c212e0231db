"""What learning from a few labels promises: better where it can be, the same every time, and stored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data.errors import CorruptDataError, InvalidValueError
from data.models.few_labels import LEARNERS, FewLabels, few_labels_from, fit_few_labels
from data.models.random_trees import grow, trees_from

CLASSES = 3


def domain(count: int, *, seed: int, bent: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Rows (shipped probabilities, 4 features) of a domain with other label shares; bent: in a feature."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 4))
    shipped = np.exp(features[:, :3])
    shipped /= shipped.sum(axis=1, keepdims=True)
    truth = np.exp(features[:, :3] + np.array([0.0, 1.5, -1.0]))
    if bent:
        truth[np.arange(count), (np.abs(features[:, 3]) * 2).astype(int) % 3] *= 20.0
    truth /= truth.sum(axis=1, keepdims=True)
    labels = np.array([random.choice(CLASSES, p=row) for row in truth])
    return np.hstack([shipped, features]), labels


def loss(rows: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.clip(rows[np.arange(len(labels)), labels], 1e-7, 1)).mean())


def test_fit_on_a_shifted_domain_beats_the_shipped_probabilities_on_new_rows() -> None:
    """Sixty labels are enough to learn that other labels are likelier here."""
    rows, labels = domain(60, seed=1)
    fresh, gold = domain(3_000, seed=2)
    learned = fit_few_labels(rows, labels, classes=CLASSES)
    assert learned.kind != "shipped"
    assert loss(learned.predict(fresh), gold) < loss(fresh[:, :CLASSES], gold) - 0.1


def test_fit_where_a_feature_bends_the_labels_grows_trees_once_there_are_labels_enough() -> None:
    """No line follows a wave; with six hundred labels trees do, and do better than any shift."""
    rows, labels = domain(600, seed=3, bent=True)
    fresh, gold = domain(2_000, seed=4, bent=True)
    learned = fit_few_labels(rows, labels, classes=CLASSES)
    shifted = LEARNERS["shifted"](rows, labels, CLASSES)
    assert learned.kind in ("trees", "mixed")
    assert loss(learned.predict(fresh), gold) < loss(shifted.predict(fresh), gold) - 0.05


@pytest.mark.parametrize("kind", sorted(LEARNERS))
def test_learner_survives_its_record_and_predicts_rows_alone_as_together(kind: str) -> None:
    """Stored as JSON, rebuilt, asked row by row: the same bytes, and every row adds up to 1."""
    rows, labels = domain(120, seed=5)
    fitted = LEARNERS[kind](rows, labels, CLASSES)
    learner = FewLabels(kind, CLASSES, rows.shape[1], 120, {kind: 1.0}, fitted, (0.5, 0.3, 0.2))
    again = few_labels_from(json.loads(json.dumps(learner.to_record())))
    together = learner.predict(rows)
    assert again.predict(rows).tobytes() == together.tobytes()
    assert again.balanced(rows).tobytes() == learner.balanced(rows).tobytes()
    assert np.vstack([learner.predict(row[None, :]) for row in rows]).tobytes() == together.tobytes()
    assert together.sum(axis=1) == pytest.approx(1.0)


def test_fit_is_the_same_whatever_the_order_of_the_labels() -> None:
    """Feedback that arrives in another order teaches the same."""
    rows, labels = domain(90, seed=6)
    order = np.random.default_rng(0).permutation(90)
    one = fit_few_labels(rows, labels, classes=CLASSES).to_record()
    other = fit_few_labels(rows[order], labels[order], classes=CLASSES).to_record()
    assert json.dumps(one) == json.dumps(other)


def test_fit_without_features_or_with_two_classes_works() -> None:
    """Probabilities alone are rows too, and a set may use two labels only."""
    rows, labels = domain(80, seed=7)
    assert fit_few_labels(rows[:, :3], labels, classes=3).predict(rows[:, :3]).shape == (80, 3)
    two = rows[:, :2] / rows[:, :2].sum(axis=1, keepdims=True)
    assert fit_few_labels(two, labels % 2, classes=2).predict(two).shape == (80, 2)


def test_fit_where_a_label_never_occurs_leaves_it_possible() -> None:
    """Nobody has seen it yet; that does not rule it out."""
    rows, labels = domain(60, seed=8)
    learned = fit_few_labels(rows, np.minimum(labels, 1), classes=CLASSES)
    assert learned.predict(rows).min() > 0.0


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (np.ones((29, 3)), np.zeros(29, dtype=int)),
        (np.ones((40, 2)), np.zeros(40, dtype=int)),
        (np.ones((40, 3)), np.full(40, 3)),
        (np.full((40, 3), np.nan), np.zeros(40, dtype=int)),
        (np.ones((40, 3)), np.zeros(39, dtype=int)),
    ],
)
def test_fit_of_what_does_not_fit_is_refused(rows: np.ndarray, labels: np.ndarray) -> None:
    """Too few, too narrow, labels out of range, not finite, or not as many labels as rows."""
    with pytest.raises(InvalidValueError):
        fit_few_labels(rows, labels, classes=CLASSES)


def test_predict_of_rows_of_another_width_is_refused() -> None:
    """A learner of one feature list does not read another."""
    rows, labels = domain(40, seed=9)
    with pytest.raises(InvalidValueError, match="columns"):
        fit_few_labels(rows, labels, classes=CLASSES).predict(rows[:, :5])


@pytest.mark.parametrize(
    "spoilt", [{}, {"kind": "trees", "learner": {}}, {"kind": "shifted", "learner": {"classes": 3}}]
)
def test_few_labels_from_a_damaged_record_is_refused(spoilt: dict[str, object]) -> None:
    """What cannot be read is corruption, not another prediction."""
    with pytest.raises(CorruptDataError):
        few_labels_from(
            {"classes": 3, "features": 7, "labels": 60, "losses": {}, "shares": [0.4, 0.4, 0.2], **spoilt}
        )


def test_trees_from_a_record_that_points_outside_is_refused() -> None:
    """A child that is not there would be read from other memory's place."""
    rows, labels = domain(60, seed=10)
    record = grow(rows, labels, CLASSES).to_record()
    with pytest.raises(CorruptDataError):
        trees_from({**record, "threshold": record["threshold"][:8]})


def test_trees_separate_what_a_threshold_separates() -> None:
    """A single feature decides: nearly every tree finds it."""
    rows = np.random.default_rng(11).random((400, 2))
    labels = (rows[:, 0] > 0.5).astype(int)
    found = grow(rows, labels, 2).predict(rows)
    assert (found.argmax(axis=1) == labels).mean() > 0.97


def test_fit_on_labels_that_bear_the_shipped_probabilities_out_loses_little() -> None:
    """Nothing to learn: sixty labels drawn from the probabilities themselves cost little on new rows."""
    lost = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        rows = random.dirichlet((0.5, 0.5, 0.5), size=560)
        labels = np.array([random.choice(CLASSES, p=row) for row in rows])
        learned = fit_few_labels(rows[:60], labels[:60], classes=CLASSES)
        lost.append(loss(learned.predict(rows[60:]), labels[60:]) - loss(rows[60:], labels[60:]))
    assert np.mean(lost) < 0.03


def test_fit_with_groups_does_not_mistake_copies_for_proof() -> None:
    """Ten copies of each row would let trees look up the answer; kept together they show what is new."""
    rows, _ = domain(30, seed=13)
    noise = np.random.default_rng(14).integers(0, CLASSES, 30)
    many, gold = np.repeat(rows, 10, axis=0), np.repeat(noise, 10)
    many[:, 3:] += np.random.default_rng(15).normal(scale=1e-3, size=many[:, 3:].shape)
    groups = [str(place // 10) for place in range(300)]
    assert fit_few_labels(many, gold, classes=CLASSES).kind in ("trees", "mixed")
    assert fit_few_labels(many, gold, classes=CLASSES, groups=groups).kind not in ("trees", "mixed")


def test_balanced_finds_rare_labels_more_often_than_predict() -> None:
    """One label in ten: believed probabilities seldom name it, balanced ones do, and macro recall gains."""
    rows, labels = domain(1_500, seed=16)
    kept = np.flatnonzero((labels != 0) | (np.arange(1_500) % 5 == 0))
    rows, labels = rows[kept], labels[kept]
    learned = fit_few_labels(rows[:300], labels[:300], classes=CLASSES)
    plain, fair = learned.predict(rows[300:]).argmax(axis=1), learned.balanced(rows[300:]).argmax(axis=1)
    gold = labels[300:]

    def recall(said: np.ndarray) -> float:
        return float(np.mean([(said[gold == label] == label).mean() for label in range(CLASSES)]))

    assert (fair == 0).sum() > (plain == 0).sum()
    assert recall(fair) > recall(plain)
