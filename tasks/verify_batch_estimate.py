"""What a batch will cost, measured on some of its own rows: ``--dry-run``. Writes nothing.

Called by ``tasks.verify_batch``. The rows are taken from the first, the middle and the last part, for files
are often sorted.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from configs.schema import Settings
from data.batch.parts import Plan
from data.batch.results import FORMS
from data.claims import TenantId
from tasks.verify_batch_engine import open_engine
from tasks.verify_batch_run import Asked, check_frameworks
from tasks.verify_batch_worker import Job, PartWorker

#: Rows of each of the parts that are tried.
SAMPLE_ROWS = 40
#: Measured share of one process's rate that a further mapper adds on cores of its own, and seconds until a
#: job's mappers are at work (``python -m tests.benchmarks.batch``).
MAPPER_SHARE, MAPPERS_START_S = 0.9, 15.0


def estimate(asked: Asked, found: Plan, settings: Settings) -> dict[str, Any]:
    """Return rows, seconds and bytes of a batch that is not begun. Ray is connected unless ``here``."""
    check_frameworks(asked.options, settings)
    began_s = time.monotonic()
    # Deployments go about as fast as one process with models of its own, and that one can be left again.
    with open_engine(settings, "mappers" if asked.through == "deployments" else asked.through) as engine:
        stand = engine.standpoint(TenantId(asked.options.tenant))
        job = Job(asked.out, asked.options, stand, engine.model_bundle, asked.through, manifest="")
        worker = PartWorker(engine, job)  # which writes nothing here
        start_s = time.monotonic() - began_s
        places = sorted({0, len(found.parts) // 2, len(found.parts) - 1}) if found.parts else []
        # The first group pays for what is loaded late.
        for place in places[:1]:
            worker.rows(replace(found.parts[place], rows=1))
        tried, bad, size, work_s = 0, 0, 0, 0.0
        for place in places:
            part = found.parts[place]
            began_s = time.monotonic()
            answered, dead = worker.rows(replace(part, rows=min(part.rows, SAMPLE_ROWS)))
            work_s += time.monotonic() - began_s
            tried, bad = tried + len(answered) + len(dead), bad + len(dead)
            size += len(FORMS[asked.options.format](answered))
    a_row_s = work_s / max(1, tried)
    others = 1.0 + (asked.workers - 1) * MAPPER_SHARE
    starting_s = MAPPERS_START_S if asked.through in ("mappers", "readers") else start_s
    return {
        "rows": found.rows,
        "parts": len(found.parts),
        "files": len(found.files),
        "sample": {"rows": tried, "dead_letters": bad, "seconds": round(work_s, 3)},
        "seconds": round(starting_s + found.rows * a_row_s / others, 1),
        "seconds_per_1000_rows": round(1000.0 * a_row_s / others, 2),
        "bytes": int(size / max(1, tried) * found.rows),
        "through": asked.through,
        "workers": asked.workers,
    }
