"""The facts of this machine that ``kite doctor`` judges. It writes nothing but one file to be synced."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from cluster.head import PROJECT_ROOT, RunningHead, recorded, running
from cluster.ingress import reachable_host
from configs.schema import Settings
from configs.secrets import cache_url, queue_url, stream_url
from data.errors import KiteError
from tasks.commands.checks import MB, Facts, ModelFact, PackageFact, PortFact

#: Memory of a running installation beside its object store, bytes: 31 processes (Ray, Serve, gateway, six
#: frameworks, queue worker, keeper, indexes, models) took 3.6 GB of pages of their own after a few batches.
PROCESSES_BYTES = 3_600 * MB
#: A line of the lock: name, version, and where it holds.
_LOCKED = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$"
)
_SHIPPED = ("aggregator", "checkworthiness", "stance", "syntax")


def facts_of(settings: Settings) -> Facts:
    """Return what is so on this machine for an installation with these settings."""
    home = Path(settings.home).expanduser()
    is_new = not home.exists()  # looking for what runs there would make it
    head = None if is_new else running(settings)
    fault, fsync_s = _written(home)
    store = settings.ray.object_store_mb * MB
    return Facts(
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        packages=packages(PROJECT_ROOT / "requirements.lock"),
        ports=tuple(_ports(settings, head)),
        memory_available=_available(),
        memory_limit=_cgroup_left(),
        memory_wanted=PROCESSES_BYTES + store,
        shared_memory=_shared_memory(),
        object_store=store,
        home=str(home),
        home_fault=fault,
        disk_free=shutil.disk_usage(_existing(home)).free,
        fsync_s=fsync_s,
        modes=dict(_modes(home)),
        models=tuple(_models(settings, home)),
        now_s=time.time(),
        newest_file_s=_newest(home),
        redis=dict(_redis(settings)),
        open_files=_open_files(),
        is_running=head is not None,
        is_recorded=not is_new and recorded(settings) is not None,
        left_over=() if head is not None else tuple(_left_over(settings)),
    )


def packages(lock: Path) -> tuple[PackageFact, ...]:
    """Return the packages of a lock that this system needs, with the versions that are installed."""
    from packaging.markers import Marker

    if not lock.is_file():
        return ()
    found = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        match = _LOCKED.match(line)
        if match and (match["marker"] is None or Marker(match["marker"].strip()).evaluate()):
            found.append(PackageFact(match["name"], match["version"], _installed(match["name"])))
    return tuple(found)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _ports(settings: Settings, head: RunningHead | None) -> Iterator[PortFact]:
    wanted = [
        ("http.port", settings.http.port, reachable_host(settings.http.host)),
        ("ray.gcs_port", settings.ray.gcs_port, "127.0.0.1"),
        ("ray.dashboard_port", settings.ray.dashboard_port, "127.0.0.1"),
    ]
    for key, port, host in wanted:
        if port:
            yield PortFact(key, port, _owner(port, host, is_running=head is not None))


def _owner(port: int, host: str, *, is_running: bool) -> str:
    try:
        with socket.create_connection((host.strip("[]"), port), timeout=0.5):
            pass
    except OSError:
        return "free"
    return "ours" if is_running else _listener(port)


def _listener(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for one in psutil.net_connections("inet"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                return f"{psutil.Process(one.pid).name()} (process {one.pid})"
    return "another program"


def _available() -> int | None:
    with contextlib.suppress(psutil.Error, OSError):
        return int(psutil.virtual_memory().available)
    return None


def _cgroup_left(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return how much this control group may still take, where it is limited; its cache counts as free."""
    for limit, used, stats, cache in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ):
        try:
            most = (root / limit).read_text().strip()
            if not most.isdigit() or int(most) >= 1 << 60:
                continue
            words = (line.split() for line in (root / stats).read_text().splitlines())
            spare = next((int(word[1]) for word in words if word[0] == cache), 0)
            return int(most) - int((root / used).read_text()) + spare
        except (OSError, ValueError):
            continue
    return None


def _shared_memory() -> int | None:
    try:
        return shutil.disk_usage("/dev/shm").total  # noqa: S108 - asked for its size, nothing is written
    except OSError:
        return None


def _existing(path: Path) -> Path:
    return path if path.is_dir() else _existing(path.parent)


def _written(home: Path) -> tuple[str, float | None]:
    """Write a small file as a commit does; return what is wrong, and how long it took, seconds."""
    folder = _existing(home)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            return "", time.perf_counter() - started
    except OSError as exc:
        return f"nothing can be kept in {folder} ({exc.strerror})", None


def _modes(home: Path) -> Iterator[tuple[str, int]]:
    secrets = home / "secrets"
    inside = sorted(secrets.iterdir()) if secrets.is_dir() else []
    for path in (home, secrets, *inside):
        with contextlib.suppress(OSError):
            yield str(path), stat.S_IMODE(path.stat().st_mode)


def _models(settings: Settings, home: Path) -> Iterator[ModelFact]:
    folder = Path(settings.models.folder).expanduser() if settings.models.folder else PROJECT_ROOT / "models"
    for name in _SHIPPED:
        yield ModelFact(name, _model_fault(folder / name))
    yield ModelFact("embedder", _model_fault(home / "models" / "embedder"), is_built=True)


def _model_fault(folder: Path) -> str:
    from data.models.artifacts import read_manifest

    try:
        read_manifest(folder)
    except KiteError as exc:
        return str(exc)
    return ""


def _newest(home: Path) -> float | None:
    """Return the moment of the newest file among those that every installation writes."""
    moments = []
    for folder in (home / "ledger", home / "audit", home / "run"):
        with contextlib.suppress(OSError):
            moments += [path.stat().st_mtime for path in folder.iterdir()]
    return max(moments, default=None)


def _redis(settings: Settings) -> Iterator[tuple[str, str]]:
    wanted: list[tuple[str, Callable[[], str | None]]] = [
        ("cache.url", lambda: cache_url(settings.cache) if settings.cache.backend == "redis" else None),
        ("queue.url", lambda: queue_url(settings)),
        ("queue.stream.url", lambda: stream_url(settings.queue.stream)),
    ]
    for key, read in wanted:
        try:
            url = read()
        except KiteError as exc:
            yield key, str(exc)
            continue
        if url:
            yield key, _redis_fault(url)


def _redis_fault(url: str) -> str:
    import redis

    from data.stores.redis import connect

    try:
        client: Any = connect(url)
        with contextlib.closing(client):
            client.ping()
    except (KiteError, redis.RedisError, OSError) as exc:
        return f"does not answer ({type(exc).__name__})"  # its words may hold the password
    return ""


def _open_files() -> int:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if soft == resource.RLIM_INFINITY else soft
    return (1 << 30) if most == resource.RLIM_INFINITY else most


def _left_over(settings: Settings) -> Iterator[str]:
    """Yield processes of an earlier run of this home, known by the folder of its sockets."""
    folder = _run_folder(settings)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and any(folder in word for word in process.cmdline()):
                yield f"{process.name()} ({process.pid})"


def _run_folder(settings: Settings) -> str:
    import hashlib

    resolved = Path(settings.home).expanduser().resolve()
    digest = hashlib.sha256(str(resolved).encode()).hexdigest()[:8]
    return str(Path(tempfile.gettempdir()) / f"kite-{digest}")
