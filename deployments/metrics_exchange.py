"""``GET /metrics`` of any replica shows the whole cluster once: replicas leave their figures in the store.

Each replica writes what it has counted under ``metrics/<replica>`` every few seconds, to be forgotten when it
is gone; who is asked adds its own, fresh, and the facts that no replica counts. Every counted series carries
the label ``replica``, so each grows steadily and ends with its replica, as Prometheus expects. Used by the
gateway; plain Python.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from prometheus_client import generate_latest
from prometheus_client.core import Exemplar
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_open

from data.errors import KiteError
from data.ports import KeyValueStore

PREFIX = "metrics/"
#: Seconds between two writes of a replica, and until what it wrote is forgotten.
PUBLISH_S, FORGET_S = 5.0, 20.0

_LOG = logging.getLogger("kite.metrics")
Collect = Callable[[], Iterable[Metric]]
#: A sample: its name, labels and value.
Row = tuple[str, dict[str, str], float]
#: An example of what a row counts: the row's number, the example's labels, value and moment.
Example = tuple[int, dict[str, str], float, float]


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric of one replica, as it travels."""

    name: str
    documentation: str
    type: str
    rows: list[Row]
    examples: list[Example] = []


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Family])


@dataclass(frozen=True, slots=True)
class _Collected:
    """What ``generate_latest`` takes for a registry."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


class MetricsExchange:
    """One replica's side. ``collect`` gives what it counted; ``facts`` what is true of the whole cluster.

    ``facts`` must not raise. Safe to use from several threads.
    """

    def __init__(
        self,
        replica: str,
        store: KeyValueStore,
        collect: Collect,
        facts: Callable[[], Awaitable[list[Metric]]],
    ) -> None:
        self._replica = replica
        self._store = store
        self._collect = collect
        self._facts = facts

    def publish(self) -> None:
        """Write what this replica has counted.

        Raises:
            StoreUnavailableError: the store is away.
        """
        blob = _ENCODER.encode(families(self._collect()))
        self._store.put(PREFIX + self._replica, blob, ttl_s=FORGET_S)

    def start(self) -> None:
        """Publish every ``PUBLISH_S`` from now on, in a thread that ends with the process."""
        threading.Thread(target=self._publish_on, name="metrics", daemon=True).start()

    async def render(self) -> bytes:
        """Return the figures of every replica, and the facts, as Prometheus text."""
        return await asyncio.to_thread(generate_latest, await self._collected())

    async def render_open(self) -> bytes:
        """Return the same as OpenMetrics, with exemplars."""
        return await asyncio.to_thread(generate_open, await self._collected())

    async def _collected(self) -> _Collected:
        facts, replicas = await asyncio.gather(self._facts(), asyncio.to_thread(self._replicas))
        return _Collected([*merged(replicas), *facts])

    def _publish_on(self) -> None:
        while True:
            time.sleep(PUBLISH_S)
            try:
                self.publish()
            except KiteError as exc:
                _LOG.warning("metrics are not shared", extra={"fields": {"reason": str(exc)}})

    def _replicas(self) -> dict[str, list[Family]]:
        found = {self._replica: families(self._collect())}
        try:
            rows = self._store.scan(PREFIX)
        except KiteError:
            # What this replica knows is better than nothing; the facts say that the store is away.
            return found
        for key, blob in rows:
            replica = key.removeprefix(PREFIX)
            if replica not in found:
                try:
                    found[replica] = _DECODER.decode(blob)
                except msgspec.DecodeError:
                    continue  # of a version before or after this one
        return found


def families(metrics: Iterable[Metric]) -> list[Family]:
    """Return metrics as they travel, without the moments at which series began."""
    return [_family(metric) for metric in metrics]


def _family(metric: Metric) -> Family:
    samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
    return Family(
        metric.name,
        metric.documentation,
        metric.type,
        [(sample.name, dict(sample.labels), float(sample.value)) for sample in samples],
        [
            (place, dict(found.labels), float(found.value), float(found.timestamp or 0.0))
            for place, sample in enumerate(samples)
            if (found := sample.exemplar) is not None
        ],
    )


def merged(replicas: dict[str, list[Family]]) -> Iterator[Metric]:
    """Return each metric once with the samples of all replicas, by name, replicas in order of their names."""
    together: dict[str, Metric] = {}
    for replica, found in sorted(replicas.items()):
        for family in found:
            metric = together.get(family.name)
            if metric is None:
                metric = together[family.name] = Metric(family.name, family.documentation, family.type)
            if metric.type == family.type:
                examples = {
                    place: Exemplar(told, value, at_s) for place, told, value, at_s in family.examples
                }
                for place, (name, labels, value) in enumerate(family.rows):
                    told = {**labels, "replica": replica}
                    metric.add_sample(name, told, value, exemplar=examples.get(place))
    yield from (together[name] for name in sorted(together))
