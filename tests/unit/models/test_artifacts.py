"""Model folders, calibration and the scorer over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from data.errors import CorruptDataError, InvalidValueError, ModelUnavailableError
from data.models import checkworthiness
from data.models.artifacts import bundle_hash, load_artifact, save_artifact
from data.models.boosters import BoosterScorer
from data.models.calibration import (
    Calibration,
    expected_calibration_error,
    fit_isotonic,
    fit_sigmoid,
    fit_temperature,
)
from data.models.linear_stage import gram_number

NAMES = ("height", "weight", "age")
SHIPPED = Path(__file__).parents[3] / "models" / checkworthiness.MODEL


def rows(count: int = 400) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)


def booster(classes: int = 2) -> Any:
    import xgboost

    data = rows()
    labels = np.digitize(data[:, 0] + 0.5 * data[:, 1], [-0.5, 0.5] if classes == 3 else [0.0])
    kind = (
        {"objective": "multi:softprob", "num_class": 3} if classes == 3 else {"objective": "binary:logistic"}
    )
    return xgboost.train({**kind, "nthread": 1, "max_depth": 3}, xgboost.DMatrix(data, labels), 20)


def save(folder: Path, *, classes: int = 2, calibration: Calibration | None = None) -> str:
    return save_artifact(
        folder,
        booster(classes),
        feature_names=NAMES,
        classes=("no", "yes", "maybe")[:classes],
        calibration=calibration or Calibration(),
        record={"seed": 1, "data": [{"file": "x.jsonl", "sha256": "00", "licence": "CC0"}]},
    )


def test_artifact_saved_and_loaded_is_the_same_model(tmp_path: Path) -> None:
    """Everything that decides a prediction survives the disk."""
    calibration = Calibration("isotonic", (0.1, 0.9), (0.0, 1.0))
    identity = save(tmp_path / "small", calibration=calibration)
    loaded = load_artifact(tmp_path / "small")
    assert (loaded.name, loaded.identity) == ("small", identity)
    assert (loaded.feature_names, loaded.classes, loaded.calibration) == (NAMES, ("no", "yes"), calibration)
    assert loaded.record["data"][0]["licence"] == "CC0"
    assert np.array_equal(loaded.booster.inplace_predict(rows()), booster().inplace_predict(rows()))


def test_artifact_saved_twice_has_the_same_identity(tmp_path: Path) -> None:
    """The identity is a function of the content."""
    assert save(tmp_path / "one") == save(tmp_path / "two")
    assert save(tmp_path / "three", calibration=Calibration("temperature", (2.0,))) != save(tmp_path / "one")


def test_artifact_flipped_model_byte_is_refused(tmp_path: Path) -> None:
    """The booster's bytes are checked before XGBoost sees them."""
    save(tmp_path / "m")
    content = bytearray((tmp_path / "m" / "model.ubj").read_bytes())
    content[100] ^= 4
    (tmp_path / "m" / "model.ubj").write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"model\.ubj"):
        load_artifact(tmp_path / "m")


def test_artifact_edited_manifest_is_refused(tmp_path: Path) -> None:
    """A changed calibration would change every probability: the manifest proves itself, too."""
    save(tmp_path / "m", calibration=Calibration("temperature", (2.0,)))
    path = tmp_path / "m" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["calibration"]["x"] = [1.0]
    path.write_text(json.dumps(manifest))
    with pytest.raises(CorruptDataError, match="its own SHA-256"):
        load_artifact(tmp_path / "m")


def test_artifact_manifest_that_is_not_json_is_refused(tmp_path: Path) -> None:
    """Half a manifest is damage, not a crash."""
    save(tmp_path / "m")
    (tmp_path / "m" / "manifest.json").write_text('{"kind"')
    with pytest.raises(CorruptDataError, match="not JSON"):
        load_artifact(tmp_path / "m")


