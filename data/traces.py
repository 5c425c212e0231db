"""Which traces are begun and which are kept. Pure; what becomes of kept ones is told to ``keep``.

Used by whoever lets work in: the ingress, the workers of the queue, jobs. Invariant: whether a trace is kept
is decided once, when its first span ends: by its caller's word, by its id, or by how long it took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from data.tracing import (
    NOTHING,
    Attributes,
    Bundle,
    Kind,
    Nothing,
    OpenSpan,
    Recording,
    Span,
    parsed,
    random_id,
    spans_of,
    unpacked,
)

#: Gets the id of a trace that is kept and its spans; those that end after the first span come later.
Keep = Callable[[int, Sequence[Span]], None]
#: Is told of a trace that took too long: its first span, and all of them.
TellSlow = Callable[[Span, Sequence[Span]], None]
#: Stages named for a slow trace at most, and the share of the time from which one is named.
MOST_STAGES, LEAST_SHARE = 30, 0.01


class Tracer:
    """Begins traces under one service's name. One a process.

    Of traces without a sampled flag of their caller's, ``ratio`` are kept, chosen by their ids; with
    ``slow_ms`` those that take at least as long are kept too, and told to ``tell_slow``. Without ``keep``
    none are kept. Without ``keep`` and ``slow_ms`` nothing is recorded. What may only turn out to be slow is
    recorded in this process alone: every process recording every request costs too much of the throughput.
    """

    def __init__(
        self,
        service: str,
        *,
        keep: Keep | None = None,
        ratio: float = 0.0,
        slow_ms: float | None = None,
        tell_slow: TellSlow | None = None,
    ) -> None:
        self.service = service
        self.keep = keep
        self.slow_ns = None if slow_ms is None else round(slow_ms * 1e6)
        self.tell_slow = tell_slow
        self._below = round(ratio * 2**64)

    @property
    def is_on(self) -> bool:
        """Whether anything is ever recorded."""
        return self.keep is not None or self.slow_ns is not None

    def root(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes | None = None,
        *,
        parent: str = "",
        links: Sequence[str] = (),
        always: bool = False,
    ) -> OpenSpan | Nothing:
        """Return the first span of a trace here, within ``parent`` (a ``traceparent``) where one is given.

        ``links`` are contexts of traces that led to it, empty ones left out; one that leads to a kept trace
        is kept, too. ``always``: it is kept whatever its id.
        """
        links = list(dict.fromkeys(link for link in links if link)) if links else ()
        given = parsed(parent) if parent else None
        trace_id, above, flag = given or (random_id(128), 0, False)
        chosen = (
            always or bool(links) or (flag if given else (trace_id & 0xFFFF_FFFF_FFFF_FFFF) < self._below)
        )
        sampled = chosen and self.keep is not None
        if not sampled and self.slow_ns is None:
            return NOTHING
        trace = Trace(self, trace_id, sampled=sampled)
        span = OpenSpan(trace, above, name, kind, attributes)
        span.links = links
        trace.root = span
        return span


class Trace(Recording):
    """The spans of one trace, kept or dropped when its first span has ended."""

    __slots__ = ("_closed", "_kept", "_sampled", "_tracer", "root")

    root: OpenSpan

    def __init__(self, tracer: Tracer, trace_id: int, *, sampled: bool) -> None:
        super().__init__(trace_id, tracer.service, travels=sampled)
        self._tracer = tracer
        self._sampled = sampled
        self._closed = self._kept = False

    def kept_id(self) -> str:
        """Return the trace's id where it is certain that it is kept: it is chosen, or slow already."""
        slow_ns = self._tracer.slow_ns
        is_slow = slow_ns is not None and self.now_ns() - self.root.start_ns >= slow_ns
        kept = self._tracer.keep is not None and (self._sampled or is_slow)
        return f"{self.trace_id:032x}" if kept else ""

    def add(self, span: OpenSpan) -> None:
        """Keep a span that has ended; the first one ends the trace."""
        if self._closed:
            self._late((span.finished(),))
            return
        super().add(span)
        if span is self.root:
            self._close(span)

    def take(self, blob: bytes) -> None:
        """Keep what another process recorded."""
        if self._closed:
            self._late(unpacked((), (blob,)))
        else:
            super().take(blob)

    def adopt(self, bundle: Bundle, root: int, parent: OpenSpan, links: list[str]) -> None:
        """Keep what was done for several at once."""
        if self._closed:
            late = Recording(self.trace_id, self.service)
            late.adopt(bundle, root, parent, links)
            self._late(late.all())
        else:
            super().adopt(bundle, root, parent, links)

    def _close(self, root: OpenSpan) -> None:
        self._closed = True
        tracer = self._tracer
        is_slow = tracer.slow_ns is not None and root.end_ns - root.start_ns >= tracer.slow_ns
        self._kept = tracer.keep is not None and (self._sampled or is_slow)
        if not (self._kept or is_slow):
            self._ended.clear()  # spans know their trace: without this they would wait for the collector
            return
        if self.dropped:
            root.note("kite.spans_dropped", self.dropped)
        first, spans = root.finished(), spans_of(self)
        if self._kept and tracer.keep is not None:
            # The first span last: who has it has all that there was.
            tracer.keep(self.trace_id, [*(span for span in spans if span.id != first.id), first])
        if is_slow and tracer.tell_slow is not None:
            tracer.tell_slow(first, spans)

    def _late(self, spans: Iterable[Span]) -> None:
        """Hand on what ended after the first span, such as work that a caller did not wait for."""
        if self._kept and self._tracer.keep is not None:
            self._tracer.keep(self.trace_id, list(spans))


def job_span(kind: str, job_id: str) -> tuple[str, Kind, Attributes]:
    """Return name, kind and attributes of a job's first span."""
    return f"job {kind}", Kind.CONSUMER, {"kite.job.kind": kind, "kite.job.id": job_id}


def stages(first: Span, spans: Sequence[Span]) -> dict[str, float]:
    """Return the milliseconds that each kind of span took, in the order in which they began.

    Those of one name are added up; what took less than a hundredth of the whole is left out.
    """
    found: dict[str, int] = {}
    for span in spans:
        if span.id != first.id:
            found[span.name] = found.get(span.name, 0) + span.end_ns - span.start_ns
    least_ns = LEAST_SHARE * (first.end_ns - first.start_ns)
    named = {name: took for name, took in found.items() if took >= least_ns}
    return {name: round(named[name] / 1e6, 3) for name in list(named)[:MOST_STAGES]}
