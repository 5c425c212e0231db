"""Who is let in, by which credential, and for which tenant."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.access import compact, keys
from data.access.authenticator import Authenticator, client_of
from data.access.directory import AccessDirectory
from data.access.keys import KeyWish
from data.access.principal import Principal
from data.access.records import AccessChanges, KeyRecord, TenantRecord
from data.access.roles import Role
from data.access.tokens import JwtVerifier, TokenIssuer
from data.claims import DEFAULT_TENANT, SHARED_TENANT, TenantId
from data.errors import AuthError, CredentialError, ForbiddenError, InvalidValueError, StoreUnavailableError
from tests.fakes import FakeClock
from tests.unit.access import jwt_house as house

PEPPER, NOW_S = b"p" * 32, 1_767_225_600.0
A = TenantId("a")


class House:
    """Keys and tenants, and the authenticator over them."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.keys: dict[str, KeyRecord] = {}
        self.tenants = {A: TenantRecord(A, "A", 1.0), TenantId("b"): TenantRecord(TenantId("b"), "B", 1.0)}
        self.now = 0.0
        self.seq = 0
        self.issuer = TokenIssuer(b"k" * 32, self.clock, ttl_s=600.0)
        self.directory = AccessDirectory(self._changes, refresh_s=0.5, monotonic=lambda: self.now)
        self.verifier = JwtVerifier(house.settings(folder), self.clock, fetch=lambda _: b"")
        self.gate = Authenticator(
            self.directory, PEPPER, self.clock, issuer=self.issuer, verifier=self.verifier
        )
        self.directory.refresh()

    def _changes(self, _after: int) -> AccessChanges:
        return AccessChanges(self.seq, tuple(self.keys.values()), tuple(self.tenants.values()))

    def renew(self) -> None:
        self.now += 0.5
        self.seq += 1
        self.directory.refresh()

    def key(self, **changes: Any) -> str:
        wish = replace(KeyWish("n", A, (Role.VERIFIER,)), **changes)
        text, record = keys.new_key(wish, PEPPER, self.clock.now_s())
        self.keys[record.id] = record
        self.renew()
        return text

    def state(self, name: str, state: Any) -> None:
        known = self.tenants.get(TenantId(name), TenantRecord(TenantId(name), name, 1.0))
        self.tenants[known.id] = replace(known, state=state)
        self.renew()

    def enter(
        self, authorization: str | None, api_key: str | None = None, tenant: str | None = None
    ) -> Principal:
        return self.gate.authenticate(authorization, api_key, address="192.0.2.1", wanted_tenant=tenant)

    def reason(self, authorization: str | None) -> tuple[str, str]:
        with pytest.raises(CredentialError) as caught:
            self.enter(authorization)
        return str(caught.value), caught.value.reason


