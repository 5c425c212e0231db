"""How fast documents are taken in over HTTP: one by one, in lists, as files; against the running system.

``python -m tests.benchmarks.ingest`` starts the service on free ports in a home of its own (a cluster, or
with ``--one-process`` the same application and stores in this process), writes real documents (FoolMeTwice's
corpus, ``KITE_DATASETS``; else the demo's, changed) and prints one JSON document. A write is counted when it
is answered: durable in the ledger and visible in every view, its vectors included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from cluster import head as ray_head
from configs.load import load_settings
from configs.schema import Settings
from data.chunks import cut, rows_of
from data.rows import BadRow
from tasks.kite import start
from tasks.load_demo import DEMO
from tests.benchmarks.one_process import one_process
from tests.benchmarks.replay import prepare

API = "/api/v1/knowledge"
#: Documents a request: a list, and a file of one import (each about 400 characters: 0.5 MB).
LIST, FILE = 100, 1_000
#: Requests before the clock starts.
WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Load:
    """One way of writing: requests made of documents, so many at once."""

    name: str
    path: str
    media_type: str
    size: int
    concurrency: int
    share: float


LOADS = (
    Load("single_c1", f"{API}/documents", "application/json", 1, 1, 0.05),
    Load("single_c16", f"{API}/documents", "application/json", 1, 16, 0.15),
    Load("lists_of_100_c2", f"{API}/documents", "application/json", LIST, 2, 0.3),
    Load("import_jsonl_c1", f"{API}/import?kind=documents", "application/x-ndjson", FILE, 1, 0.5),
)


def documents(count: int) -> list[dict[str, str]]:
    """Return different real documents, with ids of their own where the same text comes again."""
    named = os.environ.get("KITE_DATASETS")
    path = Path(named) / "fm2" / "retrieval" / "corpus.jsonl" if named else DEMO / "documents.jsonl"
    rows = [row for chunk in cut(path) for row in rows_of(chunk) if not isinstance(row, BadRow)]
    return [
        {
            "id": f"ingest-{number}",
            "title": str(row.get("title") or ""),
            "text": f"{row['text']} Entry {number} of the register."
            if number >= len(rows)
            else str(row["text"]),
        }
        for number, row in ((n, rows[n % len(rows)]) for n in range(count))
    ]


def bodies(load: Load, rows: Sequence[dict[str, str]]) -> Iterator[tuple[int, bytes]]:
    """Yield how many documents a request writes, and its body."""
    for start_ in range(0, len(rows), load.size):
        group = rows[start_ : start_ + load.size]
        if load.media_type == "application/x-ndjson":
            yield len(group), "\n".join(map(json.dumps, group)).encode() + b"\n"
        else:
            yield len(group), json.dumps(group if load.size > 1 else group[0]).encode()


async def measure(url: str, rows: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Write the documents in each of the ways, one after the other; return rates and latencies."""
    report: dict[str, Any] = {}
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        used = 0
        for load in LOADS:
            count = max(load.size, int(len(rows) * load.share) // load.size * load.size)
            some, used = rows[used : used + count], used + count
            requests = list(bodies(load, some))
            report[load.name] = await _timed(requests, _sender(session, load), load.concurrency)
    return report


def _sender(session: aiohttp.ClientSession, load: Load) -> Callable[[bytes], Awaitable[None]]:
    async def send(body: bytes) -> None:
        async with session.post(load.path, data=body, headers={"Content-Type": load.media_type}) as answer:
            text = await answer.text()
            if answer.status not in (200, 201):
                raise RuntimeError(f"{load.name}: {answer.status} {text[:300]}")

    return send


async def _timed(
    requests: Sequence[tuple[int, bytes]], send: Callable[[bytes], Awaitable[None]], concurrency: int
) -> dict[str, float]:
    waiting = iter(requests)
    latencies_ms: list[float] = []

    async def worker() -> None:
        for _, body in waiting:
            began = time.perf_counter()
            await send(body)
            latencies_ms.append((time.perf_counter() - began) * 1000.0)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    elapsed_s = time.perf_counter() - started
    written = sum(count for count, _ in requests)
    return {
        "documents": written,
        "requests": len(requests),
        "documents_per_s": round(written / elapsed_s, 1),
        "mb_per_s": round(sum(len(body) for _, body in requests) / elapsed_s / 1e6, 3),
        "request_p50_ms": round(statistics.median(latencies_ms), 1),
        "request_max_ms": round(max(latencies_ms), 1),
    }


@contextmanager
def cluster(settings: Settings) -> Iterator[str]:
    """Start the service, yield its address, stop it."""
    try:
        yield start(settings, demo=False).http_url
    finally:
        ray_head.stop(settings)


def run(settings: Settings, url: str, count: int) -> dict[str, Any]:
    """Measure the service at ``url``, whose home is that of the settings."""
    rows = documents(count + WARM_UP)
    asyncio.run(_warm(url, rows[:WARM_UP]))
    report = asyncio.run(measure(url, rows[WARM_UP:]))
    disk = sum(one.stat().st_size for one in Path(settings.home, "ledger").rglob("*") if one.is_file())
    report["ledger_bytes_per_document"] = round(disk / len(rows), 1)
    report["knowledge_seq"] = asyncio.run(_position(url))
    return report


async def _warm(url: str, rows: Sequence[dict[str, str]]) -> None:
    async with aiohttp.ClientSession(url) as session:
        for row in rows:
            async with session.post(f"{API}/documents", json=row) as answer:
                answer.raise_for_status()


async def _position(url: str) -> int:
    async with aiohttp.ClientSession(url) as session, session.get(f"{API}/documents?limit=1") as answer:
        return int(answer.headers["X-Knowledge-Seq"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ingest", description=__doc__)
    parser.add_argument("--documents", type=int, default=4_000)
    parser.add_argument("--embedder", type=Path, help="a folder that has the embedder built already")
    parser.add_argument("--one-process", action="store_true", help="without a cluster, in this process")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kite-ingest-") as folder:
        settings = load_settings(environment="testing", overrides=[f"home={folder}"])
        prepare(settings, options.embedder)
        with one_process(settings) if options.one_process else cluster(settings) as url:
            report = run(settings, url, options.documents)
    report = {"served_by": "one process" if options.one_process else "cluster", **report}
    machine = {"cpus": os.cpu_count(), "load_1min": round(os.getloadavg()[0], 2)}
    print(json.dumps({"machine": machine, **report}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
