"""The calls of consumer groups, for ``tests.kafka_server``: who has which partition, and how far."""

from __future__ import annotations

import itertools
import threading
import time

from tests import kafka_wire as wire
from tests.kafka_log import REBALANCING, UNKNOWN_MEMBER, UNSTABLE, Group, Member, Spot, Txn
from tests.kafka_wire import Reader


class GroupCalls:
    """Answers them; all but the constructor under the lock ``changed``."""

    def __init__(self, session_s: float) -> None:
        self.groups: dict[str, Group] = {}
        self.changed = threading.Condition()
        self._txns: dict[str, Txn] = {}
        self._numbers = itertools.count(1)
        self._session_s = session_s

    def _join(self, read: Reader) -> bytes:
        group = self.groups.setdefault(read.text(), Group())
        session_s, rebalance_s, name = read.i32() / 1000, read.i32() / 1000, read.text()
        session_s = min(session_s, self._session_s)
        read.text()
        protocols = read.items(lambda: (read.text(), read.blob()))
        if name and name not in group.members:
            return group.joined("", UNKNOWN_MEMBER)
        name = name or f"member-{next(self._numbers)}"
        delay_s = 0.0 if group.members else 0.1
        group.members[name] = Member(name, session_s, rebalance_s, protocols, True, time.monotonic())
        group.begin(delay_s)
        member = group.members[name]
        while member.waiting and name in group.members:
            group.settle()
            self.changed.notify_all()
            if member.waiting:
                self.changed.wait(0.02)
        return group.joined(name, 0 if name in group.members else UNKNOWN_MEMBER)

    def _sync(self, read: Reader) -> bytes:
        group = self.groups.setdefault(read.text(), Group())
        generation, name = read.i32(), read.text()
        assigned = dict(read.items(lambda: (read.text(), read.blob())))
        fault = group.fault(name, generation)
        if not fault and name == group.leader and group.state == "syncing":
            group.assigned, group.state = assigned, "stable"
            self.changed.notify_all()
        while not fault and group.state == "syncing":
            self.changed.wait(0.02)
            fault = group.fault(name, generation)
        if not fault and group.state != "stable":
            fault = REBALANCING
        return wire.i32(0) + wire.i16(fault) + wire.blob(b"" if fault else group.assigned.get(name, b""))

    def _heartbeat(self, read: Reader) -> bytes:
        group = self.groups.setdefault(read.text(), Group())
        generation, name = read.i32(), read.text()
        fault = group.fault(name, generation)
        if not fault:
            group.members[name].seen_s = time.monotonic()
        return wire.i32(0) + wire.i16(fault or (REBALANCING if group.state == "joining" else 0))

    def _leave(self, read: Reader) -> bytes:
        group = self.groups.setdefault(read.text(), Group())
        gone = group.members.pop(read.text(), None)
        group.begin(0.0)
        return wire.i32(0) + wire.i16(0 if gone else UNKNOWN_MEMBER)

    def _commit(self, read: Reader) -> bytes:
        group = self.groups.setdefault(read.text(), Group())
        generation, name = read.i32(), read.text()
        read.i64()
        fault = group.fault(name, generation)

        def partition(topic: str) -> bytes:
            number, offset, note = read.i32(), read.i64(), read.text()
            if not fault:
                group.offsets[topic, number] = (offset, note)
            return wire.i32(number) + wire.i16(fault)

        return read.by_topic(partition)

    def _committed(self, read: Reader) -> bytes:
        name = read.short_text()
        group = self.groups.setdefault(name, Group())

        def topic() -> tuple[str, list[int]]:
            found = read.short_text(), read.short_items(read.i32)
            read.tags()
            return found

        wanted = read.short_items(topic)
        stable = bool(read.i8())

        def partition(spot: Spot) -> bytes:
            pending = any(spot in txn.offsets.get(name, {}) for txn in self._txns.values())
            offset, note = group.offsets.get(spot, (-1, ""))
            fault = UNSTABLE if stable and pending else 0
            where = wire.i64(-1 if fault else offset) + wire.i32(-1)
            return wire.i32(spot[1]) + where + wire.short_text(note) + wire.i16(fault) + wire.TAGS

        topics = wire.short_items(
            wire.short_text(name) + wire.short_items(partition((name, n)) for n in numbers) + wire.TAGS
            for name, numbers in wanted
        )
        return wire.i32(0) + topics + wire.i16(0) + wire.TAGS
