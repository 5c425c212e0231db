"""Rows of the ledger as Parquet: what backups and the stream are made of.

Called by ``data.backups.worker``, the stream and the restore. A row keeps every column of the ledger, its
SHA-256 included, and the idempotency keys of the requests that end at it. Invariant: rows are handed out
only while the hash chain holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from data.backups.manifest import Position, Span
from data.claims import TenantId
from data.errors import CorruptDataError
from data.ledger import Entry, chained
from data.redaction import content_of

#: Rows of a row group: bounds what is in memory.
GROUP_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Request:
    """An idempotency key, where its request's rows begin, and the digest of what was asked."""

    tenant: TenantId
    key: str
    first_seq: int
    request: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the ledger and the requests whose last row it is."""

    entry: Entry
    requests: tuple[Request, ...] = ()


class Chain:
    """The hash chain from a position on: follows rows and says where they lead."""

    def __init__(self, start: Position) -> None:
        self.position = start

    def follow(self, rows: Iterable[Row]) -> None:
        """Go on over these rows.

        Raises:
            CorruptDataError: one of them is not the next, or is altered; says which.
        """
        seq, last, ts = self.position.seq, bytes.fromhex(self.position.sha256), self.position.ts
        for row in rows:
            entry, seq = row.entry, seq + 1
            if entry.seq != seq:
                raise CorruptDataError(f"the row at seq {seq} is missing (seq {entry.seq} stands there)")
            last, ts = chained(last, entry), entry.ts
            if last != entry.sha256 or not is_whole(entry):
                raise CorruptDataError(f"the row at seq {seq} is altered, or belongs to another history")
        self.position = Position(seq, last.hex(), ts)


def is_whole(entry: Entry) -> bool:
    """Return whether what stands in place of an erased payload is as it was written: no chain covers it."""
    try:
        content_of(entry.payload)
    except CorruptDataError:
        return False
    return True


def position_after(page: Sequence[Row], position: Position) -> Position:
    """Return where a page of rows leads from a position."""
    if not page:
        return position
    last = page[-1].entry
    return Position(last.seq, last.sha256.hex(), last.ts)


def write_part(sink: IO[bytes], pages: Iterable[list[Row]], start: Position) -> Span:
    """Write rows that follow ``start`` as Parquet and return where they lie in the chain.

    Raises:
        CorruptDataError: the chain does not hold.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    chain, schema = Chain(start), _schema()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for page in pages:
            chain.follow(page)
            writer.write_table(pa.Table.from_pydict(_columns(page), schema=schema))
    end = chain.position
    return Span(start.seq + 1, end.seq, start.sha256, end.sha256)


def read_part(file: IO[bytes]) -> Iterator[list[Row]]:
    """Yield the rows of a Parquet file in pages; who calls follows the chain.

    Raises:
        CorruptDataError: it is not a file that :func:`write_part` wrote.
    """
    import pyarrow.parquet as pq

    with _readable():
        part = pq.ParquetFile(file)
        if part.schema_arrow.names != _schema().names:
            raise CorruptDataError("it does not have the columns of a ledger")
        groups = range(part.num_row_groups)
    for group in groups:
        with _readable():
            rows = part.read_row_group(group).to_pylist()
            page = [_row(values) for values in rows]
        yield page


def _row(values: dict[str, Any]) -> Row:
    requests = tuple(Request(**one) for one in values.pop("requests") or ())
    return Row(Entry(**values), requests)


def _columns(page: list[Row]) -> dict[str, list[Any]]:
    columns = {name: [getattr(row.entry, name) for row in page] for name in Entry.__slots__}
    return {**columns, "requests": [[_request(one) for one in row.requests] for row in page]}


def _request(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in Request.__slots__}


def _schema() -> Any:
    import pyarrow as pa

    text, blob, whole = pa.string(), pa.binary(), pa.int64()
    request = pa.struct([("tenant", text), ("key", text), ("first_seq", whole), ("request", blob)])
    return pa.schema(
        [("seq", whole)]
        + [(name, text) for name in ("ts", "tenant", "actor", "kind", "key")]
        + [("payload", blob), ("sha256", blob), ("requests", pa.list_(request))]
    )


@contextmanager
def _readable() -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, TypeError, ValueError) as exc:
        raise CorruptDataError(f"it cannot be read as Parquet ({exc})") from exc
