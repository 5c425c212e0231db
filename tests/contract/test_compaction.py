"""Compaction: what was superseded before the horizon is gone from every byte, and nothing else changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data import changes, segments
from data.claims import TenantId
from data.errors import InvalidValueError
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact, Pattern, Source
from data.ledger import Ledger
from data.ports import Query
from data.vectors.exact import ExactIndex
from data.views.facts import FactFilter
from data.views.vectors import PassageVectors
from tasks import compact
from tests.fakes import FakeClock, FakeEmbedder

A, B = TenantId("a"), TenantId("b")
LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
#: In every text that has to be gone: no word of it occurs elsewhere.
GONE = "Quetzalgone"

Open = Callable[[], Keeper]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def reopen(tmp_path: Path, clock: FakeClock) -> Iterator[Open]:
    held: list[Keeper] = []

    def opened() -> Keeper:
        vectors = PassageVectors(
            tmp_path / "vectors", tmp_path, FakeEmbedder(), embedder_id="fake", kind=ExactIndex
        )
        held.append(Keeper(tmp_path, clock, vectors))
        return held[-1]

    yield opened
    for keeper in held:
        keeper.close()


def document(name: str, text: str = "The tower stands in Paris.", tenant: TenantId = A) -> Change:
    return changes.put_document(Document(name, text, source="press"), tenant)


def graph(value: str, key: str = "g") -> Change:
    return changes.put_graph(f'<http://e/Paris> {LABEL} "{value}" .', key, A)


def fill(keeper: Keeper, home: Path) -> None:
    """Write things that stay, and things of every kind that are replaced or removed."""
    keeper.append([document("kept"), document("other", tenant=B)], idempotency_key="first")
    keeper.append([document("changed", f"{GONE} is the old text."), document("deleted", f"{GONE} again.")])
    keeper.append([changes.put_fact(Fact("f", "Paris", "mayor", GONE), A), graph(GONE)])
    keeper.append([changes.put_source(Source("s", GONE), A)])
    keeper.append([changes.put_pattern(Pattern("p", "fallacy", GONE, "tower", "m"), A)])
    texts = [Document("in-1", f"{GONE} in bulk."), Document("in-2", "A bulk text that stays.")]
    keeper.append([changes.load_segment(segments.write_documents(home, texts), A)])
    whole = segments.write_facts(home, [Fact("bulk", "Rome", "mayor", GONE)])
    keeper.append([changes.load_segment(whole, A)])
    bulk_graph = segments.write_graph(home, f'<http://e/Rome> {LABEL} "{GONE}" .', "bulk")
    keeper.append([changes.load_segment(bulk_graph, A)])
    keeper.append([changes.put_verdict(changes.VerdictRecord("v", "c", "fp", "REFUTED", 0.5, b"{}"), A)])
    keeper.append([document("changed", "The new text of a river."), changes.delete_document("deleted", A)])
    keeper.append([changes.put_fact(Fact("f", "Paris", "mayor", "Anne"), A), graph("Paris")])
    keeper.append([changes.put_source(Source("s", "Press"), A), changes.delete_pattern("p", A)])
    keeper.append([changes.delete_document("in-1", A), changes.delete_fact("bulk", A)])
    keeper.append([changes.delete_graph(bulk_graph.uri, A)])


def digests(keeper: Keeper, since: int) -> dict[str, str]:
    views = {view.name: view.digest(since) for view in keeper.views()}
    return {**views, "vectors": keeper._vectors.digest(since)}  # type: ignore[attr-defined]


def files_with(home: Path, word: str) -> list[str]:
    """Return the files under a home that hold a word, in any case; Parquet and RocksDB are read decoded."""
    while True:
        try:
            return read_files_with(home, word)
        except FileNotFoundError:  # RocksDB removes what it has replaced in its own time: look again
            continue


def read_files_with(home: Path, word: str) -> list[str]:
    found = []
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            content += repr(pq.read_table(path).to_pylist()).encode()
        if word.encode() in content or word.lower().encode() in content.lower():
            found.append(str(path.relative_to(home)))
    return found


def test_compaction_leaves_no_byte_of_what_was_superseded(reopen: Open, tmp_path: Path) -> None:
    """The ledger, its journal, the segments and the views hold nothing of it; before, they did."""
    keeper = reopen()
    fill(keeper, tmp_path)
    before = files_with(tmp_path, GONE)

    keeper.compact(keeper.stats().head)
    running = files_with(tmp_path, GONE)
    keeper.close()

    assert any(name.startswith("ledger/") for name in before)
    assert any(name.startswith("segments/") for name in before)
    assert any(name.startswith("views/passages") for name in before)
    assert running == []
    assert files_with(tmp_path, GONE) == []


def test_compaction_changes_no_answer_from_the_horizon_on(reopen: Open, tmp_path: Path) -> None:
    """Every view holds, as of the horizon and later, row for row what it held; positions and chain too."""
    keeper = reopen()
    fill(keeper, tmp_path)
    horizon = keeper.knowledge_seq()
    keeper.append([document("later"), changes.delete_document("kept", A)])
    seqs = [
        (entry.seq, entry.ts, entry.kind, entry.key, entry.sha256) for entry in keeper.read_entries(0, 99)
    ]
    before, known = digests(keeper, horizon), keeper.knowledge_seq()

    report = keeper.compact(horizon)
    entries = keeper.read_entries(0, 99)

    assert digests(keeper, horizon) == before
    assert [(e.seq, e.ts, e.kind, e.key, e.sha256) for e in entries[:-1]] == seqs
    assert (entries[-1].kind, keeper.verify()) == ("ledger.compact", len(entries))
    assert (keeper.knowledge_seq(), report.horizon, report.payloads, report.segments) == (
        known,
        horizon,
        6,
        3,
    )
    assert [hit.id for hit in keeper.search_text([Query(A, "tower", horizon)], 9)[0]] == ["kept#0"]
    assert [fact.object for fact in keeper.facts(A, FactFilter())] == ["Anne"]


def test_compacted_home_gives_the_same_when_views_are_lost(reopen: Open, tmp_path: Path) -> None:
    """What is left of the ledger is enough for every view."""
    keeper = reopen()
    fill(keeper, tmp_path)
    keeper.compact(keeper.stats().head)
    before = digests(keeper, 0)
    keeper.close()
    (tmp_path / "views").rename(tmp_path / "lost")
    (tmp_path / "vectors").rename(tmp_path / "lost-too")

    assert digests(reopen(), 0) == before


def test_as_of_before_the_horizon_is_refused_and_names_it(
    reopen: Open, tmp_path: Path, clock: FakeClock
) -> None:
    """By position and by moment, before and after a restart; at the horizon all is as it was."""
    keeper = reopen()
    fill(keeper, tmp_path)
    clock.advance(48 * 3600)
    horizon = keeper.append([document("late")]).first_seq
    keeper.compact(horizon)

    for again in range(2):
        with pytest.raises(InvalidValueError, match=f"before seq {horizon} .* ask as of seq {horizon}"):
            keeper.document(A, "changed", as_of=horizon - 1)
        with pytest.raises(InvalidValueError, match=f"seq {horizon}"):
            keeper.search_text([Query(A, "tower", 3)], 5)
        with pytest.raises(InvalidValueError, match=f"seq {horizon}"):
            keeper.seq_at("2026-01-01")
        found = keeper.document(A, "changed", as_of=horizon)
        assert found is not None
        assert found.text == "The new text of a river."
        if not again:
            keeper.close()
            keeper = reopen()


def test_compaction_tried_says_what_it_would_do_and_does_nothing(reopen: Open, tmp_path: Path) -> None:
    """A dry run counts as the real one does; no row is written and the past answers."""
    keeper = reopen()
    fill(keeper, tmp_path)
    head = keeper.stats().head

    tried = keeper.compact(head, dry_run=True)

    assert (keeper.stats().head, keeper.stats().horizon) == (head, 0)
    assert keeper.document(A, "deleted", as_of=head - 8) is not None
    done = keeper.compact(head)
    assert (tried.payloads, tried.payload_bytes, tried.segments) == (6, done.payload_bytes, 3)


def test_compaction_gives_disk_space_back(reopen: Open, tmp_path: Path) -> None:
    """A text of 2 MB that was deleted makes the ledger's file smaller by as much."""
    keeper = reopen()
    text = " ".join(f"word{number} of a long text." for number in range(80_000))
    keeper.append([document("long", text), document("kept")])
    keeper.append([changes.delete_document("long", A)])

    report = keeper.compact(2 + 1)

    assert report.bytes_before - report.bytes_after > len(text)


