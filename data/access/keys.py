"""API keys: how their text is made and read, and whether a record lets one in. Pure.

Called by the authenticator for every request, and by the desk. Invariant: the secret is in the text alone; a
record holds its keyed hash.

A key reads ``kite_`` + id (12 characters) + ``_`` + secret (30) + check (6), all base62. The check is the
CRC-32 of everything before it, so that a slip of the hand is refused without looking anything up and a
scanner for leaked secrets hardly ever errs. 30 characters of base62 are 178 bits, too many to guess, so a
fast hash does.

Source: the form of GitHub's tokens ("Behind GitHub's new authentication token formats", GitHub Blog,
2021-04-05), with the id added so that a record is found without the hash.
"""

from __future__ import annotations

import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from data.access.records import SYSTEM_TENANT, Hours, KeyRecord
from data.access.roles import Role
from data.claims import TenantId
from data.errors import CredentialError, InvalidValueError

PREFIX = "kite_"
ID_CHARS, SECRET_CHARS, CHECK_CHARS = 12, 30, 6
#: How long a replaced key goes on working when nothing else is said, seconds.
OVERLAP_S = 24 * 3600.0
#: What a caller is told of any credential that is refused: which part of it was wrong helps only a guesser.
REFUSED = "The key is not valid: check that it is whole, was not revoked, and may be used from here and now."
#: Longest name of a key or tenant, most networks of a key.
MAX_NAME_CHARS, MAX_ADDRESSES = 200, 100

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TEXT = re.compile(r"kite_([0-9A-Za-z]{12})_[0-9A-Za-z]{30}([0-9A-Za-z]{6})", re.ASCII)
_ID = re.compile(r"[0-9A-Za-z]{12}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


class Refusal(StrEnum):
    """Why a credential was refused; told to the audit, never to the caller."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    WRONG = "wrong"
    REVOKED = "revoked"
    EXPIRED = "expired"
    ADDRESS = "address"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What a key is to be. ``tenant`` ``None``: of the installation."""

    name: str
    tenant: TenantId | None
    roles: tuple[Role, ...]
    expires_s: float | None = None
    addresses: tuple[str, ...] = ()
    hours: Hours | None = None


def new_text() -> str:
    """Return the text of a key that nobody has."""
    start = f"{PREFIX}{_random(ID_CHARS)}_{_random(SECRET_CHARS)}"
    return start + _check_of(start)


def new_key(wish: KeyWish, pepper: bytes, now_s: float, *, text: str | None = None) -> tuple[str, KeyRecord]:
    """Return a key's text, to be shown once, and what is to be kept of it.

    Raises:
        InvalidValueError: the wish cannot be kept; says what about it.
    """
    text = text or new_text()
    record = KeyRecord(
        id=parse(text),
        name=wish.name,
        hashed=hash_of(text, pepper),
        tenant=wish.tenant,
        roles=tuple(sorted(set(wish.roles), key=list(Role).index)),
        created_s=now_s,
        expires_s=wish.expires_s,
        addresses=tuple(_network_text(one) for one in wish.addresses),
        hours=wish.hours,
    )
    check_key(record)
    return text, record


def rotated(
    old: KeyRecord, pepper: bytes, now_s: float, *, overlap_s: float = OVERLAP_S
) -> tuple[str, KeyRecord, KeyRecord]:
    """Return the text and record of a key's successor, and the old record, which ends after ``overlap_s``.

    The successor has the same rights and, where the old key had an end, as long a life.
    """
    expires_s = None if old.expires_s is None else now_s + (old.expires_s - old.created_s)
    wish = KeyWish(old.name, old.tenant, old.roles, expires_s, old.addresses, old.hours)
    text, fresh = new_key(wish, pepper, now_s)
    ends_s = now_s + overlap_s
    ending = replace(old, expires_s=ends_s if old.expires_s is None else min(ends_s, old.expires_s))
    return text, replace(fresh, replaces=old.id), ending


def parse(text: str) -> str:
    """Return the id of a key from its text.

    Raises:
        CredentialError: it is no key, or was mistyped.
    """
    found = _TEXT.fullmatch(text)
    if found is None or _check_of(text[:-CHECK_CHARS]) != found[2]:
        raise CredentialError(REFUSED, Refusal.MALFORMED)
    return found[1]


def hash_of(text: str, pepper: bytes) -> str:
    """Return the hex HMAC-SHA256 of a key's text under the installation's pepper."""
    return hmac.digest(pepper, text.encode("utf-8", "replace"), "sha256").hex()


def check(record: KeyRecord | None, hashed: str, *, address: str, now_s: float) -> Refusal | None:
    """Return why a key whose text has this hash (``hash_of``) lets nobody in now; ``None``: it does.

    Takes as long for a key that does not exist as for one whose secret is wrong.
    """
    matches = hmac.compare_digest(hashed, record.hashed if record else "0" * 64)
    if record is None:
        return Refusal.UNKNOWN
    if not matches:
        return Refusal.WRONG
    return standing(record, address=address, now_s=now_s)


def standing(record: KeyRecord, *, address: str, now_s: float) -> Refusal | None:
    """Return why a record lets nobody in now from ``address``; ``None``: it does."""
    if record.revoked_s is not None:
        return Refusal.REVOKED
    if record.expires_s is not None and now_s >= record.expires_s:
        return Refusal.EXPIRED
    if record.addresses and not _is_within(address, record.addresses):
        return Refusal.ADDRESS
    if record.hours is not None and not is_open(record.hours, now_s):
        return Refusal.HOURS
    return None


def is_live(record: KeyRecord, now_s: float) -> bool:
    """Return whether a key is neither revoked nor expired."""
    return record.revoked_s is None and (record.expires_s is None or now_s < record.expires_s)


def is_open(hours: Hours, now_s: float) -> bool:
    """Return whether a moment (seconds since the epoch) lies within hours; see ``Hours``."""
    moment = datetime.fromtimestamp(now_s, UTC)
    minute = moment.hour * 60 + moment.minute
    start, end = _minute(hours.start), _minute(hours.end)
    if start < end:
        return moment.weekday() in hours.days and start <= minute < end
    if minute >= start:
        return moment.weekday() in hours.days
    return minute < end and (moment - timedelta(days=1)).weekday() in hours.days


def check_key(record: KeyRecord) -> None:
    """Raise ``InvalidValueError`` for a record of a key that cannot be kept; says what about it."""
    if not _ID.fullmatch(record.id) or not _HASH.fullmatch(record.hashed):
        raise InvalidValueError(f"The key {record.id[:40]!r} has an id or a hash that no key has.")
    check_name(record.name, "key")
    if not record.roles:
        raise InvalidValueError(f"The key {record.name!r} has no role: give one of {', '.join(Role)}.")
    if record.tenant == SYSTEM_TENANT:
        raise InvalidValueError("A key of the installation names no tenant: leave it out.")
    if record.expires_s is not None and not record.created_s < record.expires_s < 1e11:
        raise InvalidValueError("The key would end before it begins: give an end in the future, or none.")
    if len(record.addresses) > MAX_ADDRESSES:
        raise InvalidValueError(f"A key has at most {MAX_ADDRESSES} networks: name wider ones.")
    for one in record.addresses:
        _network_text(one)
    if record.hours is not None:
        _check_hours(record.hours)


def check_name(name: str, what: str) -> None:
    """Raise ``InvalidValueError`` unless a name of a key or tenant can be shown in one line."""
    if not 0 < len(name.strip()) <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise InvalidValueError(f"The name of a {what} is one line of 1 to {MAX_NAME_CHARS} characters.")


def _check_hours(hours: Hours) -> None:
    times = (hours.start, "00:00" if hours.end == "24:00" else hours.end)
    if not all(_TIME.fullmatch(one) for one in times) or hours.start == hours.end:
        raise InvalidValueError("Hours run from start to end, two times as HH:MM in UTC that differ.")
    if not hours.days or any(day not in range(7) for day in hours.days):
        raise InvalidValueError("Hours need days from 0 (Monday) to 6 (Sunday).")


def _random(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def _check_of(start: str) -> str:
    number, digits = zlib.crc32(start.encode()), ""
    for _ in range(CHECK_CHARS):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def _minute(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])


def _network_text(text: str) -> str:
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise InvalidValueError(
            f"{text[:60]!r} is no network: write an address or 10.0.0.0/8 or 2001:db8::/32."
        ) from None


def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        here = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(here, IPv6Address) and here.ipv4_mapped:
        here = here.ipv4_mapped
    return any(here in network for network in _networks(networks))


@lru_cache(maxsize=4096)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)
