"""A restore swaps a whole state in, or leaves the old one, whenever it is cut off."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data import changes
from data.backups.creation import Place
from data.backups.plan import plan
from data.backups.restoration import Scope, restore
from data.claims import DEFAULT_TENANT, TenantId
from data.errors import ConflictError, StoreUnavailableError, UnavailableError
from data.keeper import Keeper
from data.knowledge import Fact
from data.ledger import Ledger
from data.views.facts import FactFilter
from tests.fakes import FakeClock, FakeVectorSink
from tests.unit.backups.homes import FailingTarget, House, Rows, facts, rows_of, segment, tree

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A home whose backup is 11 rows old, and whose state has gone on since; nothing has it open."""
    made = House(tmp_path)
    made.write([*facts("a", 10), segment(made.home, "d1", "d2")], key="first")
    made.back_up()
    made.write([*facts("b", 5), changes.delete_fact("a3"), segment(made.home, "d3")])
    made.ledger.close()
    return made


def knowledge(home: Path) -> tuple[int, int, int]:
    """Open a home as the keeper does and return its chain's length, and how many facts and documents."""
    keeper = Keeper(home, FakeClock(), FakeVectorSink())
    try:
        views = keeper.stats().views
        found = len(keeper.facts(DEFAULT_TENANT, FactFilter(limit=1_000)))
        return keeper.verify(), found, views["passages"].counts["documents"]
    finally:
        keeper.close()


def test_restore_replaces_a_home_and_keeps_the_old_ledger(house: House) -> None:
    """The state is the backup's, its views are built again, and the old ledger lies beside."""
    assert knowledge(house.home) == (18, 14, 3)
    old = rows_of(house.home)
    restored = house.restore_to(house.home)
    kept = Path(str(restored.old_ledger))
    kept.replace(kept.with_name("old.sqlite"))
    (kept.parent / "again" / "ledger").mkdir(parents=True)
    kept.with_name("old.sqlite").replace(kept.parent / "again" / "ledger" / "ledger.sqlite")

    assert rows_of(house.home) == rows_of(house.home, 11)
    assert knowledge(house.home) == (11, 10, 2)
    assert rows_of(kept.parent / "again") == old


def test_restore_while_a_keeper_has_the_home_is_refused(house: House) -> None:
    """The keeper must be stopped; nothing is changed."""
    keeper = Keeper(house.home, FakeClock(), FakeVectorSink())
    before = rows_of(house.home)
    with pytest.raises(StoreUnavailableError, match="Another keeper"):
        house.restore_to(house.home)
    keeper.close()

    assert rows_of(house.home) == before


def test_restored_home_goes_on(house: House, tmp_path: Path) -> None:
    """Writes after a restore continue the chain, and a repeated request is known as one."""
    house.restore_to(tmp_path / "new")
    keeper = Keeper(tmp_path / "new", house.clock, FakeVectorSink())
    again = keeper.append([*facts("a", 10), segment(house.home, "d1", "d2")], idempotency_key="first")
    new = keeper.append(facts("n", 1))
    length = keeper.verify()
    keeper.close()

    assert (again.replayed, again.last_seq) == (True, 11)
    assert (new.first_seq, length) == (12, 12)


def test_restore_that_loses_the_target_leaves_the_old_state(house: House) -> None:
    """Whichever read fails, nothing is changed; with the target back it finishes."""
    before = tree(house.home)
    chosen = plan(house.place, house.catalogue())
    for calls in range(100):
        place = Place(house.home, FailingTarget(house.target, calls), house.place.sealer)  # type: ignore[arg-type]
        try:
            restore(place, chosen)
        except UnavailableError:
            assert tree(house.home) == before
        else:
            break

    assert calls >= 2
    assert rows_of(house.home) == rows_of(house.home, 11)


def test_restore_onto_a_full_disk_leaves_the_old_state(house: House) -> None:
    """However much room there is, short of enough: one sentence, nothing changed; with room it finishes."""
    before, soft_hard = tree(house.home), resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 4_096, 40_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, soft_hard[1]))
        try:
            with pytest.raises(StoreUnavailableError, match="cannot be used") as caught:
                house.restore_to(house.home)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, soft_hard)
        assert str(caught.value).count("\n") == 0
        assert tree(house.home) == before
    house.restore_to(house.home)

    assert rows_of(house.home) == rows_of(house.home, 11)


class KilledError(BaseException):
    """The process is gone."""


