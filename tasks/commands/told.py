"""What a command has to say, apart from how it is shown. Pure; returned by every command of ``kite``.

Invariant: ``value`` alone makes the JSON, ``show`` alone what people read, and neither prints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from configs.errors import ConfigError, KiteError
from data.errors import CorruptDataError, DeadlineError, UnavailableError

#: Exit codes; the table in ``docs/command-line.md`` is made of them.
FINE, NEGATIVE, MISTAKE, PARTLY, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130
#: What a shell shows for a command whose reader went away (128 + SIGPIPE).
READER_GONE = 141
EXIT_CODES: dict[int, str] = {
    FINE: "done",
    NEGATIVE: "done, and the answer is no: a part is down, a check found a fault, bytes are damaged",
    MISTAKE: "what was asked cannot be done as it was asked; one line says why",
    PARTLY: "done in part: some rows could not be taken, and are told one by one",
    UNREACHABLE: "the service, or something it needs, cannot be reached or did not answer in time",
    INTERRUPTED: "interrupted (Ctrl-C)",
    READER_GONE: "whoever read the output went away",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """A table; ``empty`` is said in its place when it has no rows."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    empty: str = "There are none."


@dataclass(frozen=True, slots=True)
class Fields:
    """Names with their values, one a line."""

    fields: Sequence[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class Told:
    """What a command found or did, and its exit code.

    ``value`` is one JSON document; where ``is_stream``, an iterator of them, each shown as it comes. A
    stream's ``code`` is asked for once it has ended. ``show`` makes ``Rows``, ``Fields``, text, or something
    that rich draws.
    """

    value: Any
    show: Callable[[Any], Any]
    code: int | Callable[[], int] = FINE
    is_stream: bool = False


def code_of(error: KiteError) -> int:
    """Return the exit code of a command that an error ended."""
    if isinstance(error, UnavailableError | DeadlineError):
        return UNREACHABLE
    if isinstance(error, CorruptDataError) and not isinstance(error, ConfigError):
        return NEGATIVE
    return MISTAKE


def report_fields(report: Any) -> Fields:
    """Return a report as people read it: its fields, one a line, those of inner objects by their path."""
    return Fields(list(_flat(report, "")))


def _flat(value: Any, path: str) -> list[tuple[str, object]]:
    if isinstance(value, dict) and value:
        found: list[tuple[str, object]] = []
        for name, inner in value.items():
            found += _flat(inner, f"{path}.{name}" if path else str(name))
        return found
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return [pair for place, one in enumerate(value) for pair in _flat(one, f"{path}[{place}]")]
    if isinstance(value, list):
        return [(path, ", ".join(map(str, value)))]
    return [(path, "" if value is None else value)]
