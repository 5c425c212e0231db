"""Load a file of knowledge into a running installation: ``python -m tasks.import_knowledge FILE``.

JSONL, CSV and Parquet hold documents, facts, sources or ClaimReviews, one a row; ``.nq`` holds N-Quads;
``.json`` a schema.org ClaimReview feed, each review a document (see ``data.claim_reviews``). Ray Data hands
the chunks of the file to mappers, which write immutable segments (documents with their vectors); the keeper
takes each segment in with one ledger row. Segments are named by their content, so an import that was killed
and is started again ends with the same knowledge. Rows that cannot be taken stand beside the file, with the
reason.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from cluster.head import home_of
from cluster.remote import RemoteModels, RemoteReader
from configs.schema import Settings
from data.changes import SegmentRef, load_segment
from data.chunks import Chunk, cut, lines_of, rows_of
from data.claims import DEFAULT_TENANT, TenantId, tenant_id
from data.errors import InvalidValueError, KiteError
from data.jobs.running import tell
from data.rdf import canonical_quads
from data.rows import ROW_KINDS, BadRow, RowKind, kind_of, read_row
from data.segments import write_documents, write_facts, write_graph, write_sources
from tasks.session import add_settings_arguments, connect, settings_from

#: Rows of one segment: large enough for Parquet, small enough for a mapper's memory.
SEGMENT_ROWS = 1_000
#: CPUs of a mapper: a fraction, or on a small machine nothing is left for the rest of the job and it hangs.
MAPPER_CPUS = 0.25


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did."""

    file: str
    kind: str
    rows: int
    imported: int
    rejected: int
    segments: int
    rejected_file: str | None
    knowledge_seq: int
    seconds: float


