"""``kite import``: files of knowledge taken in, with what could not be taken set aside beside them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

from configs.schema import Settings
from data.claims import DEFAULT_TENANT, tenant_id
from data.rows import ROW_KINDS
from tasks.commands.reach import add_service_arguments, client_for
from tasks.commands.told import FINE, PARTLY, Told, report_fields
from tasks.session import connect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite import`` takes."""
    parser.add_argument("file", type=Path, help="JSONL, CSV, Parquet, N-Quads or a ClaimReview feed")
    parser.add_argument("--kind", choices=ROW_KINDS, help="what the rows are; found from the columns")
    parser.add_argument("--tenant", default=DEFAULT_TENANT, help="whose it will be; not with --url")
    add_service_arguments(parser)


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Load a file of knowledge; rows that cannot be taken are set aside with the reason."""
    if options.url:
        with client_for(settings, options) as client:
            answer = client.import_knowledge(options.file, kind=options.kind, skip_bad_rows=True)
        return _told(answer)
    from tasks.import_knowledge import import_file

    with connect(settings):
        report = import_file(
            options.file.resolve(), settings, kind=options.kind, tenant=tenant_id(options.tenant)
        )
    return _told(msgspec.to_builtins(report))


def _told(report: Any) -> Told:
    return Told(report, report_fields, PARTLY if report["rejected"] else FINE)
