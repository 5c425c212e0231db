"""What the ledger costs: single writes, bulk loads, how both hold as it grows, and bytes a passage.

``make bench-ledger`` prints one JSON document and never passes or fails. Everything goes through a keeper
with its views; vectors are left out, for they measure the embedder. Times are wall-clock on the machine's own
disk, each write durable when it is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data import changes, segments
from data.clock import SystemClock
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact
from data.ledger import Entry
from data.views.vectors import ReadEntries

#: Writes measured at each size, and rows of one transaction while the ledger is filled.
SAMPLES, FILL_ROWS = 60, 5_000
WRITERS = (1, 4, 16, 64)
SENTENCES = 12


class NoVectors:
    """A sink that wants nothing."""

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take nothing in."""

    def applied_seq(self) -> int:
        """Be ahead of every ledger."""
        return 2**62

    def rebuild(self, read: ReadEntries) -> int:
        """Have nothing to build."""
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ledger")
    parser.add_argument("--rows", type=int, default=1_000_000, help="size up to which the ledger is grown")
    parser.add_argument("--documents", type=int, default=20_000, help="documents of the bulk load")
    parser.add_argument("--writes", type=int, default=300, help="writes for each number of writers")
    parser.add_argument("--folder", type=Path, help="where the homes are made")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
        home = Path(folder)
        report = {
            "cpus": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 2),
            "fsync_ms": fsync_ms(home),
            "single_writes": single_writes(home / "single", options.writes),
            "bulk_import": bulk_import(home / "bulk", options.documents),
            "growth": growth(home / "growth", options.rows),
        }
    print(json.dumps(report, indent=1))
    return 0


def fsync_ms(folder: Path) -> float:
    """Return what the disk takes to make 4 KiB durable, for scale."""
    times = []
    with (folder / "probe").open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            started = time.perf_counter()
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return round(statistics.median(times) * 1e3, 3)


def single_writes(home: Path, count: int) -> dict[str, Any]:
    """Return documents a second, each a write of its own, by the number of writers at once."""
    keeper = Keeper(home, SystemClock(), NoVectors())
    rates = {}
    for writers in WRITERS:
        each = max(5, count // writers)
        names = [f"{writers}.{n}" for n in range(writers)]
        started = time.perf_counter()
        threads = [threading.Thread(target=_write, args=(keeper, name, each)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rates[f"{writers}_writers_per_s"] = round(each * writers / (time.perf_counter() - started), 1)
    keeper.close()
    return rates


def _write(keeper: Keeper, name: str, count: int) -> None:
    for number in range(count):
        keeper.append(
            [changes.put_document(document(f"{name}.{number}"))], idempotency_key=f"{name}.{number}"
        )


def bulk_import(home: Path, count: int) -> dict[str, Any]:
    """Return the rate of one segment from its writing to its being visible, and the bytes it takes."""
    keeper = Keeper(home, SystemClock(), NoVectors())
    before = bytes_under(home)
    started = time.perf_counter()
    ref = segments.write_documents(home, (document(f"d{number}") for number in range(count)))
    written = time.perf_counter() - started
    keeper.append([changes.load_segment(ref)])
    seconds = time.perf_counter() - started
    passages = keeper.states()["passages"].counts["passages"]
    keeper.close()
    text = sum(len(document(f"d{number}").text) for number in range(0, count, 100)) * 100
    return {
        "documents": count,
        "passages": passages,
        "documents_per_s": round(count / seconds, 1),
        "passages_per_s": round(passages / seconds, 1),
        "share_of_writing_the_file": round(written / seconds, 3),
        "disk_bytes_per_passage": round((bytes_under(home) - before) / passages, 1),
        "text_bytes_per_passage": round(text / passages, 1),
    }


def growth(home: Path, most: int) -> list[dict[str, Any]]:
    """Return what one write costs at 10,000 rows, at 100,000, and so on up to ``most``."""
    keeper = Keeper(home, SystemClock(), NoVectors())
    report, rows = [], 0
    for size in _sizes(most):
        started = time.perf_counter()
        filled = size - rows
        while rows < size:
            batch = list(_mixed(rows, min(FILL_ROWS, size - rows)))
            keeper.append(batch)
            rows += len(batch)
        fill_s = time.perf_counter() - started
        kinds: dict[str, Callable[[int], Change]] = {
            "document": _document,
            "fact": _fact,
            "verdict": _verdict,
        }
        found = {f"{kind}_ms": _median_ms(keeper, make, size) for kind, make in kinds.items()}
        rows = keeper.stats().head
        size_mb = bytes_under(home) / 2**20
        report.append(
            {
                "rows": size,
                **found,
                "filled_rows_per_s": round(filled / fill_s, 1),
                "disk_mb": round(size_mb, 1),
            }
        )
    keeper.close()
    return report


def _sizes(most: int) -> Iterator[int]:
    size = 10_000
    while size < most:
        yield size
        size *= 10
    yield most


def _median_ms(keeper: Keeper, make: Callable[[int], Change], size: int) -> float:
    times = []
    for number in range(SAMPLES):
        change = make(size * 1_000 + number)
        started = time.perf_counter()
        keeper.append([change])
        times.append(time.perf_counter() - started)
    return round(statistics.median(times) * 1e3, 3)


def _mixed(first: int, count: int) -> Iterator[Change]:
    """Yield rows as an installation has them: most are verdicts, then facts, then documents."""
    for number in range(first, first + count):
        yield (_document if number % 10 == 0 else _fact if number % 10 < 4 else _verdict)(number)


def _document(number: int) -> Change:
    return changes.put_document(document(f"g{number}"))


def _fact(number: int) -> Change:
    return changes.put_fact(
        Fact(f"g{number}", f"Town {number % 5_000}", "population", str(number), float(number))
    )


def _verdict(number: int) -> Change:
    body = json.dumps({"id": f"v{number}", "label": "REFUTED", "rationale": "It says something else. " * 20})
    record = changes.VerdictRecord(
        f"v{number}", f"Claim {number}.", f"{number:032x}", "REFUTED", 0.5, body.encode()
    )
    return changes.put_verdict(record)


def document(name: str) -> Document:
    """Return a document of about three passages whose words differ with its name."""
    words = [
        f"{name}-{n} of the river {zlib.crc32(f'{name}.{n}'.encode()) % 9_973} and its bridge"
        for n in range(SENTENCES)
    ]
    text = " ".join(
        f"The council met on day {n} to speak of {word} at length." for n, word in enumerate(words)
    )
    return Document(name, text, f"Report {name}")


def bytes_under(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
