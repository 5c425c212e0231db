"""Consumers of a Kafka stream killed throughout: every claim is answered once, or dead with its reason.

``python -m tests.crash.stream_runs --claims 20000 --kills 50`` prints one JSON document; its exit code says
whether anything was lost or doubled. Consumers are processes over a broker of ours (``tests.kafka_server``),
ended by SIGKILL at any instant, some by an entry that kills whoever works on it. What a reader of committed
records finds is then compared with what was sent.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from data.queue.worker import TaskFault
from data.streams.kafka_address import properties_of, topics_of
from data.streams.kafka_stream import KafkaBounds, KafkaClaimStream
from data.streams.ports import Entry, StreamNames
from data.streams.worker import StreamWorker, StreamWorkerSettings
from tests.kafka_server import KafkaServer, kafka_server, records_of

NAMES = topics_of(StreamNames())
PARTITIONS, CONSUMERS, DELIVERIES = 4, 2, 4
#: Every so many entries one kills its consumer, and one is refused; those cost a consumer each.
KILLER, BAD = 401, 97
#: The longest that a run may take, for a claim and for a kill, seconds.
PATIENCE_S, PATIENCE_KILL_S = 0.05, 10.0


@dataclass
class Report:
    """What came of a run."""

    sent: int = 0
    verdicts: int = 0
    dead_bad: int = 0
    dead_worn: int = 0
    kills: int = 0
    unseen: int = 0
    took_s: float = 0.0
    faults: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; or be a consumer."""
    parser = argparse.ArgumentParser(prog="stream_runs", description=__doc__)
    parser.add_argument("--claims", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--consume", nargs=2, metavar=("ADDRESS", "NAME"))
    options = parser.parse_args(arguments)
    if options.consume:
        consume(*options.consume)
        return 0
    report = run(options.claims, options.kills, seed=options.seed)
    print(json.dumps(asdict(report), indent=1))
    return 1 if report.faults else 0


def consume(address: str, name: str) -> None:
    """Be one consumer, until killed."""
    stream = KafkaClaimStream(properties_of(address), NAMES, name=name, bounds=KafkaBounds(idle_s=6.0))
    told = StreamWorkerSettings(batch=32, max_deliveries=DELIVERIES, wait_s=0.1)
    StreamWorker(stream, _answers, told).run()


def _answers(entries: list[Entry]) -> list[bytes | TaskFault]:
    time.sleep(0.005 * len(entries))
    if any(entry.body.startswith(b"kill") for entry in entries):
        os.kill(os.getpid(), signal.SIGKILL)
    return [
        TaskFault("Bad.", retryable=False) if entry.body.startswith(b"bad") else b"verdict of " + entry.body
        for entry in entries
    ]


def run(claims: int, kills: int, *, seed: int) -> Report:
    """Send claims, kill consumers while they work, and look at every record."""
    chance = random.Random(seed)
    report = Report(sent=claims)
    began_s = time.monotonic()
    with kafka_server(
        partitions=PARTITIONS, longest_session_s=1.0, longest_transaction_s=1.5, slow_s=0.05
    ) as server:
        sent = _send(server, claims)
        address = f"kafka://{server.address}?heartbeat.interval.ms=200&reconnect.backoff.max.ms=200"
        crowd = _Crowd(address)
        try:
            until_s = began_s + 60.0 + claims * PATIENCE_S + kills * PATIENCE_KILL_S
            before = 0
            while (settled := _settled(server)) < claims and time.monotonic() < until_s:
                crowd.tend(chance if settled > before and crowd.kills < kills else None)
                before = settled
                time.sleep(chance.uniform(0.1, 0.4))
        finally:
            crowd.end()
        report.kills = crowd.kills
        if settled < claims:
            report.faults.append(f"{settled} of {claims} were settled when the time was over")
        else:
            _check(server, sent, report)
    report.took_s = round(time.monotonic() - began_s, 1)
    return report


class _Crowd:
    """Consumers, each replaced when it is gone, under a name of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._made = 0
        self.kills = 0
        self._living = [self._start() for _ in range(CONSUMERS)]

    def tend(self, chance: random.Random | None) -> None:
        """Replace the dead, and kill one where there is a chance for it."""
        self._living = [each if each.poll() is None else self._start() for each in self._living]
        if chance is not None and chance.random() < 0.7:
            chance.choice(self._living).kill()
            self.kills += 1

    def end(self) -> None:
        """Kill all."""
        for each in self._living:
            each.kill()
            each.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        self._made += 1
        command = [sys.executable, "-m", __spec__.name if __spec__ else __name__]
        command += ["--consume", self._address, f"consumer-{self._made}"]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _send(server: KafkaServer, claims: int) -> dict[str, bytes]:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": server.address})
    sent = {f"key {number}": _body(number) for number in range(claims)}
    for number, (key, body) in enumerate(sent.items()):
        producer.produce(NAMES.claims, key=key, value=body, partition=number % PARTITIONS)
    producer.flush()
    return sent


def _body(number: int) -> bytes:
    kind = "kill" if number % KILLER == KILLER - 1 else "bad" if number % BAD == BAD - 1 else "claim"
    return f"{kind} {number}".encode()


def _settled(server: KafkaServer) -> int:
    """Return how many entries the group has left behind: the topic of claims has no markers among them."""
    offsets = server.groups[NAMES.group].offsets if NAMES.group in server.groups else {}
    return sum(offset for (topic, _), (offset, _) in list(offsets.items()) if topic == NAMES.claims)


def _check(server: KafkaServer, sent: dict[str, bytes], report: Report) -> None:
    verdicts, dead = (_found(server, name) for name in (NAMES.verdicts, NAMES.dead))
    report.verdicts = len(verdicts)
    report.unseen = sum(
        len(_found(server, name, "read_uncommitted")) for name in (NAMES.verdicts, NAMES.dead)
    )
    report.unseen -= len(verdicts) + len(dead)
    times = Counter(message.key().decode() for message in (*verdicts, *dead))
    report.faults += [f"{key} came out {count} times" for key, count in times.items() if count != 1]
    report.faults += [f"{key} was lost" for key in sent if key not in times]
    for message in verdicts:
        if message.value() != b"verdict of " + sent[message.key().decode()]:
            report.faults.append(f"{message.key()} has another's verdict")
        if message.value().startswith(b"verdict of kill"):
            report.faults.append(f"{message.key()} has a verdict, which nobody can have given")
    worn = f"{DELIVERIES} consumers took it and none settled it.".encode()
    for message in dead:
        reason, kind = dict(message.headers())["reason"], message.value().split()[0]
        # One that kills nobody may be in the hands of as many consumers that were killed.
        report.dead_bad += (kind, reason) == (b"bad", b"Bad.")
        report.dead_worn += reason == worn
        if reason not in (b"Bad.", worn) or (kind, reason) in ((b"claim", b"Bad."), (b"kill", b"Bad.")):
            report.faults.append(f"{message.value()} died of {reason}")


def _found(server: KafkaServer, topic: str, level: str = "read_committed") -> list[Any]:
    return records_of(server, topic, PARTITIONS, level=level, longest_s=600.0)


if __name__ == "__main__":
    sys.exit(main())
