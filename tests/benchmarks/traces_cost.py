"""Processor time that traces take of a claim: off, one in a hundred kept, all kept; one JSON document.

``python -m tests.benchmarks.traces_cost --home FOLDER`` answers claims in this process over a home of its own
with the embedder of FOLDER: no Ray, no HTTP, so that hardly anything but the claim is measured. The modes
take turns, claim by claim. Kept traces are encoded for a collector, and not sent.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from cluster.owned import local_parts
from cluster.traces import tracing
from configs.load import load_settings
from configs.schema import Settings
from configs.trace_settings import TraceSettings
from data.claims import make_claim
from data.questions import Question
from data.stores.traced import TracedStore
from data.traces import Tracer
from data.tracing import Kind
from data.verdicts import Verdict
from deployments.verification import Verifier
from tasks.load_demo import load_demo, load_patterns
from tests.benchmarks.one_process import built_over

#: The modes, by what settings they are.
MODES = {
    "off": TraceSettings(),
    "one in a hundred": TraceSettings(endpoint="http://nowhere/v1", sample_ratio=0.01, slow_ms=60_000.0),
    "all": TraceSettings(endpoint="http://nowhere/v1", sample_ratio=1.0),
}


class Encoding:
    """An exporter that encodes what it gets as the real one does, and throws it away."""

    def export(self, spans: Sequence[Any]) -> Any:
        """Encode."""
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.trace.export import SpanExportResult

        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """End."""

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Do nothing."""
        return timeout_millis >= 0


@contextmanager
def verifiers(embedder: Path) -> Iterator[dict[str, tuple[Verifier, Tracer]]]:
    """Open a home and yield a verifier and a tracer a mode, all over the same parts."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder)
        (home / "models").mkdir()
        (home / "models" / "embedder").symlink_to(embedder.resolve())
        settings: Settings = load_settings(environment="testing", environ={}, overrides=[f"home={home}"])
        parts = stack.enter_context(local_parts(settings))
        load_patterns(parts.reader)
        load_demo(parts.reader)
        made = {}
        for mode, traces in MODES.items():
            store = TracedStore(parts.store, "lmdb") if traces.is_on else parts.store
            chosen = msgspec.structs.replace(settings, traces=traces)
            exporter = Encoding() if traces.is_on else None
            tracer = stack.enter_context(tracing(chosen, "kite-benchmark", exporter))
            made[mode] = (built_over(replace(parts, store=store), chosen).verifier, tracer)
        yield made


async def measured(modes: dict[str, tuple[Verifier, Tracer]], text: Callable[[], str], claims: int) -> Any:
    """Return the mean processor milliseconds of a claim by mode, and their difference from ``off``."""
    times: dict[str, list[float]] = {mode: [] for mode in modes}
    frameworks = tuple(next(iter(modes.values()))[0].breakers)
    for turn in range(claims):
        for mode in itertools.islice(
            itertools.cycle(modes), turn % len(modes), turn % len(modes) + len(modes)
        ):
            verifier, tracer = modes[mode]
            question = Question(make_claim(text()), frameworks)
            begun = time.process_time()
            with tracer.root("claim", Kind.SERVER):
                (told,) = await verifier.answer([question])
            if turn >= claims // 10:
                times[mode].append((time.process_time() - begun) * 1000.0)
            assert isinstance(told, Verdict)
    means = {mode: statistics.fmean(each) for mode, each in times.items()}
    return {
        mode: {"cpu_ms": round(mean, 3), "more_ms": round(mean - means["off"], 3)}
        for mode, mean in means.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.traces_cost", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="a home with a built embedder")
    parser.add_argument("--claims", type=int, default=200, help="for each mode")
    options = parser.parse_args(arguments)
    numbers = itertools.count()
    with verifiers(options.home.expanduser() / "models" / "embedder") as modes:
        found = {
            "cached": asyncio.run(measured(modes, lambda: "Water boils at 100 degrees.", options.claims)),
            "fresh": asyncio.run(
                measured(modes, lambda: f"Mount Everest is {next(numbers)} metres high.", options.claims)
            ),
        }
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
