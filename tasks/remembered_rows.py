"""Rows of a model kept on disk, so that a trainer that runs again does not judge the same pairs again.

Called by the tasks that read many pairs with one stance model. Invariant: a row is found again only for the
same model, claim and passage, to the byte; without the file everything is worked out anew, the same.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.evidence import STANCES

Pairs = Sequence[tuple[str, str]]
#: Pairs judged in one call: enough to fill a batch, few enough to lose little when the task is cut off.
BLOCK_PAIRS = 512
#: Bytes of one stored row: three float32.
_ROW_BYTES = 4 * len(STANCES)


class RememberedRows:
    """What ``judge`` says of (claim, passage) pairs, from the file where it has been asked before.

    ``identity`` names the model behind ``judge``: with another one no row of this one is found. Not for
    several threads.
    """

    def __init__(self, judge: Callable[[Pairs], NDArray[np.float32]], identity: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._judge = judge
        self._identity = identity
        self._file = sqlite3.connect(path)
        self._file.execute("CREATE TABLE IF NOT EXISTS rows (pair BLOB PRIMARY KEY, row BLOB NOT NULL)")
        #: Pairs that were judged because the file did not have them.
        self.judged = 0

    def rows(self, pairs: Pairs) -> NDArray[np.float32]:
        """Return (n, 3) float32, one row a pair."""
        keys = [self._key(claim, passage) for claim, passage in pairs]
        known = self._known(keys)
        missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in known}
        known |= self._learned(list(missing.items()))
        return np.array([known[key] for key in keys], dtype=np.float32).reshape(-1, len(STANCES))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _key(self, claim: str, passage: str) -> bytes:
        # The claim's length keeps "a" + "bc" apart from "ab" + "c".
        words = f"{self._identity} {len(claim)} {claim} {passage}"
        return hashlib.sha256(words.encode()).digest()[:16]

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        known = {}
        for key in keys:
            found = self._file.execute("SELECT row FROM rows WHERE pair = ?", (key,)).fetchone()
            if found is not None and len(found[0]) == _ROW_BYTES:
                known[key] = np.frombuffer(found[0], dtype=np.float32)
        return known

    def _learned(self, missing: list[tuple[bytes, tuple[str, str]]]) -> dict[bytes, NDArray[np.float32]]:
        learned: dict[bytes, NDArray[np.float32]] = {}
        for start in range(0, len(missing), BLOCK_PAIRS):
            block = missing[start : start + BLOCK_PAIRS]
            rows = self._judge([pair for _, pair in block]).astype(np.float32)
            with self._file:
                self._file.executemany(
                    "INSERT OR REPLACE INTO rows VALUES (?, ?)",
                    [(key, row.tobytes()) for (key, _), row in zip(block, rows, strict=True)],
                )
            learned |= {key: row for (key, _), row in zip(block, rows, strict=True)}
        self.judged += len(missing)
        return learned
