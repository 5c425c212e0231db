"""Closes the one port that no setting closes: Serve's call port of each replica.

Every Serve replica opens a gRPC server on ``[::]`` that unpickles what it receives and asks for no
credential. On a head that lives on loopback nobody else has business there, so replicas call
:func:`close_replica_port` before Serve opens it.
"""

from __future__ import annotations

from typing import Any

import ray
from ray.serve._private import replica

_OPENER = "add_port_to_grpc_server"


def close_replica_port() -> None:
    """Make this process's Serve replica open its call port on loopback when its node is on loopback.

    Raises:
        AttributeError: this Ray opens the port in another way; better no start than an open port.
    """
    services: Any = ray._private.services  # noqa: SLF001 - no public name for it
    if services.get_node_ip_address() != "127.0.0.1":
        return
    opening = getattr(replica, _OPENER)

    def on_loopback(server: Any, address: str) -> Any:
        return opening(server, address.replace("[::]", "127.0.0.1"))

    setattr(replica, _OPENER, on_loopback)
