"""Exports are jobs whose file is whole or not there, and can be imported again."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from data.claims import TenantId
from data.datasets.formats.names import ExportForm
from data.datasets.transfer import LEASE_S
from data.datasets.transfer_desk import MAX_FILES
from data.errors import ConflictError, InvalidValueError, NotFoundError
from tests.unit.datasets.transfer_house import TENANT, House


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a house whose dataset holds 2,300 vectors of two documents."""
    made = House(tmp_path)
    rows = ({"id": f"v{n}", "document_id": f"d{n % 2}", "values": [n / 8, 0.1]} for n in range(2_300))
    body = "".join(json.dumps(row) + "\n" for row in rows)
    made.desk.start(TENANT, made.order(body))
    made.work()
    return made


@pytest.mark.parametrize("form", get_args(ExportForm))
def test_export_holds_every_vector(house: House, form: ExportForm) -> None:
    """Every form has all rows, and the job counts them."""
    job, _ = house.desk.start(TENANT, house.export(form))
    house.work()
    done, path = house.desk.file(TENANT, job.id)
    assert (done.status, done.total_rows, done.successful_rows) == ("completed", 2_300, 2_300)
    assert house.rows_of(path, form) == 2_300


def test_export_imported_again_is_the_same_dataset(house: House) -> None:
    """What was exported, with the dataset emptied meanwhile, comes back as it was."""
    before = dict(house.datasets.kept)
    job, _ = house.desk.start(TENANT, house.export("csv"))
    house.work()
    _, path = house.desk.file(TENANT, job.id)
    house.datasets.kept.clear()
    house.desk.start(TENANT, house.order(path.read_bytes(), "csv"))
    house.work()
    assert house.datasets.kept == before


def test_export_with_filter_and_limit_holds_only_those(house: House) -> None:
    """The filter chooses, the limit cuts."""
    order = house.export(filters={"document_id": "d1"}, limit=1_100)
    job, _ = house.desk.start(TENANT, order)
    house.work()
    done, path = house.desk.file(TENANT, job.id)
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert (done.total_rows, len(found)) == (1_100, 1_100)
    assert {row["document_id"] for row in found} == {"d1"}


def test_export_with_a_filter_that_is_none_starts_nothing(house: House) -> None:
    """A bad filter is told at once."""
    with pytest.raises(InvalidValueError, match="position"):
        house.desk.start(TENANT, house.export(filters="a ="))
    assert house.waiting == []


def test_export_whose_runner_died_is_begun_anew(house: House) -> None:
    """The next who asks writes the whole file; there is none before."""
    job, _ = house.desk.start(TENANT, house.export())
    house.waiting.clear()
    house.clock.advance(LEASE_S + 1)
    other = house.process()
    with pytest.raises(ConflictError, match="not done yet"):
        other.file(TENANT, job.id)
    house.work()
    done, path = other.file(TENANT, job.id)
    assert (done.successful_rows, house.rows_of(path, "jsonl")) == (2_300, 2_300)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_export_of_another_tenant_cannot_be_fetched(house: House) -> None:
    """A file is its tenant's alone."""
    job, _ = house.desk.start(TENANT, house.export())
    house.work()
    with pytest.raises(NotFoundError):
        house.desk.file(TenantId("rival"), job.id)


def test_exports_without_end_leave_a_bounded_number_of_files(house: House) -> None:
    """The oldest files make room for new ones; the newest can be fetched."""
    for _ in range(MAX_FILES + 10):
        job, _ = house.desk.start(TENANT, replace(house.export(limit=1), file=_own_file(house)))
        house.work()
    assert len(list((house.folder / TENANT).iterdir())) <= MAX_FILES
    assert house.desk.file(TENANT, job.id)[1].exists()


def _own_file(house: House) -> str:
    return house.desk.new_file(TENANT, f"{uuid.uuid4().hex}.export")
