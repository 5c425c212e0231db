"""A short list of claims: answered at once, its rows those of the route, and nothing lost when that fails."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from configs.job_settings import JobSettings
from configs.schema import Settings
from data.access.principal import Principal
from data.access.roles import Role
from data.claims import DEFAULT_TENANT
from data.errors import CapacityError
from data.jobs.folder import JobFolder
from data.jobs.records import JobKind, JobState
from deployments.job_desk import JobDesk, Online, build_job_desk
from deployments.online_batch import GROUP, OnlineBatch
from tests.unit.api.fakes import FRAMEWORKS, FakeVerifier, Rig
from tests.unit.jobs.job_house import JobHouse

A = DEFAULT_TENANT
WHO = Principal("key:1", A, Role.VERIFIER)
CLAIMS: list[Any] = [
    "Water boils at 100 degrees.",
    {"claim": "Ice melts at 0 degrees.", "id": "ice", "label": "SUPPORTS", "frameworks": ["empirical"]},
    {"claim": ""},
    {"claim": "I refuse to be verified."},
    7,
]


class OnlineHouse(JobHouse):
    """A home whose desk sends short lists to a fake verifier."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, concurrent=1, attempts=3)
        self.desk: JobDesk = build_job_desk(Settings(jobs=JobSettings(online_claims=100)), home, self.clock)
        self.verifier = FakeVerifier()

    def take(self, **args: Any) -> tuple[str, Online | None]:
        seen, online = self.desk.submit(WHO, JobKind.VERIFY_BATCH, args)
        return seen.record.id, online

    def run(self, online: Online | None, **args: Any) -> None:
        assert online is not None
        batch = OnlineBatch(self.verifier.answer, FRAMEWORKS, self._seq_at)
        asyncio.run(batch.run(online.folder, online.claims, args, A))

    @staticmethod
    async def _seq_at(_moment: str) -> int:
        return 17


@pytest.fixture
def house(tmp_path: Path) -> OnlineHouse:
    return OnlineHouse(tmp_path)


def rows_of(house: OnlineHouse, job_id: str) -> list[dict[str, Any]]:
    lines = b"".join(path.read_bytes() for path in house.desk.rows(A, job_id)).splitlines()
    return [json.loads(line) for line in lines]


def folder_of(house: OnlineHouse, job_id: str) -> JobFolder:
    return house.book.folder(A, job_id)


def test_short_list_is_answered_as_the_route_answers(house: OnlineHouse) -> None:
    """Byte for byte what ``POST /batch/verify`` says of the same claims; bad ones are dead letters."""
    job_id, online = house.take(claims=CLAIMS)
    house.run(online)

    rows = rows_of(house, job_id)
    asked = [{"claim": CLAIMS[0]}, {"claim": CLAIMS[1]["claim"], "frameworks": ["empirical"]}]
    route = Rig().post("/batch/verify", asked).json()
    dead = (folder_of(house, job_id).path / "output" / "dead_letters.jsonl").read_text().splitlines()
    assert [row["answer"] for row in rows] == route
    assert [(row["line"], row["id"], row["label"]) for row in rows] == [
        (1, None, None),
        (2, "ice", "SUPPORTS"),
    ]
    assert [json.loads(line)["line"] for line in dead] == [3, 4, 5]


def test_short_list_ends_with_a_report(house: OnlineHouse) -> None:
    """Counts, labels and errors, as the task reports them."""
    job_id, online = house.take(claims=CLAIMS)
    house.run(online)

    seen = house.desk.seen(A, job_id)
    assert seen.record.state is JobState.SUCCEEDED
    assert seen.report is not None
    assert (seen.report["rows"], seen.report["answered"], seen.report["dead_letters"]) == (5, 2, 3)
    assert seen.report["labels"]["SUPPORTED"] == 2
    assert seen.progress is not None
    assert (seen.progress.done, seen.progress.total) == (5, 5)


def test_short_list_is_nobody_elses_from_the_first_moment_on(house: OnlineHouse) -> None:
    """The dispatcher, which looks at any time, neither starts it nor takes it for dead."""
    job_id, online = house.take(claims=CLAIMS)
    house.look(3)

    assert (house.state(job_id, A), house.launcher.started) == (JobState.RUNNING, [])
    house.run(online)
    assert house.state(job_id, A) is JobState.SUCCEEDED


@pytest.mark.parametrize("failure", [CapacityError("Too many wait."), RuntimeError("unforeseen")])
def test_short_list_that_cannot_be_answered_now_becomes_a_job_of_its_own(
    house: OnlineHouse, failure: Exception
) -> None:
    """The claims lie in its folder, so the task does what the deployments could not."""
    job_id, online = house.take(claims=CLAIMS)
    house.verifier.failure = failure
    house.run(online)
    assert house.state(job_id, A) is JobState.INTERRUPTED

    house.look(3, after_s=1.0)

    assert house.launcher.started == [f"kite-default-{job_id}-2"]
    assert len((folder_of(house, job_id).path / "claims.jsonl").read_text().splitlines()) == 5


def test_short_list_whose_replica_died_becomes_a_job_of_its_own(house: OnlineHouse) -> None:
    """The lock went with the process."""
    job_id, online = house.take(claims=CLAIMS)
    assert online is not None
    online.folder.release()

    house.look(4, after_s=1.0)

    assert house.launcher.started == [f"kite-default-{job_id}-2"]


def test_short_list_that_is_stopped_asks_no_further(house: OnlineHouse) -> None:
    """Between two groups the word is heard."""
    job_id, online = house.take(claims=[f"Claim number {n} is true." for n in range(90)])
    house.desk.stop(WHO, job_id)
    house.run(online)

    assert house.state(job_id, A) is JobState.STOPPED
    assert house.verifier.batches == []


def test_short_list_is_asked_in_groups(house: OnlineHouse) -> None:
    """Others come in between."""
    _, online = house.take(claims=[f"Claim number {n} is true." for n in range(90)])
    house.run(online)

    assert [len(batch) for batch in house.verifier.batches] == [GROUP, 90 - GROUP]


def test_chosen_frameworks_hold_for_claims_that_name_none(house: OnlineHouse) -> None:
    """What a claim says of itself goes before what the job says of all."""
    claims = ["Ice is cold.", {"claim": "Fire is hot.", "frameworks": ["utility"]}]
    args = {"frameworks": ["empirical"], "framework_weights": [2.0]}
    _, online = house.take(claims=claims, **args)
    house.run(online, **args)

    (batch,) = house.verifier.batches
    assert [question.frameworks for question in batch] == [("empirical",), ("utility",)]
    assert [question.weights for question in batch] == [{"empirical": 2.0}, {}]


@pytest.mark.parametrize(
    "args",
    [
        {"claims": ["x is y."] * 101},
        {"claims": CLAIMS, "format": "parquet"},
        {"claims": CLAIMS, "order": "utility"},
        {"claims": CLAIMS, "output": "rows"},
        {"input": "claims.jsonl"},
    ],
)
def test_long_or_other_lists_wait_for_the_dispatcher(house: OnlineHouse, args: dict[str, Any]) -> None:
    """Only a short list with plain rows goes the short way."""
    job_id, online = house.take(**args)
    house.look()

    assert online is None
    assert house.launcher.started == [f"kite-default-{job_id}-1"]
