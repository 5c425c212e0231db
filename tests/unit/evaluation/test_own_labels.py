"""Learning from a tenant's labels: which rows are its own, what is learned, and that none is seen twice."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tasks.evaluation.own_labels import Tenant, chosen, crossed, learned
from tasks.evaluation.sets import Example
from tasks.evaluation.told import Told

LABELS = 120


def examples(count: int = LABELS, rare: int = 3) -> list[Example]:
    """Supported and undecided claims, one in ``rare`` supported."""
    return [Example(f"row-{n}", f"claim {n}", (), 0 if n % rare == 0 else 2) for n in range(count)]


def told(rows: list[Example], *, telling: bool) -> Told:
    """The stance knows nothing; one feature is the label, or noise."""
    random = np.random.default_rng(3)
    stances = np.full((len(rows), 3), 1 / 3)
    noise = random.normal(size=(len(rows), 1))
    gold = np.array([[float(each.label)] for each in rows])
    return Told(stances, gold + 0.1 * noise if telling else noise)


def test_the_choice_follows_from_ids_and_not_from_their_order() -> None:
    """The same rows are a tenant's own however the file is sorted."""
    rows = examples()
    mine = {rows[place].id for place in chosen(rows, 30, even=False)}
    again = {rows[::-1][place].id for place in chosen(rows[::-1], 30, even=False)}
    assert mine == again
    assert len(mine) == 30


def test_an_even_choice_has_as_many_of_each_label() -> None:
    """Thirty and thirty, though one label is twice as common."""
    rows = examples()
    found = Counter(rows[place].label for place in chosen(rows, 60, even=True))
    assert found == {0: 30, 2: 30}


def test_all_rows_are_chosen_where_as_many_are_wanted() -> None:
    """Then labels are as common as they are."""
    assert chosen(examples(), LABELS, even=True) == list(range(LABELS))


@pytest.mark.parametrize("learner", [None, "trees", "blended"])
def test_what_the_stance_does_not_know_is_learned_from_labels(learner: str | None) -> None:
    """A feature that is the label decides; a stance that no label names stays at nothing."""
    rows, asked = examples(), examples(30, rare=2)
    found = learned(told(rows, telling=True), rows, told(asked, telling=True), learner=learner)
    right = found.argmax(axis=1) == np.array([each.label for each in asked])
    assert right.mean() > 0.9
    assert (found[:, 1] == 0.0).all()
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_rare_labels_are_chosen_as_readily_as_common_ones() -> None:
    """Where nothing tells them apart, no label is preferred for being common."""
    rows = examples(rare=6)
    nothing = Told(np.full((len(rows), 3), 1 / 3), np.zeros((len(rows), 1)))
    found = learned(nothing, rows, nothing.at([0]), learner="shifted")
    assert found[0, 0] == pytest.approx(0.5, abs=0.05)


def test_a_labelled_row_is_answered_by_a_learner_that_has_not_seen_it() -> None:
    """From noise nothing can be learned: were the rows seen, they would all be right."""
    rows = examples(rare=2)
    tenant = Tenant("mine", "mine", "dev", (LABELS,), learner="trees")
    found = crossed(tenant, LABELS, told(rows, telling=False), rows)
    right = found.argmax(axis=1) == np.array([each.label for each in rows])
    assert 0.3 < right.mean() < 0.7


def test_directions_are_those_of_most_variance_and_have_one_sign() -> None:
    """Along the first of two axes the vectors differ; its largest part is positive."""
    along = np.linspace(-1.0, 1.0, 40)
    vectors = np.stack([-along, 0.1 * along**2, np.zeros(40)], axis=1)
    own = Told(np.zeros((40, 3)), np.zeros((40, 1)), (vectors,))
    (axes,) = own.axes()
    assert np.abs(axes.directions[:, 0]) == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)
    assert axes.directions[np.abs(axes.directions).argmax(axis=0), range(3)].min() > 0.0
    assert axes.of(vectors)[:, 0] == pytest.approx(-along, abs=1e-6)
