"""The audit: ``python -m tasks.audit show|verify|export|drop``; ``kite audit …`` is the same.

With a running installation its keeper answers; ``--home-stopped`` reads the file of a home that nothing has
open. Exported lines are JSON with the position and the SHA-256 that closes the chain there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cluster.head import home_of
from configs.schema import Settings
from data.audit.log import check_export, exported
from data.audit.port import AuditQuery, AuditSink
from data.claims import TenantId
from data.errors import InvalidValueError, KiteError
from data.home_lock import hold_home
from tasks.session import add_settings_arguments, connect, settings_from

#: Lines read at a time by an export.
_PAGE = 5_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (0 done, 1 the chain does not hold, 2 bad input)."""
    parser = argparse.ArgumentParser(prog="python -m tasks.audit", description="Read and check the audit.")
    add_commands(parser)
    options = parser.parse_args(arguments)
    try:
        return run(settings_from(options), options)
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands with their arguments to a parser: this module's, or that of ``kite audit``."""
    commands = parser.add_subparsers(dest="audit_command", required=True)
    show = commands.add_parser("show", help="the last lines")
    show.add_argument("--limit", type=int, default=50, help="how many")
    export = commands.add_parser("export", help="all lines as JSON, oldest first")
    for one in (show, export):
        _add_filters(one)
    verify = commands.add_parser("verify", help="follow the chain of hashes from the first line to the last")
    verify.add_argument("--file", type=Path, metavar="EXPORT", help="check exported lines; nothing need run")
    drop = commands.add_parser("drop", help="remove the oldest lines for good; that is a line itself")
    drop.add_argument("--until", required=True, metavar="TIME", help="an ISO day or instant")
    drop.add_argument("--yes", action="store_true", required=True, help="they cannot be brought back")
    for one in (show, export, verify, drop):
        one.add_argument("--home-stopped", action="store_true", help="nothing is running: read the file here")
        add_settings_arguments(one)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Run the command that ``options`` name and return its exit code."""
    if getattr(options, "file", None):
        with options.file.open("rb") as lines:
            first, last, head = check_export(lines)
        sys.stdout.write(json.dumps({"first": first, "last": last, "head": head}) + "\n")
        return 0
    command: Callable[[AuditSink, argparse.Namespace], int] = _COMMANDS[options.audit_command]
    with opened(settings, home_stopped=options.home_stopped) as sink:
        return command(sink, options)


@contextmanager
def opened(settings: Settings, *, home_stopped: bool) -> Iterator[AuditSink]:
    """Lend the audit of the running installation, or the file of one that is stopped.

    Raises:
        UnavailableError: nothing is running. StoreUnavailableError: a keeper has the home open.
    """
    if home_stopped:
        from cluster.wiring import open_audit

        with hold_home(home_of(settings) / "ledger" / "lock"):
            log = open_audit(settings)
            try:
                yield log
            finally:
                log.close()
        return
    from cluster.remote import RemoteAudit

    with connect(settings):
        yield RemoteAudit()


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--after", type=int, default=0, metavar="SEQ", help="lines after this position")
    parser.add_argument("--tenant", help="of this tenant alone")
    parser.add_argument("--subject", help="by this caller alone, such as key:ID")
    parser.add_argument("--action", help="whose action begins so")
    parser.add_argument("--result", choices=("allowed", "denied", "failed"))
    parser.add_argument("--request-id")
    parser.add_argument("--since", metavar="TIME", help="an ISO day or instant")
    parser.add_argument("--until", metavar="TIME", help="an ISO day or instant")


def _query(options: argparse.Namespace, *, limit: int, newest: bool) -> AuditQuery:
    return AuditQuery(
        tenant=None if options.tenant is None else TenantId(options.tenant),
        after=options.after,
        limit=limit,
        newest=newest,
        subject=options.subject,
        action=options.action,
        result=options.result,
        request_id=options.request_id,
        since=options.since,
        until=options.until,
    )


def _show(sink: AuditSink, options: argparse.Namespace) -> int:
    for row in reversed(sink.read(_query(options, limit=options.limit, newest=True))):
        one = row.event
        words = (one.at, one.tenant, one.subject, one.address, one.action, one.target)
        end = (one.result, str(one.status), one.reason, one.request_id)
        sys.stdout.write(f"{row.seq:>8}  {'  '.join(word for word in (*words, *end) if word)}\n")
    return 0


def _export(sink: AuditSink, options: argparse.Namespace) -> int:
    for line in exported(sink, _query(options, limit=_PAGE, newest=False)):
        sys.stdout.write(line.decode())
    return 0


def _verify(sink: AuditSink, options: argparse.Namespace) -> int:
    del options
    found = sink.verify()
    sys.stdout.write(json.dumps(msgspec.to_builtins(found)) + "\n")
    return 1 if found.fault or found.gaps else 0


def _drop(sink: AuditSink, options: argparse.Namespace) -> int:
    if not options.yes:
        raise InvalidValueError("audit drop: add --yes, for the lines cannot be brought back.")
    sys.stdout.write(json.dumps({"dropped": sink.drop(options.until, subject="operator")}) + "\n")
    return 0


_COMMANDS = {"show": _show, "export": _export, "verify": _verify, "drop": _drop}


if __name__ == "__main__":
    raise SystemExit(main())
