"""The directory in a replica's memory: fresh within its time, closed when the keeper is away."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from data.access.directory import RETRY_S, AccessDirectory
from data.access.records import AccessChanges, KeyRecord, TenantRecord
from data.access.roles import Role
from data.claims import TenantId
from data.errors import StoreUnavailableError

KEY = KeyRecord("k" * 12, "n", "0" * 64, None, (Role.ADMIN,), 1.0)


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Answers as the keeper does, over a list of records with their positions."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, KeyRecord | TenantRecord]] = []
        self.asked: list[int] = []
        self.away = False

    def put(self, seq: int, record: KeyRecord | TenantRecord) -> None:
        self.rows = [row for row in self.rows if row[1].id != record.id] + [(seq, record)]

    def __call__(self, after_seq: int) -> AccessChanges:
        self.asked.append(after_seq)
        if self.away:
            raise StoreUnavailableError("The keeper is away.")
        found = [record for seq, record in self.rows if seq > after_seq]
        return AccessChanges(
            max((seq for seq, _ in self.rows), default=0),
            tuple(one for one in found if isinstance(one, KeyRecord)),
            tuple(one for one in found if isinstance(one, TenantRecord)),
        )


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def source() -> Source:
    return Source()


def opened(source: Source, time: Time) -> AccessDirectory:
    return AccessDirectory(source, refresh_s=0.5, monotonic=time)


def test_directory_that_never_asked_answers_nothing(source: Source, time: Time) -> None:
    """Fail closed from the first moment on."""
    directory = opened(source, time)

    assert not directory.is_fresh()
    for lookup in (lambda: directory.key(KEY.id), lambda: directory.tenant(TenantId("default"))):
        with pytest.raises(StoreUnavailableError, match="try again"):
            lookup()


def test_directory_knows_what_was_written_and_the_tenants_of_every_installation(
    source: Source, time: Time
) -> None:
    """Records by id; default and shared without any."""
    source.put(3, KEY)
    source.put(4, TenantRecord(TenantId("a"), "A", 1.0))
    directory = opened(source, time)
    directory.refresh()

    assert directory.is_fresh()
    assert directory.key(KEY.id) == KEY
    assert directory.key("none") is None
    found = {name: directory.tenant(TenantId(name)) for name in ("a", "default", "shared", "b")}
    assert {name: one and one.state for name, one in found.items()} == {
        "a": "active",
        "default": "active",
        "shared": "active",
        "b": None,
    }


def test_record_of_an_implicit_tenant_counts(source: Source, time: Time) -> None:
    """The default tenant can be suspended."""
    source.put(1, TenantRecord(TenantId("default"), "D", 1.0, "suspended"))
    directory = opened(source, time)
    directory.refresh()
    found = directory.tenant(TenantId("default"))

    assert found is not None
    assert found.state == "suspended"


def test_revoked_key_is_known_to_a_second_directory_within_its_refresh(source: Source, time: Time) -> None:
    """Two replicas: what one desk wrote, the other sees as soon as its time is over, asking for news only."""
    source.put(1, KEY)
    first, second = opened(source, time), opened(source, time)
    first.refresh()
    second.refresh()
    time.now += 0.1
    source.put(2, replace(KEY, revoked_s=5.0))
    time.now += 0.39
    assert second.is_fresh()
    time.now += 0.01
    assert not second.is_fresh()
    second.refresh()
    found = second.key(KEY.id)

    assert found is not None
    assert found.revoked_s == 5.0
    assert source.asked == [0, 0, 1]


def test_directory_whose_keeper_is_away_answers_for_a_second_and_then_not(source: Source, time: Time) -> None:
    """What is known serves until it is a second old; when the keeper is back, so is the directory."""
    source.put(1, KEY)
    directory = opened(source, time)
    directory.refresh()
    source.away = True
    time.now += 0.9
    directory.refresh()
    assert directory.key(KEY.id) == KEY

    time.now += RETRY_S
    with pytest.raises(StoreUnavailableError):
        directory.refresh()
    with pytest.raises(StoreUnavailableError):
        directory.key(KEY.id)

    source.away = False
    time.now += RETRY_S
    directory.refresh()
    assert directory.key(KEY.id) == KEY


def test_directory_does_not_ask_a_keeper_that_is_away_for_every_request(source: Source, time: Time) -> None:
    """After a failure it waits a moment."""
    source.away = True
    directory = opened(source, time)
    for _ in range(5):
        with pytest.raises(StoreUnavailableError):
            directory.refresh()

    assert len(source.asked) == 1


def test_age_counts_from_before_the_keeper_was_asked(source: Source, time: Time) -> None:
    """What is written while the answer is on its way may be missing from it."""

    def slow(after_seq: int) -> AccessChanges:
        found = source(after_seq)
        time.now += 0.6
        return found

    directory = AccessDirectory(slow, refresh_s=0.5, monotonic=time)
    directory.refresh()

    assert not directory.is_fresh()


def test_directory_starts_anew_when_the_ledger_is_another(source: Source, time: Time) -> None:
    """A home restored to an older moment: nothing of before is believed."""
    source.put(9, KEY)
    directory = opened(source, time)
    directory.refresh()
    other = replace(KEY, id="o" * 12)
    source.rows = [(2, other)]
    time.now += 0.5
    directory.refresh()

    assert (directory.key(KEY.id), directory.key(other.id)) == (None, other)


def test_many_threads_ask_the_keeper_once(source: Source, time: Time) -> None:
    """One asks, the others wait for what it brings."""
    entered, go = threading.Event(), threading.Event()

    def slow(after_seq: int) -> AccessChanges:
        entered.set()
        go.wait(10.0)
        return source(after_seq)

    source.put(1, KEY)
    directory = AccessDirectory(slow, refresh_s=0.5, dead_after_s=10.0, monotonic=time)
    found: list[KeyRecord | None] = []

    def look() -> None:
        directory.refresh()
        found.append(directory.key(KEY.id))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    entered.wait(10.0)
    go.set()
    for thread in threads:
        thread.join()

    assert found == [KEY] * 8
    assert source.asked == [0]


class Editions:
    """What a board shows: an edition, or nothing."""

    def __init__(self) -> None:
        self.shown: tuple[str, int] | None = ("board", 1)

    def __call__(self) -> tuple[str, int] | None:
        return self.shown


def test_edition_is_looked_at_only_once_half_of_the_time_is_over(source: Source, time: Time) -> None:
    """Until then it could change no answer, and a look costs every request two system calls."""
    looks: list[float] = []

    def edition() -> tuple[str, int]:
        looks.append(time.now)
        return ("board", 1)

    directory = AccessDirectory(source, refresh_s=0.5, monotonic=time, edition=edition)
    directory.refresh()
    looks.clear()

    for _ in range(10):
        time.now += 0.1
        assert directory.is_fresh()

    assert len(looks) == 3, "one in 0.3 s"


def test_keeper_is_not_asked_while_the_edition_stays(source: Source, time: Time) -> None:
    """However long that is: what is known is as good as new."""
    directory = AccessDirectory(source, refresh_s=0.5, monotonic=time, edition=Editions())
    source.put(1, KEY)
    directory.refresh()
    time.now += 3_600.0

    assert directory.is_fresh()
    assert directory.key(KEY.id) == KEY
    directory.refresh()
    assert source.asked == [0]


def test_another_edition_is_asked_for_after_the_time_that_holds_without_one(
    source: Source, time: Time
) -> None:
    """Writes of knowledge change it too, so that a busy ledger is asked no oftener than before."""
    editions = Editions()
    directory = AccessDirectory(source, refresh_s=0.5, monotonic=time, edition=editions)
    source.put(1, KEY)
    directory.refresh()
    time.now += 100.0
    assert directory.is_fresh()
    editions.shown = ("board", 2)
    source.put(2, replace(KEY, name="ended"))

    time.now += 0.4
    assert directory.is_fresh()
    time.now += 0.2
    assert not directory.is_fresh()
    directory.refresh()
    found = directory.key(KEY.id)
    assert found is not None
    assert found.name == "ended"


@pytest.mark.parametrize("shown", [None, ("another keeper's board", 1)])
def test_what_no_living_keeper_vouches_for_grows_old(
    source: Source, time: Time, shown: tuple[str, int] | None
) -> None:
    """A keeper that died takes its board along, so nobody is let in on its word."""
    editions = Editions()
    directory = AccessDirectory(source, refresh_s=0.5, monotonic=time, edition=editions)
    directory.refresh()
    editions.shown, source.away = shown, True
    time.now += 1.5

    assert not directory.is_fresh()
    with pytest.raises(StoreUnavailableError, match="try again"):
        directory.key(KEY.id)


def test_what_is_written_while_the_keeper_answers_is_asked_for_again(source: Source, time: Time) -> None:
    """The edition is looked at before asking."""
    editions = Editions()

    def answers(after_seq: int) -> AccessChanges:
        found = source(after_seq)
        editions.shown = ("board", 2)
        return found

    directory = AccessDirectory(answers, refresh_s=0.5, monotonic=time, edition=editions)
    directory.refresh()
    time.now += 0.6

    assert not directory.is_fresh()
