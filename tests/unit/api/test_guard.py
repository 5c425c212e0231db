"""Every route asks what its rule says: of nobody, of each role, of tenants' keys and the installation's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from data.access.principal import Principal
from data.access.roles import Role, permits
from data.audit.event import AuditEvent
from data.claims import TenantId
from data.errors import AuthError, RateLimitedError, StoreUnavailableError
from data.limits.hold import HOLD_HEADER, MOST_MS
from deployments.api.asgi import PREFIXES, create_app
from deployments.door import Credential
from deployments.services import AccessServices
from tests.fakes import FakeClock
from tests.unit.api.fakes import Rig


class RoleDoor:
    """Knows callers by their role: ``Authorization: Role editor``, ``Role admin installation``."""

    async def admit(self, credential: Credential) -> Principal:
        scheme, _, told = (credential.authorization or "").partition(" ")
        if scheme != "Role":
            raise AuthError("Send a key: Authorization: ApiKey KEY.")
        role, _, whose = told.partition(" ")
        return Principal(f"key:{role}", TenantId("acme"), Role(role), installation=bool(whose), key_id=role)


class Desk:
    """An app behind :class:`RoleDoor` that notes what is charged and recorded."""

    def __init__(self, **more: Any) -> None:
        self.rig = Rig()
        self.charged: list[tuple[str, str, str, int]] = []
        self.recorded: list[tuple[AuditEvent, bool]] = []
        self.audit_away = False
        self.charge_failure: Exception | None = None
        access = AccessServices(door=RoleDoor(), charge=self.charge, record=self.record, **more)
        self.app = create_app(replace(self.rig.services(), access=access))

    async def charge(self, who: Principal, operation: str, address: str, units: int) -> Mapping[str, str]:
        if self.charge_failure:
            raise self.charge_failure
        self.charged.append((who.subject, operation, address, units))
        return {"RateLimit": str(100 - sum(units for *_, units in self.charged))}

    async def record(self, event: AuditEvent, durable: bool) -> None:
        if self.audit_away:
            raise StoreUnavailableError("the audit is away")
        self.recorded.append((event, durable))

    def call(self, method: str, path: str, who: str | None = None, **kwargs: Any) -> httpx.Response:
        headers = {**kwargs.pop("headers", {}), **({"Authorization": f"Role {who}"} if who else {})}
        return self.rig.call(method, path, self.app, headers=headers, **kwargs)


@pytest.fixture(scope="module")
def shared() -> Desk:
    return Desk()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def rows() -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = Desk().call("GET", "/admin/routes", "reader").json()
    return told


ROWS = rows()
CALLERS = [None, *(f"{role}{whose}" for role in Role for whose in ("", " installation"))]


def expected(row: Mapping[str, Any], who: str | None) -> str:
    if row["role"] is None:
        return "in"
    if who is None:
        return "401"
    role, _, whose = who.partition(" ")
    allowed = permits(Role(role), Role(row["role"])) and (whose or not row["installation"])
    return "in" if allowed else "403"


@pytest.mark.parametrize("who", CALLERS, ids=str)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['method']} {row['path']}")
@pytest.mark.parametrize("prefix", PREFIXES)
def test_route_answers_each_caller_as_its_rule_says(
    shared: Desk, prefix: str, row: dict[str, Any], who: str | None
) -> None:
    """401 without a credential, 403 below the role or for another kind of key; else it is let in."""
    path = prefix + re.sub(r"{\w+}", "x", row["path"])
    status = shared.call(row["method"], path, who).status_code

    assert (str(status) if status in (401, 403) else "in") == expected(row, who)


def test_every_route_of_the_application_has_a_rule() -> None:
    """What is routed is what the table shows, under both prefixes; beside it only Swagger's own files."""
    app = create_app(Rig().services())
    shown = {(row["method"], prefix + row["path"]) for row in ROWS for prefix in PREFIXES}
    routed, files = set(), set()
    for route in app.router.routes:
        if isinstance(route, APIRoute):
            path = route.path.replace(":path}", "}")
            routed |= {(method, path) for method in route.methods}
        else:
            assert isinstance(route, Mount)
            files.add(route.path)
    home = {("GET", "/api/v1"): ("GET", "/api/v1/")}

    assert {home.get(one, one) for one in routed} - shown == {("GET", f"{p}/docs/start.js") for p in PREFIXES}
    assert shown - {home.get(one, one) for one in routed} == set()
    assert files == {f"{prefix}/docs/assets" for prefix in PREFIXES}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_rules_hold_behind_a_trailing_slash_and_for_unknown_methods(desk: Desk, prefix: str) -> None:
    """No spelling of a path goes round the guard."""
    assert desk.call("GET", f"{prefix}/sessions/").status_code == 401
    assert desk.call("HEAD", f"{prefix}/sessions").status_code == 405
    assert desk.call("GET", f"{prefix}/%73essions").status_code == 401


def test_refusal_says_how_to_come_in(desk: Desk) -> None:
    """401 names the schemes, 403 the role that is needed; both as problem+json."""
    without, below = (
        desk.call("GET", "/sessions"),
        desk.call("POST", "/verify", "reader", json={"claim": "x"}),
    )

    assert without.headers["WWW-Authenticate"].startswith("Bearer")
    assert (without.json()["code"], below.json()["code"]) == ("unauthorised", "forbidden")
    assert "verifier" in below.json()["detail"]