class SegmentWriter:
    """A Ray Data mapper: chunks in, one row a segment out, with what was set aside."""

    def __init__(self, home: str, kind: str) -> None:
        self._home = Path(home)
        self._kind = kind
        self._models = RemoteModels()

    def __call__(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return ``{"segment": json, "rejected": json}`` for each segment of one chunk."""
        chunk = Chunk(**row)
        written = self._graph(chunk) if self._kind == "graph" else self._rows(chunk)
        return [
            {
                "segment": msgspec.json.encode(ref).decode() if ref else "",
                "rejected": msgspec.json.encode(bad).decode(),
            }
            for ref, bad in written
        ]

    def _rows(self, chunk: Chunk) -> Iterator[tuple[SegmentRef | None, list[BadRow]]]:
        rows = rows_of(chunk)
        while group := list(islice(rows, SEGMENT_ROWS)):
            good: list[Any] = []
            bad: list[BadRow] = []
            for row in group:
                value = row if isinstance(row, BadRow) else self._value(row)
                (bad if isinstance(value, BadRow) else good).append(value)
            yield (self._write(good) if good else None), bad

    def _value(self, row: dict[str, Any]) -> Any:
        try:
            return read_row(self._kind, row)  # type: ignore[arg-type]
        except InvalidValueError as exc:
            return BadRow(msgspec.json.encode(row, enc_hook=str).decode(), str(exc))

    def _write(self, good: list[Any]) -> SegmentRef:
        if self._kind == "facts":
            return write_facts(self._home, good)
        if self._kind == "sources":
            return write_sources(self._home, good)
        return write_documents(self._home, good, embed=self._models.embed, embedder=self._models.identity)

    def _graph(self, chunk: Chunk) -> Iterator[tuple[SegmentRef | None, list[BadRow]]]:
        lines = lines_of(chunk)
        while group := [line.decode("utf-8", "replace") for line in islice(lines, SEGMENT_ROWS)]:
            yield self._statements(group, Path(chunk.path).name)

    def _statements(self, lines: list[str], key: str) -> tuple[SegmentRef | None, list[BadRow]]:
        told = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not told:
            return None, []
        good: list[str] = []
        bad: list[BadRow] = []
        for line in told:
            try:
                canonical_quads(line, key)
                good.append(line)
            except InvalidValueError as exc:
                bad.append(BadRow(line, str(exc)))
        return (write_graph(self._home, "\n".join(good), key) if good else None), bad


def import_file(
    path: Path, settings: Settings, *, kind: RowKind | None = None, tenant: TenantId = DEFAULT_TENANT
) -> ImportReport:
    """Import one file through Ray Data and return what was done. Ray must be connected.

    Raises:
        InvalidValueError: there is no such file, or its type or columns are not known.
    """
    started = time.monotonic()
    chunks = cut(path)
    chosen = _kind(chunks, kind) if chunks else "documents"
    knowledge = RemoteReader()
    taken: list[SegmentRef] = []
    bad: list[BadRow] = []
    for ref, rejected in _segments(chunks, home_of(settings), chosen):
        bad.extend(rejected)
        if ref is not None:
            knowledge.append([load_segment(ref, tenant)], idempotency_key=f"import/{tenant}/{ref.sha256}")
            taken.append(ref)
        _progress(sum(item.rows for item in taken), len(bad))
    beside = _set_aside(path, bad)
    imported = sum(ref.rows for ref in taken)
    _progress(imported, len(bad), imported + len(bad))
    return ImportReport(
        file=path.name,
        kind=chosen,
        rows=imported + len(bad),
        imported=imported,
        rejected=len(bad),
        segments=len(taken),
        rejected_file=beside.name if beside else None,
        knowledge_seq=knowledge.position(),
        seconds=round(time.monotonic() - started, 3),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; print one JSON report; exit 1 with one line when the input is bad."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.import_knowledge", description="Load a file of knowledge."
    )
    parser.add_argument("file", type=Path, help="JSONL, CSV, Parquet, N-Quads or a ClaimReview feed")
    parser.add_argument(
        "--kind", choices=ROW_KINDS, help="what the rows are; found from the columns if left out"
    )
    parser.add_argument("--tenant", default=DEFAULT_TENANT)
    add_settings_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        settings = settings_from(options)
        with connect(settings):
            report = import_file(
                options.file.resolve(), settings, kind=options.kind, tenant=tenant_id(options.tenant)
            )
    except KiteError as exc:
        print(f"import_knowledge: {exc}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return 1
    print(msgspec.json.encode(report).decode())  # noqa: T201 - the report of a command
    return 0


def _kind(chunks: Sequence[Chunk], kind: RowKind | None) -> str:
    if chunks[0].form == "nquads":
        return "graph"
    if kind is not None:
        return kind
    first = next((row for row in rows_of(chunks[0]) if not isinstance(row, BadRow)), None)
    if first is None:
        raise InvalidValueError(f"{Path(chunks[0].path).name}: holds no row that can be read.")
    return kind_of(first)


def _segments(
    chunks: Sequence[Chunk], home: Path, kind: str
) -> Iterator[tuple[SegmentRef | None, list[BadRow]]]:
    import ray.data
    from ray.data import ActorPoolStrategy

    if not chunks:
        return
    logging.getLogger("ray.data").setLevel(logging.WARNING)  # importing it sets it to DEBUG
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    written = ray.data.from_items([asdict(chunk) for chunk in chunks]).flat_map(
        SegmentWriter,
        compute=ActorPoolStrategy(min_size=1, max_size=2),
        num_cpus=MAPPER_CPUS,
        fn_constructor_args=(str(home), kind),
    )
    for row in written.iter_rows():
        ref = msgspec.json.decode(row["segment"], type=SegmentRef) if row["segment"] else None
        yield ref, msgspec.json.decode(row["rejected"], type=list[BadRow])


def _set_aside(path: Path, bad: Sequence[BadRow]) -> Path | None:
    beside = path.with_name(f"{path.name}.rejected.jsonl")
    if not bad:
        return None
    beside.write_bytes(b"".join(msgspec.json.encode(item) + b"\n" for item in bad))
    return beside


def _progress(imported: int, rejected: int, total: int | None = None) -> None:
    tell(imported + rejected, total, "importing")
    print(f"{imported:,} rows in, {rejected:,} set aside", file=sys.stderr)  # noqa: T201 - progress


if __name__ == "__main__":
    sys.exit(main())
