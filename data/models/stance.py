"""What a passage makes of a claim: SUPPORTS, REFUTES or NEUTRAL, read by a cross-encoder.

The in-process ``StanceModel``: used by the models actor and by tests. A MiniLM reads claim and passage
together, one pair a run; a booster weighs what it read against what is compared exactly (numbers, dates,
negation, names); the plainest findings then bound the result (``data.models.stance_bounds``).
Invariant: a pair's row depends on that pair alone, whatever its neighbours and whatever is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.analysis import Analysis
from data.errors import CorruptDataError, ModelUnavailableError
from data.evidence import STANCES
from data.models.artifacts import read_manifest
from data.models.calibration import Calibration
from data.models.embedding import MODEL_FILE, TOKENIZER_FILE, open_session
from data.models.pair_tokens import PairIds, pair_ids, plain_tokenizer
from data.models.recent import Recent
from data.models.stance_bounds import BOUNDING_FEATURES, bounded
from data.models.stance_graph import IDS, SIDES
from data.ports import TextAnalyser
from data.text.comparison import FEATURE_NAMES, compare
from data.text.framing import unframed

#: Kind of the artefact in its manifest.
KIND = "cross-encoder"
#: Texts remembered with their analysis, about 10 kB each, and pairs remembered with their row.
REMEMBERED_TEXTS = 4_096
REMEMBERED_PAIRS = 16_384
WEIGHER_FILE = "weigher.ubj"
#: Order of a pair's row for the booster: the encoder's logits, then the comparison.
WEIGHED_FEATURES: tuple[str, ...] = (*(f"logit_{stance.lower()}" for stance in STANCES), *BOUNDING_FEATURES)


class PairReader:
    """The int8 cross-encoder on onnxruntime: pairs in, logits out. Safe to call from several threads.

    Raises:
        ModelUnavailableError: ``folder`` holds no stance model; ``python -m tasks.train_stance`` makes one.
        CorruptDataError: a file does not match the manifest.
    """

    def __init__(self, folder: Path) -> None:
        manifest = read_manifest(folder)
        if manifest.get("kind") != KIND or manifest.get("classes") != list(STANCES):
            raise ModelUnavailableError(
                f"The model in {folder} is not a {KIND} for {', '.join(STANCES)}: restore the folder."
            )
        self._tokenizer = plain_tokenizer(folder / TOKENIZER_FILE)
        self._session = open_session(folder / MODEL_FILE)

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return (n, 3) float32 logits, columns as ``STANCES``."""
        rows = [self._run(each) for each in pair_ids(self._tokenizer, pairs)]
        return np.array(rows, dtype=np.float32).reshape(len(pairs), len(STANCES))

    def _run(self, row: PairIds) -> NDArray[np.float32]:
        sides = np.ones((1, len(row.ids)), dtype=np.int64)
        sides[0, : row.claim_length] = 0
        feed = {IDS: np.array([row.ids], dtype=np.int64), SIDES: sides}
        logits: NDArray[np.float32] = self._session.run(None, feed)[0][0]
        return logits


@dataclass(frozen=True, slots=True)
class _KnownText:
    """A text as the comparison needs it; ``figures`` are its tokens with a digit."""

    analysis: Analysis
    figures: frozenset[str]


class ComparisonRows:
    """Turns (claim, passage) pairs into rows of exact findings, remembering texts. Thread-safe."""

    def __init__(self, analyser: TextAnalyser, *, remember: int = REMEMBERED_TEXTS) -> None:
        self._analyser = analyser
        self._known: Recent[str, _KnownText] = Recent(remember, self._learn)

    def rows(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return (n, len(BOUNDING_FEATURES)) float32."""
        known = self._known.of([text for pair in pairs for text in pair])
        rows = np.empty((len(pairs), len(BOUNDING_FEATURES)), dtype=np.float32)
        for row, (claim, passage) in zip(rows, pairs, strict=True):
            mine, theirs = known[claim], known[passage]
            row[: len(FEATURE_NAMES)] = compare(claim, mine.analysis, passage, theirs.analysis).features
            shared = mine.figures & theirs.figures
            counted = (mine.figures - theirs.figures, shared, theirs.figures - shared)
            row[len(FEATURE_NAMES) :] = [min(len(each), 5) for each in counted]
        return rows

    def _learn(self, texts: Sequence[str]) -> list[_KnownText]:
        return [
            _KnownText(
                analysis,
                frozenset(token.text for token in analysis.tokens if any(map(str.isdigit, token.text))),
            )
            for analysis in self._analyser.analyse(texts)
        ]


class TrainedStance:
    """Judges pairs with the models in ``folder``. Everything heavy is loaded here, at construction.

    Raises:
        ModelUnavailableError: ``folder`` has no model.
        CorruptDataError: a file does not match the manifest, or the model was trained for other features.
    """

    def __init__(self, analyser: TextAnalyser, folder: Path, *, remember: int = REMEMBERED_PAIRS) -> None:
        import xgboost

        self._reader = PairReader(folder)
        self._comparison = ComparisonRows(analyser)
        manifest = read_manifest(folder)
        if manifest.get("feature_names") != list(WEIGHED_FEATURES):
            raise CorruptDataError(
                f"The stance model in {folder} was trained for other features: train it again."
            )
        booster = xgboost.Booster(params={"nthread": 1})
        booster.load_model(bytearray((folder / WEIGHER_FILE).read_bytes()))
        self._predict: Callable[..., NDArray[np.float32]] = booster.inplace_predict
        stored = manifest["calibration"]
        self._calibration = Calibration(stored["kind"], tuple(stored["x"]), tuple(stored["y"]))
        self._judged: Recent[tuple[str, str], tuple[float, float, float]] = Recent(remember, self._judge)
        #: Hex SHA-256 of the manifest: part of the model bundle's identity.
        self.identity = str(manifest["sha256"])

    def judge(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return (n, 3) float32 probabilities, columns as ``STANCES``, for (claim, passage) pairs."""
        plain, turned = plain_pairs(pairs)
        known = self._judged.of(plain)
        rows = np.array([known[pair] for pair in plain], dtype=np.float32)
        return turned_back(rows.reshape(len(pairs), len(STANCES)), turned)

    def _judge(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, float, float]]:
        if not pairs:
            return []
        findings = self._comparison.rows(pairs)
        rows = np.hstack([self._reader.logits(pairs), findings])
        learned = self._calibration.apply(self._predict(rows, validate_features=False))
        return [bounded(row, each) for row, each in zip(learned.tolist(), findings.tolist(), strict=True)]


def plain_pairs(pairs: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[bool]]:
    """Return the pairs with their claims' denials taken off, and which of them denied."""
    framed = [unframed(claim) for claim, _ in pairs]
    plain = [(each.claim, passage) for each, (_, passage) in zip(framed, pairs, strict=True)]
    return plain, [each.denied for each in framed]


def turned_back(rows: NDArray[np.float32], turned: Sequence[bool]) -> NDArray[np.float32]:
    """Return rows (n, 3) of what is said of the claims themselves: what supports one refutes its denial."""
    said = rows.copy()
    places = np.flatnonzero(np.array(turned, dtype=bool))
    said[places] = rows[places][:, [1, 0, 2]]
    return said


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities (n, classes) of logits (n, classes)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return shares
