"""``kite keys`` and ``kite tenants``: keys and tenants administered from the command line.

Called by ``tasks.kite``. Works through the running installation, and on a home that is stopped in this
process. Whoever can read the home is its administrator, so no key is asked for here.
"""

from __future__ import annotations

import argparse
import os
import sys
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
from tasks.maintenance import stopped_keeper
from tasks.session import add_settings_arguments, connect

#: As whose work it stands in the ledger.
ACTOR = "command line"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_QUOTAS = tuple(field.name for field in fields(Quotas))


def keys_command(settings: Settings, options: argparse.Namespace) -> int:
    """Make, list, show, rotate and revoke API keys."""
    with desk_of(settings) as desk:
        return int(_KEYS[options.act](desk, options))


def tenants_command(settings: Settings, options: argparse.Namespace) -> int:
    """Make, list, suspend, resume and erase tenants."""
    if options.act == "erase":
        return erase_tenant.run(settings, options)
    with desk_of(settings) as desk:
        return int(_TENANTS[options.act](desk, options))


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
    erase_tenant.add_arguments(acts.add_parser("erase", help="remove all of a tenant for good, with proof"))


def _act(acts: Any, name: str, told: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = acts.add_parser(name, help=told)
    add_settings_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _create_key(desk: AccessDesk, options: argparse.Namespace) -> int:
    wish = KeyWish(
        options.name,
        tenant_id(options.tenant) if options.tenant else None,
        tuple(Role(name) for name in options.roles),
        _expiry(options.expires, SystemClock().now_s()) if options.expires else None,
        tuple(options.addresses),
        _hours(options.hours, options.days) if options.hours else None,
    )
    return _show_once(*desk.create_key(wish, actor=ACTOR), as_json=options.json)


def _rotate_key(desk: AccessDesk, options: argparse.Namespace) -> int:
    made = desk.rotate_key(options.id, actor=ACTOR, overlap_s=options.overlap)
    return _show_once(*made, as_json=options.json)


def _list_keys(desk: AccessDesk, options: argparse.Namespace) -> int:
    scope = tenant_id(options.tenant) if options.tenant else None
    return _told([_key(one) for one in desk.keys(scope)], as_json=options.json)


def _show_key(desk: AccessDesk, options: argparse.Namespace) -> int:
    known = desk.keys()
    for record in known:
        if record.id == options.id:
            return _told([_key(record)], as_json=options.json)
    raise NotFoundError(f"There is no key {options.id[:40]!r}: list them with `kite keys list`.")


def _revoke_key(desk: AccessDesk, options: argparse.Namespace) -> int:
    return _told([_key(desk.revoke_key(options.id, actor=ACTOR))], as_json=options.json)


def _create_tenant(desk: AccessDesk, options: argparse.Namespace) -> int:
    quotas = Quotas(**dict(_quota(text) for text in options.quotas))
    made = desk.create_tenant(tenant_id(options.id), name=options.name, quotas=quotas, actor=ACTOR)
    return _told([_tenant(made)], as_json=options.json)


def _list_tenants(desk: AccessDesk, options: argparse.Namespace) -> int:
    return _told([_tenant(one) for one in desk.tenants()], as_json=options.json)


def _suspend_tenant(desk: AccessDesk, options: argparse.Namespace) -> int:
    return _told([_tenant(desk.suspend_tenant(TenantId(options.id), actor=ACTOR))], as_json=options.json)


def _resume_tenant(desk: AccessDesk, options: argparse.Namespace) -> int:
    return _told([_tenant(desk.resume_tenant(TenantId(options.id), actor=ACTOR))], as_json=options.json)


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


def _show_once(text: str, record: KeyRecord, *, as_json: bool) -> int:
    if as_json:
        _write(msgspec.json.encode({**_key(record), "key": text}).decode())
        return 0
    _told([_key(record)], as_json=False)
    _write(f"\n  {text}\n\nThis key is shown only now: put it where the program that uses it finds it.")
    return 0


def _told(rows: Sequence[dict[str, Any]], *, as_json: bool) -> int:
    """Print rows: one JSON object a line, or for people what of each there is to say."""
    for row in rows:
        if as_json:
            _write(msgspec.json.encode(row).decode())
            continue
        said = (f"{name}={_plain(value)}" for name, value in row.items() if name != "id" and value)
        _write("  ".join([row["id"], *said]))
    if not rows and not as_json:
        _write("There are none.")
    return 0


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{most}" for name, most in value.items())
    return ",".join(value) if isinstance(value, list) else str(value)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
