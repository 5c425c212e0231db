"""What a batch is cut into: values that the planner makes and workers are handed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from data.batch.inputs import Form

#: Rows of a part: some ten seconds of work with all frameworks, which is the most that a kill costs.
PART_ROWS = 500


@dataclass(frozen=True, slots=True)
class Part:
    """``rows`` records of a file from byte ``start`` (line ``line``) on; of Parquet, rows from ``start``.

    ``header`` are the columns of a CSV. ``fault`` stands where the whole file cannot be read: the part then
    is one row that is dead.
    """

    number: int
    address: str
    name: str
    form: Form
    start: int
    line: int
    rows: int
    header: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class FileMark:
    """What one file was when it was planned."""

    name: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The files and their parts, in order."""

    files: tuple[FileMark, ...]
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """How many rows there are, good and bad."""
        return sum(part.rows for part in self.parts)