def test_artifact_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that the manifest names must be there."""
    save(tmp_path / "m")
    (tmp_path / "m" / "model.ubj").unlink()
    with pytest.raises(CorruptDataError, match=r"model\.ubj"):
        load_artifact(tmp_path / "m")


def test_artifact_missing_folder_is_unavailable(tmp_path: Path) -> None:
    """Absent is not damaged."""
    with pytest.raises(ModelUnavailableError):
        load_artifact(tmp_path / "nothing")


def test_artifact_with_wrong_feature_names_is_refused(tmp_path: Path) -> None:
    """Names and booster must fit, or every row would be misread."""
    save_artifact(
        tmp_path / "m",
        booster(),
        feature_names=("height",),
        classes=("no", "yes"),
        calibration=Calibration(),
        record={},
    )
    with pytest.raises(CorruptDataError, match="takes 3 features"):
        load_artifact(tmp_path / "m")


@pytest.mark.parametrize(
    ("classes", "calibration"),
    [
        (2, Calibration("sigmoid", (1.3, -0.2))),
        (2, Calibration("isotonic", (0.2, 0.8), (0.1, 0.9))),
        (3, None),
    ],
)
def test_scorer_row_among_any_neighbours_has_the_same_bytes(
    tmp_path: Path, classes: int, calibration: Calibration | None
) -> None:
    """A row's probabilities do not depend on its batch, and add up to one."""
    save(tmp_path / "m", classes=classes, calibration=calibration or Calibration("temperature", (1.7,)))
    scorer = BoosterScorer([tmp_path / "m"], "e")
    data = rows(131)
    together = scorer.predict("m", data)
    assert together.shape == (131, classes)
    assert together.dtype == np.float32
    assert np.allclose(together.sum(axis=1), 1.0, atol=1e-6)
    for place in (0, 64, 130):
        assert np.array_equal(scorer.predict("m", data[place : place + 1])[0], together[place])


def test_scorer_binary_model_answers_two_columns_no_and_yes(tmp_path: Path) -> None:
    """The second column is the probability of class 1."""
    save(tmp_path / "m")
    scorer = BoosterScorer([tmp_path / "m"], "e")
    found = scorer.predict("m", np.array([[3, 3, 0], [-3, -3, 0]], dtype=np.float32))
    assert found[0, 1] > 0.9
    assert found[1, 1] < 0.1
    assert scorer.classes("m") == ("no", "yes")


def test_scorer_no_rows_gives_an_empty_array(tmp_path: Path) -> None:
    """An empty batch is an answer."""
    save(tmp_path / "m")
    assert BoosterScorer([tmp_path / "m"], "e").predict("m", rows(0)).shape == (0, 2)


def test_scorer_unknown_model_is_unavailable(tmp_path: Path) -> None:
    """The message names what there is."""
    save(tmp_path / "m")
    scorer = BoosterScorer([tmp_path / "m"], "e")
    with pytest.raises(ModelUnavailableError, match=r"'other'.*\['m'\]"):
        scorer.predict("other", rows(1))
    with pytest.raises(ModelUnavailableError):
        scorer.classes("other")


def test_scorer_rows_of_wrong_width_are_refused(tmp_path: Path) -> None:
    """A row that does not fit is never predicted."""
    save(tmp_path / "m")
    with pytest.raises(InvalidValueError, match="3 features"):
        BoosterScorer([tmp_path / "m"], "e").predict("m", np.zeros((1, 2), dtype=np.float32))


def test_scorer_bundle_changes_with_any_model_and_with_the_embedder(tmp_path: Path) -> None:
    """A verdict's id tells every model it was made with, whatever the order of loading."""
    save(tmp_path / "one")
    save(tmp_path / "two", classes=3)
    both = [tmp_path / "one", tmp_path / "two"]
    bundle = BoosterScorer(both, "e").bundle()
    assert BoosterScorer(both[::-1], "e").bundle() == bundle
    assert BoosterScorer(both, "f").bundle() != bundle
    assert BoosterScorer(both[:1], "e").bundle() != bundle
    assert BoosterScorer(both, "e", other_identities={"stance": "s"}).bundle() != bundle
    assert bundle_hash({"a": "1", "b": "2"}) == bundle_hash({"b": "2", "a": "1"})