def test_compaction_again_goes_on_from_the_last(reopen: Open, tmp_path: Path) -> None:
    """A second one erases what was superseded since, in bulk loads too; an earlier one is refused."""
    keeper = reopen()
    fill(keeper, tmp_path)
    first = keeper.compact(keeper.stats().head).horizon
    keeper.append([changes.delete_document("in-2", A), document("changed", "Newer still.")])

    with pytest.raises(InvalidValueError, match="erased already"):
        keeper.compact(2)
    report = keeper.compact(keeper.stats().head)

    assert (report.payloads, report.segments) == (1, 1)
    assert report.horizon > first
    assert files_with(tmp_path, "bulk text that stays") == []
    assert keeper.verify() == keeper.stats().head


def test_compaction_keeps_idempotency_keys(reopen: Open, tmp_path: Path) -> None:
    """A retry of a request from before the horizon is still known."""
    keeper = reopen()
    fill(keeper, tmp_path)
    keeper.compact(keeper.stats().head)
    wanted = [document("kept"), document("other", tenant=B)]

    assert keeper.append(wanted, idempotency_key="first").replayed


def test_compaction_of_an_impossible_position_is_refused(reopen: Open) -> None:
    """Beyond the ledger's end there is nothing to compact."""
    keeper = reopen()
    keeper.append([document("d")])

    with pytest.raises(InvalidValueError, match="from 1 to 1"):
        keeper.compact(7)


