"""What a passage makes of a claim: SUPPORTS, REFUTES or NEUTRAL, from compared words, numbers and meanings.

The in-process ``StanceModel``: used by the models actor, by tests and (its features) by
``tasks.train_stance``. A booster reads the comparison of both texts and of their vectors; exact findings
then bound what it may say (``data.models.stance_bounds``). Invariant: a pair's row depends on that pair
alone, whatever its neighbours and whatever the caches hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.analysis import Analysis, Span
from data.errors import CorruptDataError
from data.evidence import STANCES
from data.models.artifacts import load_artifact
from data.models.recent import RecentTexts
from data.models.stance_bounds import BOUNDING_FEATURES, bounded
from data.ports import Embedder, TextAnalyser
from data.text.comparison import FEATURE_NAMES, Comparison, compare

#: The projection's file beside the booster: (dim, PROJECTED) float32, columns of unit length.
PROJECTION_FILE = "projection.npy"
#: Components kept of a vector: the difference and the product of each go to the booster.
PROJECTED = 32
#: Texts remembered with analysis and vectors; about 15 kB each.
REMEMBERED_TEXTS = 4_096

#: Order of a pair's row: the comparison, figures, three cosines, and the projected difference and product.
STANCE_FEATURES: tuple[str, ...] = (
    *BOUNDING_FEATURES,
    "cosine_passage",
    "cosine_sentence",
    "cosine_best",
    *(f"difference_{index}" for index in range(PROJECTED)),
    *(f"product_{index}" for index in range(PROJECTED)),
)


@dataclass(frozen=True, slots=True)
class KnownText:
    """A text as the model remembers it.

    ``vectors`` are unit rows: the whole text, then each of its
    sentences where it has more than one; ``reduced`` are the same rows projected. ``spans`` are those
    sentences.
    """

    analysis: Analysis
    vectors: NDArray[np.float32]
    reduced: NDArray[np.float32]
    spans: tuple[Span, ...]
    figures: frozenset[str]


class StanceFeatures:
    """Turns (claim, passage) pairs into feature rows, remembering texts it has seen. Thread-safe."""

    def __init__(
        self,
        analyser: TextAnalyser,
        embedder: Embedder,
        projection: NDArray[np.float32],
        *,
        remember: int = REMEMBERED_TEXTS,
    ) -> None:
        if projection.shape != (embedder.dim, PROJECTED):
            raise CorruptDataError(
                f"The projection is {projection.shape}, the embedder needs {(embedder.dim, PROJECTED)}: "
                "train the stance model with this embedder."
            )
        self._analyser = analyser
        self._embedder = embedder
        self._projection = projection
        self._known: RecentTexts[KnownText] = RecentTexts(remember, self._learn)

    def rows(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return feature rows (n, len(STANCE_FEATURES)) float32."""
        known = self._known.of([text for pair in pairs for text in pair])
        rows = np.empty((len(pairs), len(STANCE_FEATURES)), dtype=np.float32)
        for row, (claim, passage) in zip(rows, pairs, strict=True):
            mine, theirs = known[claim], known[passage]
            _fill(row, compare(claim, mine.analysis, passage, theirs.analysis), mine, theirs)
        return rows

    def _learn(self, texts: Sequence[str]) -> list[KnownText]:
        analyses = self._analyser.analyse(texts)
        spans = [analysis.sentences if len(analysis.sentences) > 1 else () for analysis in analyses]
        pieces = [
            piece
            for text, own in zip(texts, spans, strict=True)
            for piece in (text, *(text[span.start : span.end] for span in own))
        ]
        vectors = self._embedder.embed(pieces)
        known, start = [], 0
        for analysis, own in zip(analyses, spans, strict=True):
            mine = np.ascontiguousarray(vectors[start : start + 1 + len(own)])
            # One row at a time: a matrix product may round differently with other neighbours.
            reduced = np.stack([row @ self._projection for row in mine])
            figures = frozenset(token.text for token in analysis.tokens if any(map(str.isdigit, token.text)))
            known.append(KnownText(analysis, mine, reduced, own, figures))
            start += len(mine)
        return known


def _fill(row: NDArray[np.float32], comparison: Comparison, mine: KnownText, theirs: KnownText) -> None:
    """Write one pair's features into ``row``."""
    words = len(BOUNDING_FEATURES)
    row[: len(FEATURE_NAMES)] = comparison.features
    missing, shared = mine.figures - theirs.figures, mine.figures & theirs.figures
    row[len(FEATURE_NAMES) : words] = [
        min(len(each), 5) for each in (missing, shared, theirs.figures - shared)
    ]
    cosines = [float(mine.vectors[0] @ vector) for vector in theirs.vectors]
    aligned = 1 + theirs.spans.index(comparison.sentence) if comparison.sentence in theirs.spans else 0
    row[words : words + 3] = (cosines[0], cosines[aligned], max(cosines))
    claim, sentence = mine.reduced[0], theirs.reduced[aligned]
    np.abs(claim - sentence, out=row[words + 3 : words + 3 + PROJECTED])
    np.multiply(claim, sentence, out=row[words + 3 + PROJECTED :])


class FeatureStance:
    """Judges pairs with the booster in ``folder``. Everything heavy is loaded here, at construction.

    Raises:
        ModelUnavailableError: ``folder`` has no model.
        CorruptDataError: a file does not match the manifest, or the model was trained for other features.
    """

    def __init__(
        self,
        analyser: TextAnalyser,
        embedder: Embedder,
        folder: Path,
        *,
        remember: int = REMEMBERED_TEXTS,
    ) -> None:
        artifact = load_artifact(folder)
        if artifact.feature_names != STANCE_FEATURES or artifact.classes != STANCES:
            raise CorruptDataError(
                f"The stance model in {folder} was trained for other features: train it again."
            )
        projection = np.load(folder / PROJECTION_FILE, allow_pickle=False)
        self._features = StanceFeatures(analyser, embedder, projection, remember=remember)
        self._predict: Callable[..., NDArray[np.float32]] = artifact.booster.inplace_predict
        self._calibration = artifact.calibration
        #: Hex SHA-256 of the manifest: part of the model bundle's identity.
        self.identity = artifact.identity

    def judge(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return (n, 3) float32 probabilities, columns as ``STANCES``, for (claim, passage) pairs."""
        if not pairs:
            return np.zeros((0, len(STANCES)), dtype=np.float32)
        rows = self._features.rows(pairs)
        learned = self._calibration.apply(self._predict(rows, validate_features=False))
        judged = [bounded(row, each) for row, each in zip(learned.tolist(), rows.tolist(), strict=True)]
        return np.array(judged, dtype=np.float32)
