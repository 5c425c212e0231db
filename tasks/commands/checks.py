"""What ``kite doctor`` looks at: one small pure function a check, over facts that are given to it.

The facts of this machine are gathered in ``tasks.commands.facts``. Invariant: a check that is not well says
what is wrong and how to mend it; a warning lets the service run, a failure does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["ok", "warn", "fail"]
MB = 1 << 20
GB = 1 << 30
#: Free disk below which a write may soon fail, and below which it is time to make room, bytes.
LEAST_DISK, LITTLE_DISK = GB // 2, 4 * GB
#: Open files below which Ray itself warns (ray start), and what it recommends.
LEAST_FILES, ENOUGH_FILES = 1_024, 65_536
#: How far a file's moment may lie ahead of the clock before that is no rounding, seconds.
CLOCK_SLACK_S = 120.0
#: The clock cannot be before the day this version was written (2026-11-01, UTC), seconds since the epoch.
BUILT_S = 1_793_491_200.0
LEAST_PYTHON = (3, 11)
#: Slowest fsync that lets group commits keep up, seconds.
SLOW_FSYNC_S = 0.05


@dataclass(frozen=True, slots=True)
class Check:
    """How one thing is: what was found, and how to mend it where it is not well."""

    name: str
    state: State
    what: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class PortFact:
    """A port that the settings name; ``owner`` is free, ours, or the program that has it."""

    key: str
    port: int
    owner: str


@dataclass(frozen=True, slots=True)
class ModelFact:
    """A folder of a model; ``fault`` says what is wrong with it, ``is_built`` that a start makes it."""

    name: str
    fault: str = ""
    is_built: bool = False


@dataclass(frozen=True, slots=True)
class PackageFact:
    """A locked package: its version in the lock, and the installed one, if any."""

    name: str
    locked: str
    installed: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so on this machine. Sizes in bytes, moments in seconds since the epoch."""

    python: tuple[int, int, int] = (3, 11, 0)
    packages: tuple[PackageFact, ...] = ()
    ports: tuple[PortFact, ...] = ()
    memory_available: int | None = None
    memory_limit: int | None = None
    memory_wanted: int = 0
    shared_memory: int | None = None
    object_store: int = 0
    home: str = ""
    home_fault: str = ""
    disk_free: int = 0
    fsync_s: float | None = None
    modes: Mapping[str, int] = field(default_factory=dict)
    models: tuple[ModelFact, ...] = ()
    now_s: float = BUILT_S
    newest_file_s: float | None = None
    redis: Mapping[str, str] = field(default_factory=dict)
    open_files: int = ENOUGH_FILES
    is_running: bool = False
    is_recorded: bool = False
    left_over: tuple[str, ...] = ()


def check_all(facts: Facts) -> list[Check]:
    """Return every check of these facts, in order."""
    return [check for look in CHECKS for check in look(facts)]


def check_python(facts: Facts) -> Iterator[Check]:
    """Python must be new enough."""
    version = ".".join(map(str, facts.python))
    if facts.python[:2] < LEAST_PYTHON:
        yield Check("python", "fail", f"Python {version}", "install Python 3.11 or newer and make .venv anew")
    else:
        yield Check("python", "ok", f"Python {version}")


def check_packages(facts: Facts) -> Iterator[Check]:
    """Installed packages should be those of the lock."""
    missing = [one.name for one in facts.packages if one.installed is None]
    others = [one for one in facts.packages if one.installed not in (None, one.locked)]
    mend = "pip install --no-deps --require-hashes -r requirements.lock"
    if missing:
        yield Check("packages", "fail", f"not installed: {_few(missing)}", mend)
    if others:
        told = _few([f"{one.name} {one.installed} (locked {one.locked})" for one in others])
        yield Check("packages", "warn", f"other than locked: {told}", mend)
    if not (missing or others):
        yield Check(
            "packages", "ok", f"{len(facts.packages)} as locked" if facts.packages else "no lock here"
        )


def check_ports(facts: Facts) -> Iterator[Check]:
    """Ports must be free, or ours."""
    for one in facts.ports:
        name = f"port {one.port} ({one.key})"
        if one.owner in ("free", "ours"):
            yield Check(name, "ok", one.owner)
        else:
            how = f"end it, or choose another: --set {one.key}=0 takes a free one"
            yield Check(name, "fail", f"taken by {one.owner}", how)


