"""The files of a batch: found by path, folder or pattern, on this disk or on a file system that Arrow knows.

Called by the planner and by the workers, which open the same files by the same addresses. Invariant: the same
inputs give the same files in the same order, under names that do not depend on where the folder lies.
"""

from __future__ import annotations

import glob
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal, cast

from data.errors import InvalidValueError

#: ``ordered`` is what a batch itself writes when it puts rows in another order.
Form = Literal["jsonl", "csv", "tsv", "text", "parquet", "ordered"]
#: Forms by the file's ending.
FORMS: dict[str, Form] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".parquet": "parquet",
}
_BLOCK = 1 << 20
_PATTERN = re.compile(r"[*?\[]")
#: What begins so is no input of a folder: hidden files, and what a batch leaves beside its rows.
_ASIDE = ("_", ".")


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file: how to open it, what its rows say they come from, its form."""

    address: str
    name: str
    form: Form


def find_files(inputs: Sequence[str]) -> list[InputFile]:
    """Return the files that paths, folders and patterns name, each once, in the order of the inputs.

    A folder stands for every file below it whose ending is known, sorted.

    Raises:
        InvalidValueError: an input names no file, or one of an unknown form.
    """
    addresses = list(dict.fromkeys(address for given in inputs for address in _addresses(given)))
    names = Counter(PurePosixPath(address).name for address in addresses)
    found = []
    for address in addresses:
        short = PurePosixPath(address).name
        found.append(InputFile(address, short if names[short] == 1 else address, _form_of(address)))
    return found


def is_address(text: str) -> bool:
    """Return whether a path is an address such as ``s3://bucket/folder``, and not of this disk."""
    return "://" in text


def file_system(address: str) -> tuple[Any, str]:
    """Return the Arrow file system of an address, and the path within it.

    Raises:
        InvalidValueError: no file system is known for it.
    """
    import pyarrow as pa
    from pyarrow import fs

    try:
        system, path = fs.FileSystem.from_uri(address)
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise InvalidValueError(f"{address}: no file system answers to it ({exc}).") from exc
    return system, str(path)


def open_file(address: str) -> BinaryIO:
    """Open a file for reading and seeking.

    Raises:
        InvalidValueError: it cannot be read.
    """
    try:
        if not is_address(address):
            return Path(address).open("rb", buffering=_BLOCK)
        system, path = file_system(address)
        return cast("BinaryIO", io.BufferedReader(system.open_input_file(path), _BLOCK))
    except OSError as exc:
        raise InvalidValueError(f"{address}: cannot be read ({exc.strerror or exc}).") from exc


def _form_of(address: str) -> Form:
    suffix = PurePosixPath(address).suffix.lower()
    form = FORMS.get(suffix)
    if form is None:
        packed = " Unpack it first." if suffix in {".gz", ".zst", ".bz2", ".xz", ".zip"} else ""
        raise InvalidValueError(
            f"{PurePosixPath(address).name}: the file type {suffix!r} is none of {', '.join(FORMS)}.{packed}"
        )
    return form


def _addresses(given: str) -> list[str]:
    found = _remote(given) if is_address(given) else _local(given)
    if not found:
        raise InvalidValueError(f"{given}: there is no such file, or none below it with a known ending.")
    return found


def _local(given: str) -> list[str]:
    if _PATTERN.search(given) and not os.path.lexists(given):
        matched = sorted(glob.glob(given, recursive=True))
        return [str(Path(path).resolve()) for path in matched if Path(path).is_file()]
    path = Path(given)
    if not path.is_dir():
        return [str(path.resolve())] if path.is_file() else []
    below = (os.path.join(base, name) for base, _, names in os.walk(path) for name in names)
    return [str(Path(one).resolve()) for one in _known(below, str(path))]


def _remote(given: str) -> list[str]:
    from pyarrow import fs

    start = given[: match.start()].rpartition("/")[0] if (match := _PATTERN.search(given)) else given
    system, path = file_system(start)
    head = start[: len(start) - len(path)] if start.endswith(path) else start.partition("://")[0] + "://"
    info = system.get_file_info(path)
    if info.type == fs.FileType.File:
        return [given]
    if info.type == fs.FileType.NotFound:
        return []
    below = system.get_file_info(fs.FileSelector(path, recursive=True))
    files = [one.path for one in below if one.type == fs.FileType.File]
    if match is None:
        return [f"{head}{one}" for one in _known(files, path)]
    wanted = re.compile(_as_expression(given[len(head) :]))
    return [f"{head}{one}" for one in sorted(files) if wanted.fullmatch(one)]


def _known(paths: Iterable[str], base: str) -> list[str]:
    """Return the files below a folder that may be inputs, sorted."""
    kept = []
    for path in paths:
        parts = PurePosixPath(os.path.relpath(path, base)).parts
        if not any(part.startswith(_ASIDE) for part in parts) and PurePosixPath(path).suffix.lower() in FORMS:
            kept.append(path)
    return sorted(kept)


def _as_expression(pattern: str) -> str:
    """Return a shell pattern as a regular expression: ``*`` stays within a folder, ``**`` does not."""
    told = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    told = told.replace(r"\?", "[^/]")
    return re.sub(r"\\\[(.*?)\\\]", lambda found: f"[{found[1].replace(chr(92), '')}]", told)
