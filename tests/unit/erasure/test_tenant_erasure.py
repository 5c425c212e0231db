"""Erasing a tenant: every byte of it goes, everything of the others stays, and the proof says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from data import changes, segments
from data.access.records import SYSTEM_TENANT, KeyRecord, TenantRecord
from data.access.roles import Role
from data.backups.source import lineage_of
from data.catalogue import CatalogueKind, CatalogueQuery
from data.claims import DEFAULT_TENANT, SHARED_TENANT, TenantId
from data.erased import Erased
from data.erasure import Eraser, digest
from data.errors import ForbiddenError, InvalidValueError, NotFoundError
from data.feedback import CalibrationMode
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact, Pattern, Source
from data.ledger import Ledger
from data.ledger_erasure import erasures
from data.ports import Query
from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import NewTask
from data.stores.lmdb import LmdbStore
from data.vectors.exact import ExactIndex
from data.views.facts import FactFilter
from data.views.vectors import PassageVectors
from tests.fakes import FakeClock, FakeEmbedder

GOES, STAYS = TenantId("goes"), TenantId("stays")
LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
#: In every text of the tenant that goes, ids, authors and notes among them, and nowhere else.
MARK = "Quetzalgone"


class House:
    """A home with everything open: keeper, vectors and the shared store."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.is_closed = False
        self.clock = FakeClock()
        self.vectors = PassageVectors(
            home / "vectors" / "passages", home, FakeEmbedder(), embedder_id="fake", kind=ExactIndex
        )
        self.keeper = Keeper(home, self.clock, self.vectors)
        self.store = LmdbStore(home / "cache", self.clock)
        self.queue = SqliteQueue(home / "queue" / "tasks.sqlite", clock=self.clock)
        self.eraser = Eraser(self.keeper, self.store, home, self.clock, queue=self.queue)

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        self.keeper.close()
        self.vectors.close()
        self.store.close()
        self.queue.close()


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Callable[[], House]]:
    held: list[House] = []

    def opened() -> House:
        for one in held:
            one.close()
        held[:] = [House(tmp_path)]
        return held[0]

    yield opened
    for one in held:
        one.close()


def verdict(name: str, mark: str, tenant: TenantId) -> Change:
    document = msgspec.json.encode(
        {
            "probabilities": [1, 0, 0, 0],
            "prediction_set": ["SUPPORTED"],
            "alpha": 0.1,
            "model_bundle": "m",
            "claim": {"text": mark},
        }
    )
    record = changes.VerdictRecord(
        name, mark, "f" * 64, "SUPPORTED", 0.9, document, b'{"claim": "%s"}' % mark.encode()
    )
    return changes.put_verdict(record, tenant)


def everything(mark: str, tenant: TenantId, home: Path) -> list[Change]:
    """Return one change of every kind, with ``mark`` in each text that there is."""
    loaded = segments.write_documents(home, [Document(f"load-{mark}", f"A loaded text of {mark}.")])
    facts = segments.write_facts(home, [Fact(f"lf-{mark}", f"Loaded {mark}", "is", "there")])
    graph = segments.write_graph(home, f'<http://e/{mark}2> {LABEL} "Loaded {mark}" .', "load")
    return [
        changes.put_document(
            Document(f"d-{mark}", f"The {mark} tower stands.", title=mark), tenant, actor=f"jwt:{mark}"
        ),
        changes.put_document(Document(f"old-{mark}", f"An old word of {mark}."), tenant),
        changes.delete_document(f"old-{mark}", tenant),
        changes.put_fact(Fact(f"f-{mark}", mark, "height", "330 m"), tenant),
        changes.put_source(Source(f"s-{mark}", f"Press of {mark}"), tenant),
        changes.put_pattern(Pattern(f"p-{mark}", "hedge", mark, f'"{mark}"', f"Says {mark}"), tenant),
        changes.put_graph(f'<http://e/{mark}> {LABEL} "{mark}" .', f"g-{mark}", tenant),
        changes.load_segment(loaded, tenant),
        changes.load_segment(facts, tenant),
        changes.load_segment(graph, tenant),
        verdict(f"v-{mark}", mark, tenant),
        changes.put_feedback(changes.Feedback(f"v-{mark}", "SUPPORTED", f"note of {mark}"), tenant),
        changes.put_calibration(CalibrationMode("off"), tenant),
    ]


def record(kind: str, key: str, value: object, tenant: TenantId) -> Change:
    return Change(kind, key, msgspec.json.encode(value, order="sorted"), tenant, "test")