def drawn(slope: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return probabilities whose true log-odds are ``slope`` times the stated ones, with drawn labels."""
    random = np.random.default_rng(2)
    odds = random.normal(0.0, 2.0, 20_000)
    stated = 1.0 / (1.0 + np.exp(-odds))
    labels = (random.random(odds.size) < 1.0 / (1.0 + np.exp(-slope * odds))).astype(np.int64)
    return np.column_stack([1.0 - stated, stated]).astype(np.float32), labels


def test_calibration_fits_recover_an_overconfident_model() -> None:
    """Each kind finds the known distortion: odds twice too large."""
    stated, labels = drawn(0.5)
    assert fit_temperature(stated, labels).x[0] == pytest.approx(2.0, rel=0.05)
    assert fit_sigmoid(stated, labels).x == pytest.approx((0.5, 0.0), abs=0.04)
    before = expected_calibration_error(stated[:, 1], labels)
    for fit in (fit_temperature, fit_sigmoid, fit_isotonic):
        after = expected_calibration_error(fit(stated, labels).apply(stated)[:, 1], labels)
        assert before > 0.08
        assert after < 0.02


def test_calibration_isotonic_knots_rise() -> None:
    """The map never turns order around, and its knots are strictly apart."""
    fitted = fit_isotonic(*drawn(0.5))
    assert all(np.diff(fitted.x) > 0)
    assert all(np.diff(fitted.y) >= 0)


def test_calibration_error_of_a_known_case() -> None:
    """Stated 0.9 and right half the time, in one bin, is an error of 0.4."""
    stated = np.full(10, 0.9, dtype=np.float32)
    assert expected_calibration_error(stated, np.array([1, 0] * 5)) == pytest.approx(0.4, abs=1e-6)


def test_calibration_none_returns_the_rows() -> None:
    """No calibration changes nothing."""
    raw = np.array([[0.25, 0.75]], dtype=np.float32)
    assert np.array_equal(Calibration().apply(raw), raw)


def test_features_have_their_names_and_do_not_depend_on_neighbours() -> None:
    """Each column holds what its name says, alone and in a batch."""
    texts = ["In 1998 I paid $5 million, 20% more than we planned!", "why not?"]
    vectors = np.random.default_rng(0).normal(size=(2, checkworthiness.VECTOR_DIM)).astype(np.float32)
    both = checkworthiness.features(texts, vectors)
    named = dict(zip(checkworthiness.FEATURE_NAMES, both[0].tolist(), strict=True))
    expected = {
        "numbers": 3.0,
        "year": 1.0,
        "percent_sign": 1.0,
        "dollar_sign": 1.0,
        "exclamation": 1.0,
        "question": 0.0,
        "capitals": 0.0,
        "commas": 1.0,
        "ends_ed": 1.0,
        "count:first_person": 1.0,
        "count:we": 1.0,
        "count:magnitude": 1.0,
        "count:comparison": 2.0,
        "word:#": 1.0,
        "word:million": 1.0,
        "word:billion": 0.0,
    }
    assert {name: named[name] for name in expected} == expected
    grams = {int(number) for number in both[1, -checkworthiness.SLOTS :]}
    assert grams == {
        -1,
        *(gram_number(gram) for gram in ("^", "^ why", "why", "why not", "not", "not ?", "?", "? .")),
    }
    assert np.array_equal(both[:, : checkworthiness.VECTOR_DIM], vectors)
    assert np.array_equal(checkworthiness.features(texts[1:], vectors[1:])[0], both[1])


def test_shipped_checkworthiness_model_fits_the_code() -> None:
    """The shipped artefact is sound, small, and was trained on these features and this threshold."""
    artifact = load_artifact(SHIPPED)
    assert artifact.feature_names == checkworthiness.FEATURE_NAMES
    assert artifact.stage is not None
    assert artifact.stage.slots == checkworthiness.SLOTS
    assert artifact.classes == checkworthiness.CLASSES
    assert artifact.record["threshold"] == checkworthiness.THRESHOLD
    assert artifact.record["scores"]["test"]["f1"] >= 0.88
    assert artifact.record["test_looks"] == 1
    assert {source["licence"][:6] for source in artifact.record["data"]} == {"Zenodo"}
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 2_000_000
