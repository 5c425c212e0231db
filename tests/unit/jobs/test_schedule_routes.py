"""``/schedules`` over a real ledger behind a closed door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response as Answer

from data.access.roles import Role
from tests.unit.api.keyed_house import KeyedHouse

PATH = "/api/v1/schedules"
OPERATOR = (Role.OPERATOR, "a")
NIGHTLY = {"kind": "rebuild_index", "args": {"all": True}, "cron": "0 3 * * *", "timezone": "Europe/Paris"}


class SchedulesHouse(KeyedHouse):
    """A closed house that keeps schedules; tenants ``a`` and ``b``."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        for name in ("a", "b"):
            self.tenant(name)
        self.keys = {
            (role, tenant): self.key(role, tenant)
            for role in (Role.VERIFIER, Role.OPERATOR)
            for tenant in ("a", "b")
        }

    def ask(self, method: str, path: str = PATH, who: tuple[Role, str] = OPERATOR, **more: Any) -> Answer:
        return self.call(method, path, self.keys[who], **more)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchedulesHouse]:
    made = SchedulesHouse(tmp_path_factory.mktemp("schedules"))
    yield made
    made.close()


def test_schedule_is_made_shown_changed_and_removed(house: SchedulesHouse) -> None:
    """Each answer says when it is due next, by its own clock."""
    made = house.ask("POST", json=NIGHTLY)
    one = made.headers["location"]
    listed = house.ask("GET").json()
    changed = house.ask("PUT", one, json={**NIGHTLY, "enabled": False, "name": "nightly"})
    shown = house.ask("GET", one)
    gone = [house.ask("DELETE", one).status_code, house.ask("GET", one).status_code]

    assert (made.status_code, made.json()["next_at"]) == (201, "2023-11-15T02:00:00.000+00:00")
    assert [schedule["id"] for schedule in listed] == [made.json()["id"]]
    assert (changed.status_code, shown.json()["name"], shown.json()["next_at"]) == (200, "nightly", None)
    assert shown.headers["etag"] == changed.headers["etag"] != made.headers["etag"]
    assert gone == [200, 404]


def test_schedule_of_another_tenant_is_not_there(house: SchedulesHouse) -> None:
    """Neither seen, nor changed, nor removed."""
    one = house.ask("POST", json=NIGHTLY).headers["location"]
    other = (Role.OPERATOR, "b")

    answers = [
        house.ask("GET", one, other),
        house.ask("PUT", one, other, json=NIGHTLY),
        house.ask("DELETE", one, other),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert house.ask("GET", PATH, other).json() == []
    assert house.ask("GET", one).status_code == 200


@pytest.mark.parametrize(
    ("body", "role", "status"),
    [
        ({**NIGHTLY, "cron": "0 3 * *"}, Role.OPERATOR, 422),
        ({**NIGHTLY, "cron": "61 3 * * *"}, Role.OPERATOR, 400),
        ({**NIGHTLY, "timezone": "Mars/Base"}, Role.OPERATOR, 400),
        ({**NIGHTLY, "args": {}}, Role.OPERATOR, 400),
        ({**NIGHTLY, "kind": "backup", "args": {}}, Role.OPERATOR, 403),
        (NIGHTLY, Role.VERIFIER, 403),
        ({**NIGHTLY, "kind": "import_knowledge", "args": {"file": "/etc/passwd"}}, Role.OPERATOR, 403),
        ({**NIGHTLY, "kind": "verify_batch", "args": {"input": "c.jsonl"}}, Role.VERIFIER, 201),
    ],
)
def test_schedule_asks_what_its_job_would_ask(
    house: SchedulesHouse, body: dict[str, Any], role: Role, status: int
) -> None:
    """Whoever may not submit the job may not schedule it; times and arguments are checked when it is made."""
    assert house.ask("POST", PATH, (role, "a"), json=body).status_code == status


def test_change_under_a_stale_tag_is_refused(house: SchedulesHouse) -> None:
    """``If-Match`` guards what was read."""
    made = house.ask("POST", json=NIGHTLY)
    one, headers = made.headers["location"], {"If-Match": made.headers["etag"]}

    first = house.ask("PUT", one, json={**NIGHTLY, "name": "x"}, headers=headers)
    second = house.ask("PUT", one, json={**NIGHTLY, "name": "y"}, headers=headers)

    assert (first.status_code, second.status_code) == (200, 412)
