"""Files of the ann-benchmarks: vectors to be indexed, queries, and the true nearest of each.

Called by ``tasks.import_vectors``. h5py reads them and is no dependency of the service: it comes with the
extra ``benchmarks``. A vector's id is its number from 0, as in the file's ``neighbors``.

Source: M. Aumüller, E. Bernhardsson, A. Faithfull, ANN-Benchmarks, Information Systems 87, 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.datasets.formats.rows import Row
from data.datasets.records import MAX_DIMENSIONS, Metric
from data.errors import InvalidValueError

#: Vectors read at a time.
_PART = 1_000
_METRICS: dict[str, Metric] = {
    "angular": "cosine",
    "cosine": "cosine",
    "euclidean": "euclidean",
    "l2": "euclidean",
    "manhattan": "manhattan",
    "l1": "manhattan",
    "dot": "dot_product",
    "ip": "dot_product",
}


class Hdf5Train:
    """Reads the vectors of ``train``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self) -> int:
        """Return how many vectors there are."""
        with opened(self._path) as file:
            return int(file["train"].shape[0])

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Yield the vectors after the first ``after``."""
        with opened(self._path) as file:
            train = file["train"]
            for first in range(after, int(train.shape[0]), _PART):
                part = _read(train, first, first + _PART)
                for number, values in enumerate(part.astype(np.float64).tolist(), first):
                    yield Row(number + 1, {"id": str(number), "values": values})


def shape_of(path: Path) -> tuple[int, Metric]:
    """Return the length of a file's vectors and how they are compared.

    Raises:
        InvalidValueError: it does not say, or says something that is not known.
    """
    with opened(path) as file:
        said = file.attrs.get("distance", "")
        metric = _METRICS.get(said.decode() if isinstance(said, bytes) else str(said))
        if metric is None:
            raise InvalidValueError(
                f"{path.name}: its distance {said!r} is not one of {', '.join(_METRICS)}."
            )
        return int(file["train"].shape[1]), metric


def questions_of(path: Path, most: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the first ``most`` queries (n, dimensions) and the numbers of their nearest (n, k).

    Raises:
        InvalidValueError: the file has none.
    """
    with opened(path) as file:
        if "test" not in file or "neighbors" not in file:
            raise InvalidValueError(f"{path.name}: has no test and neighbors to be measured with.")
        neighbours = _read(file["neighbors"], 0, most).astype(np.int64)
        return _read(file["test"], 0, most).astype(np.float32), neighbours


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file of the ann-benchmarks.

    Raises:
        InvalidValueError: it is none, is damaged, or h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise InvalidValueError(
            "Reading HDF5 needs h5py: install the extra benchmarks, as in pip install '.[benchmarks]'."
        ) from None
    try:
        file = h5py.File(path, "r")
    except OSError as exc:
        raise InvalidValueError(f"{path.name}: is not a whole HDF5 file ({str(exc)[:160]}).") from exc
    with file:
        train = file.get("train")
        if train is None or len(train.shape) != 2 or not 1 <= train.shape[1] <= MAX_DIMENSIONS:
            raise InvalidValueError(f"{path.name}: has no table of vectors named train.")
        yield file


def _read(table: Any, first: int, end: int) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.asarray(table[first:end])
    except OSError as exc:
        raise InvalidValueError(f"The HDF5 file is damaged: rows {first} to {end} cannot be read.") from exc
    return found
