"""``kite keys`` and ``kite tenants``: keys and tenants administered from the command line.

Called by ``tasks.kite``. Works through the running installation, and on a home that is stopped in this
process. Whoever can read the home is its administrator, so no key is asked for here.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import msgspec

from cluster.head import home_of, running
from configs.schema import Settings
from data.access.desk import AccessDesk, KeyWish
from data.access.first_key import ensure_first_key
from data.access.keys import OVERLAP_S
from data.access.records import Hours, KeyRecord, TenantRecord
from data.access.roles import Role
from data.access.secrets import access_secrets
from data.claims import TenantId, tenant_id
from data.clock import SystemClock
from data.errors import InvalidValueError, NotFoundError
from data.limits.policy import Quotas
from data.lookup import LocalReader
from tasks import erase_tenant
from tasks.commands.reach import add_common_arguments
from tasks.commands.told import Told, report_fields
from tasks.maintenance import stopped_keeper
from tasks.session import connect

#: As whose work it stands in the ledger.
ACTOR = "command line"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_QUOTAS = tuple(field.name for field in fields(Quotas))


def keys_command(settings: Settings, options: argparse.Namespace) -> Told:
    """Make, list, show, rotate and revoke API keys."""
    with desk_of(settings) as desk:
        return _KEYS[options.act](desk, options)


def tenants_command(settings: Settings, options: argparse.Namespace) -> Told:
    """Make, list, suspend, resume and erase tenants."""
    if options.act == "erase":
        found = erase_tenant.work(settings, options)
        return Told(msgspec.to_builtins(found), report_fields, erase_tenant.exit_code(found))
    with desk_of(settings) as desk:
        return _TENANTS[options.act](desk, options)


@contextmanager
def desk_of(settings: Settings) -> Iterator[AccessDesk]:
    """Open the desk of an installation, running or stopped.

    Raises:
        StoreUnavailableError: another process has the stopped home open. ConfigError: damaged secrets.
    """
    pepper, clock = access_secrets(home_of(settings)).pepper, SystemClock()
    if "RAY_ADDRESS" in os.environ or running(settings) is not None:
        from cluster.remote import RemoteReader

        with connect(settings):
            yield AccessDesk(RemoteReader(), pepper, clock)
        return
    with stopped_keeper(settings, with_vectors=False) as keeper:
        yield AccessDesk(LocalReader(keeper), pepper, clock)


def first_key(settings: Settings) -> str | None:
    """Return the administrator's key if this is the first start that asks for credentials, else ``None``."""
    if settings.auth.mode != "required":
        return None
    with desk_of(settings) as desk:
        return ensure_first_key(home_of(settings), desk)


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite keys`` understands."""
    acts = parser.add_subparsers(required=True, dest="act", metavar="ACT")
    create = _act(acts, "create", "make a key; it is shown once")
    create.add_argument("name", help="what it is for")
    whose = create.add_mutually_exclusive_group(required=True)
    whose.add_argument("--tenant", help="whose key it is")
    whose.add_argument("--installation", action="store_true", help="it administers every tenant")
    create.add_argument(
        "--role", action="append", required=True, dest="roles", choices=list(Role), help="may be repeated"
    )
    create.add_argument("--expires", metavar="WHEN", help="a day or instant as 2027-01-31, or days as 90d")
    create.add_argument(
        "--address", action="append", default=[], dest="addresses", metavar="NETWORK", help="as 10.0.0.0/8"
    )
    create.add_argument("--hours", metavar="HH:MM-HH:MM", help="when it works, in UTC")
    create.add_argument("--days", default=",".join(DAYS), help="on which days, as mon,tue,wed")
    listed = _act(acts, "list", "list keys; no secret is shown")
    listed.add_argument("--tenant", help="only this one's")
    _act(acts, "show", "show a key without its secret").add_argument("id")
    rotate = _act(acts, "rotate", "make a key's successor; the old one ends a while later")
    rotate.add_argument("id")
    rotate.add_argument("--overlap", type=float, default=OVERLAP_S, metavar="SECONDS", help="how much later")
    _act(acts, "revoke", "end a key at once, for good").add_argument("id")


def add_tenant_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite tenants`` understands."""
    acts = parser.add_subparsers(required=True, dest="act", metavar="ACT")
    create = _act(acts, "create", "make a tenant")
    create.add_argument("id", help="small letters, digits and hyphens; never changed")
    create.add_argument("--name", default="", help="how people call it")
    create.add_argument(
        "--quota", action="append", default=[], dest="quotas", metavar="WHAT=MOST", help=", ".join(_QUOTAS)
    )
    _act(acts, "list", "list tenants")
    _act(acts, "suspend", "let nobody of a tenant in").add_argument("id")
    _act(acts, "resume", "let a suspended tenant in again").add_argument("id")
    erase = acts.add_parser("erase", help="remove all of a tenant for good, with proof")
    erase_tenant.add_arguments(erase)
    erase.add_argument("--json", action="store_true", help="print JSON, for programs")


