"""Keys, roles, tenants, limits and the audit on a running installation that asks for credentials."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from data.access.roles import Role, permits
from tests.cluster.conftest import Kite
from tests.contract.openapi_run import schemathesis
from tests.isolation.run import ask, everybody_still_has_its_own, prepare
from tests.isolation.tenants import client

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

#: Requests of the random search for leaks here; ``make isolation`` sends 100,000.
REQUESTS = 1_200


@pytest.fixture(scope="module")
def admin(kite: Kite) -> Iterator[httpx.Client]:
    with kite.client() as made:
        yield made


def made_key(admin: httpx.Client, **wish: Any) -> dict[str, Any]:
    answer = admin.post("/admin/keys", json={"name": "test", "roles": ["admin"], **wish})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.fixture(scope="module")
def callers(kite: Kite, admin: httpx.Client) -> Iterator[dict[tuple[str, str], httpx.Client]]:
    """A client for every tenant and role, and for keys of the installation of every role."""
    found = {("", ""): kite.client("")}
    for tenant in ("matrix-a", "matrix-b"):
        admin.post("/admin/tenants", json={"id": tenant, "name": tenant})
    for role in Role:
        for tenant in ("default", "matrix-a", "matrix-b", "shared"):
            found[tenant, role] = kite.client(made_key(admin, roles=[role], tenant=tenant)["key"])
        found["installation", role] = kite.client(made_key(admin, roles=[role], installation=True)["key"])
    yield found
    for one in found.values():
        one.close()


def test_every_role_and_tenant_meets_every_route_as_the_table_says(
    admin: httpx.Client, callers: dict[tuple[str, str], httpx.Client]
) -> None:
    """401 without a key, 403 below the role or for another kind of key; else the route answers, never 500."""
    table = admin.get("/admin/routes").json()
    assert len(table) > 50
    wrong = []
    for row in table:
        path = re.sub(r"{\w+}", "no-such-thing", row["path"])
        for (tenant, role), caller in callers.items():
            if row["role"] is None:
                expected = "in"
            elif not role:
                expected = "401"
            else:
                allowed = permits(Role(role), Role(row["role"]))
                expected = (
                    "in" if allowed and (tenant == "installation" or not row["installation"]) else "403"
                )
            status = caller.request(row["method"], path).status_code
            met = str(status) if status in (401, 403) else "in"
            if met != expected or (status >= 500 and row["path"] != "/health/ready"):
                wrong.append((row["method"], path, tenant, role, expected, status))

    assert wrong == []


def test_no_tenant_reads_what_is_another_tenants(kite: Kite) -> None:
    """Random requests with others' ids, cursors, tags, graphs and positions: no answer holds their secret."""
    tenants = prepare(kite.head.http_url, kite.admin_key)
    for shown in (one.headers["Authorization"] for tenant in tenants for one in tenant.clients.values()):
        kite.secrets.add("a tenant's key", shown.removeprefix("ApiKey "))
    found = ask(tenants, REQUESTS)

    assert found.leaks == []
    assert found.faults == []
    assert found.sent >= REQUESTS
    assert {200, 403, 404} <= set(found.statuses)
    assert everybody_still_has_its_own(tenants)


def test_revoked_key_ends_within_a_second(kite: Kite, admin: httpx.Client) -> None:
    """On every replica, because each refuses to answer from a list of keys that is older."""
    told = made_key(admin, roles=["reader"])
    with kite.client(told["key"]) as caller:
        assert caller.get("/sessions").status_code == 200
        assert admin.delete(f"/admin/keys/{told['id']}").status_code == 200
        revoked = time.monotonic()
        statuses = set()
        while time.monotonic() < revoked + 1.0:
            statuses.add(caller.get("/sessions").status_code)
        after = {caller.get("/sessions").status_code for _ in range(20)}

    assert statuses <= {200, 401}
    assert after == {401}


def test_suspended_tenant_is_let_in_again_when_resumed(kite: Kite, admin: httpx.Client) -> None:
    """403 while it is suspended; nothing of it is lost."""
    admin.post("/admin/tenants", json={"id": "pausing", "name": "Pausing"})
    with kite.client(made_key(admin, tenant="pausing")["key"]) as caller:
        assert caller.post("/knowledge/sources", json={"id": "s", "name": "Kept"}).status_code == 201
        admin.put("/admin/tenants/pausing", json={"state": "suspended"})
        time.sleep(1.0)  # the bound that is promised
        assert caller.get("/knowledge/sources/s").status_code == 403
        admin.put("/admin/tenants/pausing", json={"state": "active"})
        time.sleep(1.0)
        assert caller.get("/knowledge/sources/s").json()["name"] == "Kept"


def test_installation_key_acts_for_the_tenant_it_names(kite: Kite, admin: httpx.Client) -> None:
    """By X-Kite-Tenant; a tenant's own key may name no other."""
    admin.post("/admin/tenants", json={"id": "named", "name": "Named"})
    headers = {"X-Kite-Tenant": "named"}
    assert admin.post("/knowledge/sources", json={"id": "n", "name": "N"}, headers=headers).status_code == 201
    with kite.client(made_key(admin, tenant="named")["key"]) as caller:
        assert caller.get("/knowledge/sources/n").status_code == 200
        assert caller.get("/knowledge/sources/n", headers={"X-Kite-Tenant": "default"}).status_code == 403
    assert admin.get("/knowledge/sources/n").status_code == 404
    assert admin.get("/sessions", headers={"X-Kite-Tenant": "no-such"}).status_code in (403, 404)


