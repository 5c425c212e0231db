"""Imports are jobs: counted, told, continued after a death, and never done twice."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from data.claims import TenantId
from data.datasets.formats.rows import RowFault
from data.datasets.transfer import KEEP_S, LEASE_S, MAX_FAULTS, TransferJob
from data.datasets.transfer_desk import LOST_S, MAX_RUNNING
from data.errors import ConflictError, NotFoundError, RateLimitedError, UnavailableError
from tests.unit.datasets.transfer_house import DATASET, TENANT, House


class Died(BaseException):
    """The process is gone: nothing of it runs any more."""


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a house with an empty dataset."""
    return House(tmp_path)


def lines(count: int, first: int = 0) -> str:
    """Return JSON lines of vectors."""
    rows = ({"id": f"v{n}", "values": [n, 0.5]} for n in range(first, first + count))
    return "".join(json.dumps(row) + "\n" for row in rows)


def told(house: House, job: TransferJob) -> TransferJob:
    """Return how a job stands."""
    return house.desk.job(TENANT, "import", job.id)


def died_at_write(house: House, number: int, *, noted: bool) -> None:
    """Have the process die before or after the write of this number, counted from 1."""

    def die() -> None:
        if len(house.datasets.writes) == number - (not noted):
            raise Died

    setattr(house.datasets, "after_write" if noted else "before_write", die)


def test_import_of_good_rows_completes_with_every_count(house: House) -> None:
    """All rows are in, in batches of a thousand, and the file that was sent is gone."""
    order = house.order(lines(2_300))
    job, is_new = house.desk.start(TENANT, order)
    assert (is_new, job.status, job.progress) == (True, "running", 0.0)
    house.work()
    done = told(house, job)
    assert (done.status, done.progress, done.total_rows) == ("completed", 100.0, 2_300)
    assert (done.processed_rows, done.successful_rows, done.failed_rows) == (2_300, 2_300, 0)
    assert house.datasets.writes == [1_000, 1_000, 300]
    assert done.completed_at is not None
    assert not house.desk.path_of(order).exists()


def test_import_with_bad_rows_tells_each_by_its_number(house: House) -> None:
    """Rows that no reader, no column and no dataset takes are told; their neighbours are in."""
    body = '{"id": "a", "values": [1, 2]}\nnonsense\n{"id": "c"}\n{"id": "d", "values": [1]}\n' + lines(1)
    job, _ = house.desk.start(TENANT, house.order(body))
    house.work()
    done = told(house, job)
    assert (done.status, done.successful_rows, done.failed_rows) == ("completed_with_errors", 2, 3)
    assert [fault.row for fault in done.errors] == [2, 3, 4]
    assert done.errors[2].error == "values has 1 numbers, not 2."
    assert set(house.datasets.kept) == {"a", "v0"}


def test_import_with_many_bad_rows_keeps_some_and_counts_all(house: House) -> None:
    """What is kept of faults is bounded; their number is right."""
    job, _ = house.desk.start(TENANT, house.order("x\n" * 2_500))
    house.work()
    done = told(house, job)
    assert (done.failed_rows, len(done.errors)) == (2_500, MAX_FAULTS)
    assert done.errors[-1].row == MAX_FAULTS


def test_import_of_a_damaged_file_fails_with_nothing_written(house: House) -> None:
    """A file whose end is missing is refused before its first row."""
    job, _ = house.desk.start(TENANT, house.order('[{"id": "a", "values": [1, 2]}, {"id"', "json"))
    house.work()
    done = told(house, job)
    assert done.status == "failed"
    assert done.message is not None
    assert "never closed" in done.message
    assert house.datasets.kept == {}


@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_import_whose_runner_died_is_continued_by_who_asks(house: House, number: int, *, noted: bool) -> None:
    """Killed before or after a write, it ends with the same vectors, rows without ids among them."""
    rows = [{"values": [n, 1]} for n in range(2_500)]
    job, _ = house.desk.start(TENANT, house.order(json.dumps(rows), "json"))
    died_at_write(house, number, noted=noted)
    with pytest.raises(Died):
        house.work()
    house.datasets.before_write = house.datasets.after_write = lambda: None
    house.clock.advance(LEASE_S + 1)
    other = house.process()
    assert other.job(TENANT, "import", job.id).status == "running"
    house.work()
    done = told(house, job)
    assert (done.status, done.processed_rows, done.successful_rows) == ("completed", 2_500, 2_500)
    assert len(house.datasets.kept) == 2_500
    assert sum(house.datasets.writes) <= 3_500


def test_import_that_runs_is_not_taken_over(house: House) -> None:
    """While the lease lasts, who asks is told and starts nothing."""
    job, _ = house.desk.start(TENANT, house.order(lines(5)))
    assert house.process().job(TENANT, "import", job.id).status == "running"
    assert len(house.waiting) == 1


def test_import_of_a_process_that_is_gone_is_taken_over_at_once(house: House) -> None:
    """On the machine of the runner that was killed nobody waits for the lease."""
    job, _ = house.desk.start(TENANT, house.order(lines(5)))
    house.waiting.clear()
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    ended = subprocess.run(command, capture_output=True, check=True)
    gone = f"{socket.gethostname()}|{ended.stdout.decode().strip()}|x"
    lease = house.desk.book.claim(TENANT, "import", job.id, job.runner)
    assert lease is not None
    lease.save(replace(job, runner=gone))
    house.process().job(TENANT, "import", job.id)
    house.work()
    assert told(house, job).status == "completed"


