"""What a backup costs, what a disaster loses, and how long it takes until the home answers again.

Called by ``tests.benchmarks.backups``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from data.backups.creation import Created
from data.claims import DEFAULT_TENANT
from data.clock import SystemClock
from data.knowledge import Document
from data.ledger import Ledger
from data.ports import Hit, Query
from data.titles import titled
from tests.benchmarks.backup_bench import (
    ROOT,
    SMALL,
    Bench,
    Report,
    backed_up,
    command,
    start,
    timed,
    wait_for,
)
from tests.benchmarks.backup_homes import (
    CountingEmbedder,
    change_one_percent,
    documents,
    drawn,
    facts,
    running,
    tree,
)

#: Threads of the writer that is killed.
WRITERS = 4
#: Documents that are looked for by their own vectors after a recovery.
PROBES = 20


def incremental(bench: Bench) -> Report:
    """1 % more rows: bytes and seconds of an incremental backup beside those of the full one."""
    home, target = bench.home(bench.passages), bench.target()
    full = _cost(lambda: backed_up(home, target))
    with_views = _cost(lambda: backed_up(home, bench.target("with-views"), views=True))
    change_one_percent(home, bench.passages)
    more = _cost(lambda: backed_up(home, target, "incremental"))
    shares = {name: round(more[name] / full[name], 5) for name in more}
    for name, share in shares.items():
        bench.expect(share < 0.03, f"an incremental of 1 % costs {share:.2%} of a full one in {name}")
    return {"full": full, "full_with_views": with_views, "incremental": more, "share": shares}


def _cost(take: Callable[[], Created]) -> dict[str, float]:
    os.sync()
    used = time.process_time()
    created, seconds = timed(take)
    if created.instead:
        raise RuntimeError(f"a full backup was taken, for {created.instead}: prepare the home again")
    return {
        "bytes": created.written_bytes,
        "seconds": seconds,
        "cpu_seconds": round(time.process_time() - used, 3),
    }


def loss(bench: Bench) -> Report:
    """kill -9 of everything: nothing acknowledged is lost. Then the home is gone too: seconds are."""
    rounds = [_killed(bench, number) for number in range(max(bench.runs // 4, 2))]
    worst = max(one["machine_loss_s"] for one in rounds)
    lost = sum(one["process_loss_rows"] for one in rounds)
    bench.expect(worst <= 10.0, f"{worst} s of writes were lost with the machine")
    bench.expect(lost == 0, f"{lost} acknowledged writes were lost with the processes")
    return {"worst_machine_loss_s": worst, "process_loss_rows": lost, "rounds": rounds}


def _killed(bench: Bench, number: int) -> Report:
    home, target = bench.home(SMALL), bench.target()
    backed_up(home, target, views=True)
    journal = bench.work / f"journal-{number}"
    line = [sys.executable, "-m", "tests.benchmarks.backup_recovery", str(home), str(journal)]
    children = [subprocess.Popen(line, cwd=ROOT), start("stream", home, target)]
    try:
        wait_for(lambda: journal.exists() and any((target / "stream").rglob("*-*")))
        time.sleep(bench.chance.uniform(3.0, 9.0))
    finally:
        killed_at = time.monotonic()
        for child in children:
            child.kill()
    for child in children:
        child.communicate()
    acknowledged = [(float(at), int(seq)) for at, seq in map(str.split, _whole_lines(journal))]
    with contextlib.closing(Ledger(home / "ledger" / "ledger.sqlite", SystemClock())) as ledger:
        head = ledger.verify()
    shutil.rmtree(home)
    recovered = command("recover", bench.work / "new", target)
    end = recovered["restored"]["end"]["seq"]
    gone = sorted(at for at, seq in acknowledged if seq > end)
    shutil.rmtree(bench.work / "new")
    return {
        "acknowledged": len(acknowledged),
        "process_loss_rows": sum(seq > head for _, seq in acknowledged),
        "machine_loss_rows": len(gone),
        "machine_loss_s": round(killed_at - gone[0], 2) if gone else 0.0,
    }


def _whole_lines(journal: Path) -> list[str]:
    """Return the lines that were written in full: the writer was killed."""
    return journal.read_text(encoding="ascii").rpartition("\n")[0].split("\n")


def write_until_killed(home: Path, journal: Path) -> None:
    """Write at full speed from several threads; note when each write was acknowledged, and its position."""
    with running(home, CountingEmbedder()) as (keeper, _), journal.open("ab", buffering=0) as file:
        threads = [
            threading.Thread(target=_write, args=(keeper, file, (number + 3) * 10_000_000))
            for number in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _write(keeper: Any, file: IO[bytes], number: int) -> None:
    while True:
        seq = keeper.append(facts(number, 1), idempotency_key=f"{number}").last_seq
        file.write(f"{time.monotonic()} {seq}\n".encode())
        number += 1


def recovery(bench: Bench) -> Report:
    """The home is lost: seconds from ``kite recover`` to the first answer by words and by vectors."""
    home, target = bench.home(bench.passages), bench.target()
    with running(home, CountingEmbedder()) as (keeper, _):
        keeper.append(facts(30_000_000, 100))
    vectors = tree(home / "vectors")
    backup = _cost(lambda: backed_up(home, target, views=True))
    head = _stream_more(home, target)
    shutil.rmtree(home)
    os.sync()
    _forget_files(target)
    new, used = bench.work / "new", os.times()
    recovered, recover_s = timed(lambda: command("recover", new, target))
    after = os.times()
    bench.expect(recovered["chain_rows"] == head, f"{recovered['chain_rows']} rows came back, not {head}")
    bench.expect(tree(new / "vectors") == vectors, "the vectors' files are not those that were lost")
    answer = _answers(bench, new)
    total = round(recover_s + answer["open_and_answer_s"], 1)
    bench.expect(total < 120.0, f"recovery took {total} s")
    return {
        "rto_s": total,
        "recover_command_s": recover_s,
        "recover_steps_s": recovered["seconds"],
        "recover_cpu_s": round(
            after.children_user + after.children_system - used.children_user - used.children_system, 1
        ),
        "load_average": os.getloadavg(),
        "backup": backup,
        **answer,
    }


def _stream_more(home: Path, target: Path) -> int:
    """Write a thousand facts after the backup, stream them, and return the ledger's head."""
    with running(home, CountingEmbedder()) as (keeper, _):
        head = [keeper.append(facts(40_000_000 + first, 100)).last_seq for first in range(0, 1_000, 100)][-1]
    child = start("stream", home, target)
    wait_for(lambda: any((target / "stream").rglob("*-*")))
    child.terminate()
    child.communicate()
    return head


