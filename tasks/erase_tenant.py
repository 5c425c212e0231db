"""Erase a tenant for good: ``python -m tasks.erase_tenant ID --yes [--backups TARGET]``.

``kite tenants erase`` is the same. Prints the proof as JSON. With a running installation its keeper does the
work; ``--home-stopped`` does it in this process. ``--verify`` only counts what is left. ``--backups`` names
the place of the backups, so that the proof lists those that still hold the tenant.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from cluster.head import home_of
from configs.schema import Settings
from data.access.records import SYSTEM_TENANT
from data.backups.manifest import read_catalogue
from data.backups.sealing import sealer_from
from data.backups.source import LedgerSource, ledger_path
from data.backups.targets import open_target
from data.claims import TenantId, tenant_id
from data.erased import Erased, Remains
from data.erasure import backups_with
from data.errors import InvalidValueError, KiteError
from tasks.maintenance import stopped_keeper
from tasks.session import add_settings_arguments, connect, settings_from


class Erasing(Protocol):
    """``data.erasure.Eraser`` here, or over the keeper."""

    def erase(self, tenant: TenantId, *, backups: Sequence[str] = (), actor: str = "operator") -> Erased:
        """Erase a tenant."""
        ...

    def verify_erased(self, tenant: TenantId) -> Remains:
        """Count what is left."""
        ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 gone, 1 something is left, 2 bad input or nothing running)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.erase_tenant", description="Erase a tenant for good, with proof."
    )
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        return run(settings_from(options), options)
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a parser: this module's, or that of ``kite tenants erase``."""
    parser.add_argument("tenant", metavar="ID")
    parser.add_argument("--yes", action="store_true", help="it cannot be brought back")
    parser.add_argument("--verify", action="store_true", help="only count what is left of it")
    parser.add_argument("--backups", metavar="TARGET", help="where the backups are, to name those with it")
    parser.add_argument("--home-stopped", action="store_true", help="nothing is running: work here")
    add_settings_arguments(parser)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Erase, or verify, what ``options`` name; print it and return the exit code."""
    found = work(settings, options)
    sys.stdout.write(json.dumps(msgspec.to_builtins(found)) + "\n")
    return exit_code(found)


def work(settings: Settings, options: argparse.Namespace) -> Erased | Remains:
    """Erase what ``options`` name and return the proof; with ``--verify`` return what is left of it."""
    tenant = tenant_id(options.tenant)
    if not (options.yes or options.verify):
        raise InvalidValueError("Erasing a tenant cannot be undone: add --yes.")
    with _eraser(settings, home_stopped=options.home_stopped) as eraser:
        if options.verify:
            return eraser.verify_erased(tenant)
        backups = _backups(settings, options.backups, tenant) if options.backups else ()
        return eraser.erase(tenant, backups=backups)


def exit_code(found: Erased | Remains) -> int:
    """Return 1 where something of the tenant is left."""
    return 1 if isinstance(found, Remains) and not found.is_gone else 0


@contextmanager
def _eraser(settings: Settings, *, home_stopped: bool) -> Iterator[Erasing]:
    if home_stopped:
        from cluster.owned import open_eraser

        with stopped_keeper(settings, with_vectors=True) as keeper:
            yield open_eraser(settings, keeper)
        return
    from cluster.remote import RemoteEraser

    with connect(settings):
        yield RemoteEraser()


def _backups(settings: Settings, target: str, tenant: TenantId) -> tuple[str, ...]:
    """Return the backups that hold rows of a tenant."""
    home = home_of(settings)
    with LedgerSource(ledger_path(home)) as source:
        first, last = 0, 0
        for entry in source.entries_of(tenant):
            first, last = first or entry.seq, entry.seq
        for entry in source.entries_of(SYSTEM_TENANT):
            if entry.key == tenant:
                first, last = min(first or entry.seq, entry.seq), max(last, entry.seq)
    return (
        backups_with(read_catalogue(open_target(target), sealer_from(os.environ)), first, last)
        if first
        else ()
    )


if __name__ == "__main__":
    raise SystemExit(main())
