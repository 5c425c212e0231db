"""The Serve adapter of one framework.

Holds no logic, and imports nothing of the gateway's: every framework's replica would load it. Blocking work
runs in threads, because under ``RAY_SERVE_THROUGHPUT_OPTIMIZED`` a replica's methods share the event loop
with its health checks.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from cluster.loopback import close_replica_port
from cluster.traced import rpc
from cluster.wiring import remote_parts
from configs.schema import Settings
from data.codec import BATCH, encode_outcomes
from data.tracing import remote
from deployments.building import build_framework, own_settings
from deployments.framework import Framework
from deployments.frameworks import find

#: Variants of a framework that a replica keeps built: what is asked now, and what a roll-out is leaving.
BUILT = 2


def application_of(framework: str) -> str:
    """Return the name of the Serve application that runs a framework."""
    return f"framework-{framework}"


class FrameworkReplica:
    """Runs one framework.

    Settings of the framework that change while it runs come with the question: whoever asks keeps its answers
    under a ``model_bundle`` that names them, so two replicas never answer alike-named questions differently.
    """

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        close_replica_port()
        self._name = name
        self._settings = msgspec.convert(settings, Settings)
        self._parts = remote_parts(self._settings)
        self._lock = threading.Lock()
        self._built: OrderedDict[bytes, Framework] = OrderedDict()
        self._of(None)

    async def verify(self, blob: bytes, own: bytes | None = None) -> bytes:
        """Return the encoded outcomes of an encoded batch, under the settings ``own``, if they are given."""
        return await asyncio.to_thread(self._verify, blob, own)

    async def traced(self, given: str, blob: bytes, own: bytes | None = None) -> tuple[bytes, bytes]:
        """Do :meth:`verify` within the trace whose context is given; return what was recorded, too."""
        service = f"kite-framework-{self._name}"
        with remote(given, f"{service}/verify", service, rpc(service, "verify")) as within:
            outcomes = await asyncio.to_thread(self._verify, blob, own)
        return outcomes, within.blob()

    async def ping(self) -> bool:
        """Answer: the replica is there and built."""
        return bool(self._built)

    def _of(self, own: bytes | None) -> Framework:
        """Return the framework under these settings, built on their first question."""
        key = own_settings(self._settings, self._name) if own is None else own
        with self._lock:
            if key not in self._built:
                self._built[key] = build_framework(find(self._name), self._parts, msgspec.json.decode(key))
                while len(self._built) > BUILT:
                    self._built.popitem(last=False)
            self._built.move_to_end(key)
            return self._built[key]

    def _verify(self, blob: bytes, own: bytes | None) -> bytes:
        return encode_outcomes(self._of(own).verify(BATCH.decode(blob)))
