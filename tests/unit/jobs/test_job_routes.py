"""``/jobs`` over real folders behind a closed door: who may ask for what, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from httpx import Response as Answer

from configs.job_settings import JobSettings
from configs.schema import Settings
from data.access.roles import Role
from data.claims import TenantId
from data.jobs.book import JobBook
from data.jobs.folder import JobFolder
from data.jobs.records import JobState
from deployments.api.asgi import create_app
from deployments.api.routes.jobs import JobRoutes
from deployments.job_desk import build_job_desk
from tests.unit.api.keyed_house import KeyedHouse

JOBS = "/api/v1/jobs"
ROLE = Role.OPERATOR
BATCH = {"kind": "verify_batch", "args": {"input": "claims.jsonl"}}


class JobsHouse(KeyedHouse):
    """A closed house that runs jobs; tenants ``a`` and ``b``, and a key for each role of either."""

    def __init__(self, home: Path, **jobs: Any) -> None:
        super().__init__(home)
        self.home = home
        settings = Settings(jobs=JobSettings(online_claims=0, **jobs))
        desk = build_job_desk(settings, home, self.clock)
        self.services = replace(self.services, jobs=desk)
        self.app = create_app(self.services)
        self.book = JobBook(home, self.clock)
        self._keys: dict[tuple[Role, str | None], str] = {}
        for name in ("a", "b"):
            self.tenant(name)

    def ask(self, method: str, path: str, role: Role = ROLE, tenant: str | None = "a", **more: Any) -> Answer:
        key = self._keys.get((role, tenant)) or self._keys.setdefault((role, tenant), self.key(role, tenant))
        return self.call(method, path, key, **more)

    def submit(self, body: Any = BATCH, role: Role = ROLE, tenant: str | None = "a", **more: Any) -> Answer:
        return self.ask("POST", JOBS, role, tenant, json=body, **more)

    def folder(self, job_id: str, tenant: str = "a") -> JobFolder:
        return self.book.folder(TenantId(tenant), job_id)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobsHouse]:
    made = JobsHouse(tmp_path_factory.mktemp("jobs"))
    yield made
    made.close()


def submitted(house: JobsHouse, **more: Any) -> str:
    answer = house.submit(**more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_submit_writes_the_job_down_and_says_where(house: JobsHouse) -> None:
    """The folder is there before the answer is; paths are resolved to the tenant's own place."""
    answer = house.submit(role=Role.VERIFIER)

    told = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{JOBS}/{told['id']}"
    assert (told["status"], told["progress"]["done"], told["report"]) == ("queued", 0, None)
    record = house.folder(told["id"]).read()
    assert record is not None
    assert record.is_managed
    assert record.args == {"input": str((house.home / "files" / "a" / "claims.jsonl").resolve())}


def test_submit_of_claims_keeps_them_beside_the_record(house: JobsHouse) -> None:
    """Claims in the body become the file that the task reads; the record stays small."""
    claims = ["Water boils at 100 degrees.", {"claim": "Ice melts.", "context": {"place": "Oslo"}}]

    job_id = submitted(house, body={"kind": "verify_batch", "args": {"claims": claims}})

    written = (house.folder(job_id).path / "claims.jsonl").read_bytes().splitlines()
    assert written == [
        b'{"claim":"Water boils at 100 degrees."}',
        b'{"claim":"Ice melts.","context":{"place":"Oslo"}}',
    ]
    assert house.ask("GET", f"{JOBS}/{job_id}").json()["args"] == {}


@pytest.mark.parametrize(
    ("body", "role", "tenant", "status"),
    [
        ({"kind": "import_knowledge", "args": {"file": "f.jsonl"}}, Role.VERIFIER, "a", 403),
        ({"kind": "import_knowledge", "args": {"file": "f.jsonl"}}, Role.OPERATOR, "a", 202),
        ({"kind": "backup"}, Role.ADMIN, "a", 403),
        ({"kind": "backup"}, Role.OPERATOR, None, 202),
        ({"kind": "compact", "args": {"older_than": "30d"}}, Role.OPERATOR, None, 403),
        ({"kind": "compact", "args": {"older_than": "30d"}}, Role.ADMIN, None, 202),
        (BATCH, Role.READER, "a", 403),
    ],
)
def test_submit_asks_for_the_role_of_the_kind(
    house: JobsHouse, body: Any, role: Role, tenant: str | None, status: int
) -> None:
    """Verifiers verify, operators operate; what concerns all is for keys of the installation."""
    assert house.submit(body, role, tenant).status_code == status


