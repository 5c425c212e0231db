"""The files of main indexes: written whole or not at all, checked before they are read, two versions kept.

Called by whoever builds or opens an index. A version is ``main-00000007.json`` and the files it names with
their SHA-256. FAISS trusts what it reads and has no checksum: nothing is handed to it that was not checked.
Invariant: the manifest is written last, so a version that has one was complete.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pyroaring import BitMap

from data.durable import sync_folder
from data.errors import CorruptDataError
from data.vectors.faiss import faiss_library
from data.vectors.main_index import MainIndex
from data.vectors.parts import Tuning
from data.vectors.space import Space

#: Versions that stay: the newest, and the one to go back to.
KEPT = 2
_FORMAT = 1
_PIECE = 1 << 22


@dataclass(frozen=True, slots=True)
class Loaded:
    """The newest sound index, or none, and one sentence for each newer version that is not sound."""

    main: MainIndex | None
    faults: tuple[str, ...] = ()


def save_main(main: MainIndex, folder: Path, version: int, *, built_at: str | None = None) -> MainIndex:
    """Write ``main`` as ``version`` (rising) and return it as :func:`load_newest` would: mapped, numbered.

    Versions before the previous one are removed. A crash at any moment leaves the versions there were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    library = faiss_library()
    files = {"rows": _put(folder, version, "rows", lambda path: _write_rows(path, main))}
    if main.index is not None:
        files["index"] = _put(folder, version, "index", lambda path: library.write_index(main.index, path))
    if not _keeps_vectors(main):
        files["vectors"] = _put(folder, version, "vectors", lambda path: library.write_index(main.flat, path))
    content = {
        "format": _FORMAT,
        "version": version,
        "built_at": built_at,
        "kind": main.kind,
        "quantisation": main.quantisation,
        "dimensions": main.space.dim,
        "metric": main.space.metric,
        "count": len(main.rows),
        "tuning": asdict(main.tuning),
        "files": files,
    }
    text = json.dumps({"content": content, "sha256": _digest(content)}, indent=1, sort_keys=True)
    _put(folder, version, "json", lambda path: Path(path).write_text(text, encoding="utf-8"))
    _clear(folder)
    return _load(folder, version, main.space)


def load_newest(folder: Path, dim: int, metric: Any) -> Loaded:
    """Return the newest version that is whole and of this shape; those that are not are told and passed over.

    Files are mapped: pages are read when searches touch them, and need no memory of this process.
    """
    faults: list[str] = []
    for version in versions(folder):
        try:
            return Loaded(_load(folder, version, Space(dim, metric)), tuple(faults))
        except (OSError, CorruptDataError) as exc:
            faults.append(f"Version {version} of the vector index is passed over: {exc}")
    return Loaded(None, tuple(faults))


def retire_newest(folder: Path) -> int | None:
    """Remove the newest version, so that the previous one is loaded from now on; return the number removed.

    The only version there is stays (``None``).
    """
    found = versions(folder)
    if len(found) < KEPT:
        return None
    _drop(folder, found[0])
    return found[0]


def versions(folder: Path) -> list[int]:
    """Return the numbers of the complete versions in a folder, newest first."""
    names = (path.stem.removeprefix("main-") for path in folder.glob("main-*.json"))
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def _keeps_vectors(main: MainIndex) -> bool:
    """Tell whether the vectors are in the index file itself."""
    return main.kind == "hnsw" and main.quantisation == "none"


def _write_rows(path: str, main: MainIndex) -> None:
    with Path(path).open("wb") as stream:
        np.save(stream, main.rows)


def _name(version: int, kind: str) -> str:
    return f"main-{version:08d}.{kind}"


def _put(folder: Path, version: int, kind: str, write: Any) -> dict[str, Any]:
    """Write a file beside its place, make it durable, move it there; return its name, length and digest."""
    path = folder / _name(version, kind)
    waiting = path.with_name(path.name + ".new")
    write(str(waiting))
    with waiting.open("rb") as stream:
        os.fsync(stream.fileno())
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    waiting.replace(path)
    sync_folder(folder)
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def _clear(folder: Path) -> None:
    """Remove versions that are too many, and what saves that were stopped left."""
    kept = versions(folder)[:KEPT]
    for old in versions(folder)[KEPT:]:
        _drop(folder, old)
    names = {_name(version, "") for version in kept}
    for path in sorted(folder.glob("main-*")):
        if path.name.partition(".")[0] + "." not in names or path.suffix == ".new":
            path.unlink(missing_ok=True)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _drop(folder: Path, version: int) -> None:
    """Remove a version, its manifest first: without one the rest counts for nothing."""
    (folder / _name(version, "json")).unlink(missing_ok=True)
    for path in sorted(folder.glob(f"main-{version:08d}.*")):
        path.unlink(missing_ok=True)


def _load(folder: Path, version: int, space: Space) -> MainIndex:
    content = _manifest(folder, version, space)
    files: dict[str, dict[str, Any]] = content["files"]
    for file in files.values():
        _check(folder / file["name"], file)
    rows = np.load(folder / files["rows"]["name"], allow_pickle=False)
    index: Any = None
    if "index" in files:
        index = _read(folder / files["index"]["name"], are_lists=content["kind"] == "ivf")
    library = faiss_library()
    if "vectors" in files:
        flat = _read(folder / files["vectors"]["name"])
    else:
        flat = library.downcast_index(index.storage)
    members = BitMap(rows.astype(np.uint32))
    members.run_optimize()
    main = MainIndex(
        kind=content["kind"],
        quantisation=content["quantisation"],
        space=space,
        rows=rows,
        members=members,
        flat=flat,
        index=index,
        tuning=Tuning(**content["tuning"]),
    )
    size = sum(int(file["bytes"]) for file in files.values())
    return replace(main, version=version, built_at=content["built_at"], file_bytes=size)


def _manifest(folder: Path, version: int, space: Space) -> dict[str, Any]:
    path = folder / _name(version, "json")
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        content: dict[str, Any] = whole["content"]
        is_whole = whole["sha256"] == _digest(content)
        shape = content["format"], content["dimensions"], content["metric"]
    except (ValueError, KeyError, TypeError) as exc:
        raise CorruptDataError(f"The manifest {path.name} cannot be read: build the index again.") from exc
    if not is_whole:
        raise CorruptDataError(f"The manifest {path.name} is not as it was written: build the index again.")
    if shape != (_FORMAT, space.dim, space.metric):
        raise CorruptDataError(f"{path.name} has another format, dimension or metric: build the index again.")
    return content


def _check(path: Path, file: dict[str, Any]) -> None:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != file["sha256"]:
        raise CorruptDataError(f"The file {path.name} is not as it was written: build the index again.")


def _read(path: Path, *, are_lists: bool = False) -> Any:
    library = faiss_library()
    # FAISS maps lists by one way of reading, links and vectors by another.
    mapped = library.IO_FLAG_MMAP if are_lists else library.IO_FLAG_MMAP_IFC
    try:
        index = library.read_index(str(path), mapped | library.IO_FLAG_READ_ONLY)
        if are_lists:
            # Each search would start threads that read ahead, at several times the cost of the search.
            library.downcast_InvertedLists(index.invlists).prefetch_nthread = 0
        return index
    except RuntimeError as exc:
        raise CorruptDataError(f"The file {path.name} cannot be read: {exc}; build the index again.") from exc
