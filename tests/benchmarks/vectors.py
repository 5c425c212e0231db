"""The dense index by itself: recall and queries a second by size, metric, kind and filter.

``python -m tests.benchmarks.vectors --vectors base.npy --queries asked.npy --out DIR``. The files hold
(n, dim) float32; without them clustered random vectors are made. ``--saved DIR`` takes a main index that
``save_main`` wrote of these vectors (row = number + 1) instead of building one. With ``--others``, usearch
and LanceDB are asked the same in this process where they are installed, at several depths, to be compared
at the same recall. Prints one JSON document and, with ``--out``, writes it there beside a plot, if matplotlib
is installed. Times are CPU time of this process a query: other load on the machine counts little. Never a
pass or a failure.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.records import IndexSettings, Metric
from data.vectors.dense import DenseIndex, MainIndex, SearchDepth, build_main, load_newest, save_main

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
TOP_K = 10
METRICS: tuple[Metric, ...] = ("cosine", "dot_product", "euclidean", "manhattan")
SHARES = (0.5, 0.1, 0.01, 0.001, 0.0001)
DEPTHS = (16, 32, 64, 128, 256, 512)
#: Candidates that LanceDB compares in full for each answer wanted; its depth cannot be less.
LANCE_REFINED = 4
SETTINGS = {
    "flat": IndexSettings("flat"),
    "hnsw": IndexSettings("hnsw"),
    "hnsw sq8": IndexSettings("hnsw", quantisation="sq8"),
    "ivf": IndexSettings("ivf"),
    "ivf sq8": IndexSettings("ivf", quantisation="sq8"),
    "ivf rabitq": IndexSettings("ivf", quantisation="rabitq"),
}


def made(count: int, dim: int, seed: int) -> Vectors:
    """Return unit vectors around 1,000 centres: plain random ones have no neighbours to speak of."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((1_000, dim))
    found = centres[rng.integers(0, len(centres), count)] + 0.7 * rng.standard_normal((count, dim))
    unit: Vectors = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def asked(search: Callable[[Vectors], list[Rows]], queries: Vectors, truth: list[Rows]) -> dict[str, float]:
    """Return recall and milliseconds a query, asked together and one after the other (best of three)."""
    found = search(queries)
    shares = [
        len(np.intersect1d(one, true)) / max(len(true), 1) for one, true in zip(found, truth, strict=True)
    ]
    together, alone = [], []
    for _ in range(3):
        start = time.process_time()
        search(queries)
        together.append(time.process_time() - start)
        start = time.process_time()
        for number in range(len(queries)):
            search(queries[number : number + 1])
        alone.append(time.process_time() - start)
    return {
        "recall@10": round(float(np.mean(shares)), 4),
        "fewest": min(len(one) for one in found),
        "ms_alone": round(1_000 * min(alone) / len(queries), 4),
        "ms_together": round(1_000 * min(together) / len(queries), 4),
        "per_s_alone": round(len(queries) / min(alone)),
    }


def kinds_of(
    name: str, base: Vectors, queries: Vectors, metric: Metric, saved: Path | None
) -> dict[str, Any]:
    """Return figures of one kind of index: how it was built, how it answers by default and deeper."""
    start = time.process_time()
    main = _main(base, metric, SETTINGS[name], saved)
    built_s = time.process_time() - start
    index = DenseIndex(base.shape[1], metric, SETTINGS[name])
    index.adopt(main)
    truth = _rows(index.search(queries, TOP_K, depth=SearchDepth(exact=True)))
    told: dict[str, Any] = {"build_s": round(built_s, 1), "tuning": asdict(main.tuning)}
    told |= {"memory_mb": main.memory_bytes >> 20, "file_mb": main.file_bytes >> 20}
    told["default"] = asked(partial(_at_depth, index, depth=SearchDepth()), queries, truth)
    careful = SearchDepth(ef_search=main.tuning.careful, nprobe=main.tuning.careful)
    told["careful"] = asked(partial(_at_depth, index, depth=careful), queries, truth)
    if name == "hnsw":
        depths = {depth: SearchDepth(ef_search=depth) for depth in DEPTHS}
        told["by depth"] = {
            depth: asked(partial(_at_depth, index, depth=deep), queries, truth)
            for depth, deep in depths.items()
        }
        told["filters"] = dict(filtered(index, base, queries))
    return told