@pytest.mark.parametrize(
    ("args", "status"),
    [
        ({"input": "../b/claims.jsonl"}, 403),
        ({"input": "/etc/passwd"}, 403),
        ({"input": "s3://bucket/claims.jsonl"}, 403),
        ({"input": "claims.jsonl", "output": "/tmp/rows"}, 403),
        ({"input": "*/../../b/claims.jsonl"}, 400),
        ({"input": ""}, 400),
        ({}, 400),
        ({"input": "c.jsonl", "claims": ["Water is wet."]}, 400),
        ({"input": "c.jsonl", "command": "rm"}, 400),
        ({"input": "c.jsonl", "limit": 0}, 400),
        ({"claims": []}, 400),
        ({"claims": ["x"] * 1_001}, 400),
    ],
)
def test_submit_of_what_may_not_be_writes_nothing(
    house: JobsHouse, args: dict[str, Any], status: int
) -> None:
    """Paths outside the tenant's place, unknown fields and empty orders are refused at once."""
    before = len(house.book.page(TenantId("a"), limit=1_000))

    answer = house.submit({"kind": "verify_batch", "args": args})

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert len(house.book.page(TenantId("a"), limit=1_000)) == before


def test_submit_through_a_link_out_of_the_place_is_refused(house: JobsHouse) -> None:
    """A link in the tenant's folder does not open another's."""
    own, others = (house.home / "files" / name for name in ("a", "b"))
    own.mkdir(parents=True, exist_ok=True)
    others.mkdir(parents=True, exist_ok=True)
    (own / "link").symlink_to(others)

    assert house.submit({"kind": "verify_batch", "args": {"input": "link/c.jsonl"}}).status_code == 403


def test_submit_twice_under_one_key_makes_one_job(house: JobsHouse) -> None:
    """A repeat is answered as the first one was."""
    headers = {"Idempotency-Key": "once"}
    first, second = (house.submit(headers=headers) for _ in range(2))

    assert second.headers["idempotency-replayed"] == "true"
    assert second.json()["id"] == first.json()["id"]


@pytest.mark.parametrize("path", ["", "/logs", "/logs?follow=true"])
def test_job_of_another_tenant_is_not_there(house: JobsHouse, path: str) -> None:
    """Its id is as good as one that never was."""
    job_id = submitted(house)

    assert house.ask("GET", f"{JOBS}/{job_id}{path}", tenant="b").status_code == 404
    assert house.ask("DELETE", f"{JOBS}/{job_id}", tenant="b").status_code == 404
    assert job_id not in house.ask("GET", JOBS, tenant="b").text
    assert house.folder(job_id).read() is not None


@pytest.mark.parametrize("name", ["%2e%2e%2fb", "a%2F..%2Fb", "A", "-", "x" * 200])
def test_job_of_an_id_that_is_none_is_not_there(house: JobsHouse, name: str) -> None:
    """Nothing but an id reaches the disk."""
    assert house.ask("GET", f"{JOBS}/{name}").status_code == 404


def test_show_tells_progress_and_report(house: JobsHouse) -> None:
    """What the runner says is what is told."""
    job_id = submitted(house)
    driver = house.folder(job_id)
    driver.begin()
    driver.progress(0, 100, "verifying")
    house.clock.advance(2.0)
    driver.progress(50, 100, "verifying")
    driver.report({"rows": 50})
    driver.flush()

    told = house.ask("GET", f"{JOBS}/{job_id}").json()

    assert told["status"] == "running"
    assert told["progress"] == {"done": 50, "total": 100, "rate": 25.0, "eta_s": 2.0, "phase": "verifying"}
    assert (told["report"], told["attempt"]) == ({"rows": 50}, 1)


