"""Vector search over HTTP beside the Chroma server: same vectors, same machine, same load generator.

``python -m tests.benchmarks.vector_server --vectors base.npy --queries asked.npy --chroma PATH``. The files
hold (n, dim) float32; without them clustered random vectors are made. ``PATH`` is the ``chroma`` command of
another environment; without it only this software is measured. Prints one JSON document and, with ``--out
DIR``, writes it there beside a plot. Never a pass or a failure.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray

from tests.benchmarks.access import installation
from tests.benchmarks.http_load import Load, offer, request

Vectors = NDArray[np.float32]
TOP_K, BATCH = 10, 1_000
CHROMA_PATH = "/api/v2/tenants/default_tenant/databases/default_database/collections"
#: Reads the ids of an answer, best first.
ReadIds = Callable[[bytes], list[int]]


def made(count: int, dim: int, seed: int) -> Vectors:
    """Return unit vectors around 1,000 centres: plain random ones have no neighbours to speak of."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(1_000, dim))
    found = centres[rng.integers(0, len(centres), count)] + 0.7 * rng.normal(size=(count, dim))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def nearest(base: Vectors, asked: Vectors) -> list[set[int]]:
    """Return the true ``TOP_K`` of each query by cosine."""
    return [set(np.argpartition(-(base @ one), TOP_K)[:TOP_K].tolist()) for one in asked]


def measured(
    address: str, requests: Sequence[bytes], truth: list[set[int]], read: ReadIds, options: argparse.Namespace
) -> dict[str, Any]:
    """Return queries a second by the number of clients, and the recall of what was answered."""
    offer(address, requests, clients=8, seconds=3.0)
    loads: dict[int, Load] = {}
    for clients in options.clients:
        loads[clients] = offer(address, requests, clients=clients, seconds=options.seconds, keep=True)
    bodies = {number: body for load in loads.values() for number, body in load.bodies.items()}
    found = [len(truth[number] & set(read(body))) / TOP_K for number, body in bodies.items()]
    return {
        "recall@10": round(float(np.mean(found)), 4),
        "by clients": {
            str(clients): {
                "per_s": round(load.per_s, 1),
                "p50_ms": round(load.quantile_ms(0.5), 2),
                "p99_ms": round(load.quantile_ms(0.99), 2),
                "statuses": {str(status): count for status, count in load.statuses.items()},
            }
            for clients, load in loads.items()
        },
    }


def kite(base: Vectors, asked: Vectors, truth: list[set[int]], options: argparse.Namespace) -> dict[str, Any]:
    """Measure this software: one installation with its door open."""
    with installation("auth.mode=open", *options.set) as running:
        with httpx.Client(base_url=running.address, timeout=600.0) as client:
            made = client.post("/datasets", json={"name": "bench", "dimensions": base.shape[1]})
            place = f"/datasets/{made.raise_for_status().json()['id']}"
            begun = time.perf_counter()
            fill(client, place, base)
            inserted_s = time.perf_counter() - begun
            until_built(client, place)
            told = client.post(f"{place}/index", json={"index_type": "hnsw"})
            assert told.status_code in {200, 202, 409}, told.text
            until_built(client, place)
            built_s = time.perf_counter() - begun - inserted_s
        wanted = {"top_k": TOP_K, "include_content": False, "include_metadata": False}
        requests = [
            request(
                running.address,
                f"{place}/search",
                msgspec.json.encode({"query_vector": one.tolist(), "options": wanted}),
            )
            for one in asked
        ]
        found = measured(running.address, requests, truth, _kite_ids, options)
    return {"insert_per_s": round(len(base) / inserted_s, 1), "build_s": round(built_s, 1), **found}


JSON = {"content-type": "application/json"}


def fill(client: httpx.Client, place: str, base: Vectors) -> None:
    """Insert vectors into a dataset under the numbers of their rows."""
    for first in range(0, len(base), BATCH):
        rows = base[first : first + BATCH].tolist()
        body = {
            "vectors": [
                {"id": str(first + n), "document_id": str(first + n), "values": row}
                for n, row in enumerate(rows)
            ]
        }
        told = client.post(f"{place}/vectors/batch", content=msgspec.json.encode(body), headers=JSON)
        assert told.json()["inserted_count"] == len(rows), told.text[:500]


def until_built(client: httpx.Client, place: str) -> None:
    """Wait until no index is being built."""
    while client.get(f"{place}/index").raise_for_status().json()["status"] == "building":
        time.sleep(0.5)


def _kite_ids(body: bytes) -> list[int]:
    return [int(one["vector"]["id"]) for one in json.loads(body)["results"]]


def chroma(
    base: Vectors, asked: Vectors, truth: list[set[int]], options: argparse.Namespace
) -> dict[str, Any]:
    """Measure the Chroma server."""
    with _chroma_server(options.chroma) as (address, process):
        with httpx.Client(base_url=address, timeout=600.0) as client:
            made = client.post(
                CHROMA_PATH, json={"name": "bench", "configuration": {"hnsw": {"space": "cosine"}}}
            )
            place = f"{CHROMA_PATH}/{made.raise_for_status().json()['id']}"
            begun = time.perf_counter()
            for first in range(0, len(base), BATCH):
                rows = base[first : first + BATCH].tolist()
                body = {"ids": [str(first + n) for n in range(len(rows))], "embeddings": rows}
                client.post(
                    f"{place}/add", content=msgspec.json.encode(body), headers=JSON
                ).raise_for_status()
            inserted_s = time.perf_counter() - begun
        requests = [
            request(
                address,
                f"{place}/query",
                msgspec.json.encode(
                    {"query_embeddings": [one.tolist()], "n_results": TOP_K, "include": ["distances"]}
                ),
            )
            for one in asked
        ]
        found = measured(address, requests, truth, _chroma_ids, options)
        memory_mb = round(process.memory_info().rss / 1e6)
    return {"insert_per_s": round(len(base) / inserted_s, 1), "memory_mb": memory_mb, **found}


def _chroma_ids(body: bytes) -> list[int]:
    return [int(one) for one in json.loads(body)["ids"][0]]


@contextmanager
def _chroma_server(command: str) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        asked = [command, "run", "--path", folder, "--host", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                try:
                    httpx.get(f"{address}/api/v2/heartbeat").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield address, psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait(30)


def plot(told: dict[str, Any], file: Path) -> None:
    """Draw queries a second by clients."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    for name in (name for name in ("kite", "chroma") if name in told):
        rates = told[name]["by clients"]
        label = f"{name}, recall {told[name]['recall@10']:.3f}"
        axes.plot(list(rates), [one["per_s"] for one in rates.values()], marker="o", label=label)
    axes.set_xlabel("clients at once")
    axes.set_ylabel("queries a second")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--chroma", help="the chroma command of another environment")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--set", action="append", default=[], help="a setting of the installation, KEY=VALUE")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    base = np.load(options.vectors)[: options.count] if options.vectors else made(options.count, 384, 1)
    asked = np.load(options.queries)[:1_000] if options.queries else made(1_000, base.shape[1], 2)
    truth = nearest(base, asked)
    told: dict[str, Any] = {"vectors": len(base), "dimensions": base.shape[1]}
    if options.chroma:
        told["chroma"] = chroma(base, asked, truth, options)
    told["kite"] = kite(base, asked, truth, options)
    print(json.dumps(told, indent=2))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "vector_server.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
        plot(told, options.out / "vector_server.svg")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
