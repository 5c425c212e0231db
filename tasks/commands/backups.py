"""``kite backup``, ``restore`` and ``recover``: as in ``tasks.backup``, which has more."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from configs.schema import Settings
from tasks import backup as backups
from tasks.commands.told import FINE, NEGATIVE, Told, report_fields


def add_backup_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite backup`` takes."""
    backups.add_create_arguments(parser)
    add_place_arguments(parser)


def add_restore_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite restore`` takes."""
    backups.add_restore_arguments(parser)
    add_place_arguments(parser)


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the backups are, and what every command takes."""
    backups.add_place_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def backup(settings: Settings, options: argparse.Namespace) -> Told:
    """Take a backup of this home (lists, checks, retention: ``python -m tasks.backup``)."""
    return _told(backups.create_command(settings, options))


def restore(settings: Settings, options: argparse.Namespace) -> Told:
    """Bring this home back from a backup, or what is missing into the running system."""
    return _told(backups.restore_command(settings, options))


def recover(settings: Settings, options: argparse.Namespace) -> Told:
    """Bring this home back after a disaster: newest good backup, streamed rows, views, verified."""
    return _told(backups.recover_command(settings, options))


def _told(report: Any) -> Told:
    return Told(msgspec.to_builtins(report), report_fields, NEGATIVE if backups.exit_code(report) else FINE)