def test_credential_sent_twice_is_refused(desk: Desk) -> None:
    """Two parts of the service might read two different ones."""
    headers = [("Authorization", "Role reader"), ("Authorization", "Role admin")]
    answer = desk.rig.call("GET", "/sessions", desk.app, headers=headers)

    assert answer.status_code == 401
    assert "more than once" in answer.json()["detail"]


def test_batch_is_charged_for_each_claim(desk: Desk) -> None:
    """One unit at the door, the rest once the body is read; the answer tells what is left."""
    answer = desk.call(
        "POST", "/batch/verify", "verifier", json=[{"claim": f"It is {n} m."} for n in range(5)]
    )

    assert [entry[1:] for entry in desk.charged] == [("verify", "127.0.0.1", 1), ("verify", "127.0.0.1", 4)]
    assert answer.headers["RateLimit"] == "95"


def test_refused_caller_is_charged_nothing(desk: Desk) -> None:
    """Neither without a credential nor without the role."""
    desk.call("GET", "/sessions")
    desk.call("POST", "/verify", "reader", json={"claim": "x"})

    assert desk.charged == []


def test_caller_over_its_limit_is_told_when_to_come_back(desk: Desk) -> None:
    """429 with Retry-After; the handler is not reached."""
    desk.charge_failure = RateLimitedError("The tenant has had its 100 units of this minute.", 7.2)
    answer = desk.call("POST", "/verify", "verifier", json={"claim": "It is 3 m."})

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "8")
    assert desk.rig.verifier.batches == []


def test_ingress_that_holds_calls_is_told_for_how_long() -> None:
    """In milliseconds, rounded down; never longer than a raised limit may go unheard."""
    told = []
    for wait_s in (0.2509, 7.2):
        desk = Desk(holds_calls=True)
        desk.charge_failure = RateLimitedError("The limit is used up.", wait_s)
        told.append(
            desk.call("POST", "/verify", "verifier", json={"claim": "It is 3 m."}).headers[HOLD_HEADER]
        )

    assert told == ["250", str(MOST_MS)]


@pytest.mark.parametrize(("took_s", "held"), [(0.0, "900"), (0.3996, "500"), (0.8995, None), (5.0, None)])
def test_answer_that_used_a_limit_up_holds_the_next_call_for_what_is_left(
    took_s: float, held: str | None
) -> None:
    """The time that answering took is over by the time the ingress hears of it."""
    desk = Desk(holds_calls=True)
    clock = FakeClock()

    async def charge(who: Principal, operation: str, address: str, units: int) -> Mapping[str, str]:
        clock.advance(took_s)
        return {HOLD_HEADER: "900", "RateLimit": "0"}

    access = AccessServices(door=RoleDoor(), charge=charge, holds_calls=True)
    desk.app = create_app(replace(desk.rig.services(), access=access, clock=clock))
    answer = desk.call("POST", "/verify", "verifier", json={"claim": "It is 3 m."})

    assert answer.status_code == 200
    assert answer.headers.get(HOLD_HEADER) == held
    assert answer.headers["RateLimit"] == "0"


def test_ingress_holds_no_call_for_what_its_body_asks_for() -> None:
    """A smaller batch may have room: the refusal of the larger one is of that batch."""
    desk = Desk(holds_calls=True)

    async def charge(who: Principal, operation: str, address: str, units: int) -> Mapping[str, str]:
        if units > 1:
            raise RateLimitedError("The limit is used up.", 1.0)
        return {}

    access = AccessServices(door=RoleDoor(), charge=charge, holds_calls=True)
    desk.app = create_app(replace(desk.rig.services(), access=access))
    answer = desk.call("POST", "/batch/verify", "verifier", json=[{"claim": "It is 3 m."}] * 5)

    assert answer.status_code == 429
    assert HOLD_HEADER not in answer.headers


def test_write_is_in_the_audit_before_it_is_answered(desk: Desk) -> None:
    """Durably, with who, what, from where, the outcome and the request's id; and nothing of the body."""
    desk.call(
        "POST", "/verdicts/v1/feedback", "verifier",
        json={"label": "REFUTED", "note": "Zanzibarquokka"}, headers={"X-Request-ID": "r-1"},
    )  # fmt: skip
    ((event, durable),) = desk.recorded

    assert durable
    assert (event.subject, event.tenant, event.action) == (
        "key:verifier",
        "acme",
        "POST /verdicts/{verdict_id}/feedback",
    )
    assert (event.target, event.address, event.request_id) == ("v1", "127.0.0.1", "r-1")
    assert "Zanzibarquokka" not in repr(event)


def test_audited_call_fails_where_the_audit_is_away(desk: Desk) -> None:
    """It would otherwise have happened unseen."""
    desk.audit_away = True

    assert desk.call("GET", "/sessions", "reader").status_code == 200
    assert (
        desk.call("POST", "/verdicts/v1/feedback", "verifier", json={"label": "REFUTED"}).status_code == 503
    )


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("reader", 403)])
def test_refusal_is_recorded_without_being_waited_for(desk: Desk, who: str | None, status: int) -> None:
    """A flood of refusals must not wait for the disk."""
    desk.call("POST", "/verify", who, json={"claim": "x"})
    ((event, durable),) = desk.recorded

    assert (event.status, event.result, durable) == (status, "denied", False)


def test_reads_are_recorded_where_settings_say_so() -> None:
    """By default only writes, administration and refusals are."""
    quiet, thorough = Desk(), Desk(audit_reads=True)
    for desk in (quiet, thorough):
        desk.call("GET", "/sessions", "reader")

    assert quiet.recorded == []
    assert [(event.action, event.status) for event, _ in thorough.recorded] == [("GET /sessions", 200)]