def fill(house: House) -> None:
    """Give both tenants one of everything, a key and a record."""
    for tenant, mark in ((GOES, MARK), (STAYS, "Staying"), (SHARED_TENANT, "Common")):
        house.keeper.append(everything(mark, tenant, house.home), idempotency_key=f"request of {mark}")
        key = KeyRecord(f"id{tenant}", f"key of {mark}", "ab" * 32, tenant, (Role.EDITOR,), 1.0)
        house.keeper.write_own(
            [
                record("tenant.put", tenant, TenantRecord(tenant, f"House {mark}", 1.0), SYSTEM_TENANT),
                record("key.put", key.id, key, tenant),
            ]
        )
        for prefix in (
            f"verdict/{tenant}/1",
            f"session/{tenant}/1",
            f"session-step/{tenant}/1/e/000001",
            f"limit:{{{tenant}}}:tenant",
        ):
            house.store.put(prefix, f"a cached text of {mark}".encode())
        house.queue.put([NewTask(tenant, f"task-{mark}", "verify", f"a claim of {mark}".encode())])
    house.store.put("embedding:0:1", b"x" * 64)


def files_with(home: Path, text: str) -> list[str]:
    """Return the files under a home that hold a text, in UTF-8, any case as written."""
    return [
        str(path.relative_to(home))
        for path in sorted(home.rglob("*"))
        if path.is_file() and text.encode() in path.read_bytes()
    ]


def seen(house: House, tenant: TenantId) -> dict[str, object]:
    """Return what a tenant sees through every way of asking."""
    keeper, position = house.keeper, house.keeper.knowledge_seq()
    query = Query(tenant, "Staying Common Quetzalgone tower loaded text", position)
    vector = FakeEmbedder().embed([query.text])
    kinds: tuple[CatalogueKind, ...] = ("document", "fact", "source", "pattern", "graph")
    return {
        "text": keeper.search_text([query], 20),
        "vectors": house.vectors.search_vectors([tenant], vector, 20),
        "facts": keeper.facts(tenant, FactFilter(limit=100)),
        "about": keeper.facts_about([query], 20),
        "statements": keeper.statements_about([query], 20),
        "patterns": keeper.match([query]),
        "listed": [keeper.listed(CatalogueQuery(kind, tenant)) for kind in kinds],
        "verdicts": keeper.verdicts(tenant, before_seq=2**62, limit=100),
        "sparql": keeper.sparql(tenant, "SELECT ?s ?p ?o { ?s ?p ?o } ORDER BY ?s ?p ?o").body,
    }


def test_erase_leaves_no_text_of_the_tenant_in_any_file(reopen: Callable[[], House]) -> None:
    """Payloads, ids, authors, names, cached values: not a byte of the mark is left under the home."""
    house = reopen()
    fill(house)
    house.keeper.sparql(GOES, "ASK { ?s ?p ?o }")
    assert files_with(house.home, MARK)
    proof = house.eraser.erase(GOES)
    house.close()
    assert files_with(house.home, MARK) == []
    assert files_with(house.home, "Staying")
    assert any(proof.before.values())
    assert set(proof.after.values()) == {0}
    assert proof.sha256 == digest(proof)


def test_erase_changes_nothing_for_the_others(reopen: Callable[[], House]) -> None:
    """What another tenant and the shared one see is the same, before, after, and after a restart."""
    house = reopen()
    fill(house)
    before = {tenant: seen(house, tenant) for tenant in (STAYS, SHARED_TENANT)}
    house.eraser.erase(GOES)
    assert {tenant: seen(house, tenant) for tenant in before} == before
    again = reopen()
    assert {tenant: seen(again, tenant) for tenant in before} == before
    assert [key for key, _ in again.store.scan("verdict/")] == ["verdict/shared/1", "verdict/stays/1"]
    assert again.keeper.check(views=True).faults == ()
    assert seen(again, GOES)["listed"] == seen(again, TenantId("nobody"))["listed"]


def test_erase_leaves_a_ledger_whose_chain_holds_under_a_new_name(reopen: Callable[[], House]) -> None:
    """Backups of before do not go on: the next one is a full one."""
    house = reopen()
    fill(house)
    lineage, rows = lineage_of(house.home), house.keeper.verify()
    house.eraser.erase(GOES)
    assert house.keeper.verify() == rows + 4
    assert lineage_of(house.home) != lineage


