"""The audit as its writers and readers see it, wherever it lies.

``data.audit.log`` answers in its own process, ``cluster.remote`` over the keeper. Pure values and a protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from data.audit.event import AuditEvent
from data.claims import TenantId

#: Most lines of one page.
MAX_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which lines are asked for; ``None``: whatever stands there.

    Lines after ``after`` and before ``before``, from ``since`` until ``until`` (ISO 8601, both inclusive).
    ``action`` is the beginning of one. ``newest``: the last ones first.
    """

    tenant: TenantId | None = None
    after: int = 0
    before: int | None = None
    limit: int = 100
    newest: bool = False
    subject: str | None = None
    action: str | None = None
    result: str | None = None
    request_id: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line as it is kept; ``sha256`` (hex) closes the chain here."""

    seq: int
    event: AuditEvent
    sha256: str


@dataclass(frozen=True, slots=True)
class AuditChecked:
    """What following the chain found.

    ``first`` and ``last`` are the lines there are (``first`` is ``last`` + 1 where there is none), ``head``
    (hex) the chain's end. ``gaps`` are lines that tell of a loss. ``fault`` says what does not hold, from
    line ``fault_seq`` on; empty where all holds.
    """

    first: int
    last: int
    head: str
    gaps: tuple[int, ...] = ()
    fault_seq: int | None = None
    fault: str = ""


class AuditSink(Protocol):
    """Keeps lines for good. Any thread may call."""

    def append(self, events: Sequence[AuditEvent], batch: str = "") -> int:
        """Write lines, all or none, and return the position of the last once they are durable.

        ``batch`` names this call: repeated, it writes nothing more.

        Raises:
            StoreUnavailableError: not written, or the outcome is unknown; repeat with the same ``batch``.
        """
        ...

    def read(self, query: AuditQuery) -> list[AuditRow]:
        """Return a page of lines.

        Raises:
            InvalidValueError: ``limit`` is not 1 to ``MAX_PAGE``.
        """
        ...

    def verify(self) -> AuditChecked:
        """Follow the whole chain."""
        ...

    def drop(self, until: str, *, subject: str) -> int:
        """Remove the oldest lines, those before the moment ``until``; return how many went.

        That they went, and on whose word, is a line itself.

        Raises:
            InvalidValueError: not an ISO 8601 day or instant.
        """
        ...
