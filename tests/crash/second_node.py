"""A second node of a cluster of this machine, for as long as this process lives.

``python -m tests.crash.second_node ADDRESS --cpus 2``, called by ``tests.crash.batch_cluster`` under the
environment of the head. Not ``ray start``: that asks for a setting under which Ray takes the machine's outer
address for every loopback one, and on that one a head on loopback does not listen. Invariant: when one of
the node's processes dies, the others and this one do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

#: Unlike the head's, so that no driver of this machine takes the second node for its own.
ADDRESS = "127.0.0.2"
OBJECT_STORE_BYTES = 100_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Join, and stay until a process of the node dies."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.second_node")
    parser.add_argument("address", help="where the head's GCS listens")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--resources", type=json.loads, default={}, help="custom resources, as JSON")
    options = parser.parse_args(arguments)
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    params: Any = RayParams(
        gcs_address=options.address,
        node_ip_address=ADDRESS,
        num_cpus=options.cpus,
        num_gpus=0,
        resources=options.resources,
        object_store_memory=OBJECT_STORE_BYTES,
        # The head's agent has the usual port; so any that is free.
        dashboard_agent_listen_port=None,
    )
    params.include_log_monitor = False
    node: Any = Node(params, head=False, shutdown_at_exit=True, spawn_reaper=True)
    while not node.dead_processes():
        time.sleep(0.2)
    node.kill_all_processes(check_alive=False, allow_graceful=False)
    os._exit(1)  # Ray's own hooks would wait for what is dead


if __name__ == "__main__":
    sys.exit(main())
