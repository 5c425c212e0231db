"""A main index built anew while clients search and write over HTTP: what failed, what was lost, how slow.

``python -m tests.benchmarks.vector_rebuild --count 1000000``. One dataset of clustered random vectors, 16
clients that search and 4 that write; first without a build, then until one is done. Prints one JSON document
and, with ``--out DIR``, writes it there. Never a pass or a failure.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np

from tests.benchmarks.access import installation
from tests.benchmarks.http_load import Load, offer, request
from tests.benchmarks.vector_server import JSON, TOP_K, fill, made, until_built

SEARCHERS, WRITERS, WRITTEN_AT_ONCE = 16, 4, 10
#: Counted in the place of a status.
NO_ANSWER = 0
#: Searches are counted by slices of so many seconds, after each of which the build is asked about.
SLICE_S = 3.0


@dataclass
class Writers:
    """Clients that insert vectors of their own until they are told to stop; they remember what was told."""

    address: str
    place: str
    dimensions: int
    acknowledged: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Writers:
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int) -> None:
        turn = 0
        with httpx.Client(base_url=self.address, timeout=120.0) as client:
            while not self._stop.is_set():
                turn += 1
                rows = made(WRITTEN_AT_ONCE, self.dimensions, writer * 1_000_000 + turn)
                ids = [f"w{writer}-{turn}-{number}" for number in range(len(rows))]
                vectors = [
                    {"id": one, "document_id": one, "values": row.tolist()}
                    for one, row in zip(ids, rows, strict=True)
                ]
                body = msgspec.json.encode({"vectors": vectors})
                try:
                    told = client.post(f"{self.place}/vectors/batch", content=body, headers=JSON)
                except httpx.HTTPError:
                    self.statuses[NO_ANSWER] += 1
                    continue
                self.statuses[told.status_code] += 1
                if told.status_code < 300 and told.json()["inserted_count"] == len(ids):
                    self.acknowledged.update(ids)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Fill, build, then build again under load."""
    base = made(options.count, options.dimensions, 1)
    asked = made(1_000, options.dimensions, 2)
    with (
        installation("auth.mode=open", "vectors.build=false", *options.set) as running,
        httpx.Client(base_url=running.address, timeout=600.0) as client,
    ):
        created = client.post("/datasets", json={"name": "bench", "dimensions": options.dimensions})
        place = f"/datasets/{created.raise_for_status().json()['id']}"
        fill(client, place, base)
        built_s = _built(client, place)
        wanted = {"top_k": TOP_K, "include_content": False, "include_metadata": False}
        searches = [
            request(
                running.address,
                f"{place}/search",
                msgspec.json.encode({"query_vector": one.tolist(), "options": wanted}),
            )
            for one in asked
        ]
        offer(running.address, searches, clients=SEARCHERS, seconds=SLICE_S)
        with Writers(running.address, place, options.dimensions) as writers:
            before = [_slice(running.address, searches) for _ in range(options.slices)]
            begun = time.perf_counter()
            _ask_to_build(client, place)
            during = [_slice(running.address, searches)]
            while _status(client, place) == "building":
                during.append(_slice(running.address, searches))
            rebuilt_s = time.perf_counter() - begun
        found = [client.get(f"{place}/vectors/{one}").status_code for one in sorted(writers.acknowledged)]
        count = client.get(place).raise_for_status().json()["vector_count"]
    return {
        "vectors": options.count,
        "dimensions": options.dimensions,
        "built_s": round(built_s, 1),
        "rebuilt_under_load_s": round(rebuilt_s, 1),
        "before": _told(before),
        "during": _told(during),
        "p99 during / before": round(_p99(during) / _p99(before), 2),
        "written": len(writers.acknowledged),
        "write_statuses": {str(status): number for status, number in writers.statuses.items()},
        "lost": len(found) - found.count(200),
        "in the dataset beyond what was acknowledged": count - options.count - len(writers.acknowledged),
    }


def _slice(address: str, searches: Sequence[bytes]) -> Load:
    return offer(address, searches, clients=SEARCHERS, seconds=SLICE_S)


def _ask_to_build(client: httpx.Client, place: str) -> None:
    told = client.post(f"{place}/index", json={"index_type": "hnsw", "force_rebuild": True})
    assert told.status_code in {200, 202}, told.text


def _status(client: httpx.Client, place: str) -> str:
    return str(client.get(f"{place}/index").raise_for_status().json()["status"])


def _built(client: httpx.Client, place: str) -> float:
    begun = time.perf_counter()
    _ask_to_build(client, place)
    until_built(client, place)
    return time.perf_counter() - begun


def _told(loads: Sequence[Load]) -> dict[str, Any]:
    statuses: Counter[int] = sum((load.statuses for load in loads), Counter())
    return {
        "seconds": round(sum(load.seconds for load in loads), 1),
        "per_s": round(sum(len(load.times) for load in loads) / sum(load.seconds for load in loads), 1),
        "p50_ms": round(_quantile(loads, 0.5), 2),
        "p99_ms": round(_p99(loads), 2),
        "statuses": {str(status): count for status, count in statuses.items()},
    }


def _p99(loads: Sequence[Load]) -> float:
    return _quantile(loads, 0.99)


def _quantile(loads: Sequence[Load], share: float) -> float:
    return float(np.quantile([one for load in loads for one in load.times], share) * 1000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--slices", type=int, default=8, help=f"slices of {SLICE_S} s before the build")
    parser.add_argument("--set", action="append", default=[], help="a setting of the installation, KEY=VALUE")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    told = measured(options)
    print(json.dumps(told, indent=2))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "vector_rebuild.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
