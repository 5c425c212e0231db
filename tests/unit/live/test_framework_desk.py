"""Frameworks switched and weighed over a real ledger, and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from configs.live import LiveSettings
from configs.schema import Settings
from data.access.records import FrameworkRecord
from data.access.roles import Role
from data.audit.port import AuditQuery
from data.errors import ConflictError, InvalidValueError, NotFoundError
from deployments.api.asgi import create_app
from deployments.framework_desk import FrameworkDesk
from deployments.live_settings import in_force
from tests.unit.api.keyed_house import KeyedHouse

NAMES = ("consistency", "contextual", "empirical", "evolution", "power_dynamics", "utility")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[KeyedHouse]:
    made = KeyedHouse(tmp_path)
    desk = desk_of(made)
    made.services = replace(made.services, framework_desk=desk)
    made.app = create_app(made.services)
    yield made
    made.close()


def desk_of(house: KeyedHouse) -> FrameworkDesk:
    start = Settings(framework_weights={"utility": 0.5})
    return FrameworkDesk(
        house.house.reader, NAMES, lambda words: in_force(start, LiveSettings(), words), house.clock
    )


def test_word_is_a_row_of_the_ledger_that_leaves_the_knowledge_where_it_was(house: KeyedHouse) -> None:
    """It survives a restart, and answers to the old settings stay findable."""
    before = house.house.keeper.knowledge_seq()
    said = desk_of(house).say("utility", {"enabled": False}, actor="key:a")
    desk_of(house).say("utility", {"weight": 2.0}, actor="key:b")

    (word,) = house.house.keeper.access_changes(0).frameworks
    assert (said.enabled, said.weight) == (False, 0.5)
    assert (word.id, word.enabled, word.weight, word.actor) == ("utility", False, 2.0, "key:b")
    assert house.house.keeper.knowledge_seq() == before


def test_word_taken_back_lets_the_settings_count(house: KeyedHouse) -> None:
    """Weight and standing are again those of the start."""
    desk = desk_of(house)
    desk.say("utility", {"enabled": False, "weight": 7.0}, actor="key:a")

    after = desk.forget("utility", actor="key:a")

    assert (after.enabled, after.weight) == (True, 0.5)
    assert desk.one("utility") == after


def test_last_framework_that_is_asked_stays_on(house: KeyedHouse) -> None:
    """Nobody would answer."""
    desk = desk_of(house)
    for name in NAMES[1:]:
        desk.say(name, {"enabled": False}, actor="key:a")

    with pytest.raises(ConflictError, match="consistency is the last framework that is asked"):
        desk.say("consistency", {"enabled": False}, actor="key:a")


@pytest.mark.parametrize("weight", [-0.1, 1e7, float("nan")])
def test_weight_that_cannot_be_is_refused(house: KeyedHouse, weight: float) -> None:
    """The ledger stays without it."""
    with pytest.raises(InvalidValueError, match="weight"):
        desk_of(house).say("utility", {"weight": weight}, actor="key:a")
    assert house.house.keeper.access_changes(0).frameworks == ()


def test_framework_that_there_is_not_is_named(house: KeyedHouse) -> None:
    """The sentence says which there are."""
    with pytest.raises(NotFoundError, match=r"no framework 'wisdom'.*utility"):
        desk_of(house).say("wisdom", {"enabled": False}, actor="key:a")


def test_word_written_in_between_is_kept(house: KeyedHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two administrators at once: each changes what it names, neither undoes the other."""
    first, second = desk_of(house), desk_of(house)
    real = first._words

    def slow() -> tuple[int, dict[str, FrameworkRecord]]:
        found = real()
        monkeypatch.setattr(first, "_words", real)
        second.say("utility", {"weight": 3.0}, actor="key:b")
        return found

    monkeypatch.setattr(first, "_words", slow)
    after = first.say("utility", {"enabled": False}, actor="key:a")

    assert (after.enabled, after.weight) == (False, 3.0)


def test_administrator_switches_a_framework_over_http(house: KeyedHouse) -> None:
    """The answer says how it stands; the audit says who did it."""
    key = house.key(Role.ADMIN, None)
    answer = house.call("POST", "/admin/frameworks/utility", key, json={"enabled": False})

    assert (answer.status_code, answer.json()["enabled"], answer.json()["weight"]) == (200, False, 0.5)
    assert answer.json()["word"]["actor"].startswith("key:")
    listed = house.call("GET", "/admin/frameworks", key).json()
    assert [one["name"] for one in listed if not one["enabled"]] == ["utility"]
    rows = house.audit.read(AuditQuery(action="POST /admin/frameworks"))
    assert [row.event.target for row in rows] == ["utility"]
    back = house.call("DELETE", "/admin/frameworks/utility", key)
    assert (back.json()["enabled"], back.json()["word"]) == (True, None)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("wisdom", {"enabled": False}, 404),
        ("utility", {}, 422),
        ("utility", {"weight": -1}, 422),
        ("utility", {"enabeld": False}, 422),
        ("utility", {"enabled": "no"}, 422),
    ],
)
def test_wish_that_cannot_be_is_a_problem(house: KeyedHouse, path: str, body: object, status: int) -> None:
    """Nothing is written."""
    answer = house.call("POST", f"/admin/frameworks/{path}", house.key(Role.ADMIN, None), json=body)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert house.house.keeper.access_changes(0).frameworks == ()


@pytest.mark.parametrize(("role", "tenant"), [(Role.OPERATOR, None), (Role.ADMIN, "default")])
def test_only_an_administrator_of_the_installation_may(
    house: KeyedHouse, role: Role, tenant: str | None
) -> None:
    """A framework is everybody's."""
    answer = house.call("POST", "/admin/frameworks/utility", house.key(role, tenant), json={"enabled": False})

    assert answer.status_code == 403
