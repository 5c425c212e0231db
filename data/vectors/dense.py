"""A dense index that is searched while it changes: a main index, the rows since, the rows that are gone.

One for each dataset (``data.datasets.service``). Any number of threads search while one writes: a search
holds the state it began with, and a write puts the next state in its place. Invariants: a row that was added
or removed is found or gone in the next search; an answer depends on its query and the state alone, not on
its batch; never fewer rows than there are; ``exact`` says whether every row that may be found was compared.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.records import IndexSettings, Metric
from data.errors import ConflictError
from data.vectors.delta import Delta
from data.vectors.index_files import Loaded, load_newest, retire_newest, save_main
from data.vectors.main_index import Kind, MainIndex, build_main, check_settings, chosen_kind
from data.vectors.parts import Part
from data.vectors.planner import Effort, Found, best_of
from data.vectors.space import Distances, Rows, Space, Vectors

__all__ = [
    "DenseIndex",
    "DenseInfo",
    "Loaded",
    "MainIndex",
    "Neighbours",
    "SearchDepth",
    "build_main",
    "check_settings",
    "chosen_kind",
    "load_newest",
    "retire_newest",
    "save_main",
]

#: A new main index is due when this share of the rows is beside it or gone from it, and so many at least.
STALE_SHARE, STALE_ROWS = 0.2, 8_192


@dataclass(frozen=True, slots=True)
class SearchDepth:
    """How far to look; ``None`` leaves it to the settings, and then to what was measured at the build.

    Under a filter an index looks at least as far as recall 0.99 took when it was built.
    """

    ef_search: int | None = None
    nprobe: int | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The rows nearest to a query, nearest first, ties by row, and their distances.

    ``plan`` is ``scan``, ``hnsw`` or ``ivf``, and with ``+scan`` where the graph or lists led to too few.
    ``scanned`` vectors were compared in full.
    """

    rows: Rows
    distances: Distances
    plan: str
    exact: bool
    scanned: int


@dataclass(frozen=True, slots=True)
class DenseInfo:
    """How an index stands: rows in the main index, beside it, and gone but still in one of them; bytes.

    ``is_stale``: so much is beside it or gone from it that a new main index would be quicker.
    """

    kind: Kind
    version: int
    indexed: int
    delta: int
    removed: int
    memory_bytes: int
    file_bytes: int
    built_at: str | None
    is_stale: bool


@dataclass(frozen=True, slots=True)
class _State:
    """What a search sees. ``live`` are, a part, its rows that are not removed, ``None`` for all."""

    main: MainIndex | None
    previous: MainIndex | None
    delta: Delta
    removed: BitMap
    parts: tuple[tuple[Part, BitMap | None], ...] = ()

    def settled(self) -> _State:
        """Return this state with its parts."""
        parts: list[Part] = [*([] if self.main is None else [self.main]), *self.delta.parts()]
        gone = self.removed
        lived = ((part, part.members - gone if gone.intersect(part.members) else None) for part in parts)
        return replace(self, parts=tuple(lived))

    def rows(self) -> BitMap:
        """Return the live rows."""
        members: BitMap = BitMap.union(BitMap(), *(part.members for part, _ in self.parts))
        return members - self.removed


