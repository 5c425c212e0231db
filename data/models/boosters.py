"""The small boosted models by name: the in-process ``Scorer``.

Used by the models actor and by tests. Invariant: a row's probabilities depend on that row alone and come
out the same on one thread or many, because every prediction runs on one thread, tree after tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.errors import InvalidValueError, ModelUnavailableError
from data.models.artifacts import Artifact, bundle_hash, load_artifact


class BoosterScorer:
    """Loads model folders at construction and predicts with them. Safe to call from several threads.

    ``embedder_identity`` goes into :meth:`bundle`, for vectors are features; ``other_identities`` are any
    further models (the stance model, say) whose change must change every verdict's id.

    Raises:
        ModelUnavailableError: a folder has no model.
        CorruptDataError: a folder's bytes do not match its manifest.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        embedder_identity: str,
        *,
        other_identities: dict[str, str] | None = None,
    ) -> None:
        self._models: dict[str, Artifact] = {}
        for folder in folders:
            artifact = load_artifact(folder)
            self._models[artifact.name] = artifact
        identities = {name: artifact.identity for name, artifact in self._models.items()}
        self._bundle = bundle_hash({**(other_identities or {}), **identities, "embedder": embedder_identity})

    def predict(self, model: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities (n, classes) float32 for feature rows (n, features).

        Raises:
            ModelUnavailableError: no model of that name is loaded.
            InvalidValueError: the rows do not have the model's number of features.
        """
        artifact = self._models.get(model)
        if artifact is None:
            raise ModelUnavailableError(
                f"No model is called {model!r}: the ones loaded are {sorted(self._models)}."
            )
        rows = np.ascontiguousarray(features, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(artifact.feature_names):
            raise InvalidValueError(
                f"The model {model!r} takes rows of {len(artifact.feature_names)} features, "
                f"not an array of shape {rows.shape}."
            )
        if not len(rows):
            return np.zeros((0, len(artifact.classes)), dtype=np.float32)
        if artifact.stage is not None:
            rows = artifact.stage.extend(rows)
        raw = np.asarray(artifact.booster.inplace_predict(rows, validate_features=False), dtype=np.float32)
        return artifact.calibration.apply(_columns(raw))

    def classes(self, model: str) -> tuple[str, ...]:
        """Return the class names of a model, in column order.

        Raises:
            ModelUnavailableError: no model of that name is loaded.
        """
        if model not in self._models:
            raise ModelUnavailableError(
                f"No model is called {model!r}: the ones loaded are {sorted(self._models)}."
            )
        return self._models[model].classes

    def bundle(self) -> str:
        """Return the hex identity of all models loaded, embedder included."""
        return self._bundle


def _columns(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, classes) rows: a binary booster answers one column, the probability of class 1."""
    if raw.ndim == 2:
        return raw
    return np.column_stack([1.0 - raw, raw]).astype(np.float32)
