"""API keys: their text, their rights, and when they let one in."""

from __future__ import annotations

import binascii
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.access import keys
from data.access.keys import KeyWish, Refusal
from data.access.records import SYSTEM_TENANT, Hours, KeyRecord
from data.access.roles import Role
from data.claims import TenantId
from data.errors import CredentialError, InvalidValueError

PEPPER, NOW_S = b"p" * 32, 1_767_225_600.0  # Thursday, 2026-01-01 00:00 UTC
A = TenantId("a")
WISH = KeyWish("robot", A, (Role.EDITOR, Role.READER))
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
texts = st.builds(keys.new_text)


def made(**changes: object) -> tuple[str, KeyRecord]:
    return keys.new_key(replace(WISH, **changes), PEPPER, NOW_S)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def checked(
    record: KeyRecord | None, text: str, address: str = "192.0.2.1", now_s: float = NOW_S
) -> Refusal | None:
    return keys.check(record, keys.hash_of(text, PEPPER), address=address, now_s=now_s)


def test_new_key_text_has_the_documented_form_and_a_record_without_it() -> None:
    """Prefix, id, secret and check; what is kept holds the id and a hash, and nothing of the secret."""
    text, record = made()

    assert re.fullmatch(r"kite_[0-9A-Za-z]{12}_[0-9A-Za-z]{36}", text)
    assert (record.id, record.tenant, record.created_s) == (text[5:17], A, NOW_S)
    assert record.roles == (Role.READER, Role.EDITOR)
    assert record.hashed == keys.hash_of(text, PEPPER)
    assert text[18:] not in repr(record)


def test_check_of_a_key_is_the_crc32_of_what_precedes_it() -> None:
    """The form is documented: another implementation finds the same check."""
    text = keys.new_text()
    number = 0
    for digit in text[-6:]:
        number = number * 62 + BASE62.index(digit)

    assert number == binascii.crc32(text[:-6].encode())


@given(texts)
def test_parse_of_a_made_key_returns_its_id(text: str) -> None:
    """Whatever was drawn, the text reads back."""
    assert keys.parse(text) == text[5:17]


@given(texts, st.integers(0, 53), st.sampled_from(BASE62 + "_ -é"))
def test_parse_of_a_key_with_one_other_character_is_refused(text: str, place: int, char: str) -> None:
    """A slip of the hand is found without looking anything up: CRC-32 sees every single change."""
    slipped = text[:place] + char + text[place + 1 :]
    if slipped == text:
        return

    with pytest.raises(CredentialError) as caught:
        keys.parse(slipped)
    assert (str(caught.value), caught.value.reason) == (keys.REFUSED, "malformed")


@given(texts, st.integers(5, 52))
def test_parse_of_a_key_with_two_characters_swapped_is_refused(text: str, place: int) -> None:
    """Neighbours in the wrong order are found too."""
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if swapped == text:
        return

    with pytest.raises(CredentialError):
        keys.parse(swapped)


@given(st.text(max_size=80))
def test_parse_of_any_text_refuses_and_never_fails_otherwise(text: str) -> None:
    """What is no key is refused, whatever it is made of."""
    with pytest.raises(CredentialError):
        keys.parse(text)


@pytest.mark.parametrize("tail", ["\n", " ", "0"])
def test_parse_of_a_key_with_something_behind_it_is_refused(tail: str) -> None:
    """All of the text counts."""
    with pytest.raises(CredentialError):
        keys.parse(keys.new_text() + tail)


def test_hash_depends_on_text_and_pepper() -> None:
    """A stolen ledger without the pepper says nothing; the value is HMAC-SHA256."""
    assert keys.hash_of("k", b"a") != keys.hash_of("k", b"b") != keys.hash_of("l", b"b")
    assert keys.hash_of("what do ya want for nothing?", b"Jefe") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"  # RFC 4231, test case 2
    )


def test_check_of_a_good_key_lets_in() -> None:
    """The text that was shown opens."""
    text, record = made()

    assert checked(record, text) is None


def test_check_names_why_a_key_is_refused() -> None:
    """Unknown, wrong, revoked and expired are told apart, for the audit."""
    text, record = made(expires_s=NOW_S + 60.0)
    other, _ = made()

    assert checked(None, text) is Refusal.UNKNOWN
    assert checked(record, other) is Refusal.WRONG
    assert checked(replace(record, revoked_s=NOW_S), text) is Refusal.REVOKED
    assert checked(record, text, now_s=NOW_S + 59.9) is None
    assert checked(record, text, now_s=NOW_S + 60.0) is Refusal.EXPIRED


def test_check_of_a_wrong_secret_does_not_tell_that_the_key_was_revoked() -> None:
    """Whoever has no secret learns nothing of a key, in the audit either."""
    _, record = made()

    assert checked(replace(record, revoked_s=NOW_S), keys.new_text()) is Refusal.WRONG


