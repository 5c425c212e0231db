"""What serving costs: the same claims in process and through the service, in one run.

``make bench`` prints one JSON document and never passes or fails. With ``KITE_DATASETS`` set the claims and
passages are real ones (FoolMeTwice); without, the demo's. The verdict cache is kept out by asking each
round at a level of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil

from cluster import head as ray_head
from cluster.head import RunningHead
from cluster.owned import local_parts
from cluster.processes import processes_of
from configs.load import load_settings
from configs.schema import Settings
from data.changes import load_segment
from data.chunks import cut, rows_of
from data.claims import make_claim
from data.knowledge import Document
from data.lookup import KnowledgeReader
from data.parts import Parts
from data.questions import Question
from data.rows import BadRow, read_row
from data.segments import write_documents
from deployments.assembly import (
    build_calibrations,
    build_retriever,
    build_verifier,
    in_process_frameworks,
    in_threads,
)
from deployments.verification import Verifier
from tasks.kite import start
from tasks.load_demo import DEMO, load_demo, load_patterns

PASSAGE_LIMIT = 20_000
WARM_UP = 32
CONCURRENCY = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--claims", type=int, default=400)
    parser.add_argument("--singles", type=int, default=100)
    parser.add_argument("--home", type=Path, help="a home that has the embedder built already")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kite-bench-") as folder:
        home = options.home or Path(folder)
        settings = load_settings(environment="testing", overrides=[f"home={home}"])
        report = asyncio.run(_measure(settings, options.claims, options.singles))
    print(json.dumps(report, indent=2))
    return 0


async def _measure(settings: Settings, count: int, singles: int) -> dict[str, Any]:
    from cluster.wiring import embedder_folder
    from tasks.build_embedder import build

    build(embedder_folder(settings))
    documents, claims = _material(count + WARM_UP)
    warm, asked = claims[:WARM_UP], claims[WARM_UP:]
    report: dict[str, Any] = {
        "machine": {"cpus": os.cpu_count(), "python": sys.version.split()[0]},
        "claims": len(asked),
        "documents": len(documents),
    }
    with local_parts(settings) as parts:
        _load(parts.reader, settings, documents, parts)
    # Both ways start from the same home: knowledge loaded, nothing asked yet.
    twin = msgspec.structs.replace(settings, home=f"{settings.home}-served")
    shutil.copytree(settings.home, twin.home)
    report["in_process"] = await _in_process(settings, warm, asked, singles)
    report |= await _through_the_service(twin, warm, asked, singles)
    shutil.rmtree(twin.home)
    report["ratios"] = _ratios(report)
    return report


def _ratios(report: dict[str, Any]) -> dict[str, Any]:
    """Compare like with like: cold is the first time a claim and its passages are read."""
    cold = report["in_process"]["batched_cold"]["claims_per_s"]
    warm = report["in_process"]["batched_warm"]["claims_per_s"]
    single_ms = report["in_process"]["one_at_a_time"]["p50_ms"]
    return {
        "verify_c64_to_in_process_cold": round(report["verify_c64_cold"]["claims_per_s"] / cold, 3),
        "verify_c64_to_in_process_warm": round(report["verify_c64_warm"]["claims_per_s"] / warm, 3),
        "batch_to_in_process_warm": round(report["batch_verify"]["claims_per_s"] / warm, 3),
        "verify_c1_p50_to_in_process": round(report["verify_c1"]["p50_ms"] / single_ms, 2),
        "verify_c1_within_3x_plus_10ms": report["verify_c1"]["p50_ms"] <= 3 * single_ms + 10,
    }


def _material(count: int) -> tuple[list[Document], list[str]]:
    folder = os.environ.get("KITE_DATASETS")
    if folder is None:
        claims = [str(row["claim"]) for row in _read(DEMO / "claims.jsonl")]
        return [], (claims * (count // len(claims) + 1))[:count]
    corpus = Path(folder) / "fm2" / "retrieval" / "corpus.jsonl"
    documents = [read_row("documents", row) for row in _read(corpus)[:PASSAGE_LIMIT]]
    claims = [str(row["claim"]) for row in _read(Path(folder) / "fm2" / "test.jsonl")]
    return [item for item in documents if isinstance(item, Document)], claims[:count]


def _read(path: Path) -> list[dict[str, Any]]:
    return [row for chunk in cut(path) for row in rows_of(chunk) if not isinstance(row, BadRow)]


async def _in_process(settings: Settings, warm: list[str], asked: list[str], singles: int) -> dict[str, Any]:
    with local_parts(settings) as parts:
        retriever = build_retriever(parts, settings)
        verifier = build_verifier(
            parts,
            settings,
            in_threads(in_process_frameworks(parts, settings)),
            retriever,
            calibrations=build_calibrations(parts, retriever),
        )
        await verifier.answer(_questions(verifier, warm, 0.5))
        rates = {}
        for state, alpha in (("cold", 0.1), ("warm", 0.15)):
            started = time.perf_counter()
            await verifier.answer(_questions(verifier, asked, alpha))
            rates[state] = round(len(asked) / (time.perf_counter() - started), 1)

        async def one(claim: str) -> None:
            await verifier.answer(_questions(verifier, [claim], 0.2))

        return {
            "batched_cold": {"claims_per_s": rates["cold"]},
            "batched_warm": {"claims_per_s": rates["warm"]},
            "one_at_a_time": await _timed(asked[:singles], one, concurrency=1),
        }


def _load(knowledge: KnowledgeReader, settings: Settings, documents: list[Document], parts: Parts) -> None:
    load_patterns(knowledge)
    load_demo(knowledge)
    home = ray_head.home_of(settings)
    for first in range(0, len(documents), 1_000):
        part = documents[first : first + 1_000]
        identity = getattr(parts.embedder, "identity", "")
        ref = write_documents(home, part, embed=parts.embedder.embed, embedder=identity)
        knowledge.append([load_segment(ref)], idempotency_key=f"bench/{ref.sha256}")


def _questions(verifier: Verifier, claims: Sequence[str], alpha: float) -> list[Question]:
    names = tuple(sorted(verifier.breakers))
    return [Question(make_claim(claim), names, alpha=alpha) for claim in claims]


async def _through_the_service(
    settings: Settings, warm: list[str], asked: list[str], singles: int
) -> dict[str, Any]:
    started = time.perf_counter()
    head = await asyncio.to_thread(start, settings, demo=True)
    ready_s = time.perf_counter() - started
    peak = _PeakMemory(head)
    try:
        async with aiohttp.ClientSession(
            head.http_url, connector=aiohttp.TCPConnector(limit=CONCURRENCY)
        ) as session:

            async def ask(claim: str, alpha: float) -> None:
                body = {"claim": claim, "alpha": alpha}
                async with session.post("/verify", json=body) as answer:
                    await answer.read()
                    answer.raise_for_status()

            async def batch(alpha: float) -> float:
                began = time.perf_counter()
                items = [{"claim": claim, "alpha": alpha} for claim in asked]
                async with session.post("/batch/verify", json=items) as answer:
                    await answer.read()
                    answer.raise_for_status()
                return time.perf_counter() - began

            first_began = time.perf_counter()
            await ask(warm[0], 0.5)
            first_s = time.perf_counter() - first_began
            await _timed(warm, lambda claim: ask(claim, 0.5), concurrency=CONCURRENCY)
            report = {
                "verify_c64_cold": await _timed(asked, lambda c: ask(c, 0.1), concurrency=CONCURRENCY),
                "verify_c64_warm": await _timed(asked, lambda c: ask(c, 0.15), concurrency=CONCURRENCY),
                "verify_c1": await _timed(asked[:singles], lambda c: ask(c, 0.2), concurrency=1),
                "batch_verify": {"claims_per_s": round(len(asked) / await batch(0.3), 1)},
                "start_up": {"ready_s": round(ready_s, 1), "first_verdict_s": round(ready_s + first_s, 1)},
            }
        return {**report, "memory": peak.stop()}
    finally:
        ray_head.stop(settings)


async def _timed(
    claims: Sequence[str], ask: Callable[[str], Awaitable[None]], *, concurrency: int
) -> dict[str, float]:
    waiting = iter(claims)
    latencies_ms: list[float] = []

    async def worker() -> None:
        for claim in waiting:
            began = time.perf_counter()
            await ask(claim)
            latencies_ms.append((time.perf_counter() - began) * 1000.0)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    elapsed_s = time.perf_counter() - started
    cuts = statistics.quantiles(latencies_ms, n=100, method="inclusive")
    return {
        "claims_per_s": round(len(claims) / elapsed_s, 1),
        "p50_ms": round(cuts[49], 2),
        "p95_ms": round(cuts[94], 2),
        "p99_ms": round(cuts[98], 2),
    }


class _PeakMemory:
    """Samples the memory of all processes of a run twice a second, in a thread."""

    def __init__(self, head: RunningHead) -> None:
        self._head = head
        self._peak_bytes = 0
        self._processes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, int]:
        """Return the peak and the number of processes seen at most."""
        self._done.set()
        self._thread.join()
        return {"peak_unique_mb": self._peak_bytes // 2**20, "processes": self._processes}

    def _watch(self) -> None:
        processes = processes_of(self._head.run_id, self._head.temp_dir)
        while not self._done.wait(5.0):
            self._processes = max(self._processes, len(processes))
            self._peak_bytes = max(self._peak_bytes, sum(_unique_bytes(item) for item in processes))


def _unique_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    sys.exit(main())