def _answers(bench: Bench, home: Path) -> Report:
    """Open a home and look for documents by their words and by their vectors."""
    embedder = CountingEmbedder()
    step = max(bench.passages // PROBES, 1_000)
    probes = [documents(first, 1_000)[7] for first in range(0, bench.passages - 999, step)]
    made = drawn([titled(one.title, one.text) for one in probes])
    started, used = time.perf_counter(), time.process_time()
    with running(home, embedder) as (keeper, vectors):
        seq = keeper.knowledge_seq()
        hits = vectors.search_vectors([DEFAULT_TENANT], made[:1], 3)
        words = keeper.search_text([Query(DEFAULT_TENANT, probes[0].text, seq)], 3)
        seconds, cpu = time.perf_counter() - started, time.process_time() - used
        hits += vectors.search_vectors([DEFAULT_TENANT] * (len(probes) - 1), made[1:], 3)
        words += keeper.search_text([Query(DEFAULT_TENANT, one.text, seq) for one in probes[1:]], 3)
        counts = {**keeper.stats().views["passages"].counts, **vectors.counts()}
    near, named = _found(probes, hits), _found(probes, words)
    bench.expect(embedder.texts == 0, f"{embedder.texts} passages were embedded again")
    bench.expect(counts["vectors"] == counts["passages"] == bench.passages, f"not all came back: {counts}")
    bench.expect(named == len(probes), f"{named} of {len(probes)} documents are found by their words")
    return {
        "open_and_answer_s": round(seconds, 3),
        "open_and_answer_cpu_s": round(cpu, 3),
        "counts": counts,
        "embedded_again": embedder.texts,
        "probes": len(probes),
        "found_by_words": named,
        "found_by_vectors": near,
    }


def _found(probes: Sequence[Document], hits: Sequence[Sequence[Hit]]) -> int:
    """Return how many documents are among the hits of their own search."""
    return sum(f"{one.id}#0" in {hit.id for hit in found} for one, found in zip(probes, hits, strict=True))


def _forget_files(folder: Path) -> None:
    """Let the system forget what it has read of a folder, so that it comes from disk again."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    write_until_killed(Path(sys.argv[1]), Path(sys.argv[2]))
