"""Nothing of the default set-up is open to other machines, and nothing logs what people ask."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import httpx
import psutil
import pytest

from cluster.processes import processes_of
from tests.cluster.conftest import Kite

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


def listening(kite: Kite) -> list[tuple[str, str, int]]:
    """Owner, address and port of every listening socket of this run."""
    found = []
    for process in processes_of(kite.head.run_id, kite.head.temp_dir):
        try:
            owner = f"{process.pid} {process.name()}"
            for socket in process.net_connections(kind="tcp"):
                if socket.status == psutil.CONN_LISTEN:
                    found.append((owner, socket.laddr.ip, socket.laddr.port))
        except psutil.NoSuchProcess:
            continue
    return found


def is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def test_every_listening_socket_is_on_loopback(kite: Kite) -> None:
    """Ray, Serve, HAProxy, workers: all of them, each named with its owner."""
    sockets = listening(kite)
    ports = {port for _, _, port in sockets}

    assert {kite.head.http_port, kite.head.dashboard_port} <= ports
    assert [entry for entry in sockets if not is_loopback(entry[1])] == []


def test_dashboard_and_jobs_ask_for_the_token(kite: Kite) -> None:
    """Without the token the job port answers 401; with it, 200."""
    token = (kite.home / "secrets" / "ray_token").read_text(encoding="ascii")
    url = f"{kite.head.dashboard_url}/api/jobs/"

    assert httpx.get(url, timeout=30.0).status_code == 401
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30.0).status_code == 200


def test_secrets_are_private(kite: Kite) -> None:
    """The token's file is for its owner only."""
    assert (kite.home / "secrets" / "ray_token").stat().st_mode & 0o777 == 0o600


def test_logs_hold_no_claim_and_no_secret(kite: Kite) -> None:
    """A claim that was asked, and the token, are in no log file of the run."""
    needle = "Zanzibarquokka"
    kite.verify(f"The {needle} weighs 12 kilograms.")
    with kite.client() as client:
        client.post("/verify", json={"claim": needle * 400})
    token = (kite.home / "secrets" / "ray_token").read_text(encoding="ascii")

    assert files_with(Path(kite.head.temp_dir), needle) + files_with(kite.home / "run", needle) == []
    assert files_with(Path(kite.head.temp_dir), token) + files_with(kite.home / "run", token) == []


def files_with(folder: Path, needle: str) -> list[str]:
    logs = [path for path in folder.rglob("*") if path.is_file() and path.suffix in {".log", ".out", ".err"}]
    return [str(path) for path in logs if needle in path.read_text(encoding="utf-8", errors="replace")]