def test_compaction_killed_at_any_step_is_finished_by_the_next_start(
    reopen: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after each of its steps: the restarted keeper ends where an undisturbed one does."""
    keeper = reopen()
    fill(keeper, tmp_path)
    horizon, head = keeper.knowledge_seq(), keeper.stats().head
    before = digests(keeper, horizon)

    def cut_off(*_: object) -> None:
        raise OSError("the process ends here")

    steps = [("data.keeper.erase",), ("data.keeper.remove_discarded",)]
    steps += [(Ledger, "reclaim"), (Keeper, "_rebuild"), (Keeper, "purge"), (Ledger, "finish_compaction")]
    for step in steps:
        with monkeypatch.context() as patch:
            patch.setattr(*step, cut_off)
            with pytest.raises(OSError, match="ends here"):
                keeper.compact(head)
        keeper.close()
        with monkeypatch.context() as patch:
            patch.setattr(Keeper, "_carry_out", lambda *_: None)  # opened, and killed before it goes on
            keeper = reopen()
            assert keeper._compaction is not None
            keeper._compaction.join()
            assert keeper.stats().horizon == horizon
            assert keeper.verify() == head + 1
    keeper.close()
    keeper = reopen()
    assert keeper._compaction is not None
    keeper._compaction.join()

    assert digests(keeper, horizon) == before
    assert files_with(tmp_path, GONE) == []
    assert keeper.verify() == head + 1


def test_compaction_beside_writers_loses_no_write(reopen: Open, tmp_path: Path) -> None:
    """Writers go on while it works; what they wrote is there, and only the superseded is gone."""
    keeper = reopen()
    fill(keeper, tmp_path)
    done, written = threading.Event(), list[str]()

    def write() -> None:
        while not done.is_set():
            name = f"w{len(written)}"
            keeper.append([document(name, f"A bridge called {name}.")])
            written.append(name)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        keeper.compact(keeper.stats().head)
    finally:
        done.set()
        writer.join()

    assert written
    assert all(keeper.document(A, name) for name in written)
    assert keeper.verify() == keeper.stats().head
    assert not keeper.check(views=True).faults


def test_task_compacts_a_stopped_home(
    reopen: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line of JSON; a dry run leaves the home as it is, and an age that is none is refused."""
    keeper = reopen()
    fill(keeper, tmp_path)
    head = keeper.stats().head
    keeper.close()
    there = ["--home-stopped", "--set", f"home={tmp_path}"]

    assert compact.main(["--horizon", str(head), "--dry-run", *there]) == 0
    assert json.loads(capsys.readouterr().out)["payloads"] == 6
    assert compact.main(["--older-than", "a while", *there]) == 2
    assert "write 30d" in capsys.readouterr().err
    assert reopen().stats().horizon == 0


def test_age_is_counted_back_from_now() -> None:
    """Days, hours and minutes."""
    assert compact.moment_before("30d", 2_592_000.0) == "1970-01-01T00:00:00+00:00"
    assert compact.moment_before("90m", 5_400.0) == "1970-01-01T00:00:00+00:00"