def _act(acts: Any, name: str, told: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = acts.add_parser(name, help=told)
    add_common_arguments(parser)
    return parser


def _create_key(desk: AccessDesk, options: argparse.Namespace) -> Told:
    wish = KeyWish(
        options.name,
        tenant_id(options.tenant) if options.tenant else None,
        tuple(Role(name) for name in options.roles),
        _expiry(options.expires, SystemClock().now_s()) if options.expires else None,
        tuple(options.addresses),
        _hours(options.hours, options.days) if options.hours else None,
    )
    return _shown_once(*desk.create_key(wish, actor=ACTOR))


def _rotate_key(desk: AccessDesk, options: argparse.Namespace) -> Told:
    made = desk.rotate_key(options.id, actor=ACTOR, overlap_s=options.overlap)
    return _shown_once(*made)


def _list_keys(desk: AccessDesk, options: argparse.Namespace) -> Told:
    scope = tenant_id(options.tenant) if options.tenant else None
    return Told([_key(one) for one in desk.keys(scope)], _lines)


def _show_key(desk: AccessDesk, options: argparse.Namespace) -> Told:
    known = desk.keys()
    for record in known:
        if record.id == options.id:
            return Told(_key(record), _line)
    raise NotFoundError(f"There is no key {options.id[:40]!r}: list them with `kite keys list`.")


def _revoke_key(desk: AccessDesk, options: argparse.Namespace) -> Told:
    return Told(_key(desk.revoke_key(options.id, actor=ACTOR)), _line)


def _create_tenant(desk: AccessDesk, options: argparse.Namespace) -> Told:
    quotas = Quotas(**dict(_quota(text) for text in options.quotas))
    made = desk.create_tenant(tenant_id(options.id), name=options.name, quotas=quotas, actor=ACTOR)
    return Told(_tenant(made), _line)


def _list_tenants(desk: AccessDesk, options: argparse.Namespace) -> Told:
    del options
    return Told([_tenant(one) for one in desk.tenants()], _lines)


def _suspend_tenant(desk: AccessDesk, options: argparse.Namespace) -> Told:
    return Told(_tenant(desk.suspend_tenant(TenantId(options.id), actor=ACTOR)), _line)


def _resume_tenant(desk: AccessDesk, options: argparse.Namespace) -> Told:
    return Told(_tenant(desk.resume_tenant(TenantId(options.id), actor=ACTOR)), _line)


_KEYS = {
    "create": _create_key,
    "list": _list_keys,
    "show": _show_key,
    "rotate": _rotate_key,
    "revoke": _revoke_key,
}
_TENANTS = {
    "create": _create_tenant,
    "list": _list_tenants,
    "suspend": _suspend_tenant,
    "resume": _resume_tenant,
}


def _expiry(text: str, now_s: float) -> float:
    """Return seconds since the epoch: so many days from now, or an ISO 8601 day or instant (UTC)."""
    if text.endswith("d") and text[:-1].isdigit():
        return now_s + int(text[:-1]) * 24 * 3600.0
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidValueError(
            f"--expires: {text!r} is none of 2027-01-31, 2027-01-31T12:00Z, 90d."
        ) from None


def _hours(text: str, days: str) -> Hours:
    start, _, end = text.partition("-")
    try:
        numbers = {DAYS.index(day.strip().lower()) for day in days.split(",")}
    except ValueError:
        raise InvalidValueError(f"--days: {days!r} are not some of {', '.join(DAYS)}.") from None
    return Hours(start.strip(), end.strip(), tuple(sorted(numbers)))


def _quota(text: str) -> tuple[str, int]:
    what, _, most = text.partition("=")
    if what not in _QUOTAS or not most.isdigit():
        raise InvalidValueError(f"--quota: {text!r} is not as keys=10, of one of {', '.join(_QUOTAS)}.")
    return what, int(most)


def _key(record: KeyRecord) -> dict[str, Any]:
    hours = record.hours
    return {
        "id": record.id,
        "name": record.name,
        "tenant": record.tenant,
        "roles": list(record.roles),
        "created_at": _moment(record.created_s),
        "expires_at": _moment(record.expires_s),
        "revoked_at": _moment(record.revoked_s),
        "addresses": list(record.addresses),
        "hours": hours and f"{hours.start}-{hours.end} {','.join(DAYS[day] for day in hours.days)}",
        "replaces": record.replaces,
    }


def _tenant(record: TenantRecord) -> dict[str, Any]:
    quotas = msgspec.to_builtins(record.quotas)
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state,
        "created_at": _moment(record.created_s or None),
        "quotas": {name: most for name, most in quotas.items() if most is not None},
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _shown_once(text: str, record: KeyRecord) -> Told:
    return Told({**_key(record), "key": text}, _show_once)


def _show_once(told: dict[str, Any]) -> str:
    record = {name: value for name, value in told.items() if name != "key"}
    return (
        f"{_line(record)}\n\n  {told['key']}\n\n"
        "This key is shown only now: put it where the program that uses it finds it."
    )


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    return "\n".join(map(_line, rows)) or "There are none."


def _line(row: dict[str, Any]) -> str:
    """Return what of a thing there is to say."""
    said = (f"{name}={_plain(value)}" for name, value in row.items() if name != "id" and value)
    return "  ".join([row["id"], *said])


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{most}" for name, most in value.items())
    return ",".join(value) if isinstance(value, list) else str(value)
