"""Writers at full speed, and what they remember of it.

Called by ``tests.crash.runs``. Invariant: a write is counted as acknowledged only when its answer has
arrived here, in a process that is not killed; the first change of every write has a payload of its own.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Client
from pathlib import Path

from data import changes, segments
from data.claims import TenantId
from data.errors import KiteError
from data.knowledge import Change, Document, Fact, Source

TENANTS = (TenantId("a"), TenantId("b"))
#: Ids a writer uses again and again, so that most writes replace or remove what an earlier one stored.
NAMES = 12
WORDS = ["river", "bridge", "tower", "council", "harbour", "valley", "railway", "glacier", "island", "museum"]


@dataclass(slots=True)
class Write:
    """One request: its key, its changes, and the positions it was acknowledged with."""

    key: str
    changes: tuple[Change, ...]
    receipt: tuple[int, int] | None = None


@dataclass(slots=True)
class Writer:
    """One thread that writes until its keeper dies; in the next run it repeats what was not answered."""

    home: Path
    name: str
    chance: random.Random
    writes: list[Write] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def run(self, address: str) -> None:
        """Write until the connection breaks."""
        try:
            with Client(address) as connection:
                while True:
                    write = self._next()
                    connection.send(("append", write.changes, write.key))
                    answer = connection.recv()
                    if isinstance(answer, KiteError):
                        self.refused.append(f"{write.key}: {answer}")
                        return
                    write.receipt = answer
        except (EOFError, OSError):
            return

    def _next(self) -> Write:
        if self.writes and self.writes[-1].receipt is None:
            return self.writes[-1]  # nobody knows what became of it: the same key makes it happen once
        number = len(self.writes)
        write = Write(f"{self.name}/{number}", tuple(self._changes(number)))
        self.writes.append(write)
        return write

    def _changes(self, number: int) -> list[Change]:
        tenant, mark = self.chance.choice(TENANTS), f"{self.name}.{number}"
        if number % 50 == 49:
            documents = [self._document(f"{mark}.{n}") for n in range(3)]
            return [changes.load_segment(segments.write_documents(self.home, documents), tenant)]
        made: list[Change] = [changes.put_document(self._document(mark), tenant)]
        name = f"{self.name}.{self.chance.randrange(NAMES)}"
        fact = Fact(name, "tower", "height", mark, float(number), "m")
        graph = f'<http://e/{name}> <http://www.w3.org/2000/01/rdf-schema#label> "{mark}" .'
        record = changes.VerdictRecord(mark, "c", f"fp{number % 7}", "REFUTED", 0.5, b'{"id": "x"}')
        also = [
            changes.put_fact(fact, tenant),
            changes.put_graph(graph, name, tenant),
            changes.put_source(Source(name, mark, owner="press"), tenant),
            changes.put_verdict(record, tenant),
            changes.delete_document(name, tenant),
            changes.delete_fact(name, tenant),
            changes.delete_graph(name, tenant),
        ]
        return made + self.chance.sample(also, self.chance.randrange(4))

    def _document(self, mark: str) -> Document:
        name = f"{self.name}.{self.chance.randrange(NAMES)}"
        return Document(name, f"{mark} tells of the {self.chance.choice(WORDS)}. It is old.", f"T{mark}")


def start_all(writers: list[Writer], address: str) -> list[threading.Thread]:
    """Let every writer write in a thread of its own."""
    threads = [threading.Thread(target=writer.run, args=(address,)) for writer in writers]
    for thread in threads:
        thread.start()
    return threads
