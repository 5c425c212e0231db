"""The report of a batch: counts, calibration, throughput, errors. Pure but for reading the output.

Called by the driver when the rows are there. Invariant: counts follow from the parts' summaries alone, so
a batch that was killed and went on reports the same as one that ran through; only times differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from data.batch.manifest import Manifest
from data.batch.output import Output
from data.batch.results import PartSummary, dead_name
from data.batch.totals import AgainstLabels, RepeatedIds, Totals, run_told
from data.verdicts import VERDICT_LABELS
from tasks.evaluation.statistics import macro_f1


@dataclass(frozen=True, slots=True)
class RunTimes:
    """What this run took, seconds: before the first row was worked on, and from then to the last."""

    start_s: float
    work_s: float
    rows: int
    workers: int
    by: str
    timeline: Sequence[tuple[float, int]] = field(default_factory=tuple)


def batch_report(manifest: Manifest, summaries: Iterable[PartSummary], times: RunTimes) -> dict[str, Any]:
    """Return the report of the parts whose summaries are given."""
    totals, labelled = Totals(), AgainstLabels()
    with RepeatedIds() as ids:
        for each in summaries:
            totals.take(each)
            labelled.take(each)
            ids.take(each)
        repeated = ids.count()
    told = totals.told(
        wanted=manifest.rows, knowledge_seq=manifest.position, model_bundle=manifest.model_bundle
    )
    return {
        **told,
        "duplicate_ids": repeated,
        "calibration": _calibration(labelled, totals.unknown_labels),
        "files": _plain(manifest.files),
        "options": _plain(manifest.options),
        "parts": manifest.parts,
        "rows_by_node": dict(sorted(totals.nodes.items())) if any(totals.nodes) else None,
        "cpu_ms_per_claim": round(1000.0 * totals.cpu_s / max(1, totals.answered), 3),
        "this_run": _run(times),
    }


def _plain(value: Any) -> Any:
    """Return a value as it comes back from a report that was written."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _run(times: RunTimes) -> dict[str, Any]:
    return {
        **run_told(rows=times.rows, work_s=times.work_s, by=times.by),
        "start_s": round(times.start_s, 3),
        "workers": times.workers,
        "timeline": [[round(at_s, 3), rows] for at_s, rows in times.timeline],
    }


def _calibration(labelled: AgainstLabels, unknown: int) -> dict[str, Any] | None:
    """Return the figures of the rows whose label was given, ``None`` where none was."""
    found, counts = labelled.told(), labelled.confusion
    if not found["samples"] and not unknown:
        return None
    return {
        **found,
        "macro_f1": round(macro_f1(counts), 6) if found["samples"] else None,
        "confusion": {
            name: dict(zip(VERDICT_LABELS, row.tolist(), strict=True))
            for name, row in zip(VERDICT_LABELS, counts, strict=True)
            if row.any()
        },
        "unknown_labels": unknown,
    }


def dead_letters(output: Output, numbers: Iterable[int]) -> Iterator[bytes]:
    """Yield the dead rows of parts, as lines, in the order of the parts."""
    there = set(output.names("_kite/dead"))
    for number in numbers:
        name = dead_name(number)
        if name.rpartition("/")[2] in there:
            yield output.read(name) or b""
