"""Erase for good what was superseded: ``python -m tasks.compact --horizon SEQ | --older-than 30d``.

What was replaced or deleted before the horizon is taken out of the ledger, its segments and every view;
questions as of an earlier position are refused from then on. With a running installation its keeper does
the work; ``--home-stopped`` does it in this process. A run that was cut off is finished by the next start.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from configs.schema import Settings
from data.errors import InvalidValueError
from tasks.maintenance import add_home_arguments, running_keeper, stopped_keeper, told

_AGE = re.compile(r"(\d{1,6})([dhm])\Z")
_HOURS = {"d": 24.0, "h": 1.0, "m": 1 / 60}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input or nothing running)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.compact", description="Erase for good what was replaced or deleted."
    )
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--horizon", type=int, metavar="SEQ", help="the ledger position up to which to erase")
    chosen.add_argument("--older-than", metavar="AGE", help="such as 30d, 12h or 90m: up to so long ago")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be erased")
    add_home_arguments(parser)
    options = parser.parse_args(arguments)

    def work(settings: Settings) -> dict[str, Any]:
        moment = None if options.older_than is None else moment_before(options.older_than, time.time())
        compact = stopped if options.home_stopped else running
        return compact(settings, options.horizon, moment, dry_run=options.dry_run)

    return 2 if told(options, work) is None else 0


def moment_before(age: str, now_s: float) -> str:
    """Return the instant so long before now, ISO 8601 in UTC.

    Raises:
        InvalidValueError: not an age.
    """
    matched = _AGE.match(age)
    if matched is None:
        raise InvalidValueError(f"{age!r} is no age: write 30d, 12h or 90m.")
    hours = int(matched[1]) * _HOURS[matched[2]]
    return (datetime.fromtimestamp(now_s, UTC) - timedelta(hours=hours)).isoformat()


def running(settings: Settings, horizon: int | None, moment: str | None, *, dry_run: bool) -> dict[str, Any]:
    """Have the keeper of the running installation compact.

    Raises:
        UnavailableError: nothing is running.
    """
    with running_keeper(settings) as keeper:
        at = horizon if moment is None else int(keeper.call("seq_at", moment))
        return dict(keeper.call("compact", at, dry_run))


def stopped(settings: Settings, horizon: int | None, moment: str | None, *, dry_run: bool) -> dict[str, Any]:
    """Compact a home that nothing has open.

    Raises:
        StoreUnavailableError: a keeper has the home open. ModelUnavailableError: the embedder has not been
        built, which vectors may need.
    """
    with stopped_keeper(settings, with_vectors=not dry_run) as keeper:
        at = (horizon or 0) if moment is None else keeper.seq_at(moment)
        return dict(msgspec.to_builtins(keeper.compact(at, dry_run=dry_run)))


if __name__ == "__main__":
    raise SystemExit(main())
