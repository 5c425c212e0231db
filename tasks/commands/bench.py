"""``kite bench``: claims sent to the running service for some seconds, and how it kept up.

Every request is a claim that was not asked in this run before, so that what is measured is verifying and not
the cache of answers. Verdicts go into the history as any others do.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs.schema import Settings
from data.errors import InvalidValueError, KiteError, UnavailableError
from tasks.commands.reach import KEY_VARIABLE, add_service_arguments, key_for, running_head
from tasks.commands.told import FINE, NEGATIVE, Fields, Told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite bench`` takes."""
    parser.add_argument("--file", type=Path, help="claims, one a line; the demo's if left out")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--callers", type=int, default=16, help="how many ask at once (16)")
    parser.add_argument("--batch", type=int, default=1, help="claims of a request (1)")
    add_service_arguments(parser)


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Measure the running service: claims a second, and how long an answer takes."""
    if options.seconds <= 0 or options.callers < 1 or not 1 <= options.batch <= 1_000:
        raise InvalidValueError("bench: --seconds, --callers and --batch (at most 1000) must be positive.")
    claims = _claims(options.file)
    taken = asyncio.run(_measure(settings, options, fresh(claims)))
    report = {
        "seconds": round(taken.seconds, 3),
        "callers": options.callers,
        "batch": options.batch,
        **figures(taken),
    }
    return Told(report, _shown, NEGATIVE if report["errors"] else FINE)


@dataclass(slots=True)
class Taken:
    """What was measured: seconds of each answered request, and how many claims and errors there were."""

    latencies_s: list[float] = field(default_factory=list)
    claims: int = 0
    errors: int = 0
    error: str = ""
    seconds: float = 0.0


def fresh(claims: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield claims for ever, each with an origin of its own, by which no answer is found in a cache."""
    for number, claim in enumerate(itertools.cycle(claims)):
        yield {"claim": claim, "context": {"source_url": f"urn:kite:bench:{number}"}}


def figures(taken: Taken) -> dict[str, Any]:
    """Return the figures of a measurement: rate, percentiles of latency in milliseconds, errors."""
    ordered = sorted(taken.latencies_s)

    def at(share: float) -> float | None:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3, 3) if ordered else None

    return {
        "requests": len(ordered),
        "claims": taken.claims,
        "claims_per_s": round(taken.claims / taken.seconds, 3) if taken.seconds else 0.0,
        "latency_ms": {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99)},
        "errors": taken.errors,
        "first_error": taken.error,
    }


async def _measure(
    settings: Settings, options: argparse.Namespace, claims: Iterator[dict[str, Any]]
) -> Taken:
    import os

    import httpx

    from deployments.client.async_client import AsyncKiteClient

    if options.url:
        client = AsyncKiteClient(options.url, api_key=os.environ.get(KEY_VARIABLE))
    else:
        head = running_head(settings)
        transport = httpx.AsyncHTTPTransport(verify=head.trust())
        client = AsyncKiteClient(head.http_url, api_key=key_for(settings), transport=transport)
    taken = Taken()
    async with client:
        await client.verify("Water boils at 100 degrees Celsius at sea level.")  # not reachable: told at once
        started = time.perf_counter()
        until = started + options.seconds

        def wanted() -> list[dict[str, Any]] | None:
            left = time.perf_counter() < until
            return list(itertools.islice(claims, options.batch)) if left else None

        await asyncio.gather(*(_call(client.verify_part, wanted, taken) for _ in range(options.callers)))
        taken.seconds = time.perf_counter() - started
    return taken


async def _call(verify: Any, wanted: Callable[[], list[dict[str, Any]] | None], taken: Taken) -> None:
    while (items := wanted()) is not None:
        started = time.perf_counter()
        try:
            answers = await verify(items)
        except UnavailableError:
            raise
        except KiteError as exc:
            taken.errors, taken.error = taken.errors + 1, taken.error or str(exc)
            continue
        taken.latencies_s.append(time.perf_counter() - started)
        taken.claims += len(answers)


def _claims(file: Path | None) -> list[str]:
    if file is None:
        from data.chunks import cut, rows_of
        from tasks.load_demo import DEMO

        rows = (row for chunk in cut(DEMO / "claims.jsonl") for row in rows_of(chunk))
        return [row["claim"] for row in rows if isinstance(row, dict)]
    try:
        claims = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidValueError(f"bench: {file} cannot be read as UTF-8 text: {exc}.") from exc
    if not claims:
        raise InvalidValueError(f"bench: {file} holds no claims.")
    return claims


def _shown(report: Any) -> Fields:
    latency = report["latency_ms"]
    return Fields(
        [
            ("claims a second", f"{report['claims_per_s']:,.1f}"),
            ("claims", f"{report['claims']:,} in {report['seconds']:g} s by {report['callers']} callers"),
            ("answered within", f"p50 {latency['p50']} ms, p95 {latency['p95']} ms, p99 {latency['p99']} ms"),
            ("errors", f"{report['errors']} {report['first_error']}".strip()),
        ]
    )
