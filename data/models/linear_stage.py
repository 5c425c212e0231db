"""The linear stage in front of a booster: sparse word features that trees cannot take, folded into scores.

A feature row ends in ``slots`` places that hold the numbers of the n-grams of a text (:func:`gram_slots`).
The stage turns them, with the dense part of the row, into a few linear scores; the booster sees the dense
part and those scores. Written by ``tasks.train_checkworthiness``, kept beside the booster, applied by
``data.models.boosters``. Invariant: a row's scores depend on that row alone, to the last bit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError

STAGE_FILE = "linear.npz"
#: Numbers of n-grams stay below this: a float32, as feature rows hold, has every integer up to 2 ** 24.
GRAM_NUMBERS = 1 << 24
EMPTY_SLOT = -1.0


def gram_number(gram: str) -> int:
    """Return the number of an n-gram: the same on every machine; two share one in 16 million by chance."""
    return zlib.crc32(gram.encode()) % GRAM_NUMBERS


def gram_slots(grams: Iterable[str], slots: int) -> NDArray[np.float32]:
    """Return the numbers of the first distinct ``grams``, ascending, as (slots,) float32."""
    numbers = list(dict.fromkeys(gram_number(gram) for gram in grams))[:slots]
    row = np.full(slots, EMPTY_SLOT, dtype=np.float32)
    row[: len(numbers)] = sorted(numbers)
    return row


@dataclass(frozen=True, slots=True)
class LinearStage:
    """Weights of k n-grams and d dense columns for s scores.

    ``numbers`` (k,) int32, ascending; ``grams`` (k, s) float32; ``dense`` (d, s) float32; ``bias`` (s,)
    float32; ``slots`` places of a row hold n-grams. A known n-gram counts 1 / sqrt(number of known ones).
    """

    slots: int
    numbers: NDArray[np.int32]
    grams: NDArray[np.float32]
    dense: NDArray[np.float32]
    bias: NDArray[np.float32]

    @property
    def width(self) -> int:
        """Columns of the rows it takes."""
        return len(self.dense) + self.slots

    @property
    def extended_width(self) -> int:
        """Columns of the rows it returns."""
        return len(self.dense) + len(self.bias)

    def extend(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, d + s) float32 for rows (n, d + slots): the dense columns, then the scores."""
        dense = rows[:, : len(self.dense)]
        scores = np.empty((len(rows), len(self.bias)), dtype=np.float32)
        wanted = rows[:, len(self.dense) :].astype(np.int32)
        for place, (row, numbers) in enumerate(zip(dense, wanted, strict=True)):
            scores[place] = self._scores(row, numbers)
        return np.concatenate([dense, scores], axis=1)

    def _scores(self, row: NDArray[np.float32], numbers: NDArray[np.int32]) -> NDArray[np.float64]:
        """Score one row by itself: products of whole batches differ in their last bits with the batch."""
        total: NDArray[np.float64] = (row[:, None].astype(np.float64) * self.dense).sum(axis=0) + self.bias
        known = known_places(self.numbers, numbers)
        if len(known):
            total += self.grams[known].astype(np.float64).sum(axis=0) / np.sqrt(len(known))
        return total

    def to_bytes(self) -> bytes:
        """Return the stage as the bytes of an ``.npz`` file, gram weights in half precision."""
        buffer = BytesIO()
        np.savez_compressed(
            buffer,
            slots=np.int32(self.slots),
            numbers=self.numbers,
            grams=self.grams.astype(np.float16),
            dense=self.dense,
            bias=self.bias,
        )
        return buffer.getvalue()


def known_places(known: NDArray[np.int32], numbers: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return where in ``known`` (ascending) those of ``numbers`` stand that are in it."""
    if not len(known):
        return np.zeros(0, dtype=np.int64)
    places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    found: NDArray[np.int64] = places[known[places] == numbers]
    return found


def load_stage(path: Path) -> LinearStage:
    """Return the stage that :meth:`LinearStage.to_bytes` wrote; nothing in it is unpickled.

    Raises:
        CorruptDataError: the arrays do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            stage = LinearStage(
                slots=int(arrays["slots"]),
                numbers=arrays["numbers"].astype(np.int32),
                grams=arrays["grams"].astype(np.float32),
                dense=arrays["dense"].astype(np.float32),
                bias=arrays["bias"].astype(np.float32),
            )
    except (OSError, KeyError, ValueError, TypeError) as exc:
        raise CorruptDataError(
            f"The linear stage {path} cannot be read: restore or train the model."
        ) from exc
    scores = len(stage.bias)
    fits = stage.grams.shape == (len(stage.numbers), scores) and stage.dense.shape[1:] == (scores,)
    if not fits or bool((np.diff(stage.numbers) <= 0).any()):
        raise CorruptDataError(
            f"The arrays of the linear stage {path} do not fit together: restore or train the model."
        )
    return stage
