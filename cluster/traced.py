"""Calls that carry the context of a trace: the shared actors' side of it, and the links' side.

Called by ``cluster.remote`` where somebody records; a call without a context goes as it always did.
"""

from __future__ import annotations

from typing import Any

from data.tracing import Attributes, remote

#: What calls over Ray are named, by OpenTelemetry's conventions for remote procedures.
RPC = {"rpc.system.name": "ray"}


def rpc(service: str, method: str) -> Attributes:
    """Return the attributes of a call."""
    return {**RPC, "rpc.method": f"{service}/{method}"}


class Traced:
    """An actor whose every method can be called with a context; :attr:`SERVICE` names it in traces."""

    SERVICE = "kite-actor"

    def traced(self, context: str, method: str, args: tuple[Any, ...]) -> tuple[Any, bytes]:
        """Return ``method(*args)``, and what was recorded meanwhile."""
        with remote(context, f"{self.SERVICE}/{method}", self.SERVICE, rpc(self.SERVICE, method)) as span:
            result = getattr(self, method)(*args)
        return result, span.blob()