def check_memory(facts: Facts) -> Iterator[Check]:
    """There must be memory for what the settings ask; while it runs it has its own already."""
    known = [size for size in (facts.memory_available, facts.memory_limit) if size is not None]
    if not known:
        yield Check("memory", "warn", "this system does not say how much is free", "look at it yourself")
        return
    free = min(known)
    what = f"{_size(free)} available, about {_size(facts.memory_wanted)} wanted"
    if facts.is_running or free >= facts.memory_wanted:
        yield Check("memory", "ok", what)
    else:
        how = "free some, or ask less: --set ray.object_store_mb=200, --set vectors.memory_mb=512"
        yield Check("memory", "fail" if free < facts.memory_wanted // 2 else "warn", what, how)


def check_shared_memory(facts: Facts) -> Iterator[Check]:
    """Ray's object store lies in /dev/shm where there is room, else on the disk, which is slow."""
    if facts.shared_memory is None:
        return
    what = f"{_size(facts.shared_memory)} in /dev/shm, object store {_size(facts.object_store)}"
    if facts.is_running or facts.shared_memory >= facts.object_store:
        yield Check("shared memory", "ok", what)
    else:
        how = "start the container with --shm-size=2g, or set ray.object_store_mb lower"
        yield Check("shared memory", "warn", what, how)


def check_home(facts: Facts) -> Iterator[Check]:
    """The home must be writable, keep what it is told to keep, and have room."""
    if facts.home_fault:
        how = "choose another with --set home=FOLDER, or give yourself the right to write there"
        yield Check("home", "fail", f"{facts.home}: {facts.home_fault}", how)
        return
    what = f"{facts.home}, {_size(facts.disk_free)} free"
    how = "make room: `python -m tasks.compact`, `python -m tasks.backup prune`, or another disk"
    if facts.disk_free < LITTLE_DISK:
        yield Check("home", "fail" if facts.disk_free < LEAST_DISK else "warn", what, how)
    else:
        yield Check("home", "ok", what)
    if facts.fsync_s is not None:
        is_slow = facts.fsync_s > SLOW_FSYNC_S
        mend = "put the home on a local disk that is not a network's" if is_slow else ""
        yield Check("fsync", "warn" if is_slow else "ok", f"{facts.fsync_s * 1e3:.1f} ms", mend)


def check_permissions(facts: Facts) -> Iterator[Check]:
    """The home and its secrets are for their owner alone."""
    sound = 0
    for path, mode in sorted(facts.modes.items()):
        is_secret = "/secrets" in path
        if not mode & 0o077:
            sound += 1
        elif is_secret:
            how = f"chmod go= {path}, and rotate what was in it if others use this machine"
            yield Check("permissions", "fail", f"others get at {path} ({mode:04o})", how)
        else:
            yield Check("permissions", "warn", f"others get at {path} ({mode:04o})", f"chmod go= {path}")
    if facts.modes and sound == len(facts.modes):
        yield Check("permissions", "ok", f"{sound} paths are their owner's alone")


def check_models(facts: Facts) -> Iterator[Check]:
    """Every model must be there, its files as their manifest has them."""
    for one in facts.models:
        name = f"model {one.name}"
        if one.is_built and one.fault:
            yield Check(name, "warn", one.fault, "the next `kite up` builds it, in some seconds")
        elif one.fault:
            yield Check(name, "fail", one.fault, "bring the folder back from the release or the repository")
        else:
            yield Check(name, "ok", "sound")


def check_clock(facts: Facts) -> Iterator[Check]:
    """The clock must not be behind what has happened already."""
    behind_s = (facts.newest_file_s or 0.0) - facts.now_s
    how = "set it: `timedatectl set-ntp true`"
    if facts.now_s < BUILT_S:
        yield Check("clock", "fail", "it is before this version was written", how)
    elif behind_s > CLOCK_SLACK_S:
        yield Check("clock", "fail", f"a file of the home is {behind_s:,.0f} s in the future", how)
    else:
        yield Check("clock", "ok", "plausible")


def check_redis(facts: Facts) -> Iterator[Check]:
    """A Redis that the settings name must answer."""
    for key, fault in facts.redis.items():
        if fault:
            yield Check(f"redis ({key})", "fail", fault, f"start it, or mend the address in {key}")
        else:
            yield Check(f"redis ({key})", "ok", "answers")


def check_open_files(facts: Facts) -> Iterator[Check]:
    """Ray and its proxy open many files."""
    what = f"{facts.open_files:,} open files allowed"
    if facts.open_files >= ENOUGH_FILES:
        yield Check("ulimit", "ok", what)
    else:
        state: State = "fail" if facts.open_files < LEAST_FILES else "warn"
        yield Check("ulimit", state, what, f"`ulimit -n {ENOUGH_FILES}` before the start")


def check_processes(facts: Facts) -> Iterator[Check]:
    """Either all of an installation runs, or nothing of it."""
    if facts.is_running:
        yield Check("processes", "ok", "running")
    elif facts.left_over:
        told = _few(list(facts.left_over))
        yield Check("processes", "fail", f"left over from an earlier run: {told}", "end them by their ids")
    elif facts.is_recorded:
        yield Check("processes", "warn", "it ended without being stopped", "`kite down`, then `kite up`")
    else:
        yield Check("processes", "ok", "not running, nothing left over")


CHECKS: tuple[Callable[[Facts], Iterator[Check]], ...] = (
    check_python,
    check_packages,
    check_processes,
    check_ports,
    check_memory,
    check_shared_memory,
    check_open_files,
    check_home,
    check_permissions,
    check_clock,
    check_models,
    check_redis,
)


def _few(words: list[str]) -> str:
    more = f" and {len(words) - 5} more" if len(words) > 5 else ""
    return ", ".join(words[:5]) + more


def _size(size: int) -> str:
    return f"{size / GB:.1f} GB" if size >= GB else f"{size / MB:.0f} MB"