def test_erased_tenant_is_closed_for_ever(reopen: Callable[[], House]) -> None:
    """Nothing is written for it, its keys are revoked, and its record says so, after a restart too."""
    house = reopen()
    fill(house)
    house.eraser.erase(GOES)
    for again in (False, True):
        one = reopen() if again else house
        with pytest.raises(ForbiddenError, match="erased"):
            one.keeper.append([changes.put_fact(Fact("x", "a", "b", "c"), GOES)])
        assert one.keeper.append([changes.put_fact(Fact("x", "a", "b", "c"), STAYS)]).first_seq
        key = one.keeper.ledger.latest(GOES, "key.put", "idgoes")
        tenant = one.keeper.ledger.latest(SYSTEM_TENANT, "tenant.put", GOES)
        assert key
        assert tenant
        assert msgspec.json.decode(key.payload, type=KeyRecord).revoked_s is not None
        assert msgspec.json.decode(tenant.payload, type=TenantRecord).state == "erased"


def test_erase_repeated_answers_with_the_same_proof(reopen: Callable[[], House]) -> None:
    """A second request erases nothing and proves the same."""
    house = reopen()
    fill(house)
    proof = house.eraser.erase(GOES, backups=["b1"])
    head = house.keeper.ledger.head()
    assert house.eraser.erase(GOES) == proof
    assert reopen().eraser.erase(GOES) == proof
    assert proof.backups == ("b1",)
    assert house.home.exists()
    assert head == proof.seq + 1


@pytest.mark.parametrize("where", ["swept", "rows", "discarded", "reclaimed", "views"])
def test_erase_that_was_cut_off_is_finished(
    reopen: Callable[[], House], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Killed between any two steps, the next one to open the home finishes; meanwhile nothing is written."""
    house = reopen()
    fill(house)
    targets = {
        "swept": ("data.erasure.erase_rows", None),
        "rows": ("data.keeper.remove_discarded", None),
        "discarded": ("data.ledger.Ledger.reclaim", None),
        "reclaimed": ("data.keeper.Keeper._rebuild", None),
        "views": ("data.keeper.Keeper.purge", None),
    }

    def cut(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(targets[where][0], cut)
        with pytest.raises(SystemExit):
            house.eraser.erase(GOES)
    again = reopen()
    assert again.eraser.pending() == [GOES]
    with pytest.raises(ForbiddenError):
        again.keeper.append([changes.put_fact(Fact("x", "a", "b", "c"), GOES)])
    (proof,) = again.eraser.resume()
    assert set(proof.after.values()) == {0}
    assert proof.before["facts: facts"] == 2
    assert again.eraser.pending() == []
    again.close()
    assert files_with(again.home, MARK) == []


def test_verify_erased_finds_what_came_back(reopen: Callable[[], House]) -> None:
    """A cached value written late is counted, so that the erasure's check can be repeated."""
    house = reopen()
    fill(house)
    assert not house.eraser.verify_erased(GOES).is_gone
    house.eraser.erase(GOES)
    assert house.eraser.verify_erased(GOES).is_gone
    house.store.put("session/goes/9", b"late")
    assert house.eraser.verify_erased(GOES).counts["store: sessions"] == 1


def test_erase_of_a_tenant_with_a_shared_file_leaves_it_to_the_other(reopen: Callable[[], House]) -> None:
    """Two tenants that loaded the same bytes have one file, which stays while one of them has it."""
    house = reopen()
    ref = segments.write_documents(house.home, [Document("same", "One text for two.")])
    house.keeper.append([changes.load_segment(ref, GOES)])
    house.keeper.append([changes.load_segment(ref, STAYS)])
    proof = house.eraser.erase(GOES)
    assert set(proof.after.values()) == {0}
    assert house.keeper.document(STAYS, "same")
    assert house.keeper.document(GOES, "same") is None


@pytest.mark.parametrize("tenant", [SHARED_TENANT, SYSTEM_TENANT, DEFAULT_TENANT])
def test_erase_of_what_belongs_to_all_is_refused(reopen: Callable[[], House], tenant: TenantId) -> None:
    """The shared tenant and the installation's own are no tenants to erase."""
    with pytest.raises(InvalidValueError, match="every installation"):
        reopen().eraser.erase(tenant)


def test_erase_of_an_unknown_tenant_is_refused(reopen: Callable[[], House]) -> None:
    """A typing error must not close an id for ever."""
    house = reopen()
    with pytest.raises(NotFoundError):
        house.eraser.erase(TenantId("nobody"))
    assert erasures(house.keeper.ledger) == {}


def test_erase_stands_in_the_ledger_with_its_proof(reopen: Callable[[], House]) -> None:
    """The row can be read by whoever has the ledger."""
    house = reopen()
    fill(house)
    proof = house.eraser.erase(GOES)
    row = erasures(house.keeper.ledger)[GOES]
    assert isinstance(house.keeper.ledger, Ledger)
    assert msgspec.convert(row.report, Erased) == proof
