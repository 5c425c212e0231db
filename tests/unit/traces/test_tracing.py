"""Spans: nothing where nobody records, one tree where somebody does, across threads and processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from data.shared_spans import Shared
from data.traces import Tracer, stages
from data.tracing import (
    NOTHING,
    Kind,
    OpenSpan,
    Span,
    carried,
    context,
    current,
    exemplar,
    parsed,
    remote,
    span,
    take,
    timed,
)
from deployments.batching import Batcher

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Kept:
    """Takes what is kept, by trace."""

    def __init__(self) -> None:
        self.traces: dict[int, list[Span]] = {}

    def __call__(self, trace_id: int, spans: Sequence[Span]) -> None:
        self.traces.setdefault(trace_id, []).extend(spans)

    def only(self) -> dict[str, Span]:
        (spans,) = self.traces.values()
        return {each.name: each for each in spans}


@pytest.fixture
def kept() -> Kept:
    return Kept()


def always(kept: Kept) -> Tracer:
    return Tracer("service", keep=kept, ratio=1.0)


def test_span_where_nobody_records_is_the_one_that_does_nothing() -> None:
    """No object is made, and nothing is told on."""
    with span("work", {"a": 1}) as nothing:
        nothing.note("b", 2)

    assert nothing is NOTHING
    assert (current(), context(), exemplar()) == (None, "", None)


def test_spans_within_spans_are_a_tree_with_times_inside_their_parents(kept: Kept) -> None:
    """Each names its parent, begins after it and ends before it."""
    with always(kept).root("request", Kind.SERVER), span("outer"), span("inner", {"n": 3}) as inner:
        inner.note("m", 4)

    spans = kept.only()
    assert spans["inner"].parent == spans["outer"].id
    assert spans["outer"].parent == spans["request"].id
    assert spans["request"].parent == 0
    assert spans["inner"].attributes == {"n": 3, "m": 4}
    assert spans["request"].start_ns <= spans["outer"].start_ns <= spans["inner"].start_ns
    assert spans["inner"].end_ns <= spans["outer"].end_ns <= spans["request"].end_ns
    assert current() is None


def test_exception_that_leaves_a_span_is_noted_by_its_class_alone(kept: Kept) -> None:
    """What it says may quote a claim."""
    with pytest.raises(ValueError, match="secret words"), always(kept).root("r", Kind.SERVER), span("bad"):
        raise ValueError("secret words")

    assert kept.only()["bad"].error == "ValueError"
    assert "secret" not in repr(kept.traces)


@pytest.mark.parametrize(
    ("given", "ratio", "is_kept"),
    [
        (CALLER, 0.0, True),
        (CALLER[:-1] + "0", 1.0, False),
        ("", 1.0, True),
        ("", 0.0, False),
        ("x", 0.0, False),
    ],
)
def test_callers_flag_goes_before_the_ratio(kept: Kept, given: str, ratio: float, is_kept: bool) -> None:
    """Sampled by the caller is sampled; the ratio is for those who say nothing, or nonsense."""
    with Tracer("s", keep=kept, ratio=ratio).root("r", Kind.SERVER, parent=given):
        pass

    assert bool(kept.traces) is is_kept


def test_trace_of_a_caller_goes_on_under_the_callers_span(kept: Kept) -> None:
    """Id and parent are those of ``traceparent``."""
    with always(kept).root("r", Kind.SERVER, parent=CALLER) as root:
        said = root.context() if isinstance(root, OpenSpan) else ""

    assert list(kept.traces) == [0x4BF92F3577B34DA6A3CE929D0E0E4736]
    assert kept.only()["r"].parent == 0x00F067AA0BA902B7
    assert said.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")


def test_ratio_keeps_its_share(kept: Kept) -> None:
    """A quarter of two thousand, give or take six standard deviations."""
    tracer = Tracer("s", keep=kept, ratio=0.25)
    for _ in range(2_000):
        with tracer.root("r", Kind.SERVER):
            pass

    assert 384 < len(kept.traces) < 616


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-0-0-01",
        "ff" + CALLER[2:],
        CALLER + "-x",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        CALLER.upper(),
    ],
)
def test_what_is_no_traceparent_is_none(text: str) -> None:
    """Wrong lengths, the forbidden version, zeros, capital letters."""
    assert parsed(text) is None


def test_slow_trace_is_kept_and_told_though_it_was_not_chosen(kept: Kept) -> None:
    """With its stages in the order in which they began; a quick one is dropped."""
    told: list[dict[str, float]] = []
    tracer = Tracer(
        "s", keep=kept, slow_ms=5.0, tell_slow=lambda first, all_: told.append(stages(first, all_))
    )
    with tracer.root("quick", Kind.SERVER):
        assert exemplar() is None
    with tracer.root("slow", Kind.SERVER):
        with span("first"):
            threading.Event().wait(0.004)
        with span("second"):
            threading.Event().wait(0.004)
        assert exemplar() is not None

    assert set(kept.only()) == {"slow", "first", "second"}
    assert list(told[0]) == ["first", "second"]
    assert all(ms >= 4.0 for ms in told[0].values())


def test_without_an_address_slow_traces_are_told_and_give_no_exemplar() -> None:
    """Nobody could look such a trace up."""
    told: list[Span] = []
    tracer = Tracer("s", slow_ms=0.001, ratio=1.0, tell_slow=lambda first, _: told.append(first))
    with tracer.root("r", Kind.SERVER, parent=CALLER):
        threading.Event().wait(0.001)
        assert exemplar() is None

    assert [first.name for first in told] == ["r"]


def test_what_another_process_recorded_hangs_below_the_call(kept: Kept) -> None:
    """A context goes out as a string, spans come back as bytes, even from a process behind that one."""
    with always(kept).root("request", Kind.SERVER), span("call") as call:
        sent = context()

        def elsewhere() -> bytes:
            with remote(sent, "served", "other") as served:
                with span("their work"), remote(context(), "deep", "third") as deep:
                    pass
                take(deep.blob())
            return served.blob()

        with ThreadPoolExecutor(1) as pool:
            take(pool.submit(elsewhere).result())

    spans = kept.only()
    assert isinstance(call, OpenSpan)
    assert spans["served"].parent == spans["call"].id == call.id
    assert spans["deep"].parent == spans["their work"].id
    assert {name: each.service for name, each in spans.items()} == {
        "request": "service",
        "call": "service",
        "served": "other",
        "their work": "other",
        "deep": "third",
    }


def test_call_without_a_context_records_nothing() -> None:
    """Whoever asks does not record."""
    with remote("", "served", "other") as served:
        assert current() is None

    assert served.blob() == b""


def test_work_in_a_pool_belongs_to_who_handed_it_in(kept: Kept) -> None:
    """A pool's threads know nothing of the context that hands work in."""

    @timed("in the pool")
    def work() -> None:
        pass

    with ThreadPoolExecutor(1) as pool, always(kept).root("r", Kind.SERVER):
        pool.submit(work).result()
        assert "in the pool" not in kept.traces
        pool.submit(carried(work)).result()

    (spans,) = kept.traces.values()
    assert sorted(each.name for each in spans) == ["in the pool", "r"]


