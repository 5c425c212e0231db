"""Zero lost acknowledged writes: a keeper killed at full speed and opened again, time after time."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from data.claims import DEFAULT_TENANT
from data.keeper import Keeper
from data.ports import Query
from tests.fakes import FakeClock, FakeVectorSink

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 10

# Writers print the name of each write after it was acknowledged; the parent believes whole lines only.
WRITER = """
import sys, threading
from pathlib import Path
from data import changes
from data.clock import SystemClock
from data.keeper import Keeper
from data.knowledge import Document, Fact
from tests.fakes import FakeVectorSink
keeper = Keeper(Path(sys.argv[1]), SystemClock(), FakeVectorSink())
print("ready", flush=True)
def write(thread):
    for number in range(100_000):
        name = f"{sys.argv[2]}.{thread}.{number}"
        record = changes.VerdictRecord(name, "c", "fp", "REFUTED", 0.5, b"{}")
        keeper.append([
            changes.put_document(Document(name, f"The tower {name} is tall.")),
            changes.put_fact(Fact(name, "tower", "height", "330 m", 330.0)),
            changes.put_graph(f'<http://e/{name}> <http://e/height> "330" .', name),
            changes.put_verdict(record),
        ], idempotency_key=name)
        sys.stdout.write(name + "\\n"); sys.stdout.flush()
for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""


@pytest.mark.timeout(300)
def test_keeper_killed_while_writing_loses_no_acknowledged_write(tmp_path: Path) -> None:
    """Ten times kill -9 at a random moment: the chain holds, every acknowledged write is there once."""
    chance = random.Random(20_260_101)
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        acknowledged += _killed_round(tmp_path, number, 0.2 + chance.random())
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    entries = keeper.read_entries(0, 1_000_000)
    written = Counter((entry.kind, entry.key) for entry in entries)
    stats = keeper.stats()
    seq = keeper.knowledge_seq()
    hits = keeper.search_text([Query(DEFAULT_TENANT, name, seq) for name in acknowledged[-50:]], 10_000)

    assert keeper.verify() == len(entries)
    assert len(acknowledged) > ROUNDS * 5
    assert set(written.values()) == {1}
    assert {key for kind, key in written if kind == "fact.put"} >= set(acknowledged)
    assert len(entries) == 4 * len({entry.key for entry in entries})
    whole = len(entries) // 4
    assert stats.views["passages"].counts["documents"] == stats.views["facts"].counts["facts"] == whole
    assert stats.views["graph"].counts["graphs"] == stats.views["history"].counts["verdicts"] == whole
    assert sum(keeper.verdict_labels(DEFAULT_TENANT).values()) == whole
    for name, found in zip(acknowledged[-50:], hits, strict=True):
        assert f"{name}#0" in {hit.id for hit in found}
    keeper.close()


def _killed_round(home: Path, number: int, life_s: float) -> list[str]:
    """Let a keeper write for a while, kill it, and return what it had acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home), str(number)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(life_s)
    child.kill()
    lines = child.stdout.read().split("\n")
    child.wait()
    return lines[:-1]
