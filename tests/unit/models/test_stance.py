"""The cross-encoder behind ``StanceModel``: tokens, graph, reader and memory, with a tiny random model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import CorruptDataError, ModelUnavailableError
from data.evidence import STANCES
from data.models.artifacts import write_manifest
from data.models.calibration import Calibration
from data.models.embedding import MODEL_FILE, TOKENIZER_FILE, open_session
from data.models.pair_tokens import MAX_CLAIM_TOKENS, MAX_TOKENS, pair_ids, plain_tokenizer
from data.models.quantising import write_int8
from data.models.recent import Recent
from data.models.stance import KIND, WEIGHED_FEATURES, WEIGHER_FILE, PairReader, TrainedStance
from data.models.stance_bounds import UNRELATED_SHARE
from data.models.stance_graph import IDS, SIDES, stance_model
from data.text.analyser import SpacyAnalyser
from tests.unit.models.tiny import SHAPE, pair_weights, reference_logits, write_tokenizer

ANALYSER = SpacyAnalyser()
PAIRS = [
    ("The tower is 330 metres tall.", "The tower in Paris is 330 metres tall."),
    ("The tower is 320 metres tall.", "The tower in Paris is 330 metres tall."),
    ("The tower is not in Paris.", "The tower stands in Paris, on the Seine."),
    ("Tea contains caffeine.", "Coffee, tea and cocoa contain caffeine."),
    ("Nobody has been to Mars.", "Bread is made from flour and water."),
]


def write_model(folder: Path, *, kind: str = KIND, dropped: int = 0) -> Path:
    folder.mkdir(parents=True)
    write_tokenizer(folder / TOKENIZER_FILE)
    write_int8(pair_weights(), SHAPE, small=folder / MODEL_FILE, plain=folder / "float.onnx")
    write_weigher(folder / WEIGHER_FILE)
    body = {
        "kind": kind,
        "classes": list(STANCES),
        "feature_names": [*WEIGHED_FEATURES][: len(WEIGHED_FEATURES) - dropped],
        "calibration": asdict(Calibration("temperature", (1.5,))),
    }
    write_manifest(folder, body, files=(MODEL_FILE, TOKENIZER_FILE, WEIGHER_FILE))
    return folder


def write_weigher(path: Path) -> None:
    """A booster that has learned something of every column from random rows."""
    random = np.random.default_rng(11)
    rows = random.normal(size=(120, len(WEIGHED_FEATURES))).astype(np.float32)
    labels = (rows[:, :3] + 0.3 * rows[:, 3:6]).argmax(axis=1)
    matrix = xgboost.DMatrix(rows, labels)
    settings = {"objective": "multi:softprob", "num_class": 3, "max_depth": 3, "nthread": 1}
    path.write_bytes(xgboost.train(settings, matrix, 8).save_raw(raw_format="ubj"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "stance")


def test_graph_computes_what_the_encoder_computes(tmp_path: Path) -> None:
    """Reading only the first token in the last layer changes nothing against the whole encoder."""
    weights = pair_weights()
    onnx.save(stance_model(weights, SHAPE, small_table=False), tmp_path / "float.onnx")
    ids, sides = [2, 7, 9, 4, 3, 11, 12, 13, 5, 3], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    feed = {IDS: np.array([ids]), SIDES: np.array([sides])}
    logits = open_session(tmp_path / "float.onnx").run(None, feed)[0][0]
    assert np.allclose(logits, reference_logits(weights, ids, sides), atol=1e-4)


def test_small_word_table_stays_near_the_float_one(tmp_path: Path) -> None:
    """A word's row is off by at most half a step of its own scale."""
    weights = pair_weights()
    feed = {IDS: np.array([[2, 7, 9, 3, 8, 3]]), SIDES: np.array([[0, 0, 0, 0, 1, 1]])}
    found = []
    for small in (True, False):
        onnx.save(stance_model(weights, SHAPE, small_table=small), tmp_path / "graph.onnx")
        found.append(open_session(tmp_path / "graph.onnx").run(None, feed)[0][0])
    assert np.allclose(found[0], found[1], atol=0.05)


def test_judge_gives_one_probability_row_a_pair(folder: Path) -> None:
    """Rows in order, three columns, each adding up to one."""
    rows = TrainedStance(ANALYSER, folder).judge(PAIRS)
    assert rows.shape == (len(PAIRS), 3)
    assert rows.dtype == np.float32
    assert np.allclose(rows.sum(axis=1), 1.0, atol=1e-5)
    assert rows.min() >= 0.0


