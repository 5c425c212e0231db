"""The work on one file: copying it into a backup, and checking it there.

Used by creation and verification through the port ``Runner``, so that files can be worked on in this process
or by the tasks of a cluster. Invariant: what is copied is what the ledger says it is, or nothing is.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from data.backups.manifest import Position, StoredFile
from data.backups.parts import Chain, Row, read_part, write_part
from data.backups.sealing import Sealer
from data.backups.source import LedgerSource, ledger_path
from data.backups.targets import READ_BYTES, Target
from data.changes import SegmentRef, read_segment_ref
from data.errors import CorruptDataError, InvalidValueError, NotFoundError

#: Bytes of a part that stay in memory; larger ones go through a temporary file.
_SPOOL_BYTES = 32 << 20
#: Files worked on at a time in one process.
_AT_A_TIME = 4

Job = TypeVar("Job")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class PartJob:
    """Copy the rows after ``after`` up to ``until_seq`` to ``path``."""

    path: str
    after: Position
    until_seq: int


@dataclass(frozen=True, slots=True)
class FileJob:
    """Copy a file of the home (``source``: where its bytes are) to ``path``.

    ``content_sha256`` is what it must be. ``known`` is the same file as an earlier backup stored it: it is
    kept if it is there, with ``read_back`` only if every byte of it is as it was.
    """

    role: str
    name: str
    path: str
    source: str
    content_sha256: str | None = None
    known: StoredFile | None = None
    read_back: bool = False
    applied_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Copied:
    """A file of the backup, and how many bytes were written for it (0: it was there)."""

    file: StoredFile
    written_bytes: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a file once every byte was read: ``fault`` is ``None`` when it is whole."""

    path: str
    fault: str | None
    rows: dict[str, int] = field(default_factory=dict)
    segments: tuple[str, ...] = ()


class Runner(Protocol):
    """Works on many files, in this process or elsewhere; answers come in the order of the jobs."""

    def copy(self, jobs: Sequence[PartJob | FileJob]) -> list[Copied]:
        """Copy every file, or raise what the first one that failed raised."""
        ...

    def check(self, files: Sequence[StoredFile]) -> list[Checked]:
        """Read every byte of every file."""
        ...


class Worker:
    """Works on a few files at a time, in this process: a ``Runner``."""

    def __init__(self, home: Path | None, target: Target, sealer: Sealer) -> None:
        self._home = home
        self._target = target
        self._sealer = sealer

    def copy(self, jobs: Sequence[PartJob | FileJob]) -> list[Copied]:
        """See ``Runner``."""
        return side_by_side(self._copied, jobs)

    def check(self, files: Sequence[StoredFile]) -> list[Checked]:
        """See ``Runner``."""
        return side_by_side(self._checked, files)

    def _copied(self, job: PartJob | FileJob) -> Copied:
        return self._part(job) if isinstance(job, PartJob) else self._file(job)

    def _part(self, job: PartJob) -> Copied:
        if self._home is None:
            raise ValueError("a part is copied from a home, and none was given")
        with LedgerSource(ledger_path(self._home)) as source, spool() as draft:
            try:
                span = write_part(draft, source.rows(job.after.seq, job.until_seq), job.after)
            except CorruptDataError as exc:
                text = f"The ledger in {self._home} cannot be backed up, for {exc}: restore it."
                raise CorruptDataError(text) from exc
            name = part_name(span.first_seq, span.last_seq)
            return self._store(StoredFile("ledger", name, job.path, 0, "", "", span), _chunks(draft))

    def _file(self, job: FileJob) -> Copied:
        if job.known is not None and self._is_there(job.known, read_back=job.read_back):
            return Copied(job.known, 0)
        if job.content_sha256 is not None:
            # Before, not while it is sealed: the seal of a content-named file is made for this content only.
            for _ in _local(Path(job.source), job.content_sha256, job.name):
                pass
        file = StoredFile(
            "segment" if job.role == "segment" else "view",
            job.name,
            job.path,
            0,
            "",
            job.content_sha256 or "",
            applied_seq=job.applied_seq,
        )
        return self._store(file, _local(Path(job.source), job.content_sha256, job.name))

    def _store(self, file: StoredFile, chunks: Iterable[bytes]) -> Copied:
        content, stored = Tally(chunks), Tally(())
        stored.chunks = self._sealer.seal(file.name, content, content_sha256=file.content_sha256 or None)
        self._target.write(file.path, stored)
        done = StoredFile(
            file.role,
            file.name,
            file.path,
            stored.size,
            stored.sha256,
            content.sha256,
            file.span,
            file.applied_seq,
        )
        return Copied(done, stored.size)

    def _is_there(self, file: StoredFile, *, read_back: bool) -> bool:
        if read_back:
            return self._checked(file).fault is None
        return self._target.size(file.path) == file.size

    def _checked(self, file: StoredFile) -> Checked:
        try:
            if file.span is None:
                for _ in opened(self._target, self._sealer, file):
                    pass
                return Checked(file.path, None)
            rows: Counter[str] = Counter()
            loads: set[str] = set()
            for page in part_rows(self._target, self._sealer, file):
                rows.update(row.entry.kind for row in page)
                loads |= {
                    read_segment_ref(row.entry.payload).uri
                    for row in page
                    if row.entry.kind == "segment.load"
                }
            return Checked(file.path, None, dict(rows), tuple(sorted(loads)))
        except (CorruptDataError, NotFoundError) as exc:
            return Checked(file.path, str(exc))


