"""Spans: what was done within a request, when, as part of what. Pure, and nothing unless somebody records.

Code says ``with span("faiss.search"):`` wherever time may go; whoever lets requests in (an ingress, a worker,
a job) begins a trace, and only then is anything kept. What runs in other processes is recorded there and
comes back with the answer, so that one place has a whole trace and decides about it. Invariant: spans hold
names, sizes and figures, never a claim's text, and an answer is the same whether it is traced or not.

Source: W3C Trace Context, level 1 (``traceparent``); names follow OpenTelemetry's semantic conventions 1.38.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from enum import IntEnum
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import msgspec

#: Most spans (and answers with spans) that one recording keeps, and most that one trace is shown with.
MOST_SPANS, MOST_SHOWN = 1_000, 5_000
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
Value = str | int | float | bool | list[str]
Attributes = Mapping[str, Value]
P = ParamSpec("P")
R = TypeVar("R")


#: Not asked of the system for each request: that lets other threads take the interpreter meanwhile.
_RANDOM = random.Random()  # noqa: S311 - ids keep no secret
os.register_at_fork(after_in_child=_RANDOM.seed)


def random_id(bits: int) -> int:
    """Return a random number of so many bits that is not 0."""
    return _RANDOM.getrandbits(bits) or 1


class Kind(IntEnum):
    """What a span is to its parent, as OpenTelemetry numbers it."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    PRODUCER = 3
    CONSUMER = 4


class Span(msgspec.Struct, array_like=True):
    """A finished span. Moments are nanoseconds since the epoch; ``error`` names what it ended with, if so.

    ``links`` are the contexts (``traceparent``) of spans that it has to do with beside its parent.
    """

    id: int
    parent: int
    name: str
    kind: int
    start_ns: int
    end_ns: int
    service: str
    attributes: dict[str, Value]
    error: str = ""
    links: list[str] = []


#: Spans, and those of other processes as they came.
Bundle = tuple[list[Span], list[bytes]]
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Bundle)


class Recording:
    """Collects spans of one trace in one process. Any thread may add.

    ``travels``: other processes record their part, too.
    """

    __slots__ = (
        "_adopted",
        "_anchor_ns",
        "_ended",
        "_ids",
        "blobs",
        "dropped",
        "first_id",
        "service",
        "trace_id",
        "travels",
    )

    def __init__(self, trace_id: int, service: str, *, travels: bool = True) -> None:
        self.trace_id = trace_id
        self.service = service
        self.travels = travels
        self._ended: list[OpenSpan] = []
        self.blobs: list[bytes] = []
        self.dropped = 0
        self._adopted: list[tuple[Bundle, int, OpenSpan, list[str]]] = []
        # Times grow steadily within a recording, whatever becomes of the system's clock.
        self._anchor_ns = time.time_ns() - time.perf_counter_ns()
        #: Of the span that all others are within: the first that is begun, the last that ends.
        self.first_id = random_id(64)
        self._ids = itertools.count(self.first_id)

    def next_id(self) -> int:
        """Return an id that no other span of the trace has: a random beginning, then one after the other."""
        return (next(self._ids) & 0xFFFF_FFFF_FFFF_FFFF) or self.next_id()  # 0 is no id

    def now_ns(self) -> int:
        """Return the moment."""
        return self._anchor_ns + time.perf_counter_ns()

    def add(self, span: OpenSpan) -> None:
        """Keep a span that has ended; what becomes of it is written down only if somebody asks."""
        if len(self._ended) < MOST_SPANS or span.id == self.first_id:
            self._ended.append(span)
        else:
            self.dropped += 1

    def take(self, blob: bytes) -> None:
        """Keep what another process recorded."""
        if len(self.blobs) < MOST_SPANS:
            self.blobs.append(blob)
        else:
            self.dropped += 1

    def adopt(self, bundle: Bundle, root: int, parent: OpenSpan, links: list[str]) -> None:
        """Keep what was done for several at once; its span ``root`` is shown under ``parent``.

        ``links`` are the contexts of all for whom it was done, ``parent`` among them.
        """
        if len(self._adopted) < MOST_SPANS:
            self._adopted.append((bundle, root, parent, links))
        else:
            self.dropped += 1

    def blob(self) -> bytes:
        """Return everything as bytes, for the process that asked."""
        return _ENCODER.encode((list(self.all()), self.blobs))

    def kept_id(self) -> str:
        """Return the id of a trace with these spans that will be kept, empty where that is not known."""
        return ""

    def all(self) -> Iterator[Span]:
        """Yield every span of this process and what it was told, adopted ones under their parents."""
        yield from (span.finished() for span in list(self._ended))
        for (spans, blobs), root, parent, links in list(self._adopted):
            for span in unpacked(spans, blobs):
                if span.id == root:
                    own = parent.context()
                    others = [link for link in links if link != own]
                    yield msgspec.structs.replace(span, parent=parent.id, links=others)
                else:
                    yield span


def unpacked(spans: Sequence[Span], blobs: Sequence[bytes]) -> Iterator[Span]:
    """Yield spans, and those within bytes, and those within these."""
    yield from list(spans)
    for blob in list(blobs):
        yield from unpacked(*_DECODER.decode(blob))


def spans_of(recording: Recording) -> list[Span]:
    """Return all spans of a recording, by their beginning."""
    found = itertools.chain(recording.all(), unpacked((), recording.blobs))
    return sorted(itertools.islice(found, MOST_SHOWN), key=lambda span: (span.start_ns, span.id))


