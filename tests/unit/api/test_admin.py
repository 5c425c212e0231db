"""Keys and tenants over HTTP: made, shown once, scoped, rotated, revoked; tokens; the audit's own routes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.schema import CacheSettings
from data.access.roles import Role
from tests.unit.api.keyed_house import KeyedHouse


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedHouse]:
    made = KeyedHouse(tmp_path_factory.mktemp("house"))
    for name in ("acme", "rival"):
        made.tenant(name)
    yield made
    made.close()


@pytest.fixture(scope="module")
def root(house: KeyedHouse) -> str:
    return house.key(Role.ADMIN, None)


@pytest.fixture(scope="module")
def acme(house: KeyedHouse) -> str:
    return house.key(Role.ADMIN, "acme")


def made(house: KeyedHouse, key: str, **wish: Any) -> dict[str, Any]:
    answer = house.call("POST", "/admin/keys", key, json={"name": "new", "roles": ["reader"], **wish})
    assert answer.status_code == 201, answer.text
    house.pass_time()
    told: dict[str, Any] = answer.json()
    return told


def test_key_is_shown_once_and_works(house: KeyedHouse, acme: str) -> None:
    """The answer that makes it has its text; nothing afterwards does."""
    told = made(house, acme)
    me = house.call("GET", "/admin/me", told["key"]).json()
    shown = house.call("GET", f"/admin/keys/{told['id']}", acme)
    listed = house.call("GET", "/admin/keys", acme)

    assert (me["tenant"], me["role"], me["key_id"]) == ("acme", "reader", told["id"])
    assert told["key"] not in shown.text + listed.text
    assert "hashed" not in shown.text + listed.text


@pytest.mark.parametrize("wish", [{"tenant": "rival"}, {"tenant": "default"}, {"installation": True}])
def test_tenants_administrator_makes_keys_of_its_tenant_only(
    house: KeyedHouse, acme: str, wish: dict[str, Any]
) -> None:
    """Neither another tenant's nor the installation's."""
    answer = house.call("POST", "/admin/keys", acme, json={"name": "x", "roles": ["reader"], **wish})

    assert answer.status_code == 403


def test_keys_of_another_tenant_are_not_there(house: KeyedHouse, root: str, acme: str) -> None:
    """Not listed, shown, rotated or revoked; they go on working."""
    other = made(house, root, tenant="rival")
    path = f"/admin/keys/{other['id']}"

    assert other["id"] not in house.call("GET", "/admin/keys", acme).text
    assert house.call("GET", path, acme).status_code == 404
    assert house.call("POST", f"{path}/rotate", acme, json={}).status_code == 404
    assert house.call("DELETE", path, acme).status_code == 404
    house.pass_time()
    assert house.call("GET", "/admin/me", other["key"]).status_code == 200


def test_revoked_key_is_refused(house: KeyedHouse, acme: str) -> None:
    """With the same words as any other bad credential."""
    told = made(house, acme)
    assert house.call("DELETE", f"/admin/keys/{told['id']}", acme).json()["revoked_at"] is not None
    house.pass_time()
    revoked, unknown = (house.call("GET", "/admin/me", key) for key in (told["key"], told["key"][:-1] + "?"))

    assert (revoked.status_code, unknown.status_code) == (401, 401)
    assert revoked.json()["detail"] == unknown.json()["detail"]


def test_rotated_key_and_its_successor_both_work_for_a_while(house: KeyedHouse, acme: str) -> None:
    """The old one ends after the overlap that was asked for."""
    old = made(house, acme, roles=["editor"])
    answer = house.call("POST", f"/admin/keys/{old['id']}/rotate", acme, json={"overlap_s": 60})
    new = answer.json()
    house.pass_time()
    both = [house.call("GET", "/admin/me", key).status_code for key in (old["key"], new["key"])]
    house.clock.advance(61)
    after = [house.call("GET", "/admin/me", key).status_code for key in (old["key"], new["key"])]

    assert (answer.status_code, new["replaces"], new["roles"]) == (201, old["id"], ["editor"])
    assert (both, after) == ([200, 200], [401, 200])


def test_key_ends_at_its_expiry(house: KeyedHouse, acme: str) -> None:
    """An instant in the past is refused when the key is made."""
    told = made(house, acme, expires_at="2033-05-18T03:33:20Z")
    assert house.call("GET", "/admin/me", told["key"]).status_code == 200
    left_s = 2_000_000_001.0 - house.clock.now_s()
    house.clock.advance(left_s)
    ended = house.call("GET", "/admin/me", told["key"]).status_code
    house.clock.advance(-left_s)
    past = {"name": "x", "roles": ["reader"], "expires_at": "2001-01-01T00:00:00Z"}

    assert ended == 401
    assert house.call("POST", "/admin/keys", acme, json=past).status_code == 400


def test_key_works_from_its_networks_only(house: KeyedHouse, acme: str) -> None:
    """A request from 127.0.0.1 with a key for 10.0.0.0/8 is refused."""
    far, near = (made(house, acme, addresses=[network]) for network in ("10.0.0.0/8", "127.0.0.0/8"))

    assert house.call("GET", "/admin/me", far["key"]).status_code == 401
    assert house.call("GET", "/admin/me", near["key"]).status_code == 200


@pytest.mark.parametrize(
    "wish",
    [
        {"roles": ["emperor"]},
        {"roles": []},
        {"addresses": ["999.1.1.1/8"]},
        {"expires_at": "tomorrow, maybe"},
        {"hours": {"start": "25:00", "end": "08:00"}},
        {"tenant": "No Such"},
        {"secret": "mine"},
    ],
)
def test_wish_that_cannot_be_kept_is_refused_in_words(
    house: KeyedHouse, root: str, wish: dict[str, Any]
) -> None:
    """400 or 422, with what to mend; no key is made."""
    before = len(house.desk.keys())
    answer = house.call("POST", "/admin/keys", root, json={"name": "x", "roles": ["reader"], **wish})

    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]
    assert len(house.desk.keys()) == before


def test_key_for_a_tenant_that_is_not_there_is_refused(house: KeyedHouse, root: str) -> None:
    """404, and no key is made."""
    wish = {"name": "x", "roles": ["reader"], "tenant": "nobody"}

    assert house.call("POST", "/admin/keys", root, json=wish).status_code == 404


def test_suspended_tenant_meets_403_until_resumed(house: KeyedHouse, root: str) -> None:
    """Its keys are good, and it may do nothing."""
    house.tenant("paused")
    key = house.key(Role.ADMIN, "paused")
    found = []
    for state in ("suspended", "active"):
        assert house.call("PUT", "/admin/tenants/paused", root, json={"state": state}).status_code == 200
        house.pass_time()
        found.append(house.call("GET", "/sessions", key).status_code)

    assert found == [403, 200]


def test_tenant_is_shown_with_its_quotas_and_limits(house: KeyedHouse, root: str) -> None:
    """What was set is what is told, and an id is given once."""
    rate = {"per_minute": 60.0, "per_hour": 600.0, "per_day": 6000.0, "burst": 10.0}
    body = {
        "id": "bounded", "name": "Bounded", "quotas": {"documents": 5},
        "limits": {"tenant": rate, "operations": {"verify": rate}},
    }  # fmt: skip
    answer = house.call("POST", "/admin/tenants", root, json=body)
    told = house.call("GET", "/admin/tenants/bounded", root).json()
    house.pass_time()
    limits = house.call("GET", "/rate-limits", house.key(Role.READER, "bounded")).json()

    assert answer.status_code == 201
    assert (told["quotas"]["documents"], told["limits"]["tenant"]) == (5, rate)
    assert (limits["requests_per_minute"], limits["burst_size"]) == (60.0, 10.0)
    assert limits["operation_limits"]["verify"]["requests_per_hour"] == 600.0
    assert house.call("POST", "/admin/tenants", root, json=body).status_code == 409


def test_usage_counts_what_was_asked(house: KeyedHouse) -> None:
    """By minute, hour and day; a batch counts each claim."""
    house.tenant("counted")
    key = house.key(Role.VERIFIER, "counted")
    house.call("POST", "/batch/verify", key, json=[{"claim": f"It is {n} m."} for n in range(4)])
    usage = house.call("GET", "/rate-limits/usage", key).json()

    assert usage["tenant_id"] == "counted"
    assert usage["windows"]["hour"]["used"] == 5.0


def token_for(house: KeyedHouse, key: str, **form: str) -> Any:
    told = {"grant_type": "client_credentials", "client_id": key.split("_")[1], "client_secret": key, **form}
    return house.call("POST", "/oauth/token", data=told)


def test_token_has_the_rights_of_its_key(house: KeyedHouse) -> None:
    """And may ask for fewer by its scope, never for more."""
    key = house.key(Role.EDITOR, "acme")
    answers = [token_for(house, key), token_for(house, key, scope="reader")]
    found = []
    for answer in answers:
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        found.append(house.call("GET", "/admin/me", headers=headers).json())

    assert [(one["tenant"], one["role"]) for one in found] == [("acme", "editor"), ("acme", "reader")]
    assert answers[0].json()["token_type"] == "Bearer"
    assert answers[0].headers["Cache-Control"] == "no-store"
    assert token_for(house, key, scope="admin").status_code == 403


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_secret": "kite_x"}, 401, "invalid_client"),
        ({"client_id": "AAAAAAAAAAAA"}, 401, "invalid_client"),
        ({"scope": "emperor"}, 400, "invalid_scope"),
    ],
)
def test_token_is_refused_in_the_words_of_oauth(
    house: KeyedHouse, form: dict[str, str], status: int, error: str
) -> None:
    """RFC 6749 §5.2."""
    answer = token_for(house, house.key(Role.READER), **form)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_audit_shows_a_tenant_its_own_lines(house: KeyedHouse, root: str, acme: str) -> None:
    """The installation sees all; what was refused stands there with a reason that its sender is not told."""
    told = made(house, acme)
    house.call("DELETE", f"/admin/keys/{told['id']}", acme)
    house.pass_time()
    mine = house.call("GET", "/admin/audit", acme).json()
    everything = house.call("GET", "/admin/audit", root, params={"limit": 1000}).json()

    assert {line["tenant"] for line in mine} == {"acme"}
    assert [line["action"] for line in mine[:2]] == ["DELETE /admin/keys/{key_id}", "POST /admin/keys"]
    assert mine[0]["target"] == told["id"]
    assert {"acme", "system"} <= {line["tenant"] for line in everything}
    assert told["key"] not in str(everything)
    assert house.call("GET", "/admin/audit/check", root).json()["fault"] == ""
    assert house.call("GET", "/admin/audit/check", acme).status_code == 403


def test_audit_is_walked_page_by_page_and_exported(house: KeyedHouse, root: str) -> None:
    """The pages together are the export, newest first."""
    seqs, cursor = [], ""
    while True:
        params = {"limit": "7", **({"cursor": cursor} if cursor else {})}
        page = house.call("GET", "/admin/audit", root, params=params)
        seqs += [line["seq"] for line in page.json()]
        cursor = page.headers.get("X-Next-Cursor", "")
        if not cursor:
            break
    export = house.call("GET", "/admin/audit/export", root)

    assert export.headers["Content-Type"] == "application/x-ndjson"
    assert sorted(seqs, reverse=True) == seqs
    assert len(export.text.splitlines()) == len(seqs)


def test_key_works_from_the_moment_it_is_told(house: KeyedHouse, acme: str) -> None:
    """A replica that has not heard of it asks before it refuses."""
    told = house.call("POST", "/admin/keys", acme, json={"name": "new", "roles": ["reader"]}).json()

    assert house.call("GET", "/admin/me", told["key"]).status_code == 200
    assert token_for(house, told["key"]).status_code == 200


@pytest.mark.parametrize("path", ["/admin/audit", "/admin/audit/export"])
def test_audit_is_looked_for_by_bounded_values(house: KeyedHouse, root: str, path: str) -> None:
    """A value as long as the document allows is read; a longer one is refused by its name."""
    fits = house.call("GET", path, root, params={"subject": "k" * 512})
    longer = house.call("GET", path, root, params={"subject": "k" * 513})

    assert (fits.status_code, longer.status_code) == (200, 400)
    assert "subject has 513 characters" in longer.json()["detail"]


def test_tenant_can_be_acted_for_from_the_moment_it_is_told(house: KeyedHouse, root: str) -> None:
    """A replica that has not heard of it asks before it refuses."""
    house.call("POST", "/admin/tenants", root, json={"id": "brand-new", "name": "New"})
    headers = {"X-Kite-Tenant": "brand-new"}

    assert house.call("GET", "/admin/me", root, headers=headers).json()["tenant"] == "brand-new"
    other = house.call("GET", "/admin/me", root, headers={"X-Kite-Tenant": "nobody"})
    assert other.status_code == 403


def test_settings_are_shown_to_the_installation_without_their_secrets(tmp_path: Path) -> None:
    """The password in an address is masked; a tenant's administrator sees nothing of them."""
    cache = CacheSettings(backend="redis", url="redis://user:Zanzibarquokka@localhost:6379")
    house = KeyedHouse(tmp_path, cache=cache)
    try:
        shown = house.call("GET", "/admin/config", house.key(Role.ADMIN, None))
        refused = house.call("GET", "/admin/config", house.key(Role.ADMIN))
    finally:
        house.close()

    assert shown.json()["auth"]["mode"] == "required"
    assert "Zanzibarquokka" not in shown.text
    assert refused.status_code == 403


def test_erased_tenant_is_gone_with_proof(house: KeyedHouse, root: str) -> None:
    """Only when its id is repeated; then nothing of it is left, its keys end and its id stays taken."""
    house.tenant("leaving")
    key = house.key(Role.ADMIN, "leaving")
    house.call("POST", "/knowledge/sources", key, json={"id": "s", "name": "Zanzibarquokka"})
    unsure = house.call("DELETE", "/admin/tenants/leaving", root)
    proof = house.call("DELETE", "/admin/tenants/leaving", root, params={"confirm": "leaving"})
    house.pass_time()

    assert (unsure.status_code, proof.status_code) == (400, 200)
    assert sum(proof.json()["before"].values()) > 0
    assert set(proof.json()["after"].values()) == {0}
    assert house.call("GET", "/sessions", key).status_code == 401
    assert house.call("GET", "/admin/tenants/leaving", root).json()["state"] == "erased"
    again = house.call("POST", "/admin/tenants", root, json={"id": "leaving", "name": "x"})
    assert again.status_code == 409
