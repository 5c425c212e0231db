"""Tenants over the real keeper: no way of asking ever shows one tenant what another wrote.

A seeded walk: tenants whose ids begin alike write, replace, delete and ask under the same ids, at any
position, in mixed batches, with each other's cursors. Every text carries its writer's mark. The number of
steps is that of ``KITE_ISOLATION_STEPS`` (2,000 without it).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from data import changes, segments
from data.catalogue import CatalogueKind, CatalogueQuery, Condition
from data.claims import SHARED_TENANT, TenantId, fingerprint, make_claim
from data.errors import ConflictError, KiteError, NotFoundError
from data.feedback import CalibrationMode, CalibrationQuery
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact, Pattern, Source
from data.lookup import Limits, LocalReader, Wanted
from data.ports import HistoryQuery, Query
from data.questions import Question
from data.stores.lmdb import LmdbStore
from data.vectors.exact import ExactIndex
from data.views.facts import FactFilter
from data.views.vectors import PassageVectors
from deployments.services import ApiLimits
from deployments.sessions.environment import SessionConfig
from deployments.sessions.lifecycle import ResetOrder, SessionStore
from deployments.verdict_cache import VerdictCache
from tests.fakes import FakeClock, FakeEmbedder
from tests.unit.api.fakes import make_verdict

pytestmark = pytest.mark.timeout(3_600)

STEPS = int(os.environ.get("KITE_ISOLATION_STEPS", "2000"))
TENANTS = [TenantId(name) for name in ("a", "a-b", "ab", "a-bc", SHARED_TENANT)]
MARKS = {tenant: f"Mark{number}zq" for number, tenant in enumerate(TENANTS)}
#: The same few for all of them, so that they meet.
IDS = [f"id{number}" for number in range(6)]
WORDS = "tower river bridge harbour museum castle"
KINDS: tuple[CatalogueKind, ...] = ("document", "passage", "fact", "source", "pattern", "graph")
LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
OWNED = "<http://schema.org/owner>"
CONFIG = SessionConfig(("logical",))


class World:
    """A home, and everything that a tenant can do to it. ``rng`` decides what."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.rng = random.Random(20_260_101)
        clock = FakeClock()
        self.vectors = PassageVectors(
            home / "vectors", home, FakeEmbedder(), embedder_id="fake", kind=ExactIndex
        )
        self.keeper = Keeper(home, clock, self.vectors)
        self.reader = LocalReader(self.keeper)
        self.store = LmdbStore(home / "cache", clock)
        self.sessions = SessionStore(self.store, clock, ApiLimits())
        self.cache = VerdictCache(self.store, model_bundle="m")
        self.cursors = [""]

    def close(self) -> None:
        self.keeper.close()
        self.vectors.close()
        self.store.close()

    def tenant(self) -> TenantId:
        return self.rng.choice(TENANTS)

    def id(self) -> str:
        return self.rng.choice(IDS)

    def position(self) -> int:
        head = self.keeper.knowledge_seq()
        return head if self.rng.random() < 0.6 else self.rng.randint(0, head)

    def query(self, tenant: TenantId) -> Query:
        return Query(tenant, f"{WORDS} {' '.join(MARKS.values())} thing id1", self.position())

    def change(self, tenant: TenantId) -> Change:
        mark, one = MARKS[tenant], self.id()
        text = (
            f"The {self.rng.choice(WORDS.split())} of {mark} stands at the {self.rng.choice(WORDS.split())}."
        )
        node = f"<http://e/thing{self.rng.randrange(3)}>"
        made: list[Callable[[], Change]] = [
            lambda: changes.put_document(
                Document(one, text, title=f"Title {mark}", source=self.id()), tenant
            ),
            lambda: changes.put_fact(Fact(one, "thing", f"height {mark}", mark, source=self.id()), tenant),
            lambda: changes.put_source(Source(one, mark, owner=self.id(), cites=(self.id(),)), tenant),
            lambda: changes.put_pattern(Pattern(one, "hedge", mark, "tower", f"Says {mark}"), tenant),
            lambda: changes.put_graph(
                f'{node} {LABEL} "thing" .\n{node} {OWNED} "{mark}" .\n_:b {OWNED} "{mark}" .', one, tenant
            ),
            lambda: changes.load_segment(
                segments.write_documents(self.home, [Document(f"{mark}-{one}", text), Document(one, text)]),
                tenant,
            ),
            lambda: self.verdict(tenant),
            lambda: changes.put_feedback(changes.Feedback(one, "SUPPORTED", f"note {mark}"), tenant),
            lambda: changes.put_calibration(CalibrationMode("off"), tenant),
            lambda: changes.delete_document(one, tenant),
            lambda: changes.delete_fact(one, tenant),
            lambda: changes.delete_source(one, tenant),
            lambda: changes.delete_graph(one, tenant),
        ]
        return self.rng.choice(made)()

    def verdict(self, tenant: TenantId) -> Change:
        mark = MARKS[tenant]
        told = {
            "probabilities": [1, 0, 0, 0],
            "prediction_set": ["SUPPORTED"],
            "alpha": 0.1,
            "model_bundle": "m",
            "claim": {"text": mark},
        }
        record = changes.VerdictRecord(
            self.id(),
            f"Claim {mark}",
            fingerprint(make_claim("One claim.")),
            "SUPPORTED",
            0.9,
            msgspec.json.encode(told),
        )
        return changes.put_verdict(record, tenant)

    def write(self) -> None:
        tenant = self.tenant()
        key = self.id() if self.rng.random() < 0.1 else None
        try:
            if self.rng.random() < 0.1:
                kind = self.rng.choice([kind for kind in KINDS if kind != "passage"])
                self.reader.append_if(Condition(kind, tenant, self.id()), [self.change(tenant)])
            else:
                self.reader.append([self.change(tenant)], idempotency_key=key)
        except ConflictError:
            assert key is not None

    def hold_session(self) -> None:
        tenant = self.tenant()
        name = self.id()
        try:
            _, state = self.sessions.load(tenant, name)
            claim = make_claim(f"A step of {MARKS[tenant]}.", tenant=tenant)
            self.sessions.take(tenant, state, make_verdict(Question(claim, CONFIG.frameworks)))
        except NotFoundError:
            self.sessions.start(tenant, ResetOrder(name, None, None), CONFIG)
        if self.rng.random() < 0.1:
            self.sessions.delete(tenant, name)


