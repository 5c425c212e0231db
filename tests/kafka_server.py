"""A Kafka broker of our own for tests, on 127.0.0.1: groups, idempotent producers, and transactions.

The mock broker inside librdkafka answers transactional calls, but shows aborted records and forgets the
offsets sent with a transaction (tried with 2.16). This one speaks as much of the same protocol as librdkafka
needs, in old versions of each call, and keeps what Kafka promises: producers are fenced by their epoch,
offsets by the group's generation, and readers of committed records see whole transactions. In memory only.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests import kafka_wire as wire
from tests.kafka_groups import GroupCalls
from tests.kafka_log import BAD_TXN_STATE, OUT_OF_RANGE, TOO_LARGE, Group, Log, Spot, Txn
from tests.kafka_wire import Reader

#: Of each call its number, and the only version of it that is answered.
VERSIONS = {0: 3, 1: 4, 2: 2, 3: 4, 8: 2, 9: 7, 10: 1, 11: 2, 12: 1, 13: 1, 14: 1, 18: 0}
VERSIONS |= {22: 1, 24: 0, 25: 0, 26: 1, 28: 3}
#: The calls whose answers begin with tags.
_TAGGED = {9, 28}


class KafkaServer(GroupCalls):
    """The broker. Topics are made when they are first named, with ``partitions`` each.

    It takes no batch above ``most_bytes``, and is more impatient than its clients ask, where told so;
    ``slow_s`` passes before each of the two last calls of a transaction is done.
    """

    def __init__(
        self,
        *,
        partitions: int = 2,
        most_bytes: int = 1_000_000,
        longest_session_s: float = 60.0,
        longest_transaction_s: float = 60.0,
        slow_s: float = 0.0,
    ) -> None:
        super().__init__(longest_session_s)
        self._partitions = partitions
        self._most = most_bytes
        self._transaction_s = longest_transaction_s
        self._slow_s = slow_s
        self._logs: dict[str, list[Log]] = {}
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._closed = False
        self.port = 0
        self._lost = -1
        self._calls = {
            0: self._produce, 1: self._fetch, 2: self._list_offsets, 3: self._metadata, 8: self._commit,
            9: self._committed, 10: self._coordinator, 11: self._join, 12: self._heartbeat, 13: self._leave,
            14: self._sync, 18: self._versions, 22: self._init_producer, 24: self._add_partitions,
            25: self._add_offsets, 26: self._end, 28: self._commit_in_txn,
        }  # fmt: skip

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the port of before where there was one."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def vanish(self) -> None:
        """Close every connection and answer nobody; what is kept stays."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def lose_answer_of(self, call: int) -> None:
        """Vanish when the next such call is done, before its caller hears of it."""
        self._lost = call

    def close(self) -> None:
        self._closed = True
        self.vanish()

    def _accept(self, listener: socket.socket) -> None:
        threading.Thread(target=self._tick, args=(listener,), daemon=True).start()
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _tick(self, listener: socket.socket) -> None:
        """Drop members that are not heard of, and abort transactions that take too long."""
        while not self._closed and listener is self._listener:
            time.sleep(0.05)
            with self.changed:
                for group in self.groups.values():
                    group.expire()
                for txn in self._txns.values():
                    if txn.began_s is not None and time.monotonic() - txn.began_s > txn.timeout_s:
                        self._finish(txn, committed=False)
                        txn.epoch += 1
                self.changed.notify_all()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError, EOFError), connection:
            while True:
                (size,) = struct.unpack(">i", wire.exactly(connection, 4))
                connection.sendall(wire.blob(self._answer(wire.exactly(connection, size))))
        self._connections.discard(connection)

    def _answer(self, request: bytes) -> bytes:
        read = Reader(request)
        call, version, number = read.i16(), read.i16(), read.i32()
        read.text()
        if call == 18 and version > 0:
            return wire.i32(number) + wire.i16(35) + self._versions(read)[2:]
        assert VERSIONS.get(call) == version, f"call {call} in version {version} is not spoken here"
        head = wire.i32(number)
        if call in _TAGGED:
            read.tags()
            head += wire.TAGS
        if call in (26, 28):
            time.sleep(self._slow_s)
        with self.changed:
            answer = head + self._calls[call](read)
        if call == self._lost:
            self._lost = -1
            self.vanish()
        return answer

    def _versions(self, _: Reader) -> bytes:
        spoken = [wire.i16(call) + wire.i16(v) + wire.i16(v) for call, v in sorted(VERSIONS.items())]
        return wire.i16(0) + wire.items(spoken)

    def _topic(self, name: str) -> list[Log]:
        return self._logs.setdefault(name, [Log() for _ in range(self._partitions)])

    def _metadata(self, read: Reader) -> bytes:
        names = read.items(read.text) or list(self._logs)
        topics = [
            wire.i16(0)
            + wire.text(name)
            + wire.i8(0)
            + wire.items(
                wire.i16(0) + wire.i32(n) + wire.i32(1) + wire.items([wire.i32(1)]) * 2
                for n in range(len(self._topic(name)))
            )
            for name in names
        ]
        broker = wire.i32(1) + wire.text("127.0.0.1") + wire.i32(self.port) + wire.text(None)
        return wire.i32(0) + wire.items([broker]) + wire.text("test") + wire.i32(1) + wire.items(topics)

    def _coordinator(self, _: Reader) -> bytes:
        where = wire.i32(1) + wire.text("127.0.0.1") + wire.i32(self.port)
        return wire.i32(0) + wire.i16(0) + wire.text(None) + where

    def _produce(self, read: Reader) -> bytes:
        txn = self._txns.get(read.text())
        read.i16()
        read.i32()

        def partition(name: str) -> bytes:
            number, data = read.i32(), read.blob()
            fault = self._unwelcome(txn, (name, number), data)
            base = -1 if fault else self._topic(name)[number].append(data)
            return wire.i32(number) + wire.i16(fault) + wire.i64(base) + wire.i64(-1)

        return read.by_topic(partition) + wire.i32(0)

    def _unwelcome(self, txn: Txn | None, spot: Spot, data: bytes) -> int:
        if len(data) > self._most:
            return TOO_LARGE
        pid, epoch = struct.unpack_from(">qh", data, 43)
        if txn is None:
            return 0
        return txn.fault(pid, epoch) or (0 if spot in txn.spots else BAD_TXN_STATE)

    def _fetch(self, read: Reader) -> bytes:
        read.i32()
        until_s = time.monotonic() + read.i32() / 1000
        read.i32()
        read.i32()
        committed = bool(read.i8())
        wanted = read.items(lambda: (read.text(), read.items(lambda: (read.i32(), read.i64(), read.i32()))))

        def is_there() -> bool:
            logs = ((self._topic(name)[n], offset) for name, spots in wanted for n, offset, _ in spots)
            return any(offset < (log.stable if committed else log.end) for log, offset in logs)

        while not is_there() and time.monotonic() < until_s:
            self.changed.wait(0.02)

        def partition(name: str, spot: tuple[int, int, int]) -> bytes:
            number, offset, size = spot
            log = self._topic(name)[number]
            data, aborted = log.read(offset, size, committed=committed)
            fault = OUT_OF_RANGE if offset > log.end else 0
            head = wire.i32(number) + wire.i16(fault) + wire.i64(log.end) + wire.i64(log.stable)
            return head + wire.items(wire.i64(p) + wire.i64(f) for p, f in aborted) + wire.blob(data)

        return wire.i32(0) + wire.items(
            wire.text(name) + wire.items(partition(name, spot) for spot in spots) for name, spots in wanted
        )

    def _list_offsets(self, read: Reader) -> bytes:
        read.i32()
        committed = bool(read.i8())

        def partition(name: str) -> bytes:
            number, moment = read.i32(), read.i64()
            log = self._topic(name)[number]
            end = log.stable if committed else log.end
            offset = 0 if moment == -2 else end
            return wire.i32(number) + wire.i16(0) + wire.i64(-1) + wire.i64(offset)

        return wire.i32(0) + read.by_topic(partition)

    def _init_producer(self, read: Reader) -> bytes:
        name, timeout_s = read.text(), min(read.i32() / 1000, self._transaction_s)
        if not name:
            return wire.i32(0) + wire.i16(0) + wire.i64(next(self._numbers)) + wire.i16(0)
        txn = self._txns.get(name)
        if txn is None:
            txn = self._txns[name] = Txn(next(self._numbers), 0, timeout_s)
        else:
            if txn.began_s is not None:
                self._finish(txn, committed=False)
            txn.epoch += 1
            txn.last_end = None
        return wire.i32(0) + wire.i16(0) + wire.i64(txn.pid) + wire.i16(txn.epoch)

    def _txn_of(self, name: str, pid: int, epoch: int) -> tuple[Txn, int]:
        txn = self._txns.setdefault(name, Txn(-1, -1, 60.0))
        return txn, txn.fault(pid, epoch)

    def _add_partitions(self, read: Reader) -> bytes:
        txn, fault = self._txn_of(read.text(), read.i64(), read.i16())

        def partition(name: str) -> bytes:
            number = read.i32()
            if not fault:
                txn.begin()
                txn.spots.add((name, number))
            return wire.i32(number) + wire.i16(fault)

        return wire.i32(0) + read.by_topic(partition)

    def _add_offsets(self, read: Reader) -> bytes:
        txn, fault = self._txn_of(read.text(), read.i64(), read.i16())
        if not fault:
            txn.begin()
        return wire.i32(0) + wire.i16(fault)

    def _commit_in_txn(self, read: Reader) -> bytes:
        name, group_name = read.short_text(), read.short_text()
        txn, fault = self._txn_of(name, read.i64(), read.i16())
        group = self.groups.setdefault(group_name, Group())
        generation, member = read.i32(), read.short_text()
        read.short_text()
        fault = fault or group.fault(member, generation)

        def partition(topic: str) -> bytes:
            number, offset = read.i32(), read.i64()
            read.i32()
            note = read.short_text()
            read.tags()
            if not fault:
                txn.offsets.setdefault(group_name, {})[topic, number] = (offset, note)
            return wire.i32(number) + wire.i16(fault) + wire.TAGS

        def one() -> bytes:
            topic = read.short_text()
            parts = read.short_items(lambda: partition(topic))
            read.tags()
            return wire.short_text(topic) + wire.short_items(parts) + wire.TAGS

        return wire.i32(0) + wire.short_items(read.short_items(one)) + wire.TAGS

    def _end(self, read: Reader) -> bytes:
        txn, fault = self._txn_of(read.text(), read.i64(), read.i16())
        committed = bool(read.i8())
        if not fault and txn.began_s is None:
            fault = 0 if txn.last_end == committed else BAD_TXN_STATE
        elif not fault:
            self._finish(txn, committed=committed)
        return wire.i32(0) + wire.i16(fault)

    def _finish(self, txn: Txn, *, committed: bool) -> None:
        for name, number in sorted(txn.spots):
            self._topic(name)[number].mark(txn.pid, txn.epoch, committed)
        if committed:
            for name, offsets in txn.offsets.items():
                self.groups[name].offsets.update(offsets)
        txn.spots, txn.offsets, txn.began_s, txn.last_end = set(), {}, None, committed
        self.changed.notify_all()


@contextmanager
def kafka_server(**options: Any) -> Iterator[KafkaServer]:
    """Run a broker for the length of the block, with the options of :class:`KafkaServer`."""
    server = KafkaServer(**options)
    server.start()
    try:
        yield server
    finally:
        server.close()


def records_of(
    server: KafkaServer,
    topic: str,
    partitions: int,
    *,
    level: str = "read_committed",
    longest_s: float = 60.0,
) -> list[Any]:
    """Return what a reader at this level of isolation finds in a topic, up to the end of each partition."""
    from confluent_kafka import Consumer, TopicPartition

    reader = Consumer(
        {
            "bootstrap.servers": server.address,
            "group.id": "reader",
            "isolation.level": level,
            "enable.partition.eof": True,
        }
    )
    reader.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    records: list[Any] = []
    ended = 0
    until_s = time.monotonic() + longest_s
    while ended < partitions and time.monotonic() < until_s:
        for message in reader.consume(1_000, 0.1):
            ended += message.error() is not None
            records += [] if message.error() else [message]
    reader.close()
    assert ended == partitions
    return records