def _at_depth(index: DenseIndex, queries: Vectors, *, depth: SearchDepth) -> list[Rows]:
    return _rows(index.search(queries, TOP_K, depth=depth))


def filtered(index: DenseIndex, base: Vectors, queries: Vectors) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield figures under filters of every share: random, two at once, with the query and against it."""
    rng = np.random.default_rng(5)
    rows = np.arange(1, len(base) + 1, dtype=np.uint32)
    nearness = base @ queries.mean(axis=0)
    order = rows[np.argsort(-nearness, kind="stable")]
    for share in SHARES:
        count = max(int(share * len(rows)), 1)
        both = [BitMap(rows[rng.random(len(rows)) < share**0.5]) for _ in range(2)]
        filters = {
            "single": BitMap(rng.choice(rows, count, replace=False)),
            "and": both[0] & both[1],
            "with the query": BitMap(order[:count]),
            "against the query": BitMap(order[-count:]),
        }
        for name, allowed in filters.items():
            yield f"{name} {share:.2%}", _under(index, queries, allowed)


def _under(index: DenseIndex, queries: Vectors, allowed: BitMap) -> dict[str, Any]:
    truth = _rows(index.search(queries, TOP_K, allowed=allowed, depth=SearchDepth(exact=True)))
    told = asked(lambda some: _rows(index.search(some, TOP_K, allowed=allowed)), queries, truth)
    found = index.search(queries, TOP_K, allowed=allowed)
    plans = sorted({one.plan for one in found})
    short = sum(len(one.rows) < min(TOP_K, len(allowed)) for one in found)
    return told | {
        "kept": len(allowed),
        "short": short,
        "plans": {plan: _count(found, plan) for plan in plans},
    }


def _count(found: Sequence[Any], plan: str) -> int:
    return sum(one.plan == plan for one in found)


def usearch(base: Vectors, queries: Vectors, truth: list[Rows]) -> dict[str, Any]:
    """Return what usearch does with the same vectors, links and depth of building, one thread."""
    library: Any = importlib.import_module("usearch.index")
    start = time.process_time()
    index = library.Index(ndim=base.shape[1], metric="cos", dtype="f32", connectivity=16, expansion_add=128)
    index.add(np.arange(1, len(base) + 1), base, threads=1)
    told: dict[str, Any] = {
        "build_s": round(time.process_time() - start, 1),
        "memory_mb": index.memory_usage >> 20,
    }
    by_depth = told["by depth"] = {}
    for depth in DEPTHS:
        index.expansion_search = depth
        by_depth[depth] = asked(lambda some: _usearch_rows(index, some), queries, truth)
    return told


def _usearch_rows(index: Any, queries: Vectors) -> list[Rows]:
    keys = np.asarray(index.search(queries, TOP_K, threads=1).keys, dtype=np.int64)
    return list(keys.reshape(len(queries), -1))


def lancedb(base: Vectors, queries: Vectors, truth: list[Rows]) -> dict[str, Any]:
    """Return what LanceDB does with the same vectors and its graph index; it uses its own threads."""
    import pyarrow as pa

    lance: Any = importlib.import_module("lancedb")

    with tempfile.TemporaryDirectory() as folder:
        flat = pa.FixedSizeListArray.from_arrays(pa.array(base.ravel()), base.shape[1])
        table = lance.connect(folder).create_table(
            "base", pa.table({"row": np.arange(1, len(base) + 1), "vector": flat})
        )
        start = time.process_time()
        table.create_index(
            metric="cosine", vector_column_name="vector", index_type="IVF_HNSW_SQ", m=16, ef_construction=128
        )
        told: dict[str, Any] = {"build_s": round(time.process_time() - start, 1)}
        by_depth = told["by depth"] = {}
        for depth in (depth for depth in DEPTHS if depth >= TOP_K * LANCE_REFINED):
            by_depth[depth] = asked(partial(_lance_rows, table, depth=depth), queries, truth)
    return told


def _lance_rows(table: Any, queries: Vectors, *, depth: int) -> list[Rows]:
    found = []
    for query in queries:
        search = table.search(query).distance_type("cosine").select(["row"]).limit(TOP_K)
        answer = search.nprobes(20).ef(depth).refine_factor(LANCE_REFINED).to_arrow()
        found.append(answer["row"].to_numpy())
    return found


def _main(base: Vectors, metric: Metric, settings: IndexSettings, saved: Path | None) -> MainIndex:
    if saved is not None:
        loaded = load_newest(saved, base.shape[1], metric).main
        if loaded is None or len(loaded.rows) != len(base):
            raise SystemExit(f"There is no index of these vectors in {saved}.")
        return loaded
    rows = np.arange(1, len(base) + 1, dtype=np.int64)
    with tempfile.TemporaryDirectory() as folder:
        main = build_main(rows, lambda some: base[some - 1], base.shape[1], metric, settings)
        return save_main(main, Path(folder), 1)


def _rows(found: Sequence[Any]) -> list[Rows]:
    return [one.rows for one in found]


def plot(told: dict[str, Any], file: Path) -> None:
    """Draw queries a second by recall."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    for size, by_metric in told["sizes"].items():
        for name, figures in by_metric.get("cosine", {}).items():
            if "by depth" in figures:
                points = list(figures["by depth"].values())
                recall, rate = ([one[key] for one in points] for key in ("recall@10", "per_s_alone"))
                axes.plot(recall, rate, marker="o", label=f"{name}, {int(size):,}")
    axes.set_xlabel("recall@10")
    axes.set_ylabel("queries a second, one thread")
    axes.set_yscale("log")
    axes.legend()
    figure.savefig(file)