def asked(world: World, tenant: TenantId) -> Any:
    """Ask one thing for a tenant, any way there is, and return the answer."""
    rng, keeper, query = world.rng, world.keeper, world.query(tenant)
    kind = rng.choice(KINDS)
    one = world.id() if kind == "passage" or rng.random() < 0.3 else None
    after = rng.choice(world.cursors)
    limit = rng.choice([1, 3, 100])
    listing = CatalogueQuery(kind, tenant, one, after, limit, query.as_of, own=rng.random() < 0.3)
    calibration = CalibrationQuery(tenant, "m", query.as_of)
    vector = FakeEmbedder().embed([query.text])
    wanted = [f"{name}#{number}" for name in IDS for number in range(2)] + IDS
    ways: list[Callable[[], Any]] = [
        lambda: keeper.listed(listing),
        lambda: [keeper.document(tenant, name, as_of=query.as_of) for name in IDS],
        lambda: keeper.passages([(query, [hit.id for hit in keeper.search_text([query], 20)[0]] + wanted)]),
        lambda: keeper.passages(
            [
                (
                    query,
                    [
                        hit.id
                        for hit in world.vectors.search_vectors([tenant], vector, 20, as_of=[query.as_of])[0]
                    ],
                )
            ]
        ),
        lambda: keeper.sources(tenant, IDS, as_of=query.as_of),
        lambda: keeper.facts(tenant, FactFilter(as_of=query.as_of, after=after, limit=limit)),
        lambda: keeper.facts_about([query], 50),
        lambda: keeper.statements_about([query], 50),
        lambda: (keeper.match([query]), keeper.patterns(tenant)),
        lambda: keeper.verdicts(tenant, before_seq=rng.choice([2**62, query.as_of]), limit=limit),
        lambda: [
            (
                keeper.verdict(tenant, name),
                keeper.kept_verdict(tenant, name),
                keeper.last_feedback(tenant, name),
            )
            for name in IDS
        ],
        lambda: keeper.past_verdicts([HistoryQuery(tenant, fingerprint(make_claim("One claim.")), 2**62)]),
        lambda: (keeper.feedback_samples(calibration), keeper.calibration_marks([calibration])),
        lambda: [world.sessions.history(tenant, state) for state in world.sessions.listing(tenant)],
    ]
    return rng.choice(ways)()