class OpenSpan:
    """A span that is going on: a context manager. An exception that leaves it is noted by its class.

    ``fault`` says that it failed where none leaves it.
    """

    __slots__ = (
        "_given",
        "_noted",
        "_token",
        "end_ns",
        "fault",
        "id",
        "kind",
        "links",
        "name",
        "parent",
        "recording",
        "start_ns",
    )

    def __init__(
        self, recording: Recording, parent: int, name: str, kind: Kind, attributes: Attributes | None
    ) -> None:
        self.recording = recording
        self.parent = parent
        self.id = recording.next_id()
        self.name = name
        self.kind = kind
        # Most spans are dropped unread, so nothing is made for one before it is asked for.
        self._given = attributes
        self._noted: dict[str, Value] | None = None
        self.links: Sequence[str] = ()
        self.fault = ""
        self.start_ns = self.end_ns = 0
        self._token: Token[OpenSpan | None] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._token = CURRENT.set(self)
        self.start_ns = self.recording.now_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        if self._token is not None:
            CURRENT.reset(self._token)
        if kind is not None:
            self.fault = kind.__name__
        self.end_ns = self.recording.now_ns()
        self.recording.add(self)

    def finished(self) -> Span:
        """Return it as it is kept, after its end."""
        attributes = self._noted if self._noted is not None else dict(self._given or {})
        times = (self.start_ns, self.end_ns)
        service = self.recording.service
        return Span(
            self.id, self.parent, self.name, self.kind, *times, service, attributes, self.fault, [*self.links]
        )

    def note(self, name: str, value: Value) -> None:
        """Say something of it."""
        if self._noted is None:
            self._noted = dict(self._given or {})
        self._noted[name] = value

    def context(self) -> str:
        """Return what names this span to others: a W3C ``traceparent``."""
        return f"00-{self.recording.trace_id:032x}-{self.id:016x}-01"


class Nothing:
    """A span where nobody records: a context manager that does nothing."""

    __slots__ = ()

    def __enter__(self) -> Nothing:
        """Begin nothing."""
        return self

    def __exit__(self, *_ended: object) -> None:
        """End nothing."""

    def note(self, name: str, value: Value) -> None:
        """Say nothing."""


NOTHING = Nothing()
#: The span that is going on here; ask :func:`current`.
CURRENT: ContextVar[OpenSpan | None] = ContextVar("kite_span", default=None)


def span(name: str, attributes: Attributes | None = None, kind: Kind = Kind.INTERNAL) -> OpenSpan | Nothing:
    """Return a span within the one that is going on here; nothing where none is."""
    here = CURRENT.get()
    if here is None:
        return NOTHING
    return OpenSpan(here.recording, here.id, name, kind, attributes)


def timed(name: str, attributes: Attributes | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator: each call is a span of this name, where somebody records."""

    def around(call: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(call)
        def timed_call(*args: P.args, **kwargs: P.kwargs) -> R:
            with span(name, attributes):
                return call(*args, **kwargs)

        return timed_call

    return around


def database(system: str, operation: str) -> Attributes:
    """Return the attributes of a call to a store, by OpenTelemetry's conventions for databases."""
    return {"db.system.name": system, "db.operation.name": operation}


def current() -> OpenSpan | None:
    """Return the span that is going on here."""
    return CURRENT.get()


def context() -> str:
    """Return the context of what is going on here, for another process; empty if it is to record nothing."""
    here = CURRENT.get()
    return "" if here is None or not here.recording.travels else here.context()


def take(blob: bytes) -> None:
    """Keep what another process recorded for the span that is going on here."""
    here = CURRENT.get()
    if here is not None and blob:
        here.recording.take(blob)


def exemplar() -> dict[str, str] | None:
    """Return what a metric's exemplar says: the trace that is going on here, where it will be kept."""
    here = CURRENT.get()
    kept = "" if here is None else here.recording.kept_id()
    return {"trace_id": kept} if kept else None


def told_on() -> str:
    """Return the context of the span that is going on here, for work that is done later: where it is kept."""
    here = CURRENT.get()
    return "" if here is None or not here.recording.kept_id() else here.context()


def carried(call: Callable[P, R]) -> Callable[P, R]:
    """Return ``call`` with the span that is going on here, for a thread that would not know of it."""
    if CURRENT.get() is None:
        return call
    here = contextvars.copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return here.run(call, *args, **kwargs)

    return run


class Remote(OpenSpan):
    """A span for another process, which gets what is recorded within it by :meth:`blob`.

    Nothing is recorded for an empty context.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        """Begin."""
        return super().__enter__() if self.recording.trace_id else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        if self.recording.trace_id:
            super().__exit__(kind, error, trace)

    def blob(self) -> bytes:
        """Return what was recorded; called when the span has ended."""
        return self.recording.blob() if self.recording.trace_id else b""


def remote(context: str, name: str, service: str, attributes: Attributes | None = None) -> Remote:
    """Return the span of a call that came from another process with its context."""
    trace_id, parent, _ = parsed(context) or (0, 0, False)
    return Remote(Recording(trace_id, service), parent, name, Kind.SERVER, attributes)


def parsed(traceparent: str) -> tuple[int, int, bool] | None:
    """Return trace, span and whether it is sampled, or ``None`` for what is no ``traceparent``."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found or found[1] == "ff":
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    return (trace_id, span_id, bool(int(found[4], 16) & 1)) if trace_id and span_id else None
