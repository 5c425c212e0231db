"""Retention keeps what it promises and what that needs, and lets go of everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.backups.manifest import Kind, Manifest, Parent, Position
from data.backups.retention import Policy, delete_backup, expired, prune
from data.backups.stream import Follower, pieces_of
from data.backups.verification import verify_backup
from data.backups.worker import Worker
from data.errors import ConflictError, CorruptDataError, InvalidValueError
from tests.unit.backups.homes import House, facts, segment

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOWHERE = Position(0, "")


def manifest(number: int, kind: Kind, at: datetime, parent: str | None) -> Manifest:
    built_on = Parent(parent, "") if parent else None
    stamp = at.isoformat()
    return Manifest(f"{number:05d}", kind, stamp, "1", "l", NOWHERE, NOWHERE, {}, (), parent=built_on)


@st.composite
def histories(draw: st.DrawFn) -> list[Manifest]:
    """Backups in order of time, each building on an earlier one where its kind does."""
    made: list[Manifest] = []
    at = START
    for number in range(draw(st.integers(0, 40))):
        at += timedelta(hours=draw(st.integers(1, 24 * 20)))
        kind: Kind = draw(st.sampled_from(("full", "incremental", "differential", "snapshot")))
        bases = {"incremental": ("full", "incremental", "differential"), "differential": ("full",)}
        fitting = [one for one in made if one.kind in bases.get(kind, ())]
        if kind in bases and not fitting:
            kind = "full"
        made.append(manifest(number, kind, at, fitting[-1].id if fitting and kind in bases else None))
    return made


POLICIES = st.builds(
    Policy,
    last=st.integers(1, 6),
    daily=st.integers(0, 6),
    weekly=st.integers(0, 6),
    monthly=st.integers(0, 6),
)


@given(histories(), POLICIES)
def test_retention_never_removes_what_a_kept_backup_needs(backups: list[Manifest], policy: Policy) -> None:
    """Every parent of a kept backup is kept."""
    gone = set(expired(backups, policy))

    assert [one.id for one in backups if one.id not in gone and one.parent and one.parent.id in gone] == []


@given(histories(), POLICIES)
def test_retention_keeps_the_last_ones_and_snapshots(backups: list[Manifest], policy: Policy) -> None:
    """The newest so many, and everything that has a name."""
    gone = set(expired(backups, policy))

    assert gone.isdisjoint(one.id for one in backups[-policy.last :])
    assert gone.isdisjoint(one.id for one in backups if one.kind == "snapshot")


@given(histories(), POLICIES)
def test_retention_keeps_the_newest_of_each_period(backups: list[Manifest], policy: Policy) -> None:
    """The newest backup of each of the last so many months that have one, and so for days."""
    gone = set(expired(backups, policy))
    for number, cut in ((policy.monthly, 7), (policy.daily, 10)):
        newest = {one.created_at[:cut]: one.id for one in backups}
        assert gone.isdisjoint(newest[period] for period in sorted(newest, reverse=True)[:number])


@given(histories(), POLICIES)
def test_retention_removes_all_the_rest(backups: list[Manifest], policy: Policy) -> None:
    """Applied twice it removes nothing more, and no more full backups stay than rules and chains ask for."""
    gone = set(expired(backups, policy))
    left = [one for one in backups if one.id not in gone]
    chains = [one for one in left if one.parent is not None or one.kind == "snapshot"]
    bound = policy.last + policy.daily + policy.weekly + policy.monthly

    assert expired(left, policy) == []
    assert len(left) - len(chains) <= bound + len(chains)


def test_retention_counts_days_weeks_and_months() -> None:
    """One full backup a day for 100 days: 3 last, 5 daily, 3 weekly (Sundays), 3 monthly (month ends)."""
    backups = [manifest(day, "full", START + timedelta(days=day), None) for day in range(100)]
    gone = set(expired(backups, Policy(last=3, daily=5, weekly=3, monthly=3)))
    kept = [one.created_at[:10] for one in backups if one.id not in gone]

    assert kept == [
        "2026-03-31",
        "2026-04-26",
        "2026-04-30",
        "2026-05-03",
        "2026-05-06",
        "2026-05-07",
        "2026-05-08",
        "2026-05-09",
        "2026-05-10",
    ]


def test_retention_that_would_keep_nothing_is_refused() -> None:
    """The last backup always stays."""
    with pytest.raises(InvalidValueError, match="at least the last"):
        Policy(last=0)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Two chains, each a full and an incremental backup, with a segment that only the first one names."""
    made = House(tmp_path)
    made.write(facts("a", 5))
    made.back_up()
    made.write([segment(made.home, "d1")])
    made.back_up("incremental")
    made.write(facts("b", 5))
    made.back_up()
    made.back_up("incremental")
    return made


def test_prune_leaves_backups_that_verify(house: House, tmp_path: Path) -> None:
    """What is left can be read in full, and no file of what is gone is left."""
    done = prune(house.place, Policy(1, 0, 0, 0))
    catalogue = house.catalogue()
    worker = Worker(None, house.target, house.place.sealer)
    faults = [
        verify_backup(catalogue, one.id, sealer=house.place.sealer, runner=worker).faults
        for one in catalogue.backups
    ]
    named = {file.path for one in catalogue.backups for file in one.files} | {
        one.path for one in catalogue.backups
    }

    assert len(done.backups) == 2
    assert faults == [(), ()]
    assert {item.path for item in house.target.files("")} == named


def test_prune_dry_run_removes_nothing(house: House) -> None:
    """It names what would go."""
    before = house.target.files("")

    assert len(prune(house.place, Policy(1, 0, 0, 0), dry_run=True).backups) == 2
    assert house.target.files("") == before


def test_prune_keeps_streamed_rows_until_two_backups_have_them(house: House, tmp_path: Path) -> None:
    """Should the newest backup turn out damaged, the one before it and the stream still lead to the end."""
    follower = Follower(house.place)
    house.write([*facts("late", 3), segment(house.home, "d2")])
    follower.step()
    house.back_up("incremental")
    prune(house.place, Policy(2, 0, 0, 0))
    still = len(pieces_of(house.target))
    house.write(facts("later", 1))
    house.back_up("incremental")
    prune(house.place, Policy(2, 0, 0, 0))

    assert (still, len(pieces_of(house.target))) == (1, 0)


def test_delete_of_a_backup_that_another_builds_on_is_refused(house: House) -> None:
    """It names the one that builds on it; that one can be deleted."""
    full, incremental = house.catalogue().backups[:2]
    with pytest.raises(ConflictError, match=incremental.id):
        delete_backup(house.place, full.id)
    delete_backup(house.place, incremental.id)
    delete_backup(house.place, full.id)

    assert len(house.catalogue().backups) == 2


def test_prune_with_a_damaged_manifest_is_refused(house: House, tmp_path: Path) -> None:
    """Nobody knows what it needs."""
    path = tmp_path / "target" / house.catalogue().backups[0].path
    path.write_bytes(path.read_bytes()[:-3])

    with pytest.raises(CorruptDataError, match="nobody knows what it needs"):
        prune(house.place, Policy(1, 0, 0, 0))