def strangers(tenant: TenantId) -> list[str]:
    """Return the marks that a tenant must never see."""
    return [mark for owner, mark in MARKS.items() if owner not in (tenant, SHARED_TENANT)]


def assert_own(tenant: TenantId, answer: object) -> None:
    told = repr(answer)
    found = [mark for mark in strangers(tenant) if mark in told]
    assert not found, f"{tenant} was shown {found}: {told[:2_000]}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("tenants"))
    yield made
    made.close()


def ask_mixed(world: World) -> None:
    """Ask for all tenants in one batch, as the verifier does, and check each one's part."""
    queries = [world.query(world.tenant()) for _ in range(4)]
    histories = [
        HistoryQuery(one.tenant, fingerprint(make_claim("One claim.")), one.as_of) for one in queries
    ]
    found = world.reader.look_up(queries, histories, Limits(20, 20, 20))
    fetched = world.reader.fetch(
        [
            Wanted(query, [hit.id for hit in hits], IDS)
            for query, hits in zip(queries, found.lexical, strict=True)
        ]
    )
    vectors = FakeEmbedder().embed([one.text for one in queries])
    rows = world.vectors.search_vectors(
        [one.tenant for one in queries], vectors, 20, as_of=[one.as_of for one in queries]
    )
    parts: Sequence[Sequence[object]] = (
        found.lexical,
        found.facts,
        found.statements,
        found.patterns,
        found.histories,
        fetched.passages,
        rows,
    )
    for place, query in enumerate(queries):
        sources = (
            fetched.source_sets[fetched.source_set_of[place]] if fetched.source_sets else fetched.sources
        )
        assert_own(query.tenant, [[part[place] for part in parts], sources])
        alone = world.keeper.sources(query.tenant, [one.id for one in sources], as_of=query.as_of)
        assert sources == alone


def test_no_answer_ever_holds_another_tenants_mark(world: World) -> None:
    """Thousands of steps: writes and deletions under the same ids, and every way of asking between them."""
    seen = dict.fromkeys(TENANTS, 0)
    for step in range(STEPS):
        chance = world.rng.random()
        if chance < 0.35:
            world.write()
        elif chance < 0.42:
            world.hold_session()
        elif chance < 0.50:
            ask_mixed(world)
        else:
            tenant = world.tenant()
            try:
                answer = asked(world, tenant)
            except KiteError as exc:
                answer = str(exc)
            assert_own(tenant, answer)
            seen[tenant] += MARKS[tenant] in repr(answer)
            if step % 10 == 0:
                world.cursors = [*world.cursors[-20:], world.id(), f"{MARKS[tenant]}-{world.id()}"]
    # A walk that never sees anything would prove nothing.
    assert all(number > STEPS / 100 for number in seen.values()), seen


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { ?s ?p ?o }",
        "SELECT * { GRAPH ?g { ?s ?p ?o } }",
        "SELECT * FROM <urn:kite:tenant:a-b> { ?s ?p ?o }",
        "SELECT * FROM NAMED <urn:kite:tenant:a-b> { GRAPH <urn:kite:tenant:a-b> { ?s ?p ?o } }",
        "SELECT * FROM <urn:kite:tenant:a> FROM NAMED <urn:kite:meta> { ?s ?p ?o }",
        "SELECT * { GRAPH <urn:kite:meta> { ?s ?p ?o } }",
        "SELECT * { { GRAPH ?g { ?s ?p ?o } } UNION { GRAPH <urn:kite:tenant:a-b> { ?s ?p ?o } } }",
        "SELECT * { ?s ?p ?o MINUS { GRAPH <urn:kite:tenant:a> { ?s ?p ?o } } }",
        "SELECT * { ?s (<http://schema.org/owner>|!<http://x>)* ?o }",
        "SELECT * { ?s ?p ?o FILTER EXISTS { GRAPH ?g { ?s ?p ?o } } }",
        "SELECT (GROUP_CONCAT(STR(?o)) AS ?all) { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } }",
        "DESCRIBE <http://e/thing0> <http://e/thing1> <http://e/thing2>",
        "DESCRIBE ?s { ?s ?p ?o }",
        "DESCRIBE ?s FROM <urn:kite:tenant:a-b> { ?s ?p ?o }",
        "CONSTRUCT { ?s ?p ?o } FROM NAMED <urn:kite:tenant:ab> { GRAPH ?g { ?s ?p ?o } }",
        "CONSTRUCT WHERE { ?s ?p ?o }",
        "BASE <urn:kite:tenant:> SELECT * FROM <a-b> { GRAPH <ab> { ?s ?p ?o } }",
        "PREFIX t: <urn:kite:tenant:> SELECT * FROM t:a-b { GRAPH t:ab { ?s ?p ?o } }",
        "SELECT * FROM <urn:kite:tenant:a\\u002Db> { ?s ?p ?o }",
    ],
)
def test_sparql_reaches_no_other_tenants_graph(world: World, text: str) -> None:
    """However a query names graphs, its world is the tenant's own statements and the shared ones."""
    for tenant in TENANTS:
        node = f'<http://e/thing0> {LABEL} "thing" .\n<http://e/thing0> {OWNED} "{MARKS[tenant]}" .'
        world.keeper.append([changes.put_graph(node, "sparql", tenant)])
    for tenant in TENANTS:
        assert_own(tenant, world.keeper.sparql(tenant, text).body.decode())


