"""What backups promise, measured: exact under writers, small, sound, killed, lost, and back in time.

``make bench-backups`` prints one JSON document, and each part of it on standard error when it is known. It
never passes or fails, but its ``failures`` must be empty. The commands of the product run in processes of
their own. ``--folder`` keeps the homes that were prepared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from configs.version import VERSION
from tests.benchmarks.backup_bench import Bench, Report
from tests.benchmarks.backup_faults import consistency, damage, kills, stream_damage
from tests.benchmarks.backup_recovery import incremental, loss, recovery

MEASURES: dict[str, Callable[[Bench], Report]] = {
    "consistency": consistency,
    "incremental": incremental,
    "damage": damage,
    "stream_damage": stream_damage,
    "kills": kills,
    "loss": loss,
    "recovery": recovery,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench-backups", description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000, help="size of the large home (100000)")
    parser.add_argument("--runs", type=int, default=20, help="how often something is damaged or killed (20)")
    parser.add_argument("--only", action="append", choices=sorted(MEASURES), help="leave the others out")
    parser.add_argument("--folder", type=Path, help="where homes are prepared, and found the next time")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kite-bench-backups-") as scratch:
        bench = Bench(options.folder or Path(scratch), options.passages, options.runs)
        measured: Report = {}
        for name in options.only or MEASURES:
            measured[name] = MEASURES[name](bench)
            shutil.rmtree(bench.work, ignore_errors=True)
            print(json.dumps({name: measured[name]}), file=sys.stderr)
    setting = {"software": VERSION, "cores": os.cpu_count(), "passages": options.passages}
    print(json.dumps({**setting, "failures": bench.failures, **measured}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
