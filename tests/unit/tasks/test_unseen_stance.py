"""Stance rows of dev pages come from a second stage that has not learned from them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import xgboost

from data.errors import CorruptDataError
from data.evidence import STANCES
from data.models.artifacts import write_manifest
from data.models.calibration import Calibration
from data.models.embedding import MODEL_FILE, TOKENIZER_FILE
from data.models.quantising import write_int8
from data.models.stance import KIND, WEIGHED_FEATURES, WEIGHER_FILE, TrainedStance
from data.text.analyser import SpacyAnalyser
from tasks import unseen_stance
from tasks.labelled import LabelledPair
from tasks.unseen_stance import CrossFittedStance, fold_of
from tests.unit.models.tiny import SHAPE, pair_weights, write_tokenizer

ANALYSER = SpacyAnalyser()
SUBJECTS = ["tower", "bridge", "river", "mountain", "church", "ship", "road", "lake"]


def pairs_of(place: int, subject: str) -> list[LabelledPair]:
    claim = f"The {subject} is {100 + place} metres long."
    return [
        LabelledPair(claim, f"The {subject} is {100 + place} metres long.", 0, "fm2", f"{subject} {place}"),
        LabelledPair(
            claim, f"The {subject} is not {100 + place} metres long.", 1, "fm2", f"{subject} {place}"
        ),
        LabelledPair(claim, f"Bread is made from flour, says page {place}.", 2, "fm2", f"{subject} {place}"),
    ]


DEV = {"fm2": [pair for place in range(96) for pair in pairs_of(place, SUBJECTS[place % 8])]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / "stance"
    made.mkdir()
    write_tokenizer(made / TOKENIZER_FILE)
    write_int8(pair_weights(), SHAPE, small=made / MODEL_FILE, plain=made / "float.onnx")
    random = np.random.default_rng(11)
    rows = random.normal(size=(120, len(WEIGHED_FEATURES))).astype(np.float32)
    matrix = xgboost.DMatrix(rows, rows[:, :3].argmax(axis=1))
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3, "nthread": 1}, matrix, 8)
    (made / WEIGHER_FILE).write_bytes(booster.save_raw(raw_format="ubj"))
    body = {
        "kind": KIND,
        "classes": list(STANCES),
        "feature_names": list(WEIGHED_FEATURES),
        "calibration": asdict(Calibration("temperature", (1.5,))),
    }
    write_manifest(made, body, files=(MODEL_FILE, TOKENIZER_FILE, WEIGHER_FILE))
    return made


def opened(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> CrossFittedStance:
    monkeypatch.setattr(unseen_stance, "development_pairs", lambda _: DEV)
    monkeypatch.setattr(unseen_stance, "ROUNDS", 40)
    return CrossFittedStance(ANALYSER, folder, Path("unused"), cache=cache)


def texts(pairs: list[LabelledPair]) -> list[tuple[str, str]]:
    return [(pair.claim, pair.passage) for pair in pairs]


def test_judge_is_what_is_served(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims of test splits are judged by the shipped model itself."""
    stance = opened(folder, tmp_path / "rows.sqlite", monkeypatch)
    served = TrainedStance(ANALYSER, folder)
    assert stance.identity == served.identity
    assert stance.judge(texts(DEV["fm2"][:40])) == pytest.approx(
        served.judge(texts(DEV["fm2"][:40])), abs=1e-6
    )


def test_judge_unseen_learns_from_the_other_pages(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pattern of the other pages carries over: most rows are right though their page was left out."""
    stance = opened(folder, tmp_path / "rows.sqlite", monkeypatch)
    rows = stance.judge_unseen(texts(DEV["fm2"]), [pair.title for pair in DEV["fm2"]])
    labels = np.array([pair.label for pair in DEV["fm2"]])
    assert (rows.argmax(axis=1) == labels).mean() > 0.9


def test_judge_unseen_of_a_page_does_not_know_its_labels(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turning the labels of one fold's pages round changes no row of that fold, but rows of others."""
    titles = [pair.title for pair in DEV["fm2"]]
    before = opened(folder, tmp_path / "a.sqlite", monkeypatch).judge_unseen(texts(DEV["fm2"]), titles)
    turned = [
        LabelledPair(pair.claim, pair.passage, (pair.label + 1) % 3, pair.source, pair.title)
        if fold_of(pair.title) == 1
        else pair
        for pair in DEV["fm2"]
    ]
    with monkeypatch.context() as patch:
        patch.setitem(DEV, "fm2", turned)
        after = opened(folder, tmp_path / "b.sqlite", monkeypatch).judge_unseen(texts(turned), titles)
    own = np.array([fold_of(title) == 1 for title in titles])
    assert own.any()
    assert (before[own] == after[own]).all()
    assert (before[~own] != after[~own]).any()


def test_opening_where_serving_has_changed_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An aggregator trained on rows that nobody serves would be worth nothing."""
    monkeypatch.setattr(unseen_stance, "bounded", lambda row, each: (1.0, 0.0, 0.0))
    with pytest.raises(CorruptDataError, match="otherwise"):
        opened(folder, tmp_path / "rows.sqlite", monkeypatch)
