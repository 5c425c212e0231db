"""Rows put in another order before they are verified: the most useful first.

Called by ``tasks.verify_batch_run`` when every part has been weighed. Invariant: the order follows from the
scores and the place in the input alone; it is kept whole or not at all, so every later run goes by the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from data.batch.manifest import BatchOptions
from data.batch.output import Output
from data.batch.parts import Part, Plan
from data.errors import CorruptDataError
from tasks.verify_batch_worker import scored_name

_PARTS = "_kite/order/parts.json"


@dataclass(frozen=True, slots=True)
class _Score:
    """What is read of a kept row to put it in its place."""

    score: float


def kept_order(output: Output) -> list[Part] | None:
    """Return the parts of an order that was made before, ``None`` where none was."""
    body = output.read(_PARTS)
    return None if body is None else msgspec.json.decode(body, type=list[Part])


def put_in_order(output: Output, found: Plan, options: BatchOptions) -> list[Part]:
    """Write the rows of all parts in order of their scores, and return the parts they make now.

    Raises:
        CorruptDataError: the scores of a part are gone.
    """
    with tempfile.TemporaryFile() as spool:
        ends, scores = _spooled(output, found, spool)
        order = np.argsort(-scores, kind="stable")[: options.limit]
        parts: list[Part] = []
        for start in range(0, len(order), options.part_rows):
            places = order[start : start + options.part_rows]
            name = f"_kite/order/ordered-{len(parts):06d}.jsonl"
            output.commit(name, b"".join(_lines(spool, ends, places)))
            parts.append(Part(len(parts), f"{output.address}/{name}", name, "ordered", 0, 1, len(places)))
    output.commit(_PARTS, msgspec.json.encode(parts))
    return parts


def _spooled(output: Output, found: Plan, spool: IO[bytes]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Write all kept rows one after the other; return where each ends, with a 0 before, and its score."""
    ends, scores = np.zeros(found.rows + 1, np.int64), np.zeros(found.rows)
    count = 0
    for part in found.parts:
        body = output.read(scored_name(part.number)) or b""
        for line in body.splitlines(keepends=True):
            ends[count + 1] = ends[count] + len(line)
            scores[count] = msgspec.json.decode(line, type=_Score).score
            count += 1
        spool.write(body)
    if count != found.rows:
        raise CorruptDataError(
            f"{output.address}/_kite/order holds {count} of {found.rows} rows: give --fresh."
        )
    return ends, scores


def _lines(spool: IO[bytes], ends: NDArray[np.int64], places: NDArray[np.int64]) -> Iterator[bytes]:
    for place in places.tolist():
        spool.seek(int(ends[place]))
        yield spool.read(int(ends[place + 1] - ends[place]))
