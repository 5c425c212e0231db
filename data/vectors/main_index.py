"""The main index of a dataset: built once of the rows of a moment, then only searched.

``build_main`` is a pure function: it runs in the process that serves, or in a task elsewhere that hands the
files over (``data.vectors.index_files``). Invariant: with one thread the same rows, vectors and settings make
the same index. What comes or goes later is not in here (``data.vectors.dense``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import log2
from typing import Any, Literal

import numpy as np
from pyroaring import BitMap

from data.datasets.records import IndexSettings, Metric, Quantisation
from data.errors import InvalidValueError
from data.vectors.faiss import faiss_library
from data.vectors.parts import Tuning, flat_vectors, scan_flat
from data.vectors.space import Rows, Space, Vectors
from data.vectors.tuning import tuned

Kind = Literal["flat", "hnsw", "ivf"]
VectorsOf = Callable[[Rows], Vectors]

#: Up to this many vectors a scan answers in less than a millisecond, and exactly.
FLAT_LIMIT = 5_000
#: Vectors asked for and added at a time.
PAGE = 8_192
#: A graph looks so far at least, and so much farther with each doubling of it: at 1,000,000 x 384, questions
#: of another sort than what is stored needed twice what those of the tuning do (measured).
LEAST_STEPS, STEPS_A_DOUBLING = 32, 15.0
#: What a step of a graph search costs, in vectors of a scan (measured: 100,000 x 384, one thread).
GRAPH_STEP = 40.0
#: Cost of a vector in a list, in vectors picked for a scan, by its code: a list lies in one piece (measured).
LIST_COST: dict[Quantisation, float] = {"none": 0.7, "sq8": 0.5, "rabitq": 0.25}
#: Candidates compared in full for each answer wanted, by the code they were found with.
SPARE: dict[Quantisation, int] = {"none": 1, "sq8": 2, "rabitq": 20}
#: More where squared differences stand in for absolute ones.
SPARE_STAND_IN = 4
#: Vectors that the lists and codes are trained with: a list, at most; for codes alone; rounds.
TRAINED_A_LIST, TRAINED_CODES, TRAINING_ROUNDS = 64, 32_768, 10


@dataclass(frozen=True, slots=True)
class MainIndex:
    """An index of ``rows``. ``index`` is FAISS's graph or lists (``None``: flat), ``flat`` the whole vectors.

    A :class:`~data.vectors.parts.Part`. Any thread may search; nothing changes it.
    """

    kind: Kind
    quantisation: Quantisation
    space: Space
    rows: Rows
    members: BitMap
    flat: Any
    index: Any
    tuning: Tuning
    version: int = 0
    built_at: str | None = None
    file_bytes: int = 0

    @property
    def plan(self) -> str:
        """How it is searched."""
        return "scan" if self.kind == "flat" else self.kind

    @property
    def memory_bytes(self) -> int:
        """Bytes that searches touch: vectors or their codes, links, row numbers. Mapped files count."""
        coded = self.quantisation != "none"
        size = len(self.rows) * (0 if coded or self.kind == "ivf" else 4 * self.space.dim) + self.rows.nbytes
        if self.kind == "hnsw":
            links = self.index.hnsw
            size += 4 * int(links.neighbors.size() + links.levels.size()) + 8 * int(links.offsets.size())
            if coded:
                size += len(self.rows) * int(faiss_library().downcast_index(self.index.storage).code_size)
        if self.kind == "ivf":
            size += len(self.rows) * (int(self.index.code_size) + 8)
            size += 4 * self.space.dim * int(self.index.nlist)
        return size

    def gather(self, positions: Rows) -> Vectors:
        """Return copies of vectors."""
        return flat_vectors(self.flat)[positions]

    def vectors_of(self, rows: Rows) -> Vectors:
        """Return copies of the vectors of rows that are in it, as they are kept, (n, dim) float32."""
        return self.gather(np.searchsorted(self.rows, rows))

    def scan(self, queries: Vectors, count: int, positions: Rows | None) -> Rows:
        """Return the nearest positions by float32."""
        return scan_flat(self.space, self.flat, queries, count, positions)

    def nearest(self, queries: Vectors, count: int, steps: int) -> Rows:
        """Return positions that the graph or the nearest lists lead to."""
        library = faiss_library()
        if self.kind == "hnsw":
            parameters = library.SearchParametersHNSW(efSearch=max(steps, count))
        else:
            parameters = library.SearchParametersIVF(nprobe=max(1, min(steps, int(self.index.nlist))))
        found: Rows = self.index.search(queries, count, params=parameters)[1]
        return found

    def steps_for(self, share: float) -> int:
        """Return how many lists hold a share of all rows."""
        return -int(-share * (self.index.nlist if self.kind == "ivf" else len(self.rows)) // 1)

    def cost(self, steps: int) -> float:
        """Return what a search of so many steps costs, in vectors of a scan."""
        if self.kind == "hnsw":
            return GRAPH_STEP * steps
        lists = int(self.index.nlist)
        return lists + min(steps / lists, 1.0) * len(self.rows) * LIST_COST[self.quantisation]


def check_settings(settings: IndexSettings) -> None:
    """Refuse settings that no index can have.

    Raises:
        InvalidValueError: a flat index with codes, or a graph over one-bit codes.
    """
    if settings.quantisation != "none" and settings.index_type == "flat":
        raise InvalidValueError("A flat index keeps vectors whole: choose hnsw or ivf, or no quantisation.")
    if settings.quantisation == "rabitq" and settings.index_type == "hnsw":
        raise InvalidValueError("The quantisation rabitq needs the index type ivf: choose it, or sq8.")


def chosen_kind(settings: IndexSettings, count: int) -> Kind:
    """Return the kind of an index over ``count`` vectors: lists for one-bit codes, else a graph."""
    if settings.index_type == "flat" or count < 2:
        return "flat"
    if settings.index_type != "default":
        return settings.index_type
    if count <= FLAT_LIMIT:
        return "flat"
    return "ivf" if settings.quantisation == "rabitq" else "hnsw"


def build_main(
    rows: Rows, vectors_of: VectorsOf, dim: int, metric: Metric, settings: IndexSettings, *, threads: int = 1
) -> MainIndex:
    """Build the index of ``rows`` (rising). ``vectors_of`` returns (n, dim) float32 for some of them.

    It is asked for a page of rows at a time, in order, and once before for a sample. With more than one
    thread a graph comes out a little different each time.

    Raises:
        InvalidValueError: settings that no index can have.
        ValueError: rows that do not rise, vectors of another shape, or of length zero under cosine.
    """
    check_settings(settings)
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    if np.any(np.diff(rows) <= 0):
        raise ValueError("The rows of a main index must rise.")
    builder = _Builder(Space(dim, metric), settings, chosen_kind(settings, len(rows)), len(rows))
    library = faiss_library()
    library.omp_set_num_threads(threads)
    try:
        builder.train(rows, vectors_of)
        for start in range(0, len(rows), PAGE):
            builder.add(vectors_of(rows[start : start + PAGE]))
        main = builder.finished(rows)
    finally:
        library.omp_set_num_threads(1)
    return main if main.kind == "flat" else replace(main, tuning=tuned(main, _ladder(main)))


class _Builder:
    """The FAISS objects of an index under construction."""

    def __init__(self, space: Space, settings: IndexSettings, kind: Kind, count: int) -> None:
        self._space = space
        self._settings = settings
        self._kind = kind
        self._coded: Quantisation = settings.quantisation if kind != "flat" else "none"
        self._library = faiss_library()
        self._index = {"flat": self._none, "hnsw": self._graph, "ivf": self._lists}[kind](count)
        if kind == "hnsw" and self._coded == "none":
            self._flat = None  # the graph keeps the vectors
        else:
            self._flat = self._library.IndexFlat(space.dim, space.kind(self._library))

    def train(self, rows: Rows, vectors_of: VectorsOf) -> None:
        """Fit lists and codes to rows taken evenly from all."""
        if self._index is None or self._index.is_trained:
            return
        most = TRAINED_CODES if self._kind == "hnsw" else TRAINED_A_LIST * int(self._index.nlist)
        picked = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]
        pages = (picked[start : start + PAGE] for start in range(0, len(picked), PAGE))
        self._index.train(np.concatenate([self._space.prepare(vectors_of(page)) for page in pages]))

    def add(self, vectors: Vectors) -> None:
        """Take the vectors of the next rows."""
        prepared = self._space.prepare(vectors)
        for index in (self._index, self._flat):
            if index is not None:
                index.add(prepared)

    def finished(self, rows: Rows) -> MainIndex:
        """Return the index, not tuned yet."""
        flat = self._flat if self._flat is not None else self._library.downcast_index(self._index.storage)
        spare = SPARE[self._coded]
        if self._coded != "none" and self._space.metric == "manhattan":
            spare *= SPARE_STAND_IN
        members = BitMap(rows.astype(np.uint32))
        members.run_optimize()
        return MainIndex(
            kind=self._kind,
            quantisation=self._coded,
            space=self._space,
            rows=rows,
            members=members,
            flat=flat,
            index=self._index,
            tuning=Tuning(1, 1, spare),
        )

    def _none(self, _count: int) -> Any:
        return None

    def _graph(self, _count: int) -> Any:
        library, dim, links = self._library, self._space.dim, self._settings.hnsw_m
        if self._coded == "none":
            graph = library.IndexHNSWFlat(dim, links, self._space.kind(library))
        else:
            code = library.ScalarQuantizer.QT_8bit
            graph = library.IndexHNSWSQ(dim, code, links, self._space.coded_kind(library))
        graph.hnsw.efConstruction = self._settings.hnsw_ef_construction
        return graph

    def _lists(self, count: int) -> Any:
        library, dim = self._library, self._space.dim
        kind = self._space.kind(library) if self._coded == "none" else self._space.coded_kind(library)
        lists = min(self._settings.ivf_nlist or round(2 * count**0.5), count)
        coarse = library.IndexFlat(dim, kind)
        if self._coded == "none":
            index = library.IndexIVFFlat(coarse, dim, lists, kind)
        elif self._coded == "sq8":
            code = library.ScalarQuantizer.QT_8bit
            index = library.IndexIVFScalarQuantizer(coarse, dim, lists, code, kind)
        else:
            index = library.IndexIVFRaBitQ(coarse, dim, lists, kind)
            index.qb = 8
        coarse.this.disown()
        index.own_fields = True
        index.cp.niter = TRAINING_ROUNDS
        index.cp.max_points_per_centroid = TRAINED_A_LIST
        index.cp.min_points_per_centroid = 1
        index.cp.spherical = kind == library.METRIC_INNER_PRODUCT
        return index


def _ladder(main: MainIndex) -> list[int]:
    """Return how far to look, step by step: each half as much again, to where a scan is cheaper."""
    least = max(LEAST_STEPS, round(STEPS_A_DOUBLING * log2(len(main.rows) / FLAT_LIMIT)))
    ladder: list[int] = []
    for step in _growing(least if main.kind == "hnsw" else 1):
        if main.cost(step) >= len(main.rows) or (main.kind == "ivf" and step >= int(main.index.nlist)):
            break
        ladder.append(step)
    return [*ladder, max(len(main.rows), 1)]


def _growing(first: int) -> Iterator[int]:
    step = float(first)
    while True:
        yield round(step)
        step = max(step * 1.4, step + 1)