def side_by_side(work: Callable[[Job], Done], jobs: Sequence[Job]) -> list[Done]:
    """Do some work on each of many files and return what came of it, in order.

    Reading, hashing, encrypting and waiting for the disk all leave the interpreter to others. The first
    failure ends it, once what has begun is done.
    """
    if len(jobs) < 2:
        return [work(job) for job in jobs]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(work, jobs))


class Tally:
    """Chunks passing by, counted and hashed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks
        self.size = 0
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of what has passed."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.size += len(chunk)
            self._digest.update(chunk)
            yield chunk


def part_name(first_seq: int, last_seq: int) -> str:
    """Return the name of a part of the ledger."""
    return f"ledger/{first_seq:020d}-{last_seq:020d}"


def opened(target: Target, sealer: Sealer, file: StoredFile) -> Iterator[bytes]:
    """Yield a stored file's content; it counts only when the iteration ends without an error.

    Raises:
        CorruptDataError: it is not what the manifest says. NotFoundError: it is missing.
    """
    stored = Tally(target.read(file.path))
    # Without a key both are the same bytes: hashing is half of the work, so it is done once.
    content = stored if sealer.key_id is None else Tally(sealer.open(file.name, stored))
    try:
        yield from content
    except (CorruptDataError, InvalidValueError) as exc:
        raise CorruptDataError(f"The backup file {file.path} is damaged: {exc}") from exc
    if (stored.size, stored.sha256) != (file.size, file.sha256):
        raise CorruptDataError(f"The backup file {file.path} does not match its size and SHA-256.")
    if content.sha256 != file.content_sha256:
        raise CorruptDataError(f"The content of the backup file {file.path} does not match its SHA-256.")


def segment_content(
    target: Target, sealer: Sealer, ref: SegmentRef, *, file: StoredFile | None = None
) -> Iterator[bytes]:
    """Yield a segment's bytes: from a backup's file, or (without one) as it was streamed.

    Raises:
        CorruptDataError: it is damaged. NotFoundError: it is missing.
    """
    path = file.path if file else sealer.stored_name(ref.uri)
    if file is not None:
        yield from opened(target, sealer, file)
        sha256 = file.content_sha256
    else:
        content = Tally(sealer.open(ref.uri, target.read(path)))
        yield from content
        sha256 = content.sha256
    if sha256 != ref.sha256:
        raise CorruptDataError(f"The backup file {path} is not the segment that the ledger names.")


def part_rows(target: Target, sealer: Sealer, file: StoredFile) -> Iterator[list[Row]]:
    """Yield the rows of a stored part once the whole file is known to be sound, following its chain.

    Raises:
        CorruptDataError: names the file.
    """
    span = file.span
    if span is None:
        raise ValueError(f"{file.path} is not a part of the ledger")
    with spool() as draft:
        for chunk in opened(target, sealer, file):
            draft.write(chunk)
        draft.seek(0)
        last = None
        for page in verified_rows(draft, Position(span.first_seq - 1, span.before), file.path):
            last = page[-1].entry if page else last
            yield page
    if last is None or (last.seq, last.sha256.hex()) != (span.last_seq, span.after):
        raise CorruptDataError(f"The backup file {file.path} does not end where its manifest says.")


def verified_rows(draft: IO[bytes], start: Position, path: str) -> Iterator[list[Row]]:
    """Yield the rows of a Parquet file that come after ``start``, while they follow it.

    Raises:
        CorruptDataError: names the file.
    """
    chain = Chain(start)
    try:
        for rows in read_part(draft):
            page = [row for row in rows if row.entry.seq > start.seq]
            chain.follow(page)
            yield page
    except CorruptDataError as exc:
        raise CorruptDataError(f"The backup file {path} is damaged: {exc}.") from exc


@contextmanager
def spool() -> Iterator[Any]:
    """Lend a temporary file that is in memory while it is small."""
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as file:
        yield file


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(READ_BYTES):
        yield chunk


def _local(path: Path, sha256: str | None, name: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            content = Tally(iter(lambda: file.read(READ_BYTES), b""))
            yield from content
    except OSError as exc:
        raise CorruptDataError(
            f"The file {name} of this home cannot be read ({exc.strerror}): restore it."
        ) from exc
    if sha256 is not None and content.sha256 != sha256:
        raise CorruptDataError(f"The file {name} of this home does not match its SHA-256: restore it.")
