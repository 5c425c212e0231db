"""``kite batch``: files of any size verified as a batch that goes on where it was."""

from __future__ import annotations

import argparse
import time
from typing import Any

from configs.schema import Settings
from tasks import verify_batch
from tasks.commands.present import progress
from tasks.commands.told import FINE, PARTLY, Fields, Told, report_fields


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite batch`` takes: what the task does, and ``--json``."""
    verify_batch.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Verify files on the running installation, or with ``--local`` in this process."""
    with progress("batch") as tick:
        report = verify_batch.work(options, settings, time.monotonic(), show=tick)
    told = verify_batch.shown(report)
    return Told(told, _shown, PARTLY if report.get("dead_letters") else FINE)


def _shown(report: Any) -> Fields:
    """Return what was counted; what was asked for is in the report beside the rows."""
    fields = report_fields(report).fields
    return Fields([one for one in fields if one[1] != "" and not one[0].startswith(("options.", "files["))])
