"""The process that runs queries has no network where the kernel allows: nothing that slips by can call."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

#: Leaves the network, then tries to reach a port of this machine; prints what came of both.
_TRY = """
import socket, sys
from data.views.sparql_worker import leave_network
left = leave_network()
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=2).close()
    print(left, "reached")
except OSError:
    print(left, "nothing there")
"""


def test_process_that_left_the_network_reaches_nobody() -> None:
    """Not even the machine it runs on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        told = subprocess.run([sys.executable, "-c", _TRY, port], capture_output=True, text=True, check=True)
    if told.stdout.startswith("False"):
        pytest.skip("this kernel gives no namespaces to ordinary processes")
    assert told.stdout.strip() == "True nothing there"
