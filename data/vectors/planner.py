"""How the best rows of one part are found: by a scan, or by its graph or lists and as deep as a filter asks.

Called by ``data.vectors.dense``. The rule: if enough rows that the filter keeps are among the nearest N of
all, they are the nearest that it keeps. So N grows until they are, and where that would cost more than
comparing every row that the filter keeps, those are compared. Invariants: never fewer rows than there are;
``exact`` only where every row that may be found was compared; each query is planned for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from pyroaring import BitMap

from data.vectors.parts import Part, positions_of
from data.vectors.space import Distances, Rows, Vectors

#: Candidates beyond those wanted, so that float32 rounding cannot decide who is among the best.
MARGIN = 16
#: To return the nearest N well, a graph looks at this many times N, and lists hold this many times N.
LOOK_BEYOND, LISTS_BEYOND = 2, 4
#: Under a filter, enough must be among the nearest N / TRUSTED: a graph misses some of the farther ones.
TRUSTED = 2
#: Parts are tuned for so many answers; who wants more has to look farther.
TUNED_FOR = 10
#: Numbers that are gathered at a time for exact comparison, about 32 MB in double precision.
GATHERED_NUMBERS = 4_000_000


@dataclass(frozen=True, slots=True)
class Effort:
    """How to look: by a scan alone, or these steps (``None``: as the part was tuned for usual recall).

    ``careful`` looks at least as far as the higher recall took: filters ask for it.
    """

    exact: bool = False
    steps: int | None = None
    careful: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What one part holds near one query, nearest first, ties by row; ``scanned`` vectors were compared."""

    rows: Rows
    distances: Distances
    plan: str
    exact: bool
    scanned: int


def best_of(part: Part, queries: Vectors, k: int, wanted: BitMap | None, effort: Effort) -> list[Found]:
    """Return, a query, the ``k`` nearest rows of ``part`` that are ``wanted`` (``None``: all of them).

    ``queries`` are (q, dim) as :meth:`Space.prepare` returns them; ``wanted`` is within the part, not empty.
    """
    search = _Search(part, k, wanted, len(part.rows) if wanted is None else len(wanted), effort)
    if search.scans_first():
        return search.scanned(queries)
    return search.approximate(queries)


