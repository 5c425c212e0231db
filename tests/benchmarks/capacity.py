"""What a claim costs in processor time, by part, in one process: what ``docs/scaling.md`` reckons with.

``python -m tests.benchmarks.capacity [--claims N] [--home FOLDER]`` prints one JSON document. Processor time
and not time on the wall, so that a busy machine measures the same. With ``KITE_DATASETS`` claims and passages
are real.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.owned import local_parts
from cluster.wiring import embedder_folder
from configs.load import load_settings
from configs.schema import Settings
from data.claims import make_claim
from data.questions import Question
from deployments.assembly import build_retriever, build_verifier, in_process_frameworks, in_threads
from tasks.build_embedder import build
from tests.benchmarks.serving import _load, _material

BATCH = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.capacity", description=__doc__)
    parser.add_argument("--claims", type=int, default=256)
    parser.add_argument("--passages", type=int, default=2_000, help="how many are loaded before")
    parser.add_argument("--home", type=Path, help="a home that has the embedder built already")
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="kite-capacity-") as folder:
        home = options.home or Path(folder)
        settings = load_settings(environment="testing", overrides=[f"home={home}", "models.threads=1"])
        build(embedder_folder(settings))
        print(json.dumps(measured(settings, options.claims, options.passages), indent=2))
    return 0


def measured(settings: Settings, count: int, passages: int) -> dict[str, Any]:
    """Return milliseconds of processor a claim: the whole way twice, and each part by itself."""
    documents, claims = _material(count)
    documents = documents[:passages]
    with local_parts(settings) as parts:
        _load(parts.reader, settings, documents, parts)
        retriever = build_retriever(parts, settings)
        frameworks = in_process_frameworks(parts, settings)
        names = tuple(frameworks)
        verifier = build_verifier(parts, settings, in_threads(frameworks), retriever)
        position = parts.reader.position()
        report: dict[str, Any] = {"claims": len(claims), "passages": len(documents)}
        for state, alpha in (("cold", 0.1), ("warm", 0.15)):
            questions = [Question(make_claim(claim), names, alpha=alpha) for claim in claims]
            report[f"whole_way_{state}_ms"] = _spent(
                lambda asked=questions: asyncio.run(verifier.answer(asked)),
                count,  # type: ignore[misc]
            )
        questions = [Question(make_claim(claim), names) for claim in claims]
        batches = []
        report["retrieval_ms"] = _spent(
            lambda: batches.extend(
                retriever.gather(questions[at : at + BATCH], position) for at in range(0, count, BATCH)
            ),
            count,
        )
        report["frameworks_ms"] = {
            name: _spent(lambda one=one: [one.verify(batch) for batch in batches], count)  # type: ignore[misc]
            for name, one in frameworks.items()
        }
        return report


def _spent(work: Any, count: int) -> float:
    started = time.process_time()
    work()
    return round((time.process_time() - started) * 1000.0 / count, 3)


if __name__ == "__main__":
    sys.exit(main())
