"""Imports and exports over HTTP: a file in, a job told, a file out; nobody sees another tenant's."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from data.datasets.transfer import LEASE_S
from deployments.api.asgi import create_app
from deployments.services import AccessServices, ApiLimits
from tests.unit.api.fakes import Rig
from tests.unit.api.knowledge_fakes import PretendDoor
from tests.unit.datasets.transfer_house import DATASET, TENANT, House

PATH = f"/datasets/{DATASET.id}"


class Caller:
    """Speaks to one replica over a house's datasets."""

    def __init__(self, house: House, limits: ApiLimits | None = None) -> None:
        self.house = house
        services = Rig(limits=limits or ApiLimits(request_timeout_s=60.0)).services()
        access = AccessServices(door=PretendDoor())
        self._app = create_app(replace(services, transfers=house.desk, access=access))

    def call(self, method: str, path: str, *, tenant: str = TENANT, **more: Any) -> httpx.Response:
        """Send one request and wait for its answer."""
        headers = {**more.pop("headers", {}), "Authorization": f"Pretend {tenant}"}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kite") as client:
                return await client.request(method, f"/api/v1{path}", headers=headers, timeout=60, **more)

        return asyncio.run(send())

    def send(self, body: bytes | str, name: str = "v.jsonl", **more: Any) -> httpx.Response:
        """Send a file to be imported."""
        return self.call("POST", f"{PATH}/import", files={"file": (name, body)}, **more)


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    """Return a caller of a house with an empty dataset."""
    return Caller(House(tmp_path))


def lines(count: int) -> str:
    """Return JSON lines of vectors."""
    return "".join(json.dumps({"id": f"v{n}", "values": [n, 0.5]}) + "\n" for n in range(count))


def test_import_answers_a_job_that_ends_completed(caller: Caller) -> None:
    """The job is accepted, and told at its own address with all counts."""
    started = caller.send(lines(1_200))
    assert started.status_code == 202
    assert started.json()["status"] == "running"
    caller.house.work()
    done = caller.call("GET", started.headers["Location"].removeprefix("/api/v1")).json()
    wanted = {
        "job_id": started.json()["job_id"],
        "dataset_id": DATASET.id,
        "status": "completed",
        "total_rows": 1_200,
        "processed_rows": 1_200,
        "successful_rows": 1_200,
        "skipped_rows": 0,
        "failed_rows": 0,
        "errors": [],
        "format": "jsonl",
        "progress_percentage": 100.0,
        "download_url": None,
    }
    assert {name: done[name] for name in wanted} == wanted
    assert done["started_at"] <= done["completed_at"]


def test_import_with_bad_rows_tells_them(caller: Caller) -> None:
    """Rows that cannot be taken are told by number with one sentence."""
    job = caller.send("id,values\na,1 2\nb,1 x\nc,1\n", "v.csv").json()["job_id"]
    caller.house.work()
    done = caller.call("GET", f"{PATH}/import/{job}").json()
    assert (done["status"], done["successful_rows"], done["failed_rows"]) == ("completed_with_errors", 1, 2)
    assert [error["row"] for error in done["errors"]] == [2, 3]
    assert "values[1] is 'x'" in done["errors"][0]["error"]


def test_import_of_truncated_parquet_is_one_error(caller: Caller) -> None:
    """A damaged file fails as a whole; nothing of it is in."""
    job = caller.send(b"PAR1" + bytes(200), "v.parquet").json()["job_id"]
    caller.house.work()
    done = caller.call("GET", f"/import/{job}").json()
    assert done["status"] == "failed"
    assert [error["row"] for error in done["errors"]] == [0]
    assert "not a whole Parquet file" in done["errors"][0]["error"]
    assert caller.house.datasets.kept == {}


@pytest.mark.parametrize(
    ("name", "data", "status", "told"),
    [
        ("v.txt", {}, 400, "does not say what the file holds"),
        ("v.csv", {"format": "xls"}, 400, "format 'xls' is not known"),
        ("v.csv", {"overwrite": "perhaps"}, 422, "overwrite: must be true or false"),
        ("v.csv", {"overwrite": "true", "skip_existing": "true"}, 422, "cannot go with skip_existing"),
    ],
)
def test_import_with_bad_fields_is_refused_and_leaves_no_file(
    caller: Caller, name: str, data: dict[str, str], status: int, told: str
) -> None:
    """What cannot be read or decided is told at once."""
    answer = caller.send("id\n", name, data=data)
    assert answer.status_code == status
    assert told in answer.json()["detail"]
    assert list((caller.house.folder / TENANT).iterdir()) == []


