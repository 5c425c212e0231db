"""Events on their way to the audit: awaited ones are there, others follow, and losses are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from data.audit import buffer
from data.audit.buffer import AuditTrail
from data.audit.event import AuditEvent
from data.audit.port import AuditChecked, AuditQuery, AuditRow
from data.claims import TenantId
from data.errors import StoreUnavailableError
from tests.fakes import FakeClock


def event(name: str) -> AuditEvent:
    return AuditEvent("2026-01-01", TenantId("a"), "key:1", "GET /x", "", "denied", 403, name)


class Sink:
    """Keeps groups; ``away`` makes it refuse, ``unsure`` makes it keep and refuse all the same."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.lines: list[AuditEvent] = []
        self.names: set[str] = set()
        self.away = False
        self.unsure = False

    def append(self, events: Sequence[AuditEvent], batch: str = "") -> int:
        if self.away:
            raise StoreUnavailableError("away")
        if batch not in self.names:
            self.groups.append([one.request_id for one in events])
            self.lines += events
            self.names.add(batch)
        if self.unsure:
            self.unsure = False
            raise StoreUnavailableError("the answer was lost")
        return len(self.lines)

    def read(self, query: AuditQuery) -> list[AuditRow]:
        raise NotImplementedError

    def verify(self) -> AuditChecked:
        raise NotImplementedError

    def drop(self, until: str, *, subject: str) -> int:
        raise NotImplementedError


def names(sink: Sink) -> list[str]:
    return [one.request_id for one in sink.lines]


def test_record_of_a_durable_event_returns_when_it_is_written() -> None:
    """It is in the sink, with what waited before it, in one group and in order."""

    async def scene() -> None:
        sink = Sink()
        trail = AuditTrail(sink, FakeClock(), flush_s=3600)
        await trail.record(event("read"), False)
        assert sink.lines == []
        await trail.record(event("write"), True)
        assert sink.groups == [["read", "write"]]
        await trail.close()

    asyncio.run(scene())


def test_record_of_other_events_is_flushed_after_a_while() -> None:
    """Nobody waits, and they are written all the same."""

    async def scene() -> None:
        sink = Sink()
        trail = AuditTrail(sink, FakeClock(), flush_s=0.001)
        for number in range(3):
            await trail.record(event(str(number)), False)
        while len(sink.lines) < 3:
            await asyncio.sleep(0)
        assert names(sink) == ["0", "1", "2"]
        await trail.close()

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_record_of_a_full_group_does_not_wait_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand events are written at once, whatever the clock says."""
    monkeypatch.setattr(buffer, "GROUP", 4)

    async def scene() -> None:
        sink = Sink()
        trail = AuditTrail(sink, FakeClock(), flush_s=3600)
        for number in range(4):
            await trail.record(event(str(number)), False)
        while len(sink.lines) < 4:
            await asyncio.sleep(0)
        await trail.close()

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_durable_events_at_the_same_time_share_a_group() -> None:
    """Sixty-four callers cost a few commits."""

    async def scene() -> None:
        sink = Sink()
        trail = AuditTrail(sink, FakeClock())
        await asyncio.gather(*(trail.record(event(str(number)), True) for number in range(64)))
        assert sorted(names(sink), key=int) == [str(number) for number in range(64)]
        assert len(sink.groups) <= 3
        await trail.close()

    asyncio.run(scene())


def test_record_while_the_sink_is_away_tells_and_writes_later() -> None:
    """Who awaits hears of it; the event is written when the sink is back, and once."""

    async def scene() -> None:
        sink = Sink()
        sink.away = True
        trail = AuditTrail(sink, FakeClock(), flush_s=0.001, retry_s=0.001)
        with pytest.raises(StoreUnavailableError):
            await trail.record(event("write"), True)
        sink.away = False
        while not sink.lines:
            await asyncio.sleep(0)
        await trail.close()
        assert names(sink) == ["write"]

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_group_whose_answer_was_lost_stands_once() -> None:
    """It is repeated under its name."""

    async def scene() -> None:
        sink = Sink()
        sink.unsure = True
        trail = AuditTrail(sink, FakeClock(), flush_s=0.001, retry_s=0.001)
        with pytest.raises(StoreUnavailableError):
            await trail.record(event("one"), True)
        await trail.record(event("two"), True)
        await trail.close()
        assert names(sink) == ["one", "two"]

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_events_without_room_are_counted_and_the_count_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long absence costs events, never memory, and the audit says how many."""
    monkeypatch.setattr(buffer, "MOST_WAITING", 5)

    async def scene() -> None:
        sink = Sink()
        sink.away = True
        trail = AuditTrail(sink, FakeClock(), flush_s=0.001, retry_s=0.001)
        for number in range(8):
            await trail.record(event(str(number)), False)
        with pytest.raises(StoreUnavailableError, match="no more"):
            await trail.record(event("write"), True)
        sink.away = False
        while not any(one.action == buffer.LOST for one in sink.lines):
            await asyncio.sleep(0)
        await trail.close()
        (told,) = [one for one in sink.lines if one.action == buffer.LOST]
        assert told.target == "4"
        assert [name for name in names(sink) if name] == ["0", "1", "2", "3", "4"]

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_close_writes_what_waits() -> None:
    """A replica that is shut down leaves nothing behind."""

    async def scene() -> None:
        sink = Sink()
        trail = AuditTrail(sink, FakeClock(), flush_s=3600)
        await trail.record(event("last"), False)
        await trail.close()
        assert names(sink) == ["last"]

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_calls_that_a_limit_turned_away_are_one_line_that_counts_them() -> None:
    """One a sender, route and group; other refusals keep a line each, and the next group counts anew."""

    def turned_away(name: str, subject: str = "key:1") -> AuditEvent:
        return AuditEvent(
            name, TenantId("a"), subject, "GET /x", "", "denied", 429, name, reason="rate-limited"
        )

    async def scene() -> None:
        sink = Sink()
        trail = AuditTrail(sink, FakeClock(), flush_s=3600)
        for number in range(100):
            await trail.record(turned_away(f"r{number}"), False)
        await trail.record(turned_away("other", "key:2"), False)
        await trail.record(event("d1"), False)
        await trail.record(event("d2"), False)
        await trail.record(event("write"), True)
        assert sink.groups == [["r0", "other", "d1", "d2", "write"]]
        assert [one.reason for one in sink.lines[:2]] == ["rate-limited (100 times)", "rate-limited"]
        await trail.record(turned_away("later"), False)
        await trail.close()
        assert (sink.lines[-1].request_id, sink.lines[-1].reason) == ("later", "rate-limited")

    asyncio.run(scene())


def test_counted_call_without_room_is_lost_and_the_next_one_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was never taken does not count for those after it."""

    async def scene() -> None:
        sink = Sink()
        trail = AuditTrail(sink, FakeClock(), flush_s=3600)
        monkeypatch.setattr(buffer, "MOST_WAITING", 0)
        await trail.record(AuditEvent("", TenantId("a"), "k", "GET /x", "", "denied", 429, "first"), False)
        monkeypatch.setattr(buffer, "MOST_WAITING", 9)
        await trail.record(AuditEvent("", TenantId("a"), "k", "GET /x", "", "denied", 429, "second"), False)
        await trail.close()
        assert [one.request_id for one in sink.lines if one.status == 429] == ["second"]

    asyncio.run(scene())