def test_import_taken_over_stops_its_first_runner(house: House) -> None:
    """A runner that was thought dead notices at its next save, and changes nothing more."""
    job, _ = house.desk.start(TENANT, house.order(lines(2_500)))
    other = house.process()

    def be_late() -> None:
        house.datasets.after_write = lambda: None
        house.clock.advance(LEASE_S + 1)
        other.run(TENANT, "import", job.id)

    house.datasets.after_write = be_late
    house.work()
    done = told(house, job)
    assert (done.status, done.successful_rows, len(house.datasets.kept)) == ("completed", 2_500, 2_500)
    assert house.datasets.writes == [1_000, 1_000, 1_000, 500]


def test_import_while_a_part_is_away_waits_and_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that found the service away is tried again."""
    away = [True, True]

    def fail() -> None:
        if away:
            away.pop()
            raise UnavailableError("away")

    monkeypatch.setattr("data.datasets.transfer_import.PAUSES_S", (0.0, 0.0))
    house.datasets.before_write = fail
    job, _ = house.desk.start(TENANT, house.order(lines(5)))
    house.work()
    assert told(house, job).status == "completed"


def test_import_while_a_part_stays_away_can_be_continued_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays running, its lease is given up, and the next who asks goes on."""

    def fail() -> None:
        raise UnavailableError("away")

    monkeypatch.setattr("data.datasets.transfer_import.PAUSES_S", ())
    house.datasets.before_write = fail
    job, _ = house.desk.start(TENANT, house.order(lines(5)))
    house.work()
    assert house.process().job(TENANT, "import", job.id).status == "running"
    house.datasets.before_write = lambda: None
    house.work()
    assert told(house, job).status == "completed"


def test_import_that_skips_leaves_what_is_there(house: House) -> None:
    """Ids that are there are counted as skipped and keep their numbers."""
    for on_present, value in (("overwrite", 1.0), ("skip", 2.0)):
        body = json.dumps({"id": "a", "values": [value, 0]})
        job, _ = house.desk.start(TENANT, house.order(body, on_present=on_present))
        house.work()
    assert told(house, job).skipped_rows == 1
    assert house.datasets.kept["a"].values == (1.0, 0.0)


def test_job_of_another_tenant_is_not_there(house: House) -> None:
    """Who has not started a job cannot see it; an import is no export."""
    job, _ = house.desk.start(TENANT, house.order(lines(1)))
    with pytest.raises(NotFoundError):
        house.desk.job(TenantId("rival"), "import", job.id)
    with pytest.raises(NotFoundError):
        house.desk.job(TENANT, "export", job.id)


def test_import_into_a_dataset_that_is_not_there_starts_nothing(house: House) -> None:
    """The order is refused before a job is noted."""
    with pytest.raises(NotFoundError):
        house.desk.start(TenantId("rival"), house.order(lines(1)))
    assert house.waiting == []


def test_import_ordered_again_under_its_id_is_the_same_job(house: House) -> None:
    """The same order is replayed; another one under the same id is refused."""
    job, _ = house.desk.start(TENANT, house.order(lines(1)), "k" * 32)
    again, is_new = house.desk.start(TENANT, house.order(lines(1)), "k" * 32)
    assert (again.id, is_new) == (job.id, False)
    with pytest.raises(ConflictError):
        house.desk.start(TENANT, house.order(lines(1), on_present="skip"), "k" * 32)


def test_imports_beyond_what_may_run_are_refused(house: House) -> None:
    """A tenant cannot pile up jobs without end."""
    for _ in range(MAX_RUNNING):
        house.desk.start(TENANT, house.order(lines(1)))
    with pytest.raises(RateLimitedError):
        house.desk.start(TENANT, house.order(lines(1)))


def test_import_whose_file_is_lost_is_given_up_in_the_end(house: House) -> None:
    """No process has the file: the job fails, and says what to do."""
    order = house.order(lines(1))
    job, _ = house.desk.start(TENANT, order)
    house.waiting.clear()
    house.desk.path_of(order).unlink()
    house.clock.advance(LEASE_S + 1)
    assert told(house, job).status == "running"
    house.clock.advance(LOST_S)
    assert told(house, job).message == "The file of this import is lost: send it again."


def test_old_files_and_jobs_are_gone(house: House) -> None:
    """What nobody asked for within a week is forgotten."""
    job, _ = house.desk.start(TENANT, house.order(lines(1)))
    house.work()
    kept = house.folder / house.desk.new_file(TENANT, "old")
    kept.write_bytes(b"old")
    house.clock.advance(10 * 365 * 24 * 3600.0 + KEEP_S)
    house.desk.new_file(TENANT, "new")
    assert not kept.exists()
    with pytest.raises(NotFoundError):
        told(house, job)


def test_faults_are_told_as_they_are_found(house: House) -> None:
    """Who runs an import hears of every row that was not taken, kept or not."""
    heard: list[RowFault] = []
    job, _ = house.desk.start(TENANT, house.order("x\n" * 1_500 + lines(2)))
    house.desk.run(TENANT, "import", job.id, on_batch=lambda _job, faults: heard.extend(faults))
    assert len(heard) == 1_500
    assert told(house, job).order.dataset_id == DATASET.id
