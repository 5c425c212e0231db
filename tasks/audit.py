"""``kite audit show|verify|export|drop``: what was done, by whom, in a chain of hashes.

With a running installation its keeper answers; ``--home-stopped`` reads the file of a home that nothing has
open. Exported lines are JSON with the position and the SHA-256 that closes the chain there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from cluster.head import home_of
from configs.schema import Settings
from data.audit.log import check_export, exported
from data.audit.port import AuditQuery, AuditSink
from data.claims import TenantId
from data.errors import InvalidValueError
from data.home_lock import hold_home
from tasks.commands.reach import add_common_arguments
from tasks.commands.told import FINE, NEGATIVE, Told, report_fields
from tasks.session import connect

#: Lines read at a time by an export.
_PAGE = 5_000


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite audit`` takes."""
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
        add_common_arguments(one)


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Show, check, export and cut the record of who did what."""
    if getattr(options, "file", None):
        return _verify_file(options.file)
    return _COMMANDS[options.audit_command](settings, options)


@contextmanager
def opened(settings: Settings, *, home_stopped: bool) -> Iterator[AuditSink]:
    """Lend the audit of the running installation, or the file of one that is stopped.

    Raises:
        UnavailableError: nothing is running. StoreUnavailableError: a keeper has the home open.
    """
    if home_stopped:
        from cluster.owned import open_audit

        with hold_home(home_of(settings)):
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


def _verify_file(path: Path) -> Told:
    try:
        with path.open("rb") as lines:
            first, last, head = check_export(lines)
    except OSError as exc:
        raise InvalidValueError(f"audit verify: {path} cannot be read: {exc.strerror}.") from exc
    return Told({"first": first, "last": last, "head": head}, report_fields)


def _show(settings: Settings, options: argparse.Namespace) -> Told:
    with opened(settings, home_stopped=options.home_stopped) as sink:
        rows = sink.read(_query(options, limit=options.limit, newest=True))
    told = [{"seq": row.seq, **msgspec.to_builtins(row.event)} for row in reversed(rows)]
    return Told(iter(told), _line, is_stream=True)


def _line(event: Mapping[str, Any]) -> str:
    names = ("at", "tenant", "subject", "address", "action", "target", "result", "status", "reason")
    words = [str(event[name]) for name in (*names, "request_id") if event[name]]
    return "  ".join([f"{event['seq']:>8}", *words])


def _export(settings: Settings, options: argparse.Namespace) -> Told:
    def lines() -> Iterator[msgspec.Raw]:
        with opened(settings, home_stopped=options.home_stopped) as sink:
            for line in exported(sink, _query(options, limit=_PAGE, newest=False)):
                # Byte for byte: the chain goes over these.
                yield msgspec.Raw(line.rstrip(b"\n"))

    return Told(lines(), lambda line: bytes(line).decode(), is_stream=True)


def _verify(settings: Settings, options: argparse.Namespace) -> Told:
    with opened(settings, home_stopped=options.home_stopped) as sink:
        found = sink.verify()
    return Told(msgspec.to_builtins(found), report_fields, NEGATIVE if found.fault or found.gaps else FINE)


def _drop(settings: Settings, options: argparse.Namespace) -> Told:
    if not options.yes:
        raise InvalidValueError("audit drop: add --yes, for the lines cannot be brought back.")
    with opened(settings, home_stopped=options.home_stopped) as sink:
        return Told({"dropped": sink.drop(options.until, subject="operator")}, report_fields)


_COMMANDS: dict[str, Callable[[Settings, argparse.Namespace], Told]] = {
    "show": _show,
    "export": _export,
    "verify": _verify,
    "drop": _drop,
}
