"""Backups under writers, with flipped bits, and with restores that are killed: counts of what held.

Called by ``tests.benchmarks.backups``.
"""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from data.backups.manifest import read_catalogue
from data.backups.plan import plan
from data.backups.restoration import restore
from data.backups.stream import Follower
from data.backups.verification import check_stream, verify_backup
from data.backups.worker import Worker
from data.claims import DEFAULT_TENANT
from data.errors import CorruptDataError
from data.views.facts import FactFilter
from tests.benchmarks.backup_bench import (
    SMALL,
    Bench,
    Report,
    backed_up,
    command,
    place_of,
    start,
    timed,
)
from tests.benchmarks.backup_homes import (
    CountingEmbedder,
    change_one_percent,
    clone,
    digest_of_ledger,
    facts,
    running,
    tree,
)

WRITERS = 20


def consistency(bench: Bench) -> Report:
    """Twenty writers write while three backups are taken: each is exactly the state at its position."""
    home, target = bench.home(bench.passages), bench.target()
    stopped, acknowledged = threading.Event(), list[int]()
    with running(home, CountingEmbedder()) as (keeper, _):

        def write(writer: int) -> None:
            number = (writer + 1) * 10_000_000
            while not stopped.is_set():
                receipt = keeper.append(facts(number, 1), idempotency_key=f"{number}")
                acknowledged.append(receipt.last_seq)
                number += 1

        threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        started, before = time.monotonic(), len(acknowledged)
        kinds = ("full", "incremental", "differential")
        taken = [command("create", home, target, "--kind", kind) for kind in kinds]
        rate = (len(acknowledged) - before) / (time.monotonic() - started)
        stopped.set()
        for thread in threads:
            thread.join()
    compared = [_compared(bench, home, target, one) for one in taken]
    return {"writers": WRITERS, "writes_per_s_meanwhile": round(rate, 1), "backups": compared}


def _compared(bench: Bench, home: Path, target: Path, taken: Report) -> Report:
    """Restore a backup; compare its ledger with the home's, and its facts with its ledger."""
    head, restored = int(taken["head_seq"]), bench.work / "restored"
    shutil.rmtree(restored, ignore_errors=True)
    command("restore", restored, target, taken["id"])
    same = digest_of_ledger(restored) == digest_of_ledger(home, head)
    with running(restored, CountingEmbedder()) as (keeper, _):
        length, number = keeper.verify(), keeper.stats().views["facts"].counts["facts"]
        written = {entry.key for entry in keeper.read_entries(0, head) if entry.kind == "fact.put"}
        page = keeper.facts(DEFAULT_TENANT, FactFilter(limit=len(written) + 1))
    bench.expect(same and length == head, f"{taken['id']} is not the ledger up to {head}")
    bench.expect(written == {fact.id for fact in page}, f"{taken['id']}: facts are not those of the ledger")
    return {"id": taken["id"], "head_seq": head, "same_ledger": same, "chain_rows": length, "facts": number}


def damage(bench: Bench) -> Report:
    """A bit flipped anywhere in any file: verify names the file, a restore refuses and touches nothing."""
    home, target = bench.home(SMALL), bench.target()
    backed_up(home, target, views=True)
    change_one_percent(home, SMALL)
    backed_up(home, target, "incremental")
    before = tree(home)
    told = {"named": 0, "refused": 0, "untouched": 0}
    files, flips = sorted(path for path in target.rglob("*") if path.is_file()), 0
    for path in files:
        content = path.read_bytes()
        size = len(content)
        places = {0, size - 1, *(bench.chance.randrange(size) for _ in range(max(bench.runs // 4, 1)))}
        for place in sorted(places):
            flips += 1
            altered = bytearray(content)
            altered[place] ^= 1 << bench.chance.randrange(8)
            path.write_bytes(altered)
            told["named"] += _faults(home, target) == [path.relative_to(target).as_posix()]
            told["refused"] += _refuses(home, target)
            told["untouched"] += tree(home) == before
        path.write_bytes(content)
    for what, number in told.items():
        bench.expect(number == flips, f"of {flips} flipped bits only {number} were {what}")
    bench.expect(_faults(home, target) == [], "a mended backup is still refused")
    return {"files": len(files), "flipped": flips, **told}


def _faults(home: Path, target: Path) -> list[str]:
    place = place_of(home, target)
    catalogue = read_catalogue(place.target, place.sealer)
    newest = max(path.parent.name for path in target.glob("backups/*/manifest.json"))
    worker = Worker(None, place.target, place.sealer)
    verified = verify_backup(catalogue, newest, sealer=place.sealer, runner=worker)
    return [fault.path for fault in verified.faults]


def _refuses(home: Path, target: Path) -> bool:
    place = place_of(home, target)
    try:
        restore(place, plan(place, read_catalogue(place.target, place.sealer)))
    except CorruptDataError:
        return True
    return False


def stream_damage(bench: Bench) -> Report:
    """The same for streamed pieces: the check names the piece."""
    home, target = bench.home(SMALL), bench.target()
    backed_up(home, target)
    place, named, flips = place_of(home, target), 0, 0
    follower = Follower(place)
    for number in range(3):
        with running(home, CountingEmbedder()) as (keeper, _):
            keeper.append(facts(20_000_000 + number * 100, 100))
        follower.step()
    follower.close()
    for path in sorted(one for one in (target / "stream").rglob("*") if one.is_file()):
        content = path.read_bytes()
        for _ in range(bench.runs):
            flips += 1
            altered = bytearray(content)
            altered[bench.chance.randrange(len(content))] ^= 1 << bench.chance.randrange(8)
            path.write_bytes(altered)
            faults = check_stream(place, read_catalogue(place.target, place.sealer))
            named += [fault.path for fault in faults] == [path.relative_to(target).as_posix()]
        path.write_bytes(content)
    bench.expect(named == flips, f"of {flips} flipped bits in streamed pieces only {named} were named")
    return {"flipped": flips, "named": named}


def kills(bench: Bench) -> Report:
    """kill -9 of a restore at random instants: the old or the new state serves; again, and it finishes."""
    home, target = bench.home(SMALL, "before"), bench.target()
    backed_up(home, target, views=True)
    new = digest_of_ledger(home)
    change_one_percent(home, SMALL)
    old, left = digest_of_ledger(home), {"old": 0, "new": 0}
    _, start_s = timed(lambda: command("list", home, target))
    _, whole_s = timed(lambda: command("restore", clone(home, bench.work / "timed"), target))
    for _ in range(bench.runs):
        hit = clone(home, bench.work / "hit")
        child = start("restore", hit, target)
        time.sleep(bench.chance.uniform(0.9 * start_s, whole_s))
        child.kill()
        child.communicate()
        found = digest_of_ledger(hit)
        bench.expect(found in (old, new), "a killed restore left a ledger that is neither old nor new")
        left["old" if found == old else "new"] += 1
        with running(hit, CountingEmbedder()) as (keeper, _):
            documents = keeper.stats().views["passages"].counts["documents"]
            bench.expect(documents == SMALL + (SMALL // 100 if found == old else 0), "documents are missing")
        command("restore", hit, target)
        bench.expect(digest_of_ledger(hit) == new, "a restore started again did not finish")
    return {"kills": bench.runs, "left": left, "restore_command_s": whole_s}