def test_shared_knowledge_is_read_by_all_and_written_by_none_of_them(kite: Kite, admin: httpx.Client) -> None:
    """Every tenant sees it; only a key that acts for the shared tenant changes it."""
    shared = {"X-Kite-Tenant": "shared"}
    source = {"id": "shared-source", "name": "Shared"}
    assert admin.post("/knowledge/sources", json=source, headers=shared).status_code == 201
    with kite.client(made_key(admin, tenant="matrix-a")["key"]) as caller:
        assert caller.get("/knowledge/sources/shared-source").json()["name"] == "Shared"
        assert caller.delete("/knowledge/sources/shared-source").status_code == 404
        own = {"id": "shared-source", "name": "Mine"}
        assert caller.post("/knowledge/sources", json=own).status_code == 201
    assert admin.get("/knowledge/sources/shared-source", headers=shared).json()["name"] == "Shared"


def test_limit_of_a_tenant_is_kept_to_the_request(kite: Kite, admin: httpx.Client) -> None:
    """As many as the burst, then 429 with when to come back; other tenants are not concerned."""
    rate = {"per_minute": 1.0, "per_hour": 1000.0, "per_day": 1000.0, "burst": 25.0}
    admin.post("/admin/tenants", json={"id": "limited", "name": "L", "limits": {"tenant": rate}})
    with kite.client(made_key(admin, tenant="limited")["key"]) as caller:
        answers = [caller.get("/sessions") for _ in range(60)]
        statuses = [answer.status_code for answer in answers]
        usage = caller.get("/admin/me")

    assert 25 <= statuses.count(200) <= 26
    assert statuses.count(429) == 60 - statuses.count(200)
    assert int(answers[-1].headers["Retry-After"]) in range(1, 61)
    refused_first = answers[statuses.index(429)]
    assert refused_first.headers["RateLimit"].startswith('"tenant";r=0;')
    assert usage.status_code == 429
    assert admin.get("/sessions").status_code == 200


def test_what_was_done_stands_in_the_audit_and_its_chain_holds(kite: Kite, admin: httpx.Client) -> None:
    """A write, a refusal and the making of a key, with who and from where; a tenant sees its own lines."""
    admin.post("/admin/tenants", json={"id": "audited", "name": "A"})
    told = made_key(admin, tenant="audited")
    with kite.client(told["key"]) as caller:
        headers = {"X-Request-ID": "audit-test-1"}
        caller.post("/knowledge/sources", json={"id": "a", "name": "Zanzibarquokka"}, headers=headers)
        caller.get("/admin/tenants")
        lines = caller.get("/admin/audit", params={"subject": f"key:{told['id']}"}).json()
        exported = caller.get("/admin/audit/export").text
    written = next(line for line in lines if line["request_id"] == "audit-test-1")

    assert (written["action"], written["result"], written["status"]) == (
        "POST /knowledge/sources",
        "allowed",
        201,
    )
    assert written["address"] == "127.0.0.1"
    assert {line["tenant"] for line in lines} == {"audited"}
    assert "Zanzibarquokka" not in exported
    assert admin.get("/admin/audit/check").json()["fault"] == ""


@pytest.mark.parametrize("way", ["ApiKey", "Bearer", "header"])
def test_key_is_taken_in_each_of_three_ways(kite: Kite, way: str) -> None:
    """``Authorization: ApiKey``, ``Authorization: Bearer`` and ``X-API-Key``."""
    headers = (
        {"X-API-Key": kite.admin_key} if way == "header" else {"Authorization": f"{way} {kite.admin_key}"}
    )

    assert httpx.get(f"{kite.head.http_url}/admin/me", headers=headers).json()["role"] == "admin"


def test_client_credentials_give_a_token_that_dies_with_its_key(kite: Kite, admin: httpx.Client) -> None:
    """OAuth 2 client credentials: id and text of a key; the token has the key's tenant and role."""
    told = made_key(admin, roles=["verifier"], tenant="matrix-a")
    form = {"grant_type": "client_credentials", "client_id": told["id"], "client_secret": told["key"]}
    answer = httpx.post(f"{kite.head.http_url}/oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    token = kite.secrets.add("an access token", answer.json()["access_token"])
    bearer = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=kite.head.http_url, headers=bearer, timeout=60.0) as caller:
        me = caller.get("/admin/me").json()
        assert (me["tenant"], me["role"]) == ("matrix-a", "verifier")
        assert caller.post("/knowledge/sources", json={"name": "x"}).status_code == 403
        admin.delete(f"/admin/keys/{told['id']}")
        time.sleep(1.0)
        assert caller.get("/admin/me").status_code == 401
    again = httpx.post(f"{kite.head.http_url}/oauth/token", data=form)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


def test_admin_key_is_the_owners_alone(kite: Kite) -> None:
    """It lies in a file of mode 0600."""
    assert (kite.home / "secrets" / "admin_key").stat().st_mode & 0o777 == 0o600
    with client(kite.head.http_url, kite.admin_key) as caller:
        assert caller.get("/admin/me").json()["installation"] is True


@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", list(Role))
def test_every_operation_is_as_documented_to_each_role(kite: Kite, admin: httpx.Client, role: Role) -> None:
    """Schemathesis with all checks on finds no failure and no answer of 500 or above."""
    admin.post("/admin/tenants", json={"id": "probe", "name": "Probe"})
    told = made_key(admin, roles=[role], tenant="probe")
    key = kite.secrets.add("the probe's key", told["key"])
    # Jobs and schedules that it makes up would run here; the contract test has them where nothing runs.
    found = schemathesis(kite.head.http_url, key, "--exclude-path-regex", "/(jobs|schedules)$", examples=4)
    if found.failures:
        pytest.fail(found.failures)

    assert found.operations > 55
    assert found.requests > 500
    with kite.client(told["key"]) as caller:
        assert caller.get("/admin/me").status_code == 200