@pytest.mark.parametrize(
    ("address", "lets_in"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8::7", True),
        ("fe80::1%eth0", False),
        ("192.0.2.9", True),
        ("192.0.2.10", False),
        ("", False),
        ("testclient", False),
    ],
)
def test_check_of_a_key_bound_to_networks_goes_by_the_address(address: str, lets_in: bool) -> None:
    """IPv4, IPv6, single addresses and IPv4 within IPv6; what is no address is outside."""
    text, record = made(addresses=("10.0.0.1/8", "2001:db8::/32", "192.0.2.9"))

    assert (checked(record, text, address) is None) == lets_in
    assert record.addresses == ("10.0.0.0/8", "2001:db8::/32", "192.0.2.9/32")


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-01-05T08:59:59", False),
        ("2026-01-05T09:00:00", True),
        ("2026-01-05T16:59:59", True),
        ("2026-01-05T17:00:00", False),
        ("2026-01-04T12:00:00", False),  # a Sunday
    ],
)
def test_hours_by_day_include_their_start_and_not_their_end(moment: str, is_open: bool) -> None:
    """Office hours on working days."""
    assert keys.is_open(Hours("09:00", "17:00", (0, 1, 2, 3, 4)), at(moment)) == is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-01-02T21:59:00", False),  # Friday
        ("2026-01-02T22:00:00", True),
        ("2026-01-03T05:59:00", True),  # Saturday, the night of Friday
        ("2026-01-03T06:00:00", False),
        ("2026-01-03T23:00:00", False),  # the night of Saturday
        ("2026-01-02T03:00:00", False),  # the night of Thursday
    ],
)
def test_hours_overnight_belong_to_the_day_of_their_start(moment: str, is_open: bool) -> None:
    """From ten to six in the nights that begin on Friday."""
    assert keys.is_open(Hours("22:00", "06:00", (4,)), at(moment)) == is_open


def test_hours_until_midnight_end_with_the_day() -> None:
    """24:00 is the end of a day."""
    hours = Hours("18:00", "24:00", (3,))

    assert keys.is_open(hours, at("2026-01-01T23:59:59"))
    assert not keys.is_open(hours, at("2026-01-02T00:00:00"))


def test_check_outside_of_hours_is_refused() -> None:
    """A key for the day does not work at night."""
    text, record = made(hours=Hours("09:00", "17:00"))

    assert checked(record, text) is Refusal.HOURS


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"roles": ()}, "no role"),
        ({"name": ""}, "name of a key"),
        ({"name": " "}, "name of a key"),
        ({"name": "a\nb"}, "name of a key"),
        ({"name": "x" * 201}, "name of a key"),
        ({"tenant": SYSTEM_TENANT}, "names no tenant"),
        ({"expires_s": NOW_S}, "end before it begins"),
        ({"expires_s": float("nan")}, "end before it begins"),
        ({"expires_s": float("inf")}, "end before it begins"),
        ({"addresses": ("10.0.0.0/33",)}, "no network"),
        ({"addresses": ("10.0.0.1",) * 101}, "at most 100 networks"),
        ({"hours": Hours("9:00", "17:00")}, "HH:MM"),
        ({"hours": Hours("09:00", "09:00")}, "differ"),
        ({"hours": Hours("24:00", "09:00")}, "HH:MM"),
        ({"hours": Hours("09:00", "17:00", ())}, "days"),
        ({"hours": Hours("09:00", "17:00", (7,))}, "days"),
    ],
)
def test_new_key_that_cannot_be_is_refused_with_what_is_wrong(changes: dict[str, object], told: str) -> None:
    """Each bound has its own sentence."""
    with pytest.raises(InvalidValueError, match=told):
        made(**changes)


@pytest.mark.parametrize(
    "changes", [{"id": "short"}, {"id": "k" * 11 + "é"}, {"hashed": "0" * 63}, {"hashed": "A" * 64}]
)
def test_record_whose_id_or_hash_no_key_has_is_refused(changes: dict[str, str]) -> None:
    """Ids and hashes have their form."""
    with pytest.raises(InvalidValueError, match="id or a hash"):
        keys.check_key(replace(made()[1], **changes))


def test_rotated_key_has_the_rights_and_the_old_one_ends_after_the_overlap() -> None:
    """Same tenant, roles, networks and hours, as long a life; another secret."""
    text, old = made(addresses=("10.0.0.0/8",), hours=Hours("09:00", "17:00"), expires_s=NOW_S + 900.0)
    new_text, fresh, ending = keys.rotated(old, PEPPER, NOW_S + 100.0, overlap_s=60.0)

    assert (fresh.roles, fresh.tenant, fresh.addresses, fresh.hours) == (
        old.roles,
        old.tenant,
        old.addresses,
        old.hours,
    )
    assert (fresh.replaces, fresh.expires_s, ending.expires_s) == (old.id, NOW_S + 1000.0, NOW_S + 160.0)
    assert new_text != text
    assert ending.hashed == old.hashed


def test_rotated_key_that_ends_sooner_by_itself_is_not_prolonged() -> None:
    """The overlap never gives a key more life than it had."""
    _, old = made(expires_s=NOW_S + 10.0)

    assert keys.rotated(old, PEPPER, NOW_S + 1.0, overlap_s=60.0)[2].expires_s == NOW_S + 10.0
