"""The ``kite`` command. ``python -m tasks.kite`` is the same.

Each command is a module of ``tasks.commands``: a function from settings and options to what it tells, shown
by ``tasks.commands.present``. Only the module of the command that was typed is loaded. Every user mistake
ends in one line on standard error; exit codes are those of ``tasks.commands.told``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from configs.errors import KiteError
from tasks.commands.starting import start
from tasks.commands.told import INTERRUPTED, READER_GONE, Told, code_of

__all__ = ["build_parser", "main", "start"]

DESCRIPTION = "Brahminy Kite: claims in, verdicts out."
_COMMON = ("tasks.commands.reach", "add_common_arguments")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its help, where its function and arguments are, how it is used."""

    name: str
    help: str
    run: tuple[str, str]
    arguments: tuple[str, str] = _COMMON
    examples: tuple[str, ...] = ()


def _own(name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (f"tasks.commands.{name}", "run"), (f"tasks.commands.{name}", "add_arguments")


_LIFE, _BACKUPS = "tasks.commands.life", "tasks.commands.backups"
_START = (_LIFE, "add_start_arguments")
COMMANDS: tuple[Command, ...] = (
    Command("run", "start, show three verdicts, stay until Ctrl-C", (_LIFE, "run"), _START, ("kite run",)),
    Command(
        "up", "start in the background; return when the service answers", (_LIFE, "up"), _START,
        ("kite up", "kite up --no-demo --set http.port=8001"),
    ),
    Command("down", "stop what up or run started for this home", (_LIFE, "down"), examples=("kite down",)),
    Command(
        "status", "the state of every part", (_LIFE, "status"), (_LIFE, "add_status_arguments"),
        ("kite status", "kite status --json --url https://kite.example.org"),
    ),
    Command(
        "doctor", "what is wrong with this machine or installation, and how to mend it",
        ("tasks.commands.doctor", "run"), examples=("kite doctor", "kite doctor --json"),
    ),
    Command(
        "verify", "verify a claim, lines of a file or pipe, or an article", *_own("verify"),
        (
            'kite verify "Mount Everest is 8,849 metres high."',
            "cat claims.txt | kite verify --jsonl > verdicts.jsonl",
            "kite verify --file claims.jsonl --frameworks empirical,consistency",
            "kite verify --text article.txt --limit 5",
        ),
    ),
    Command(
        "batch", "verify files of any size as a resumable batch job", *_own("batch"),
        ("kite batch claims.jsonl --out verdicts", "kite batch 'claims/*.parquet' --out verdicts --dry-run"),
    ),
    Command(
        "import", "load a file of knowledge", *_own("importing"),
        ("kite import documents.jsonl", "kite import facts.csv --kind facts"),
    ),
    Command(
        "search", "what is known about a text, or like it in a vector dataset", *_own("search"),
        ('kite search "height of Mount Everest"', "kite search weight --dataset ID --mode semantic"),
    ),
    Command(
        "datasets", "vector datasets listed, shown, made and removed", *_own("datasets"),
        ("kite datasets list", "kite datasets create papers --dimensions 384"),
    ),
    Command(
        "jobs", "work in the background: submit, list, show, logs, stop", *_own("jobs"),
        (
            "kite jobs submit verify_batch input=claims.jsonl --follow",
            "kite jobs list --state running",
            "kite jobs logs ID --follow",
        ),
    ),
    Command(
        "tasks", "the queue: submit, list, show, retry, cancel, count", *_own("queued"),
        ('kite tasks submit "Water boils at 100 °C."', "kite tasks list --state dead", "kite tasks retry ID"),
    ),
    Command(
        "keys", "make, list, show, rotate and revoke API keys", ("tasks.keys", "keys_command"),
        ("tasks.keys", "add_key_arguments"), ("kite keys create robot --tenant default --role verifier",),
    ),
    Command(
        "tenants", "make, list, suspend, resume and erase tenants", ("tasks.keys", "tenants_command"),
        ("tasks.keys", "add_tenant_arguments"), ("kite tenants create acme --name Acme",),
    ),
    Command(
        "audit", "who did what: show, check, export, cut", ("tasks.audit", "run"),
        ("tasks.audit", "add_commands"), ("kite audit show --limit 20", "kite audit verify"),
    ),
    Command(
        "backup", "take a backup of this home", (_BACKUPS, "backup"), (_BACKUPS, "add_backup_arguments"),
        ("kite backup --target /mnt/backups", "kite backup --kind incremental"),
    ),
    Command(
        "restore", "bring this home, or what is missing in it, back from a backup",
        (_BACKUPS, "restore"), (_BACKUPS, "add_restore_arguments"),
        ("kite restore --latest", "kite restore --at 2026-11-20 --dry-run"),
    ),
    Command(
        "recover", "bring this home back after a disaster", (_BACKUPS, "recover"),
        (_BACKUPS, "add_place_arguments"), ("kite recover",),
    ),
    Command(
        "bench", "measure the running service", *_own("bench"),
        ("kite bench", "kite bench --callers 64 --batch 16 --json"),
    ),
    Command(
        "config", "the settings in force, passwords masked", ("tasks.commands.settings_shown", "run"),
        examples=("kite config", "kite config --json"),
    ),
    Command(
        "completion", "a script that completes commands in your shell", *_own("completion"),
        ('eval "$(kite completion bash)"',),
    ),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = build_parser(_named(words)).parse_args(words)
    try:
        return _run(options)
    except KiteError as exc:
        for line in (f"kite: {exc}", *getattr(exc, "__notes__", ()), *_request_of(exc)):
            sys.stderr.write(f"{line}\n")
        return code_of(exc)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has gone: nothing more is written, not even when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of every command, or one that knows the arguments of ``only`` alone."""
    parser = argparse.ArgumentParser(prog="kite", description=DESCRIPTION)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(
            command.name,
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog=_epilog(command),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if only in (None, command.name):
            _function(command.arguments)(sub)
    return parser


def _run(options: argparse.Namespace) -> int:
    from tasks.commands.present import present

    as_json = getattr(options, "json", False) or getattr(options, "jsonl", False)
    out = sys.stdout
    # Ray prints warnings of its own to standard output, which belongs to what the command tells.
    with contextlib.redirect_stdout(sys.stderr):
        return present(_told(options), as_json=as_json, out=out)


def _told(options: argparse.Namespace) -> Told:
    if options.command == "completion":
        from tasks.commands.completion import script_of

        return script_of(options.shell, build_parser())
    from tasks.session import settings_from

    command = next(one for one in COMMANDS if one.name == options.command)
    told: Told = _function(command.run)(settings_from(options), options)
    return told


def _named(words: Sequence[str]) -> str | None:
    """Return the command that was typed, so that the others need not be loaded; empty where none was."""
    return next((word for word in words if not word.startswith("-")), "")


def _function(place: tuple[str, str]) -> Callable[..., Any]:
    module, name = place
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _epilog(command: Command) -> str:
    return "examples:\n" + "\n".join(f"  {line}" for line in command.examples)


def _request_of(error: KiteError) -> tuple[str, ...]:
    return (f"request id: {error.request_id}",) if error.request_id else ()


if __name__ == "__main__":
    sys.exit(main())