@pytest.fixture
def rig(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize("scheme", ["ApiKey", "apikey", "Bearer", "BEARER"])
def test_key_in_each_scheme_is_its_subject(rig: House, scheme: str) -> None:
    """Both schemes, in any case; the subject names the key and no secret."""
    text = rig.key(roles=(Role.READER, Role.EDITOR))
    found = rig.enter(f"{scheme} {text}")

    assert found == Principal(f"key:{text[5:17]}", A, Role.EDITOR, False, text[5:17])
    assert text[18:] not in repr(found)


def test_key_in_its_own_header_is_its_subject(rig: House) -> None:
    """X-API-Key alone, or with the same key beside it."""
    text = rig.key()

    assert rig.enter(None, text) == rig.enter(f"ApiKey {text}", text) == rig.enter(f"Bearer {text}")


@pytest.mark.parametrize(
    "headers",
    [(None, None), ("", None), ("Bearer", None), ("ApiKey  ", None), (None, ""), ("Basic eDp5", None)],
)
def test_request_without_a_credential_is_refused(rig: House, headers: tuple[str | None, str | None]) -> None:
    """One sentence says what to send."""
    with pytest.raises(AuthError, match=r"send Authorization|use ApiKey"):
        rig.enter(*headers)


def test_two_different_credentials_are_refused(rig: House) -> None:
    """Nobody has to guess which one counted."""
    with pytest.raises(AuthError, match="Two credentials"):
        rig.enter(f"ApiKey {rig.key()}", rig.key())


def test_every_refused_key_reads_the_same_and_is_told_apart_in_the_audit(rig: House) -> None:
    """A guesser learns nothing; the audit learns why."""
    revoked, wrong, bound = rig.key(), rig.key(), rig.key(addresses=("10.0.0.0/8",))
    late = rig.key(expires_s=NOW_S + 5.0)
    rig.keys[revoked[5:17]] = replace(rig.keys[revoked[5:17]], revoked_s=NOW_S)
    rig.keys[wrong[5:17]] = replace(rig.keys[wrong[5:17]], hashed="0" * 64)
    rig.clock.advance(5.0)
    rig.renew()
    shown = {
        "revoked": revoked,
        "wrong": wrong,
        "address": bound,
        "expired": late,
        "unknown": keys.new_text(),
        "malformed": "kite_nothing",
    }

    assert {rig.reason(f"ApiKey {text}") for text in shown.values()} == {(keys.REFUSED, why) for why in shown}


@pytest.mark.parametrize(
    "shown",
    [
        ("ApiKey {key}", "{key}x"),
        ("", "{key}"),
        ("ApiKey {key}", ""),
        ("{key}", None),
        (None, "ApiKey {key}"),
        ("Basic {key}", None),
    ],
)
def test_what_was_shown_lately_vouches_for_nothing_else(
    rig: House, shown: tuple[str | None, str | None]
) -> None:
    """A key that came in by either header is remembered as it came."""
    key = rig.key()
    for _ in range(2):
        assert rig.enter(f"ApiKey {key}") == rig.enter(None, key)

    with pytest.raises(AuthError):
        rig.enter(*(None if one is None else one.format(key=key) for one in shown))


def test_revoked_key_is_refused_once_the_directory_knows(rig: House) -> None:
    """Until the next refresh, and no longer."""
    text = rig.key()
    rig.enter(f"ApiKey {text}")
    rig.keys[text[5:17]] = replace(rig.keys[text[5:17]], revoked_s=NOW_S)
    rig.renew()

    assert rig.reason(f"ApiKey {text}")[1] == "revoked"


def test_nobody_is_let_in_while_the_directory_is_too_old(rig: House) -> None:
    """Not even a good key: it may have been revoked meanwhile."""
    text = rig.key()
    rig.now += 1.0

    with pytest.raises(StoreUnavailableError):
        rig.enter(f"ApiKey {text}")


def test_key_of_the_installation_acts_for_the_tenant_it_names(rig: House) -> None:
    """For the default one where it names none."""
    text = f"ApiKey {rig.key(tenant=None, roles=(Role.ADMIN,))}"
    rig.state("default", "suspended")

    assert [rig.enter(text, tenant=name).tenant for name in (None, "b", "shared")] == [
        DEFAULT_TENANT,
        "b",
        SHARED_TENANT,
    ]
    assert rig.enter(text).installation


@pytest.mark.parametrize("name", ["c", "system", "", "A", "../a", "x" * 5000])
def test_key_of_the_installation_cannot_act_for_a_tenant_that_is_not_there(rig: House, name: str) -> None:
    """It must exist, under exactly that id."""
    text = rig.key(tenant=None, roles=(Role.ADMIN,))

    with pytest.raises(ForbiddenError, match="There is no tenant"):
        rig.enter(f"ApiKey {text}", tenant=name)


@pytest.mark.parametrize("name", ["b", "default", "shared", "system", ""])
def test_key_of_a_tenant_acts_for_no_other(rig: House, name: str) -> None:
    """To name its own is allowed."""
    text = f"ApiKey {rig.key()}"

    assert rig.enter(text, tenant="a").tenant == A
    with pytest.raises(ForbiddenError, match="own tenant only"):
        rig.enter(text, tenant=name)


@pytest.mark.parametrize(("state", "told"), [("suspended", "suspended"), ("erased", "There is no tenant")])
def test_tenant_that_is_not_active_lets_nobody_in(rig: House, state: str, told: str) -> None:
    """Its keys, its tokens, tokens of an outside issuer, and the installation in its name."""
    text, admin = rig.key(), rig.key(tenant=None, roles=(Role.ADMIN,))
    token = rig.gate.grant(text[5:17], text, address="192.0.2.1").token
    outside = house.token({"alg": "EdDSA", "kid": "d"}, house.claims(NOW_S))
    rig.state("a", state)

    for credential in (f"ApiKey {text}", f"Bearer {token}", f"Bearer {outside}"):
        with pytest.raises(ForbiddenError, match=told):
            rig.enter(credential)
    with pytest.raises(ForbiddenError, match=told):
        rig.enter(f"ApiKey {admin}", tenant="a")
    with pytest.raises(ForbiddenError, match=told):
        rig.gate.grant(text[5:17], text, address="192.0.2.1")


def test_key_whose_tenant_has_no_record_is_refused(rig: House) -> None:
    """A tenant must exist to be acted for."""
    with pytest.raises(ForbiddenError):
        rig.enter(f"ApiKey {rig.key(tenant=TenantId('gone'))}")


def test_outside_token_is_its_subject_and_never_the_installation(rig: House) -> None:
    """Whatever its claims say."""
    claims = house.claims(NOW_S, roles=["admin"], installation=True)
    text = house.token({"alg": "EdDSA", "kid": "d"}, claims)

    assert rig.enter(f"Bearer {text}") == Principal("jwt:https://id.example/alice", A, Role.ADMIN)
    with pytest.raises(ForbiddenError):
        rig.enter(f"Bearer {text}", tenant="b")


def test_outside_token_is_refused_where_none_are_taken(rig: House) -> None:
    """Without a verifier only this installation's own are good."""
    gate = Authenticator(rig.directory, PEPPER, rig.clock, issuer=rig.issuer)
    text = house.token({"alg": "EdDSA", "kid": "d"}, house.claims(NOW_S))

    with pytest.raises(CredentialError) as caught:
        gate.authenticate(f"Bearer {text}", None, address="")
    assert caught.value.reason == "token: issuer"
    assert not gate.would_wait(f"Bearer {text}")


def test_granted_token_acts_as_its_key(rig: House) -> None:
    """Same subject, tenant and role."""
    text = rig.key(roles=(Role.OPERATOR,))
    given = rig.gate.grant(text[5:17], text, address="192.0.2.1")

    assert given.expires_in_s == 600
    assert rig.enter(f"Bearer {given.token}") == rig.enter(f"ApiKey {text}")


def test_granted_token_has_no_more_than_the_scope_asked_for(rig: House) -> None:
    """A key may hand out less than it has, never more."""
    text = rig.key(roles=(Role.OPERATOR,))

    def grant(scope: str) -> Role:
        token = rig.gate.grant(text[5:17], text, address="192.0.2.1", scope=scope).token
        return rig.enter(f"Bearer {token}").role

    assert [grant(scope) for scope in ("", "reader", "reader editor")] == [
        Role.OPERATOR,
        Role.READER,
        Role.EDITOR,
    ]
    with pytest.raises(ForbiddenError):
        grant("admin")
    with pytest.raises(InvalidValueError):
        grant("root")


END: dict[str, Callable[[KeyRecord], KeyRecord | None]] = {
    "token: key revoked": lambda record: replace(record, revoked_s=NOW_S),
    "token: key expired": lambda record: replace(record, expires_s=NOW_S),
    "token: key address": lambda record: replace(record, addresses=("10.0.0.0/8",)),
    "token: key unknown": lambda record: replace(record, tenant=TenantId("b")),
}


@pytest.mark.parametrize("why", list(END))
def test_granted_token_dies_with_its_key(rig: House, why: str) -> None:
    """Revoked, expired, elsewhere, or another tenant's: at once, though the token's own time is not over."""
    text = rig.key()
    token = rig.gate.grant(text[5:17], text, address="192.0.2.1").token
    changed = END[why](rig.keys[text[5:17]])
    assert changed is not None
    rig.keys[text[5:17]] = changed
    rig.renew()

    assert rig.reason(f"Bearer {token}") == (compact.REFUSED, why)


def test_granted_token_loses_the_roles_that_its_key_lost(rig: House) -> None:
    """What the key has now is the most that a token can do."""
    text = rig.key(roles=(Role.ADMIN,))
    token = rig.gate.grant(text[5:17], text, address="192.0.2.1").token
    rig.keys[text[5:17]] = replace(rig.keys[text[5:17]], roles=(Role.READER,))
    rig.renew()

    assert rig.enter(f"Bearer {token}").role is Role.READER


def test_grant_asks_for_id_and_text_of_the_same_key(rig: House) -> None:
    """The id of another, or a token in the key's place, is refused."""
    text, other = rig.key(), rig.key()
    token = rig.gate.grant(text[5:17], text, address="192.0.2.1").token

    for client, secret in ((other[5:17], text), (text[5:17], token), (text[5:17], keys.new_text())):
        with pytest.raises(CredentialError):
            rig.gate.grant(client, secret, address="192.0.2.1")


def test_only_a_token_of_an_issuer_whose_keys_are_not_read_yet_would_wait(rig: House) -> None:
    """Keys, own tokens and nonsense never wait."""
    text = rig.key()
    own = rig.gate.grant(text[5:17], text, address="192.0.2.1").token
    outside = f"Bearer {house.token({'alg': 'EdDSA', 'kid': 'd'}, house.claims(NOW_S))}"
    shared = f"Bearer {house.token({'alg': 'HS256'}, house.claims(NOW_S))}"

    assert rig.gate.would_wait(outside)
    rig.enter(outside)
    others = (outside, shared, None, f"Bearer {own}", f"Bearer {text}", "Bearer x", "Basic x", "B" * 9000)
    assert not any(rig.gate.would_wait(one) for one in others)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_client_of_reads_basic_and_form() -> None:
    """Either way gives id and secret; parts of Basic are form-encoded."""
    assert client_of(basic("id:s%3Ae+t"), {}) == ("id", "s:e t")
    assert client_of(basic("id:s"), {"client_id": "id"}) == ("id", "s")
    assert client_of(None, {"client_id": "id", "client_secret": "s"}) == ("id", "s")


@pytest.mark.parametrize(
    ("authorization", "form"),
    [
        (None, {}),
        (None, {"client_id": "id"}),
        (None, {"client_id": "id", "client_secret": ""}),
        ("Bearer x", {}),
        ("Basic é", {}),
        ("Basic " + "A" * 9000, {}),
        (basic("id:s"), {"client_secret": "s"}),
        (basic("id:s"), {"client_id": "other"}),
    ],
)
def test_client_of_anything_else_is_refused(authorization: str | None, form: dict[str, str]) -> None:
    """Nothing, both ways at once, or a header that cannot be read."""
    with pytest.raises(AuthError):
        client_of(authorization, form)
