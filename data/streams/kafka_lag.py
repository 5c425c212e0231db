"""How far the readers of verdicts on Kafka are behind. Part of ``data.streams.kafka_stream``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

#: Seconds between two looks at the readers' offsets, and that a look may take.
LOOK_S, CALL_S = 1.0, 10.0


class ReadersLag:
    """Counts what of a topic the group ``readers`` has not committed. One thread; connects when first asked.

    Markers of transactions count too, one a partition and transaction.
    """

    def __init__(self, kafka: Any, properties: Mapping[str, Any], topic: str, readers: str) -> None:
        self._kafka = kafka
        self._properties = {**properties, "group.id": readers, "enable.auto.commit": False}
        self._topic = topic
        self._client: Any = None
        self._looked_s = float("-inf")
        self._behind = 0

    def behind(self) -> int:
        """Return how many records wait for their readers."""
        if time.monotonic() - self._looked_s >= LOOK_S:
            self._behind = self._look()
            self._looked_s = time.monotonic()
        return self._behind

    def sent(self, count: int) -> None:
        """Count what was sent since the last look."""
        self._behind += count

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()

    def _look(self) -> int:
        if self._client is None:
            self._client = self._kafka.Consumer(self._properties)
        topic = self._client.list_topics(self._topic, CALL_S).topics[self._topic]
        asked = [self._kafka.TopicPartition(self._topic, each) for each in topic.partitions]
        behind = 0
        for each in self._client.committed(asked, CALL_S) if asked else ():
            low, high = self._client.get_watermark_offsets(each, CALL_S)
            behind += max(0, high - max(low, each.offset))
        return behind