def measured(base: Vectors, queries: Vectors, options: argparse.Namespace) -> dict[str, Any]:
    """Return figures of every metric and kind asked for, and of other libraries under cosine."""
    told: dict[str, Any] = {}
    for metric in options.metrics:
        told[metric] = {kind: kinds_of(kind, base, queries, metric, options.saved) for kind in options.kinds}
    if options.others and "cosine" in told:
        exact = DenseIndex(base.shape[1], "cosine", SETTINGS["flat"])
        exact.adopt(_main(base, "cosine", SETTINGS["flat"], None))
        truth = _rows(exact.search(queries, TOP_K))
        for other in (usearch, lancedb):
            if importlib.util.find_spec(other.__name__):
                told["cosine"][other.__name__] = other(base, queries, truth)
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=list(METRICS))
    parser.add_argument("--kinds", nargs="+", choices=list(SETTINGS), default=["hnsw"])
    parser.add_argument("--asked", type=int, default=300)
    parser.add_argument("--saved", type=Path)
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    every = np.load(options.vectors, mmap_mode="r") if options.vectors else made(max(options.sizes), 384, 1)
    queries = np.load(options.queries) if options.queries else made(options.asked, every.shape[1], 2)
    told: dict[str, Any] = {"dimensions": every.shape[1], "sizes": {}}
    for size in options.sizes:
        base = np.ascontiguousarray(every[:size])
        told["sizes"][size] = measured(base, queries[: options.asked], options)
    print(json.dumps(told, indent=2))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "vectors.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
        if importlib.util.find_spec("matplotlib"):
            plot(told, options.out / "vectors.svg")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
