"""Erasing a tenant's jobs: nothing of it stays, everything of the others does."""

from __future__ import annotations

from pathlib import Path

from data.claims import TenantId
from data.jobs.erasing import held_by_jobs, remove_jobs
from tests.unit.jobs.job_house import JobHouse

GOES, STAYS = TenantId("goes"), TenantId("goes-not")


def test_jobs_of_an_erased_tenant_are_gone_and_their_drivers_end(tmp_path: Path) -> None:
    """Folders, marks and files go; a driver that still runs is told to stop; a like name is another's."""
    house = JobHouse(tmp_path)
    for tenant in (GOES, STAYS):
        house.submit("a", tenant)
        for name in (f"jobs/.schedules/{tenant}.s.json", f"files/{tenant}/claims.jsonl"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    driver, other = house.begin("a", GOES), house.begin("a", STAYS)
    before = held_by_jobs(tmp_path, STAYS)
    assert all(held_by_jobs(tmp_path, GOES).values())

    remove_jobs(tmp_path, GOES)

    assert not any(held_by_jobs(tmp_path, GOES).values())
    assert held_by_jobs(tmp_path, STAYS) == before
    assert driver.should_stop()
    assert not other.should_stop()
