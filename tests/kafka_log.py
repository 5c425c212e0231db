"""What the broker of ``tests.kafka_server`` keeps: partitions with transactions, groups and their offsets.

Nothing here locks: the server does. Invariant, as in Kafka: who reads committed records sees nothing of an
open transaction, nor beyond its beginning; an aborted one is named to its readers, who skip it.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field

from tests import kafka_wire as wire

Spot = tuple[str, int]
#: Errors of the protocol.
OUT_OF_RANGE, ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING = 1, 22, 25, 27
TOO_LARGE, OLD_EPOCH, BAD_TXN_STATE, BAD_PID, UNSTABLE = 10, 47, 48, 49, 88
_HEADER = struct.Struct(">qiibIhiqqqhii")


@dataclass(frozen=True)
class Batch:
    base: int
    last: int
    data: bytes


@dataclass
class Log:
    """One partition."""

    batches: list[Batch] = field(default_factory=list)
    end: int = 0
    open: dict[int, int] = field(default_factory=dict)
    aborted: list[tuple[int, int, int]] = field(default_factory=list)
    seen: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def stable(self) -> int:
        """Return where the first open transaction begins."""
        return min(self.open.values(), default=self.end)

    def append(self, data: bytes) -> int:
        """Add a batch; return its first offset. What came before, by its number, is not added again."""
        head = _HEADER.unpack_from(data)
        attributes, delta, pid, epoch, sequence = head[5], head[6], head[9], head[10], head[11]
        known = self.seen.get(pid)
        if pid >= 0 and known and known[0] == epoch and sequence <= known[1]:
            return known[2]
        base = self.end
        self.seen[pid] = (epoch, sequence + delta, base)
        self._add(data, delta)
        if attributes & 0x10:
            self.open.setdefault(pid, base)
        return base

    def mark(self, pid: int, epoch: int, committed: bool) -> None:
        """End a producer's transaction on this partition."""
        first = self.open.pop(pid, None)
        key, value = struct.pack(">hh", 0, int(committed)), struct.pack(">hi", 0, 0)
        record = b"\0" + wire.varint(0) + wire.varint(0)
        record += wire.varint(len(key)) + key + wire.varint(len(value)) + value + wire.varint(0)
        record = wire.varint(len(record)) + record
        now_ms = int(time.time() * 1000)
        size = _HEADER.size - 12 + len(record)
        # Clients check sums only where they are told to, so there is none.
        head = _HEADER.pack(0, size, 0, 2, 0, 0x30, 0, now_ms, now_ms, pid, epoch, -1, 1)
        if first is not None and not committed:
            self.aborted.append((pid, first, self.end))
        self._add(head + record, 0)

    def _add(self, data: bytes, delta: int) -> None:
        placed = struct.pack(">qii", self.end, len(data) - 12, 0) + data[16:]
        self.batches.append(Batch(self.end, self.end + delta, placed))
        self.end += delta + 1

    def read(self, offset: int, size: int, *, committed: bool) -> tuple[bytes, list[tuple[int, int]]]:
        """Return batches from an offset on, and the aborted transactions among them."""
        until = self.stable if committed else self.end
        found = b""
        for batch in self.batches:
            if batch.last >= offset and batch.base < until and (not found or len(found) < size):
                found += batch.data
        aborted = [(pid, first) for pid, first, last in self.aborted if last >= offset and first < until]
        return found, aborted if committed else []


@dataclass
class Txn:
    """One transactional id."""

    pid: int
    epoch: int
    timeout_s: float
    began_s: float | None = None
    spots: set[Spot] = field(default_factory=set)
    offsets: dict[str, dict[Spot, tuple[int, str]]] = field(default_factory=dict)
    last_end: bool | None = None

    def begin(self) -> None:
        self.began_s = self.began_s or time.monotonic()

    def fault(self, pid: int, epoch: int) -> int:
        if pid != self.pid:
            return BAD_PID
        return OLD_EPOCH if epoch != self.epoch else 0


@dataclass
class Member:
    id: str
    session_s: float
    rebalance_s: float
    protocols: list[tuple[str, bytes]]
    waiting: bool
    seen_s: float


@dataclass
class Group:
    """One consumer group; ``state`` is empty, joining, syncing or stable."""

    members: dict[str, Member] = field(default_factory=dict)
    offsets: dict[Spot, tuple[int, str]] = field(default_factory=dict)
    assigned: dict[str, bytes] = field(default_factory=dict)
    generation: int = 0
    state: str = "empty"
    leader: str = ""
    protocol: str = ""
    ready_s: float = 0.0

    def begin(self, delay_s: float) -> None:
        """Ask everybody to join again."""
        if self.state != "joining":
            self.ready_s = time.monotonic() + delay_s
        self.state = "joining" if self.members else "empty"

    def settle(self) -> None:
        """End a join where everybody is there, or the time for it is over."""
        if self.state != "joining" or time.monotonic() < self.ready_s:
            return
        late_s = self.ready_s + max(member.rebalance_s for member in self.members.values())
        if not all(member.waiting for member in self.members.values()) and time.monotonic() < late_s:
            return
        self.members = {name: member for name, member in self.members.items() if member.waiting}
        self.generation += 1
        self.assigned = {}
        self.state = "syncing" if self.members else "empty"
        self.leader = next(iter(self.members), "")
        for member in self.members.values():
            member.waiting, member.seen_s = False, time.monotonic()
        if self.leader:
            self.protocol = self.members[self.leader].protocols[0][0]

    def expire(self) -> bool:
        """Drop members that were not heard of; say whether there were any."""
        now_s = time.monotonic()
        gone = [m.id for m in self.members.values() if not m.waiting and now_s - m.seen_s > m.session_s]
        for name in gone:
            del self.members[name]
        if gone:
            self.begin(0.0)
        return bool(gone)

    def fault(self, member: str, generation: int) -> int:
        """Return what is wrong about a member; nothing is about one that is none, as in Kafka."""
        if not member and generation < 0:
            return 0
        if member not in self.members:
            return UNKNOWN_MEMBER
        return ILLEGAL_GENERATION if generation != self.generation else 0

    def joined(self, name: str, fault: int) -> bytes:
        """Return the answer to a member that joined."""
        members: list[bytes] = []
        if not fault and name == self.leader:
            members = [
                wire.text(member.id) + wire.blob(dict(member.protocols)[self.protocol])
                for member in self.members.values()
            ]
        head = wire.i32(0) + wire.i16(fault) + wire.i32(self.generation) + wire.text(self.protocol)
        return head + wire.text(self.leader) + wire.text(name) + wire.items(members)
