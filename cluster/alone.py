"""A Ray of one command's own, with nothing of the service.

Called by ``tasks.verify_batch`` for a home that is not running, where several processes are to work: they
read the home's files themselves (``cluster.owned.resting_parts``). Invariant: its processes are this one's
children and die with it, however it dies; Ray's agents notice within about a minute (62 s, Ray 2.60).
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.head import worker_environment
from cluster.names import NAMESPACE, at_home
from configs.schema import Settings


@contextmanager
def own_cluster(settings: Settings, workers: int) -> Iterator[None]:
    """Have a Ray on loopback with room for so many workers, and no dashboard, while the block lasts."""
    # Before Ray is imported: it reads its environment then.
    os.environ.update(worker_environment(settings))
    import ray

    # A short name: a socket's path has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="kite-", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local",
            num_cpus=max(workers, os.cpu_count() or 1),
            resources=at_home(settings),
            object_store_memory=settings.ray.object_store_mb * 1024 * 1024,
            include_dashboard=False,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=folder,
            _node_ip_address="127.0.0.1",
        )
        try:
            yield
        finally:
            ray.shutdown()