class Mortal:
    """Counts what a restore changes in the filesystem, and dies at one of them: nothing happens after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self.left = steps
        for owner, name in ((Path, "replace"), (Path, "rename"), (Path, "hardlink_to"), (shutil, "rmtree")):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if self.left <= 0:
                raise KilledError
            self.left -= 1
            return step(*arguments, **options)

        return counted


@pytest.mark.timeout(300)
def test_restore_killed_at_any_step_leaves_one_whole_state(house: House, tmp_path: Path) -> None:
    """Dead before any change in the filesystem: the old state or the new one; started again, the new one."""
    knowledge(house.home)
    (house.home / "cache").mkdir()
    (house.home / "cache" / "data.mdb").write_bytes(b"verdicts of another history")
    old, steps, seen = rows_of(house.home), 0, set()
    while True:
        home = tmp_path / f"try{steps}"
        shutil.copytree(house.home, home)
        with pytest.MonkeyPatch.context() as monkeypatch:
            Mortal(monkeypatch, steps)
            try:
                house.restore_to(home)
                killed = False
            except KilledError:
                killed = True
        now = rows_of(home)
        assert now in (old, _cut(old))
        seen.add(now == old)
        if steps % 6 == 3:
            assert knowledge(home) == ((18, 14, 3) if now == old else (11, 10, 2))
        house.restore_to(home)
        assert rows_of(home) == _cut(old)
        assert not [path for path in home.rglob("*") if path.name.endswith((".replaced", "restoring"))]
        assert not (home / "cache").exists()
        if not killed:
            break
        steps += 1
        shutil.rmtree(home)

    assert steps > 10
    assert seen == {True, False}


def _cut(rows: Rows) -> Rows:
    return [row for row in rows[0] if int(str(row[0])) <= 11], rows[1]


RESTORER = """
import sys
from pathlib import Path
from data.backups.creation import Place
from data.backups.manifest import read_catalogue
from data.backups.plan import plan
from data.backups.restoration import restore
from data.backups.sealing import PlainSealer
from data.backups.targets import FolderTarget
place = Place(Path(sys.argv[1]), FolderTarget(Path(sys.argv[2])), PlainSealer())
chosen = plan(place, read_catalogue(place.target, place.sealer))
print("ready", flush=True)
restore(place, chosen)
print("done", flush=True)
"""


@pytest.mark.timeout(180)
def test_restore_killed_with_sigkill_leaves_one_whole_state(tmp_path: Path) -> None:
    """kill -9 at several instants of a larger restore: old or new, and the next one finishes."""
    house = House(tmp_path)
    house.write([*facts("a", 3_000), segment(house.home, "d1")])
    house.back_up()
    house.write(facts("b", 10))
    house.ledger.close()
    old, new = rows_of(house.home), rows_of(house.home, 3_001)
    outcomes = []
    for delay_s in (0.0, 0.05, 0.15, 0.4):
        home = tmp_path / f"home{delay_s}"
        shutil.copytree(house.home, home)
        outcomes.append(_killed_after(home, tmp_path / "target", delay_s))
        assert rows_of(home) in (old, new)
        house.restore_to(home)
        assert rows_of(home) == new

    assert "killed" in outcomes


def _killed_after(home: Path, target: Path, delay_s: float) -> str:
    command = [sys.executable, "-c", RESTORER, str(home), str(target)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(delay_s)
    child.kill()
    told = child.stdout.read()
    child.wait()
    return "done" if told else "killed"


OTHER = TenantId("other")


@pytest.fixture
def tenants(tmp_path: Path) -> House:
    """A home of two tenants whose rows alternate, each with a segment."""
    made = House(tmp_path)
    for number in range(5):
        made.write(facts(f"a{number}", 2), key=f"k{number}")
        made.write(facts(f"b{number}", 3, OTHER), key=f"k{number}")
    made.write([segment(made.home, "da1", "da2"), segment(made.home, "db1", tenant=OTHER)])
    return made


def test_restore_of_one_tenant_is_a_ledger_of_its_own(tenants: House, tmp_path: Path) -> None:
    """Its rows in order, numbered and chained anew; times, payloads and idempotency keys as they were."""
    tenants.back_up()
    tenants.restore_to(tmp_path / "new", scope=Scope(tenant=OTHER))
    ledger = Ledger(tmp_path / "new" / "ledger" / "ledger.sqlite", FakeClock())
    before = [entry for entry in tenants.ledger.read(0, 1_000) if entry.tenant == OTHER]
    after = ledger.read(0, 1_000)
    again = ledger.append(facts("b1", 3, OTHER), "k1")
    length = ledger.verify()
    ledger.close()

    assert [entry.seq for entry in after] == list(range(1, 17))
    assert [(e.ts, e.kind, e.key, e.payload) for e in after] == [
        (e.ts, e.kind, e.key, e.payload) for e in before
    ]
    assert (again.first_seq, again.last_seq, again.replayed) == (4, 6, True)
    assert length == 16
    assert knowledge(tmp_path / "new")[2] == 1
    assert len(list((tmp_path / "new" / "segments").iterdir())) == 1


def test_restore_of_one_tenant_into_a_home_in_use_is_refused(tenants: House) -> None:
    """Other tenants' rows are there: the running system is the way."""
    tenants.back_up()
    before = rows_of(tenants.home)

    with pytest.raises(ConflictError, match="empty home or a running system"):
        tenants.restore_to(tenants.home, scope=Scope(tenant=OTHER))
    assert rows_of(tenants.home) == before


def test_fact_helper_is_what_the_views_hold(house: House) -> None:
    """The restored facts are the values that were written."""
    house.restore_to(house.home)
    keeper = Keeper(house.home, FakeClock(), FakeVectorSink())
    found = {fact.id: fact for fact in keeper.facts(DEFAULT_TENANT, FactFilter(limit=100))}
    keeper.close()

    assert found["a3"] == Fact("a3", "Paris", "population", "3", 3.0)
