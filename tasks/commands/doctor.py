"""``kite doctor``: whether this machine can run an installation with these settings, and how to mend it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from configs.schema import Settings
from tasks.commands.checks import check_all
from tasks.commands.told import FINE, NEGATIVE, Rows, Told


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Look at ports, memory, disk, versions, models, permissions; say how to mend what is not well."""
    del options
    from tasks.commands.facts import facts_of

    checks = [asdict(one) for one in check_all(facts_of(settings))]
    has_failed = any(one["state"] == "fail" for one in checks)
    return Told(checks, _table, NEGATIVE if has_failed else FINE)


def _table(checks: Any) -> Rows:
    return Rows(
        ("", "check", "found", "how to mend it"),
        [(one["state"], one["name"], one["what"], one["how"]) for one in checks],
    )
