"""Model folders: what is shipped or built, with a manifest that proves its bytes.

    models/<name>/manifest.json   kind, features, classes, calibration, record, SHA-256 of files and of itself
    models/<name>/model.ubj       the booster (XGBoost UBJSON; nothing is ever unpickled)
    models/<name>/linear.npz      the linear stage in front of it, where it has one (``linear_stage``)

Written by training tasks, read by ``data.models.boosters`` and the embedder. Invariant: what loads is, byte
for byte, what its manifest names; a folder becomes visible whole or not at all, because the manifest is
moved in last.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.errors import CorruptDataError, ModelUnavailableError
from data.models.calibration import Calibration
from data.models.label_maps import label_map_from
from data.models.linear_stage import STAGE_FILE, LinearStage, load_stage

MANIFEST = "manifest.json"
MODEL_FILE = "model.ubj"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Artifact:
    """A loaded booster with all that is needed to use it. ``identity`` is the hex SHA-256 of its manifest.

    ``stage`` stands in front of the booster, where there is one; ``feature_names`` are what goes into it.
    """

    name: str
    identity: str
    booster: Any
    feature_names: tuple[str, ...]
    classes: tuple[str, ...]
    calibration: Calibration
    record: dict[str, Any]
    stage: LinearStage | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """An ``xgboost.Booster`` and the linear stage in front of it."""

    booster: Any
    stage: LinearStage


def save_artifact(
    folder: Path,
    booster: Any,
    *,
    feature_names: Sequence[str],
    classes: Sequence[str],
    calibration: Calibration,
    record: Mapping[str, Any],
) -> str:
    """Write an ``xgboost.Booster`` (or a :class:`Staged` one) with its manifest; return its identity.

    ``classes`` are in column order of the calibrated probabilities; a binary booster has two. ``record`` is
    the training record: data sets with their SHA-256 and licence, seed, hyper-parameters, scores on each
    split, minutes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [MODEL_FILE]
    if isinstance(booster, Staged):
        write_atomically(folder / STAGE_FILE, booster.stage.to_bytes())
        files.append(STAGE_FILE)
        booster = booster.booster
    write_atomically(folder / MODEL_FILE, bytes(booster.save_raw(raw_format="ubj")))
    body = {
        "kind": "xgboost",
        "feature_names": list(feature_names),
        "classes": list(classes),
        "calibration": asdict(calibration),
        "record": dict(record),
    }
    return write_manifest(folder, body, files=files)


def load_artifact(folder: Path) -> Artifact:
    """Load a folder that :func:`save_artifact` wrote.

    Raises:
        ModelUnavailableError: the folder has no manifest or is not an XGBoost artefact.
        CorruptDataError: a file does not match the manifest, or the booster does not match its feature names.
    """
    import xgboost

    manifest = read_manifest(folder)
    if manifest.get("kind") != "xgboost":
        raise ModelUnavailableError(
            f"The model in {folder} is not an XGBoost artefact: check the folder's name."
        )
    booster = xgboost.Booster(params={"nthread": 1})
    booster.load_model(bytearray((folder / MODEL_FILE).read_bytes()))
    names = tuple(manifest["feature_names"])
    stage = load_stage(folder / STAGE_FILE) if STAGE_FILE in manifest["files"] else None
    taken = booster.num_features() if stage is None else stage.width
    if taken != len(names) or (stage is not None and booster.num_features() != stage.extended_width):
        raise CorruptDataError(
            f"The model in {folder} takes {taken} features and its manifest names {len(names)}, or its "
            "linear stage does not fit its booster: train it again."
        )
    calibration = manifest["calibration"]
    return Artifact(
        name=folder.name,
        identity=manifest["sha256"],
        booster=booster,
        feature_names=names,
        classes=tuple(manifest["classes"]),
        calibration=Calibration(
            calibration["kind"],
            tuple(calibration["x"]),
            tuple(calibration["y"]),
            label_map_from(calibration["label_map"]) if calibration.get("label_map") else None,
        ),
        record=manifest["record"],
        stage=stage,
    )


def write_manifest(folder: Path, body: Mapping[str, Any], *, files: Sequence[str]) -> str:
    """Write ``manifest.json`` for ``files`` that lie in ``folder``; return its identity (hex SHA-256).

    ``body`` is JSON and may not use the keys ``files`` and ``sha256``.
    """
    manifest = {**body, "files": {name: file_sha256(folder / name) for name in sorted(files)}}
    identity = _identity(manifest)
    text = json.dumps({**manifest, "sha256": identity}, indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(folder / MANIFEST, f"{text}\n".encode())
    return identity


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of ``folder`` once every file in it, and it itself, has been verified.

    Raises:
        ModelUnavailableError: there is no manifest.
        CorruptDataError: the manifest or one of its files is damaged or missing.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError as exc:
        raise ModelUnavailableError(f"There is no model in {folder}: build or copy it there first.") from exc
    except ValueError as exc:
        raise CorruptDataError(
            f"The manifest {path} is not JSON: restore the folder or build it again."
        ) from exc
    if not isinstance(manifest, dict) or _identity(manifest) != manifest.get("sha256"):
        raise CorruptDataError(f"The manifest {path} does not match its own SHA-256: restore the folder.")
    for name, expected in manifest["files"].items():
        if not (folder / name).is_file() or file_sha256(folder / name) != expected:
            raise CorruptDataError(
                f"The file {folder / name} does not match its manifest: restore the folder."
            )
    return manifest


def bundle_hash(identities: Mapping[str, str]) -> str:
    """Return one hex SHA-256 for models by name and identity, whatever their order."""
    return hashlib.sha256(_canonical(dict(identities))).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, sync it and move it into place: readers see all of it or nothing."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _identity(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical({key: manifest[key] for key in manifest if key != "sha256"})).hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