def test_batch_of_two_is_in_both_traces_with_links_to_the_other(kept: Kept) -> None:
    """Each sees all of the work as its own, under the span that waited for it."""

    async def work(items: list[int]) -> list[int]:
        with span("work"):
            return items

    async def ask(batcher: Batcher[int, int], tracer: Tracer, item: int) -> str:
        with tracer.root(f"request {item}", Kind.SERVER), span("wait"):
            said = context()
            await batcher.submit([item])
        return said

    async def main() -> list[str]:
        batcher: Batcher[int, int] = Batcher(work, max_size=8, max_in_flight=1, max_waiting=9)
        busy = asyncio.gather(*(batcher.submit([0]) for _ in range(2)))
        await asyncio.sleep(0)
        said = await asyncio.gather(*(ask(batcher, always(kept), item) for item in (1, 2)))
        await busy
        return list(said)

    first, second = asyncio.run(main())
    for own, other in ((first, second), (second, first)):
        (trace_id, waiting, _) = parsed(own) or (0, 0, False)
        spans = {each.name: each for each in kept.traces[trace_id]}
        assert len(spans) == len(kept.traces[trace_id]) == 4
        assert spans["batch"].parent == waiting == spans["wait"].id
        assert spans["batch"].links == [other]
        assert spans["work"].parent == spans["batch"].id


def test_batch_does_not_run_in_the_span_of_whoever_made_room(kept: Kept) -> None:
    """One who does not record is in nobody's trace, though a traced one's end let its batch begin."""
    seen: list[object] = []

    async def work(items: list[int]) -> list[int]:
        seen.append(current())
        await asyncio.sleep(0)
        return items

    async def main() -> None:
        batcher: Batcher[int, int] = Batcher(work, max_size=1, max_in_flight=1, max_waiting=9)
        with always(kept).root("r", Kind.SERVER):
            traced = asyncio.create_task(batcher.submit([1]))
            await asyncio.sleep(0)
        await asyncio.gather(traced, batcher.submit([2]))

    asyncio.run(main())

    assert isinstance(seen[0], OpenSpan)
    assert seen[1] is None


def test_work_that_ends_after_its_request_comes_late_and_is_kept(kept: Kept) -> None:
    """A caller that gave up is just the one whose trace is wanted whole."""
    with always(kept).root("r", Kind.SERVER):
        here = current()
    with Shared("batch", [here]), span("late"):
        pass

    assert set(kept.only()) == {"r", "batch", "late"}


def test_job_that_a_kept_trace_led_to_is_kept_with_a_link(kept: Kept) -> None:
    """Empty contexts, of requests that are not kept, are no links."""
    with Tracer("s", keep=kept, ratio=0.0).root("job", Kind.CONSUMER, links=["", CALLER, CALLER]):
        pass

    assert kept.only()["job"].links == [CALLER]


def test_trace_of_too_many_spans_is_cut_and_says_so(kept: Kept) -> None:
    """Memory is bounded whatever a request does."""
    with always(kept).root("r", Kind.SERVER):
        for _ in range(1_100):
            with span("one of many"):
                pass

    (spans,) = kept.traces.values()
    assert len(spans) <= 1_001
    assert {each.name: each for each in spans}["r"].attributes["kite.spans_dropped"] >= 100


def test_other_processes_record_only_what_is_chosen(kept: Kept) -> None:
    """A request that may turn out to be slow is recorded where it came in; a group travels with any of it."""
    tracer = Tracer("s", keep=kept, slow_ms=1_000.0)
    with tracer.root("unchosen", Kind.SERVER) as first:
        alone = context()
        with tracer.root("chosen", Kind.SERVER, always=True) as second:
            chosen = context()
            assert isinstance(first, OpenSpan)
            assert isinstance(second, OpenSpan)
            with Shared("batch", [first, second]):
                together = context()
            with Shared("batch", [first]):
                still_alone = context()

    assert alone == still_alone == ""
    assert parsed(chosen)
    assert parsed(together)