class _Search:
    """One call of :func:`best_of`."""

    def __init__(self, part: Part, k: int, wanted: BitMap | None, live: int, effort: Effort) -> None:
        self._part = part
        self._wanted = wanted
        self._live = live
        self._k = min(k, live)
        self._effort = effort
        self._compared = min(self._k * part.tuning.spare + MARGIN, live)
        # How much of what is found is beyond doubt: its far end misses some.
        self._trusted = TRUSTED if effort.careful else 1
        # Codes blur what is the nearest N: only as many as are compared in full are sure to hold the best.
        self._enough = min(self._k * part.tuning.spare, live)
        self._positions: Rows | None = None

    def scans_first(self) -> bool:
        """Tell whether comparing all costs no more than the approximate search that would be enough."""
        part = self._part
        if self._effort.exact or part.plan == "scan":
            return True
        depth = self._first_depth()
        return depth >= len(part.rows) or part.cost(self._steps(depth)) >= self._live

    def scanned(self, queries: Vectors) -> list[Found]:
        """Return the best of all that are wanted, by comparing all."""
        if self._wanted is not None and self._positions is None:
            self._positions = positions_of(self._part.rows, self._wanted)
        return [one for some in self._pieces(queries, self._k + MARGIN) for one in self._scan(some)]

    def approximate(self, queries: Vectors) -> list[Found]:
        """Return the best rows that the part's graph or lists lead to; the batch asks it together."""
        depth = self._first_depth()
        found: list[Found] = []
        for some in self._pieces(queries, self._compared):
            places = self._part.nearest(some, depth, self._steps(depth))
            found += self._judged(some, places, depth)
        return found

    def _judged(self, queries: Vectors, places: Rows, depth: int) -> list[Found]:
        """Rank what was found for each query, and look further for those that found too little."""
        if self._wanted is None and (places >= 0).all():
            return self._ranked(queries, places[:, : self._compared])
        answers = []
        for number, found in enumerate(places):
            query, (kept, sure) = queries[number : number + 1], self._kept(found)
            if sure < self._enough:
                answers.append(self._deeper(query, depth, sure))
            else:
                answers += self._ranked(query, kept[None])
        return answers

    def _deeper(self, query: Vectors, depth: int, sure: int) -> Found:
        """Look further for one query, as far as that is cheaper than comparing all, then compare all."""
        part = self._part
        while True:
            # As many more as what was found so far says, at least twice as many.
            depth = max(2 * depth, int(1.5 * depth * self._enough / max(sure, 1)))
            if depth >= len(part.rows) or part.cost(self._steps(depth)) >= self._live:
                break
            kept, sure = self._kept(part.nearest(query, depth, self._steps(depth))[0])
            if sure >= self._enough:
                return self._ranked(query, kept[None])[0]
        (every,) = self.scanned(query)
        return replace(every, plan=f"{part.plan}+scan")

    def _first_depth(self) -> int:
        """Return how many of the nearest are enough if the filter keeps the same share everywhere."""
        wanted = self._k * self._part.tuning.spare * self._trusted + MARGIN
        return min(-(-wanted * len(self._part.rows) // self._live), len(self._part.rows))

    def _steps(self, depth: int) -> int:
        """Return how far the part has to look for the nearest ``depth``."""
        tuning, effort = self._part.tuning, self._effort
        least = effort.steps or tuning.usual
        if effort.careful:
            least = max(least, tuning.careful)
        growth = max(depth / (TUNED_FOR * tuning.spare + MARGIN), 1.0)
        if self._part.plan == "ivf":
            # Lists farther away hold more of the deeper ones; all together must hold enough to choose from.
            deep = int(least * growth**0.5)
            return max(deep, self._part.steps_for(LISTS_BEYOND * depth / len(self._part.rows)))
        deep = least if effort.careful or effort.steps else int(least * growth)
        return max(deep, LOOK_BEYOND * (depth - MARGIN))

    def _kept(self, places: Rows) -> tuple[Rows, int]:
        """Return which positions are wanted, as many as are compared, and how many are beyond doubt."""
        sure = len(places) // self._trusted
        places = places[places >= 0]
        if self._wanted is None:
            return places[: self._compared], len(places)
        rows = self._part.rows[places].tolist()
        kept = np.fromiter(map(self._wanted.__contains__, rows), dtype=np.bool_, count=len(rows))
        return places[kept][: self._compared], int(np.count_nonzero(kept[:sure]))

    def _ranked(self, queries: Vectors, places: Rows) -> list[Found]:
        """Compare candidates in full, (q, n) positions, and return the best ``k`` for each query."""
        part, scanned = self._part, places.shape[1]
        distances = part.space.distances(queries, part.gather(places))
        order = np.lexsort((places, distances), axis=1)[:, : self._k]
        numbers = np.arange(len(queries))[:, None]
        rows, near = part.rows[places[numbers, order]], distances[numbers, order]
        return [
            Found(rows[number], near[number], part.plan, exact=False, scanned=scanned)
            for number in range(len(queries))
        ]

    def _scan(self, queries: Vectors) -> list[Found]:
        count = min(self._k + MARGIN, self._live)
        places = self._part.scan(queries, count, self._positions)
        vectors = self._part.gather(places)
        distances = self._part.space.distances(queries, vectors)
        return [
            self._settled(queries[number : number + 1], places[number], distances[number], vectors[number])
            for number in range(len(queries))
        ]

    def _settled(self, query: Vectors, places: Rows, near: Distances, vectors: Vectors) -> Found:
        """Return the best ``k`` once float32 cannot have left out one of them or of those as near."""
        while True:
            order = np.lexsort((places, near))
            places, near = places[order], near[order]
            bound = near[self._k - 1] + self._part.space.slack(query[0], vectors, abs(float(near[-1])))
            if len(places) == self._live or near[-1] > bound:
                rows = self._part.rows[places[: self._k]]
                return Found(rows, near[: self._k].copy(), "scan", exact=True, scanned=self._live)
            count = min(4 * len(places), self._live)
            places = self._part.scan(query, count, self._positions)[0]
            vectors = self._part.gather(places)
            near = self._part.space.distances(query, vectors[None])[0]

    def _pieces(self, queries: Vectors, width: int) -> Iterator[Vectors]:
        """Yield some queries at a time, so that what is gathered for them stays small."""
        step = max(GATHERED_NUMBERS // max(width * self._part.space.dim, 1), 1)
        for start in range(0, len(queries), step):
            yield queries[start : start + step]