@pytest.mark.parametrize(
    "text",
    [
        "DELETE WHERE { ?s ?p ?o }",
        "INSERT DATA { <http://a> <http://b> <http://c> }",
        "DROP ALL",
        "LOAD <http://h/>",
        "CLEAR GRAPH <urn:kite:tenant:a>",
        "COPY <urn:kite:tenant:a> TO <urn:kite:tenant:ab>",
    ],
)
def test_sparql_update_is_no_query(world: World, text: str) -> None:
    """Nothing is written, moved or fetched by SPARQL."""
    with pytest.raises(KiteError):
        world.keeper.sparql(TENANTS[0], text)


def test_idempotency_key_of_another_tenant_means_nothing(world: World) -> None:
    """The same key names two requests of two tenants."""
    first = world.keeper.append(
        [changes.put_fact(Fact("i", "x", "y", "z"), TENANTS[0])], idempotency_key="same"
    )
    second = world.keeper.append(
        [changes.put_fact(Fact("i", "x", "y", "other"), TENANTS[1])], idempotency_key="same"
    )
    assert not second.replayed
    assert second.first_seq != first.first_seq


def test_cached_verdict_is_its_tenants_alone(world: World) -> None:
    """The same claim asked by two tenants is two entries, in this process and in the shared store."""
    asyncio.run(_cached(world))


def test_sources_of_a_mixed_batch_are_each_tenants_own(world: World) -> None:
    """Two tenants that call their sources alike do not see each other's records, nor their own past ones."""
    first, second = TENANTS[:2]
    before = world.keeper.append([changes.put_source(Source("alike", "Then"), first)]).last_seq
    world.keeper.append([changes.put_source(Source("alike", MARKS[one]), one) for one in (first, second)])
    now = world.keeper.knowledge_seq()
    asking = [(first, now), (second, now), (first, before)]
    fetched = world.reader.fetch([Wanted(Query(one, "x", at), [], ["alike"]) for one, at in asking])
    names = [[one.name for one in fetched.source_sets[number]] for number in fetched.source_set_of]
    assert names == [[MARKS[first]], [MARKS[second]], ["Then"]]
    assert fetched.sources == []


async def _cached(world: World) -> None:
    questions = [Question(make_claim("The same claim.", tenant=tenant), ("logical",)) for tenant in TENANTS]
    await world.cache.put(questions[:1], [make_verdict(questions[0])], 1)
    for cache in (world.cache, VerdictCache(world.store, model_bundle="m")):
        found = await cache.get(questions, 1)
        assert [one is not None for one in found] == [True, False, False, False, False]


def test_sources_that_lead_to_very_many_are_followed_so_far(world: World) -> None:
    """A tenant with a long chain of owners costs a bounded read a claim."""
    tenant = TenantId("long-chain")
    chain = [Source(f"c{number:05d}", "n", owner=f"c{number + 1:05d}") for number in range(2_300)]
    ref = segments.write_sources(world.home, chain)
    world.keeper.append([changes.load_segment(ref, tenant)])
    assert len(world.keeper.sources(tenant, ["c00000"])) == 2_000