def test_listing_walks_pages_and_narrows(house: JobsHouse) -> None:
    """Pages join by the cursor; state and kind narrow them."""
    house.tenant("walker")
    ids = []
    for _ in range(3):
        house.clock.advance(1.0)
        ids.append(submitted(house, tenant="walker"))
    house.ask("DELETE", f"{JOBS}/{ids[0]}", tenant="walker")

    first = house.ask("GET", f"{JOBS}?limit=2", tenant="walker")
    second = house.ask("GET", f"{JOBS}?cursor={first.headers['x-next-cursor']}", tenant="walker")
    stopped = house.ask("GET", f"{JOBS}?state=stopped&kind=verify_batch", tenant="walker")

    assert [job["id"] for job in (*first.json(), *second.json())] == ids[::-1]
    assert "x-next-cursor" not in second.headers
    assert [job["id"] for job in stopped.json()] == [ids[0]]
    assert house.ask("GET", f"{JOBS}?state=asleep", tenant="walker").status_code == 400


def test_delete_stops_a_job_and_then_removes_it(house: JobsHouse) -> None:
    """Stopped first; asked again it stays; with ``remove`` it goes with its files."""
    path = f"{JOBS}/{submitted(house)}"
    refused = house.submit(BATCH)
    early = house.ask("DELETE", f"{JOBS}/{refused.json()['id']}?remove=true")
    stopped, again = house.ask("DELETE", path), house.ask("DELETE", path)
    removed = house.ask("DELETE", f"{path}?remove=true")

    assert early.status_code == 409
    told = [(one.status_code, one.json()["status"]) for one in (stopped, again, removed)]
    assert told == [(200, "stopped")] * 3
    assert house.ask("GET", path).status_code == 404


def test_delete_of_a_running_job_is_accepted(house: JobsHouse) -> None:
    """Its driver is asked to end; the answer does not wait for that."""
    job_id = submitted(house)
    driver = house.folder(job_id)
    driver.begin()

    answer = house.ask("DELETE", f"{JOBS}/{job_id}")

    assert (answer.status_code, answer.json()["status"]) == (202, "stopping")
    assert driver.should_stop()


def test_delete_of_an_operators_job_by_a_verifier_is_refused(house: JobsHouse) -> None:
    """Whoever could not have asked for a job cannot stop it."""
    job_id = submitted(house, body={"kind": "import_knowledge", "args": {"file": "f.jsonl"}})

    assert house.ask("DELETE", f"{JOBS}/{job_id}", Role.VERIFIER).status_code == 403


def test_submit_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    """As many wait as may; another tenant has its own room."""
    house = JobsHouse(tmp_path, waiting=1)
    try:
        answers = [house.submit(), house.submit(), house.submit(tenant="b")]
    finally:
        house.close()

    assert [answer.status_code for answer in answers] == [202, 409, 202]


def test_logs_without_follow_tell_what_is_there(house: JobsHouse) -> None:
    """A log that has not begun is empty, and none is held back."""
    job_id = submitted(house)
    empty = house.ask("GET", f"{JOBS}/{job_id}/logs")
    house.folder(job_id).log.write_bytes(b"begun\n" * 20_000)

    assert (empty.status_code, empty.content) == (200, b"")
    assert house.ask("GET", f"{JOBS}/{job_id}/logs").content == b"begun\n" * 20_000


def test_logs_that_are_followed_go_on_until_the_job_ends(house: JobsHouse) -> None:
    """Each look sends what came since; the last words before the end are not lost."""
    job_id = submitted(house)
    driver = house.folder(job_id)
    driver.begin()
    words = iter(["one\n", "two\n", "three\n"])

    async def pause(_seconds: float) -> None:
        word = next(words)
        with driver.log.open("a", encoding="utf-8") as log:
            log.write(word)
        if word == "three\n":
            driver.set_state(JobState.SUCCEEDED)

    async def read() -> list[bytes]:
        routes = JobRoutes(house.services, pause)
        return [block async for block in routes._lines(TenantId("a"), job_id, offset=2, looks=9)]

    assert asyncio.run(read()) == [b"e\n", b"two\n", b"three\n"]


def test_logs_are_not_followed_for_ever(house: JobsHouse) -> None:
    """After so many looks the answer ends; who follows asks again, from where it was."""
    job_id = submitted(house)
    house.folder(job_id).log.write_bytes(b"begun\n")
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def read() -> list[bytes]:
        routes = JobRoutes(house.services, pause)
        return [block async for block in routes._lines(TenantId("a"), job_id, offset=0, looks=3)]

    assert asyncio.run(read()) == [b"begun\n"]
    assert len(pauses) == 3