def test_judge_of_nothing_is_an_empty_table(folder: Path) -> None:
    """No pairs, no rows, still three columns."""
    assert TrainedStance(ANALYSER, folder).judge([]).shape == (0, 3)


def test_judge_gives_a_pair_the_same_bytes_alone_and_in_any_batch(folder: Path) -> None:
    """Neighbours, their order, their number and what is remembered never show in a row."""
    warm = TrainedStance(ANALYSER, folder)
    together = warm.judge(PAIRS)
    again = warm.judge(PAIRS)
    backwards = TrainedStance(ANALYSER, folder).judge(PAIRS[::-1])[::-1]
    alone = np.concatenate([TrainedStance(ANALYSER, folder, remember=1).judge([pair]) for pair in PAIRS])
    assert together.tobytes() == again.tobytes() == backwards.tobytes() == alone.tobytes()


def test_judge_applies_the_bounds_of_exact_findings(folder: Path) -> None:
    """A passage with not one of the claim's words never decides surely, whatever the encoder says of it."""
    (row,) = TrainedStance(ANALYSER, folder).judge([PAIRS[-1]])
    assert max(row[0], row[1]) <= UNRELATED_SHARE + 1e-6


def test_judge_reads_a_denial_as_the_claim_with_its_sides_exchanged(folder: Path) -> None:
    """What supports "X" refutes "It is not true that X"; "It is true that X" is X."""
    stance = TrainedStance(ANALYSER, folder)
    claim, passage = PAIRS[0]
    inner = claim[0].lower() + claim[1:]
    forms = [claim, f"It is not true that {inner}", f"It is true that {inner}"]
    plain, denial, affirmed = stance.judge([(form, passage) for form in forms]).tolist()
    assert denial == [plain[1], plain[0], plain[2]]
    assert affirmed == plain


def test_judge_takes_an_empty_passage(folder: Path) -> None:
    """Nothing to read is neutral, not an error."""
    (row,) = TrainedStance(ANALYSER, folder).judge([("The tower is in Paris.", "")])
    assert row.tolist() == [0.0, 0.0, 1.0]


@settings(max_examples=60, deadline=None)
@given(claim=st.text(max_size=300), passage=st.text(max_size=900))
def test_pair_ids_of_any_text_fit_and_begin_with_the_claim(folder: Path, claim: str, passage: str) -> None:
    """Whatever the texts, a row is never too long and its claim side ends where it says."""
    (row,) = pair_ids(plain_tokenizer(folder / TOKENIZER_FILE), [(claim, passage)])
    assert 3 <= len(row.ids) <= MAX_TOKENS
    assert row.claim_length <= MAX_CLAIM_TOKENS + 2
    assert row.ids[row.claim_length - 1] == row.ids[-1] == 3


def test_a_folder_that_holds_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    """A booster in the stance model's place is named, not run."""
    with pytest.raises(ModelUnavailableError, match="cross-encoder"):
        PairReader(write_model(tmp_path / "stance", kind="xgboost"))


def test_a_model_trained_for_other_features_is_refused(tmp_path: Path) -> None:
    """A model of another release must not be fed these features."""
    with pytest.raises(CorruptDataError, match="other features"):
        TrainedStance(ANALYSER, write_model(tmp_path / "stance", dropped=1))


def test_a_flipped_byte_in_the_graph_is_refused(tmp_path: Path) -> None:
    """The graph's bytes are those of its manifest or it does not load."""
    graph = write_model(tmp_path / "stance") / MODEL_FILE
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(bytes(content))
    with pytest.raises(CorruptDataError, match=MODEL_FILE):
        PairReader(tmp_path / "stance")


def test_recent_forgets_the_least_recently_asked() -> None:
    """Capacity two: asking for a again keeps it, so b goes when c comes."""
    learned: list[str] = []

    def learn(texts: Sequence[str]) -> list[str]:
        learned.extend(texts)
        return [text.upper() for text in texts]

    memory: Recent[str, str] = Recent(2, learn)
    for asked in (["a", "b"], ["a"], ["c"], ["a"], ["b"]):
        assert memory.of(asked) == {text: text.upper() for text in asked}
    assert learned == ["a", "b", "c", "b"]


def test_recent_answers_a_batch_larger_than_its_capacity() -> None:
    """The answer is whole even when the memory cannot hold it."""
    memory: Recent[str, int] = Recent(1, lambda texts: [len(text) for text in texts])
    assert memory.of(["a", "bb", "ccc", "bb"]) == {"a": 1, "bb": 2, "ccc": 3}
