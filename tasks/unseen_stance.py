"""The stance of pairs as the shipped model would judge them, had it not learned from their page.

Called by ``tasks.train_aggregator``. The stance model's second stage is fitted on the dev splits
(``tasks.stance_weighing``), the same that the aggregator learns from; its rows there are better than on new
pairs, and an aggregator that learned from them would be too sure. So for each fold of pages the second stage
is fitted again without it. Encoder logits, which cost the most, are kept on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError
from data.evidence import STANCES
from data.models.artifacts import read_manifest
from data.models.calibration import Calibration
from data.models.embedding import MODEL_FILE
from data.models.stance import (
    WEIGHED_FEATURES,
    WEIGHER_FILE,
    ComparisonRows,
    PairReader,
    TrainedStance,
    plain_pairs,
    turned_back,
)
from data.models.stance_bounds import bounded
from data.ports import TextAnalyser
from tasks.labelled import share_of
from tasks.remembered_rows import RememberedRows
from tasks.stance_pairs import development_pairs
from tasks.stance_weighing import FOLDS, PARAMETERS, ROUNDS

Pairs = Sequence[tuple[str, str]]
#: Pairs on which this module's rows are compared with the served model's.
COMPARED_PAIRS = 64
MOST_DIFFERENCE = 1e-5


class UnseenStance(Protocol):
    """Judges pairs twice: as served, and as a model that has not learned from their pages."""

    @property
    def identity(self) -> str:
        """Hex SHA-256 of the served model's manifest."""
        ...

    def judge(self, pairs: Pairs) -> NDArray[np.float32]:
        """Return (n, 3) float32 as served, columns as ``STANCES``."""
        ...

    def judge_unseen(self, pairs: Pairs, pages: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, 3) float32, each row by a model that has not learned from the pair's page."""
        ...


def fold_of(page: str) -> int:
    """Return the fold of a page (of a claim, where it has no page): the one of ``tasks.stance_weighing``."""
    return share_of("fold" + page, FOLDS)


class CrossFittedStance:
    """The trained stance model in ``folder`` and its second stage without each fold of dev pages.

    Raises:
        ModelUnavailableError: there is no stance model in ``folder``.
        CorruptDataError: it does not match its manifest, or judges otherwise than this module.
    """

    def __init__(self, analyser: TextAnalyser, folder: Path, datasets: Path, *, cache: Path) -> None:
        import xgboost

        manifest = read_manifest(folder)
        reader = PairReader(folder)
        self.identity = str(manifest["sha256"])
        self._logits = RememberedRows(reader.logits, str(manifest["files"][MODEL_FILE]), cache)
        self._comparison = ComparisonRows(analyser)
        stored = manifest["calibration"]
        self._calibration = Calibration(stored["kind"], tuple(stored["x"]), tuple(stored["y"]))
        self._served = xgboost.Booster(params={"nthread": 1})
        self._served.load_model(bytearray((folder / WEIGHER_FILE).read_bytes()))
        sets = development_pairs(datasets)
        self._compare_with(
            TrainedStance(analyser, folder), [(each.claim, each.passage) for each in sets["fm2"]]
        )
        self._without = self._fitted_without_each_fold(sets)

    def judge(self, pairs: Pairs) -> NDArray[np.float32]:
        """Return (n, 3) float32 as served, columns as ``STANCES``."""
        plain, turned = plain_pairs(pairs)
        return turned_back(self._judged(self._rows(plain), self._served), turned)

    def judge_unseen(self, pairs: Pairs, pages: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, 3) float32, each row by a second stage that has not learned from the pair's page."""
        plain, turned = plain_pairs(pairs)
        rows, folds = self._rows(plain), np.array([fold_of(page) for page in pages])
        judged = np.zeros((len(pairs), len(STANCES)), dtype=np.float32)
        for fold, booster in enumerate(self._without):
            if bool((folds == fold).any()):
                judged[folds == fold] = self._judged(rows[folds == fold], booster)
        return turned_back(judged, turned)

    def _rows(self, pairs: Pairs) -> NDArray[np.float32]:
        return np.hstack([self._logits.rows(pairs), self._comparison.rows(pairs)])

    def _judged(self, rows: NDArray[np.float32], booster: Any) -> NDArray[np.float32]:
        learned = self._calibration.apply(booster.inplace_predict(rows, validate_features=False))
        findings = rows[:, len(STANCES) :]
        judged = [bounded(row, each) for row, each in zip(learned.tolist(), findings.tolist(), strict=True)]
        return np.array(judged, dtype=np.float32)

    def _compare_with(self, served: TrainedStance, pairs: Pairs) -> None:
        some = pairs[:COMPARED_PAIRS]
        if float(np.abs(served.judge(some) - self.judge(some)).max()) > MOST_DIFFERENCE:
            raise CorruptDataError(
                "The stance model is served otherwise than tasks.unseen_stance judges: bring both together."
            )

    def _fitted_without_each_fold(self, sets: dict[str, Any]) -> list[Any]:
        import xgboost

        pairs = [pair for each in sets.values() for pair in each]
        rows = self._rows([(pair.claim, pair.passage) for pair in pairs])
        labels = np.array([pair.label for pair in pairs])
        weights = np.concatenate([np.full(len(each), max(1, len(each)) ** -0.5) for each in sets.values()])
        weights *= len(weights) / weights.sum()
        folds = np.array([fold_of(pair.title or pair.claim) for pair in pairs])
        found = []
        for fold in range(FOLDS):
            left = folds != fold
            matrix = xgboost.DMatrix(
                rows[left], labels[left], weight=weights[left], feature_names=list(WEIGHED_FEATURES)
            )
            found.append(xgboost.train(PARAMETERS, matrix, ROUNDS))
        return found
