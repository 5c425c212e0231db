"""Put the demo knowledge and the shipped patterns into a running installation; a second time changes nothing.

Called by ``kite up``. A few hundred rows go straight to the keeper: a Ray Data job would take longer to
start than they take to write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from data.changes import put_document, put_fact, put_graph, put_pattern, put_source
from data.chunks import cut, rows_of
from data.claims import DEFAULT_TENANT, SHARED_TENANT, TenantId
from data.errors import CorruptDataError
from data.knowledge import Change, Pattern
from data.lookup import KnowledgeReader
from data.rows import BadRow, RowKind, read_row

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEMO = PROJECT_ROOT / "demo"
PATTERNS = PROJECT_ROOT / "configs" / "patterns.jsonl"
#: Changes written at once.
ROWS_AT_ONCE = 200


def load_patterns(knowledge: KnowledgeReader) -> int:
    """Write the shipped wordings for every tenant; return how many there are."""
    patterns = [msgspec.convert(row, Pattern) for row in _rows(PATTERNS)]
    return _write(knowledge, PATTERNS, [put_pattern(pattern, SHARED_TENANT) for pattern in patterns])


def load_demo(knowledge: KnowledgeReader, tenant: TenantId = DEFAULT_TENANT) -> int:
    """Write the demo sources, documents, facts and statements; return how many changes they are."""
    total = 0
    kinds: list[tuple[str, RowKind, Callable[..., Change]]] = [
        ("sources.jsonl", "sources", put_source),
        ("documents.jsonl", "documents", put_document),
        ("facts.jsonl", "facts", put_fact),
    ]
    for name, kind, put in kinds:
        values = (read_row(kind, row) for row in _rows(DEMO / name))
        total += _write(knowledge, DEMO / name, [put(value, tenant) for value in values])
    graph = DEMO / "graph.nq"
    return total + _write(knowledge, graph, [put_graph(graph.read_text(encoding="utf-8"), "demo", tenant)])


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for chunk in cut(path):
        for row in rows_of(chunk):
            if isinstance(row, BadRow):
                raise CorruptDataError(f"{path.name}: {row.reason}")
            yield row


def _write(knowledge: KnowledgeReader, path: Path, changes: Sequence[Change]) -> int:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:24]
    rest = iter(changes)
    for number, group in enumerate(iter(lambda: list(islice(rest, ROWS_AT_ONCE)), [])):
        knowledge.append(group, idempotency_key=f"demo/{path.name}/{digest}/{number}")
    return len(changes)
