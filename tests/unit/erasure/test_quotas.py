"""Quotas: no way of writing goes past them, whatever is replaced, deleted, or written at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from data import changes, segments
from data.access.records import SYSTEM_TENANT, TenantRecord
from data.claims import SHARED_TENANT, TenantId
from data.errors import ConflictError, QuotaError
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact, Pattern, Source
from data.limits.policy import Quotas
from tests.fakes import FakeClock, FakeVectorSink

A, B = TenantId("a"), TenantId("b")
LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    opened = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    yield opened
    opened.close()


def allow(keeper: Keeper, tenant: TenantId = A, **quotas: int) -> None:
    record = TenantRecord(tenant, "A", 1.0, quotas=Quotas(**quotas))
    change = Change("tenant.put", tenant, msgspec.json.encode(record, order="sorted"), SYSTEM_TENANT, "t")
    keeper.write_own([change])


def fact(name: str, tenant: TenantId = A) -> Change:
    return changes.put_fact(Fact(name, "Paris", "is", name), tenant)


def one_of(kind: str, name: str) -> Change:
    made = {
        "documents": lambda: changes.put_document(Document(name, "Some words."), A),
        "facts": lambda: fact(name),
        "sources": lambda: changes.put_source(Source(name, "Press"), A),
        "patterns": lambda: changes.put_pattern(Pattern(name, "hedge", "maybe", "maybe", "Says maybe"), A),
        "graph_loads": lambda: changes.put_graph(f'<http://e/x> {LABEL} "{name}" .', name, A),
    }
    return made[kind]()


@pytest.mark.parametrize("kind", ["documents", "facts", "sources", "patterns", "graph_loads"])
def test_append_beyond_a_quota_is_refused_and_replacing_is_not(keeper: Keeper, kind: str) -> None:
    """The third of two is refused with 409's error; writing one of the two again is no growth."""
    allow(keeper, A, **{kind: 2})
    keeper.append([one_of(kind, "x")])
    keeper.append([one_of(kind, "y")])
    with pytest.raises(QuotaError, match="may keep 2"):
        keeper.append([one_of(kind, "z")])
    keeper.append([one_of(kind, "x")])
    store = {"graph_loads": "graph"}.get(kind, kind[:-1])
    keeper.append([Change(f"{store}.delete", "x", b"{}", A, "t")])
    keeper.append([one_of(kind, "z")])
    with pytest.raises(ConflictError):
        keeper.append([one_of(kind, "x")])


def test_append_of_many_at_once_is_all_or_nothing(keeper: Keeper) -> None:
    """A request that would go past the quota in its middle writes nothing of itself."""
    allow(keeper, facts=3)
    with pytest.raises(QuotaError):
        keeper.append([fact(str(number)) for number in range(4)])
    assert keeper.live_count("fact", A) == 0
    keeper.append([fact("1"), fact("1"), fact("2"), fact("3")])
    assert keeper.live_count("fact", A) == 3


def test_bulk_load_counts_as_its_rows(keeper: Keeper, tmp_path: Path) -> None:
    """Imports go through the same door; what they replace is no growth."""
    allow(keeper, facts=3)
    keeper.append([fact("f1")])
    three = [Fact(f"f{n}", "Paris", "is", "x") for n in range(1, 4)]
    keeper.append([changes.load_segment(segments.write_facts(tmp_path, three), A)])
    more = segments.write_facts(tmp_path, [Fact("f9", "Paris", "is", "x")])
    with pytest.raises(QuotaError):
        keeper.append([changes.load_segment(more, A)])
    keeper.append([changes.load_segment(more, B)])


def test_quota_of_one_tenant_binds_no_other(keeper: Keeper) -> None:
    """Neither another tenant nor what is shared counts."""
    allow(keeper, facts=1)
    for number in range(3):
        keeper.append([fact(f"b{number}", B), fact(f"s{number}", SHARED_TENANT)])
    keeper.append([fact("mine")])


def test_quota_changed_holds_from_then_on(keeper: Keeper) -> None:
    """Raised, more fits; lowered below what there is, nothing new fits and nothing goes."""
    allow(keeper, facts=1)
    keeper.append([fact("1")])
    allow(keeper, facts=3)
    keeper.append([fact("2"), fact("3")])
    allow(keeper, facts=1)
    with pytest.raises(QuotaError):
        keeper.append([fact("4")])
    keeper.append([fact("2")])
    assert keeper.live_count("fact", A) == 3


def test_quota_holds_for_writers_at_the_same_time(keeper: Keeper) -> None:
    """Of forty writers exactly ten get through, however their writes share a commit."""
    allow(keeper, facts=10)
    outcomes: list[bool] = []

    def write(number: int) -> None:
        try:
            keeper.append([fact(str(number))])
            outcomes.append(True)
        except QuotaError:
            outcomes.append(False)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcomes) == 10
    assert keeper.live_count("fact", A) == 10


def test_retry_of_a_write_that_filled_the_quota_is_answered_as_before(keeper: Keeper) -> None:
    """The same request under its name is a replay, not growth."""
    allow(keeper, facts=1)
    first = keeper.append([fact("1")], idempotency_key="k")
    assert keeper.append([fact("1")], idempotency_key="k").first_seq == first.first_seq
    keeper.append([Change("fact.delete", "1", b"{}", A, "t")])
    keeper.append([fact("2")])
    assert keeper.append([fact("1")], idempotency_key="k").replayed