def test_import_that_is_no_form_is_an_unsupported_type(caller: Caller) -> None:
    """A bare body is not taken."""
    answer = caller.call("POST", f"{PATH}/import", content=b"id\n", headers={"Content-Type": "text/csv"})
    assert answer.status_code == 415


def test_import_larger_than_allowed_is_told_what_to_do(tmp_path: Path) -> None:
    """The bound of files is its own, and the command for larger ones is named; no file is left."""
    caller = Caller(House(tmp_path), ApiLimits(body_bytes=500, import_body_bytes=2_000))
    assert caller.send(lines(30)).status_code == 202
    answer = caller.send(lines(100))
    assert answer.status_code == 413
    assert "python -m tasks.import_vectors" in answer.json()["detail"]
    assert len(list((tmp_path / TENANT).iterdir())) == 1


def test_import_sent_twice_under_one_key_is_one_job(caller: Caller) -> None:
    """The same file under the same key is replayed, another one is a conflict."""
    key = {"Idempotency-Key": "monday"}
    first, again = caller.send(lines(3), headers=key), caller.send(lines(3), headers=key)
    assert again.json()["job_id"] == first.json()["job_id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert caller.send(lines(4), headers=key).status_code == 409
    assert len(list((caller.house.folder / TENANT).iterdir())) == 1


def test_import_of_another_tenant_is_not_found(caller: Caller) -> None:
    """Neither the dataset nor the job of one tenant is there for another."""
    job = caller.send(lines(1)).json()["job_id"]
    assert caller.send(lines(1), tenant="rival").status_code == 404
    assert caller.call("GET", f"/import/{job}", tenant="rival").status_code == 404
    assert caller.call("GET", f"/datasets/other/import/{job}").status_code == 404
    assert caller.call("GET", f"{PATH}/import/{job}").status_code == 200


def test_import_is_continued_by_the_replica_that_is_asked(caller: Caller) -> None:
    """After the first one's death, asking another replica has it finish the job."""
    job = caller.send(lines(1_500)).json()["job_id"]
    caller.house.waiting.clear()
    caller.house.clock.advance(LEASE_S + 1)
    caller.house.desk = caller.house.process()
    other = Caller(caller.house)
    other.call("GET", f"/import/{job}")
    other.house.work()
    assert other.call("GET", f"/import/{job}").json()["status"] == "completed"
    assert len(other.house.datasets.kept) == 1_500


def test_export_can_be_fetched_and_imported_again(caller: Caller) -> None:
    """What was imported comes out as a file that holds the same vectors."""
    caller.send(lines(25))
    caller.house.work()
    started = caller.call("POST", f"{PATH}/export", json={"format": "csv", "limit": 20})
    assert started.status_code == 202
    caller.house.work()
    done = caller.call("GET", f"/export/{started.json()['job_id']}").json()
    file = caller.call("GET", done["download_url"].removeprefix("/api/v1"))
    assert (done["total_rows"], file.headers["Content-Type"]) == (20, "application/octet-stream")
    assert f'filename="{DATASET.id}.csv"' in file.headers["Content-Disposition"]
    before = dict(list(caller.house.datasets.kept.items())[:20])
    caller.house.datasets.kept.clear()
    caller.send(file.content, "again.csv")
    caller.house.work()
    assert caller.house.datasets.kept == before


def test_export_not_done_yet_cannot_be_fetched(caller: Caller) -> None:
    """Half a file is never sent."""
    job = caller.call("POST", f"{PATH}/export", json={}).json()["job_id"]
    assert caller.call("GET", f"/export/{job}/download").status_code == 409
    assert caller.call("GET", "/export/none/download").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"), [({"format": "xls"}, 422), ({"limit": 0}, 422), ({"filters": "a ="}, 400)]
)
def test_export_that_cannot_be_is_refused(caller: Caller, body: dict[str, Any], status: int) -> None:
    """An unknown form, a limit of nothing and a filter that is none start no job."""
    assert caller.call("POST", f"{PATH}/export", json=body).status_code == status
    assert caller.house.waiting == []


def test_installation_without_files_says_so(tmp_path: Path) -> None:
    """Where nothing is kept, the routes are away and not broken."""
    caller = Caller(House(tmp_path))
    services = Rig().services()
    caller._app = create_app(replace(services, access=AccessServices(door=PretendDoor())))
    assert caller.send(lines(1)).status_code == 503
