"""What the stance model promises of every pair, on a small model trained here and a stand-in embedder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.errors import CorruptDataError
from data.evidence import STANCES
from data.models.artifacts import MODEL_FILE, read_manifest, save_artifact, write_manifest
from data.models.calibration import Calibration
from data.models.recent import RecentTexts
from data.models.stance import PROJECTED, PROJECTION_FILE, STANCE_FEATURES, FeatureStance, StanceFeatures
from data.text.analyser import SpacyAnalyser

FACTS = json.loads((Path(__file__).parent / "plain_facts.json").read_text(encoding="utf-8"))
PAIRS = [
    (claim, fact[passage])
    for fact in FACTS[:16]
    for claim, passage in (
        (fact["claim"], "passage"),
        (fact["negated"], "passage"),
        (fact["claim"], "unrelated"),
    )
]


class FakeEmbedder:
    """A unit vector drawn from the text's hash; counts the texts it is given."""

    dim = 48

    def __init__(self) -> None:
        self.texts = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += len(texts)
        rows = [self._vector(text) for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), self.dim)

    def _vector(self, text: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        vector = np.random.default_rng(seed).normal(size=self.dim)
        return np.asarray(vector / np.linalg.norm(vector))


def projection() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(FakeEmbedder.dim, PROJECTED)).astype(np.float32)


def rewrite_manifest(folder: Path) -> None:
    """Name the projection in the manifest, as the training task does."""
    manifest = read_manifest(folder)
    body = {key: value for key, value in manifest.items() if key not in ("files", "sha256")}
    write_manifest(folder, body, files=(MODEL_FILE, PROJECTION_FILE))


def write_model(folder: Path, names: Sequence[str] = STANCE_FEATURES) -> None:
    import xgboost

    features = StanceFeatures(SpacyAnalyser(), FakeEmbedder(), projection()).rows(PAIRS)
    matrix = xgboost.DMatrix(features, np.tile([0, 1, 2], 16), feature_names=list(STANCE_FEATURES))
    parameters = {"objective": "multi:softprob", "num_class": 3, "max_depth": 3, "nthread": 1, "seed": 1}
    booster = xgboost.train(parameters, matrix, 12)
    calibration = Calibration("temperature", (1.5,))
    folder.mkdir()
    np.save(folder / PROJECTION_FILE, projection())
    save_artifact(
        folder, booster, feature_names=names, classes=STANCES, calibration=calibration, record={"seed": 1}
    )
    rewrite_manifest(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "stance"
    write_model(path)
    return path


def stance_of(folder: Path, embedder: FakeEmbedder | None = None, remember: int = 64) -> FeatureStance:
    return FeatureStance(SpacyAnalyser(), embedder or FakeEmbedder(), folder, remember=remember)


def test_judge_gives_one_probability_row_a_pair(folder: Path) -> None:
    """Rows in order, three columns, each adding up to one."""
    rows = stance_of(folder).judge(PAIRS)
    assert rows.shape == (len(PAIRS), 3)
    assert rows.dtype == np.float32
    assert np.allclose(rows.sum(axis=1), 1.0, atol=1e-5)
    assert rows.min() >= 0.0


def test_judge_of_nothing_is_an_empty_table(folder: Path) -> None:
    """No pairs, no rows, still three columns."""
    assert stance_of(folder).judge([]).shape == (0, 3)


def test_judge_gives_a_pair_the_same_bytes_alone_and_in_any_batch(folder: Path) -> None:
    """Neighbours, their order and their number never show in a row."""
    together = stance_of(folder).judge(PAIRS)
    backwards = stance_of(folder).judge(PAIRS[::-1])[::-1]
    alone = np.concatenate([stance_of(folder).judge([pair]) for pair in PAIRS])
    assert together.tobytes() == backwards.tobytes() == alone.tobytes()


def test_judge_with_a_cold_or_a_full_memory_gives_the_same_bytes(folder: Path) -> None:
    """A memory of two texts forgets all the time and changes nothing."""
    forgetful, keen = stance_of(folder, remember=2), stance_of(folder)
    keen.judge(PAIRS)
    assert forgetful.judge(PAIRS).tobytes() == keen.judge(PAIRS).tobytes()


def test_judge_embeds_a_known_text_only_once(folder: Path) -> None:
    """A warm pair costs no embedding."""
    embedder = FakeEmbedder()
    stance = stance_of(folder, embedder, remember=200)
    stance.judge(PAIRS)
    before = embedder.texts
    stance.judge(PAIRS)
    assert embedder.texts == before > 0


def test_judge_takes_an_empty_passage(folder: Path) -> None:
    """Nothing to read is neutral, not an error."""
    (row,) = stance_of(folder).judge([("The tower is in Paris.", "")])
    assert row[2] >= 0.8


def test_model_with_an_altered_projection_is_refused(tmp_path: Path) -> None:
    """The projection is part of the model: its bytes are checked like the booster's."""
    write_model(tmp_path / "stance")
    np.save(tmp_path / "stance" / PROJECTION_FILE, projection() * 2)
    with pytest.raises(CorruptDataError, match="projection"):
        stance_of(tmp_path / "stance")


def test_model_trained_for_other_features_is_refused(tmp_path: Path) -> None:
    """A model of another release must not be fed these features."""
    write_model(tmp_path / "stance", [*STANCE_FEATURES[1:], "another"])
    with pytest.raises(CorruptDataError, match="other features"):
        stance_of(tmp_path / "stance")


def test_features_for_another_embedder_are_refused() -> None:
    """A projection of the wrong height names the mend."""
    with pytest.raises(CorruptDataError, match="train the stance model"):
        StanceFeatures(SpacyAnalyser(), FakeEmbedder(), np.zeros((7, PROJECTED), dtype=np.float32))


def test_recent_texts_forgets_the_least_recently_asked() -> None:
    """Capacity two: asking for a again keeps it, so b goes when c comes."""
    learned: list[str] = []

    def learn(texts: Sequence[str]) -> list[str]:
        learned.extend(texts)
        return [text.upper() for text in texts]

    memory: RecentTexts[str] = RecentTexts(2, learn)
    for asked in (["a", "b"], ["a"], ["c"], ["a"], ["b"]):
        assert memory.of(asked) == {text: text.upper() for text in asked}
    assert learned == ["a", "b", "c", "b"]


def test_recent_texts_answers_a_batch_larger_than_its_capacity() -> None:
    """The answer is whole even when the memory cannot hold it."""
    memory: RecentTexts[int] = RecentTexts(1, lambda texts: [len(text) for text in texts])
    assert memory.of(["a", "bb", "ccc", "bb"]) == {"a": 1, "bb": 2, "ccc": 3}