class DenseIndex:
    """Vectors by row number. Searches by any thread; writes are put one after the other."""

    def __init__(self, dim: int, metric: Metric, settings: IndexSettings) -> None:
        check_settings(settings)
        self._space = Space(dim, metric)
        self._settings = settings
        self._writing = threading.Lock()
        self._state = _State(None, None, Delta.empty(self._space, settings), BitMap())

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Take (n, dim) vectors of new rows, rising beyond those added before.

        Raises:
            ValueError: rows that do not rise or are in the main index, or vectors that do not fit.
        """
        if not len(rows):
            return
        numbers = np.ascontiguousarray(rows, dtype=np.int64)
        prepared = self._space.prepare(vectors)
        with self._writing:
            state = self._state
            _check_rows(numbers, len(prepared), state)
            self._state = replace(state, delta=state.delta.with_rows(numbers, prepared)).settled()

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Let rows be found no more; those that are not there do not matter."""
        with self._writing:
            state = self._state
            gone = BitMap(np.asarray(rows, dtype=np.uint32))
            known = [part.members & gone for part, _ in state.parts]
            self._state = replace(state, removed=BitMap.union(state.removed, *known)).settled()

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        allowed: BitMap | None = None,
        depth: SearchDepth = SearchDepth(),
    ) -> list[Neighbours]:
        """Return, a query of (n, dim), the ``k`` nearest live rows among ``allowed`` (``None``: all)."""
        state, prepared = self._state, self._space.prepare(queries)
        found: list[list[Found]] = [[] for _ in prepared]
        for part, live in state.parts if k > 0 and len(prepared) else ():
            wanted = _wanted(part, live, allowed)
            if wanted is None or len(wanted):
                effort = self._effort(part, depth, careful=wanted is not live)
                for mine, more in zip(found, best_of(part, prepared, k, wanted, effort), strict=True):
                    mine.append(more)
        return [_merged(one, k) for one in found]

    def rows(self) -> BitMap:
        """Return the live rows."""
        return self._state.rows()

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """Return the vectors of live rows (rising) as they are kept: of length one under cosine."""
        state = self._state
        found = np.empty((len(rows), self._space.dim), dtype=np.float32)
        for part, _ in state.parts:
            inside = np.flatnonzero([row in part.members for row in rows.tolist()])
            found[inside] = part.gather(np.searchsorted(part.rows, rows[inside]))
        return found

    def info(self) -> DenseInfo:
        """Return how the index stands."""
        state = self._state
        main, delta = state.main, state.delta
        indexed = 0 if main is None else len(main.rows)
        beside = delta.size + sum(len(part.members & state.removed) for part, _ in state.parts)
        return DenseInfo(
            kind="flat" if main is None else main.kind,
            version=0 if main is None else main.version,
            indexed=indexed,
            delta=delta.size,
            removed=beside - delta.size,
            memory_bytes=delta.memory_bytes + (0 if main is None else main.memory_bytes),
            file_bytes=0 if main is None else main.file_bytes,
            built_at=None if main is None else main.built_at,
            is_stale=beside >= max(STALE_ROWS, STALE_SHARE * indexed),
        )

    def adopt(self, main: MainIndex) -> None:
        """Search ``main`` from now on in place of the main index there is, which stays for :meth:`roll_back`.

        Rows in it leave the delta; rows removed since it was begun stay removed, rows added since stay.

        Raises:
            ValueError: it is of another dimension or metric, or lacks live rows of the index it replaces.
        """
        if main.space != self._space:
            raise ValueError(f"The index is for {main.space}, this one is for {self._space}.")
        with self._writing:
            state = self._state
            if state.main is not None and not (state.main.members - state.removed).issubset(main.members):
                raise ValueError("The new index lacks rows of the one in use: build it of all rows.")
            delta = state.delta.without(main.members | state.removed)
            # A row that was here once and is not live comes back with no index, whenever that was begun.
            gone = main.members - state.rows() if state.parts else BitMap()
            self._state = _State(main, state.main, delta, gone).settled()

    def roll_back(self) -> None:
        """Search the previous main index again; what it lacks is searched beside it.

        Raises:
            ConflictError: there is none.
        """
        with self._writing:
            state = self._state
            if state.previous is None or state.main is None:
                raise ConflictError("There is no previous version of the index to go back to.")
            live = state.rows()
            missing = np.array((live - state.previous.members).to_array(), dtype=np.int64)
            delta = Delta.empty(self._space, self._settings).with_rows(missing, self.vectors(missing))
            gone = state.previous.members - live
            self._state = _State(state.previous, None, delta, gone).settled()

    def _effort(self, part: Part, depth: SearchDepth, *, careful: bool) -> Effort:
        if part.plan == "ivf":
            return Effort(depth.exact, depth.nprobe or self._settings.ivf_nprobe, careful)
        return Effort(depth.exact, depth.ef_search or self._settings.hnsw_ef_search, careful)


def _wanted(part: Part, live: BitMap | None, allowed: BitMap | None) -> BitMap | None:
    """Return which rows of a part may be found: ``live`` itself where a filter keeps all that are live."""
    if allowed is None:
        return live
    kept = allowed & (part.members if live is None else live)
    return live if len(kept) == (len(part.rows) if live is None else len(live)) else kept


def _check_rows(rows: Rows, count: int, state: _State) -> None:
    if len(rows) != count:
        raise ValueError(f"There are {len(rows)} rows and {count} vectors.")
    if np.any(np.diff(rows) <= 0) or rows[0] <= state.delta.last or rows[0] < 0 or rows[-1] >= 2**32:
        raise ValueError("New rows must rise beyond those added before, from 0 to below 2**32.")
    if state.main is not None and BitMap(rows.astype(np.uint32)).intersect(state.main.members):
        raise ValueError("A row is in the main index already: rows are never used twice.")


def _merged(found: Sequence[Found], k: int) -> Neighbours:
    """Return the best of what the parts hold."""
    if len(found) == 1:
        (one,) = found
        return Neighbours(one.rows, one.distances, one.plan, exact=one.exact, scanned=one.scanned)
    if not found:
        return Neighbours(np.zeros(0, dtype=np.int64), np.zeros(0), "scan", exact=True, scanned=0)
    rows = np.concatenate([one.rows for one in found])
    distances = np.concatenate([one.distances for one in found])
    order = np.lexsort((rows, distances))[:k]
    # The first part that was not just scanned names the plan: the main index comes first.
    plan = next((one.plan for one in found if not one.exact), found[0].plan)
    exact = all(one.exact for one in found)
    return Neighbours(rows[order], distances[order], plan, exact, sum(one.scanned for one in found))
