"""What the aggregator learns from, and in which proportions."""

from __future__ import annotations

import numpy as np

from tasks.shown_claims import Shown
from tasks.train_aggregator import Judged, in_proportion


def test_few_adversarial_claims_count_as_often_as_all_their_pages_would() -> None:
    """FM2's unread quarter stands for the whole; other sets count once, and rows stay together."""
    shown = tuple(
        Shown("claim", label, "page", (), source, "gold") for source, label in (("scifact", 0), ("fm2", 1))
    )
    seen = Judged(
        shown=shown,
        readings=((), ()),
        features=np.array([[1.0], [2.0]], dtype=np.float32),
        labels=np.array([0, 1]),
        folds=np.array([3, 4]),
    )
    whole = in_proportion(seen)
    assert [each.source for each in whole.shown] == ["scifact", "fm2", "fm2", "fm2", "fm2"]
    assert whole.features[:, 0].tolist() == [1.0, 2.0, 2.0, 2.0, 2.0]
    assert whole.labels.tolist() == [0, 1, 1, 1, 1]
    assert whole.folds.tolist() == [3, 4, 4, 4, 4]
    assert len(whole.readings) == 5
