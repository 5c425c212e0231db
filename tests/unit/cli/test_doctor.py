"""``kite doctor``: each check over facts that are given, and the facts of this machine once."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import kite
from tasks.commands.checks import (
    BUILT_S,
    GB,
    MB,
    Check,
    Facts,
    ModelFact,
    PackageFact,
    PortFact,
    check_all,
)
from tasks.commands.facts import _cgroup_left, packages

SOUND = Facts(
    python=(3, 11, 7),
    packages=(PackageFact("rich", "15.0.0", "15.0.0"),),
    ports=(PortFact("http.port", 8000, "free"),),
    memory_available=8 * GB,
    memory_limit=None,
    memory_wanted=4 * GB,
    shared_memory=2 * GB,
    object_store=512 * MB,
    home="/home/k",
    disk_free=100 * GB,
    fsync_s=0.001,
    modes={"/home/k": 0o700, "/home/k/secrets": 0o700, "/home/k/secrets/pepper": 0o600},
    models=(ModelFact("stance"), ModelFact("embedder", is_built=True)),
    now_s=BUILT_S + 1000.0,
    newest_file_s=BUILT_S,
    redis={"cache.url": ""},
)


def unwell(facts: Facts) -> list[Check]:
    return [check for check in check_all(facts) if check.state != "ok"]


def test_sound_machine_has_nothing_to_mend() -> None:
    """Every check is there and well."""
    assert unwell(SOUND) == []
    assert len(check_all(SOUND)) == 14


@pytest.mark.parametrize(
    ("facts", "name", "state", "mend"),
    [
        (replace(SOUND, python=(3, 10, 1)), "python", "fail", "3.11"),
        (replace(SOUND, packages=(PackageFact("ray", "2", None),)), "packages", "fail", "pip install"),
        (replace(SOUND, packages=(PackageFact("ray", "2", "1"),)), "packages", "warn", "requirements.lock"),
        (
            replace(SOUND, ports=(PortFact("http.port", 8000, "nginx (process 7)"),)),
            "port 8000 (http.port)",
            "fail",
            "--set http.port=0",
        ),
        (replace(SOUND, memory_available=3 * GB), "memory", "warn", "ray.object_store_mb"),
        (replace(SOUND, memory_limit=1 * GB), "memory", "fail", "ray.object_store_mb"),
        (replace(SOUND, memory_available=None), "memory", "warn", "yourself"),
        (replace(SOUND, shared_memory=64 * MB), "shared memory", "warn", "--shm-size"),
        (replace(SOUND, disk_free=GB), "home", "warn", "make room"),
        (replace(SOUND, disk_free=100 * MB), "home", "fail", "make room"),
        (replace(SOUND, home_fault="read-only"), "home", "fail", "--set home="),
        (replace(SOUND, fsync_s=0.2), "fsync", "warn", "local disk"),
        (replace(SOUND, modes={"/k/secrets/pepper": 0o640}), "permissions", "fail", "chmod go= /k/secrets"),
        (replace(SOUND, modes={"/k": 0o755}), "permissions", "warn", "chmod go= /k"),
        (
            replace(SOUND, models=(ModelFact("stance", "damaged"),)),
            "model stance",
            "fail",
            "bring the folder",
        ),
        (
            replace(SOUND, models=(ModelFact("embedder", "none", is_built=True),)),
            "model embedder",
            "warn",
            "kite up",
        ),
        (replace(SOUND, now_s=0.0, newest_file_s=None), "clock", "fail", "timedatectl"),
        (replace(SOUND, newest_file_s=BUILT_S + 5000.0), "clock", "fail", "timedatectl"),
        (replace(SOUND, redis={"cache.url": "does not answer"}), "redis (cache.url)", "fail", "start it"),
        (replace(SOUND, open_files=1_024), "ulimit", "warn", "ulimit -n"),
        (replace(SOUND, open_files=256), "ulimit", "fail", "ulimit -n"),
        (replace(SOUND, left_over=("ray (7)",)), "processes", "fail", "end them"),
        (replace(SOUND, is_recorded=True), "processes", "warn", "kite down"),
    ],
)
def test_fault_is_found_with_how_to_mend_it(facts: Facts, name: str, state: str, mend: str) -> None:
    """One finding, that one, and a thing to do about it."""
    (found,) = unwell(facts)
    assert (found.name, found.state) == (name, state)
    assert mend in found.how


def test_running_installation_has_its_ports_and_memory() -> None:
    """What it took is not missing."""
    ours = (PortFact("http.port", 8000, "ours"),)
    assert unwell(replace(SOUND, is_running=True, ports=ours, memory_available=GB, shared_memory=MB)) == []


def test_locked_packages_are_read_with_their_markers(tmp_path: Path) -> None:
    """Only what this system needs counts; what is not installed has no version."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "msgspec==0.0.1 \\\n    --hash=sha256:00\n"
        "no-such-package==2 ; python_full_version >= '3.9' \\\n    --hash=sha256:00\n"
        "pywin32==300 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    )
    msgspec, other = packages(lock)
    assert (msgspec.name, msgspec.locked) == ("msgspec", "0.0.1")
    assert msgspec.installed not in (None, "0.0.1")
    assert other == PackageFact("no-such-package", "2", None)


def test_memory_of_a_control_group_counts_its_cache_as_free(tmp_path: Path) -> None:
    """The kernel gives it back when it is needed."""
    (tmp_path / "memory.max").write_text(f"{4 * GB}\n")
    (tmp_path / "memory.current").write_text(f"{3 * GB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {GB}\n")
    assert _cgroup_left(tmp_path) == 2 * GB
    (tmp_path / "memory.max").write_text("max\n")
    assert _cgroup_left(tmp_path) is None


def test_doctor_finds_what_was_broken_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A secret for everybody to read, a port that is taken, models that are not there, on this machine."""
    (tmp_path / "secrets").mkdir(mode=0o700)
    secret = tmp_path / "secrets" / "pepper"
    secret.write_text("x")
    secret.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = [f"home={tmp_path}", f"http.port={port}", f"models.folder={tmp_path}"]
        code = kite.main(["doctor", "--json", *(word for one in settings for word in ("--set", one))])
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)}

    assert code == 1
    assert found["permissions"]["state"] == "fail"
    assert found[f"port {port} (http.port)"]["what"].startswith("taken by ")
    assert found["model stance"]["state"] == "fail"
    assert found["model embedder"]["state"] == "warn"
    assert found["home"]["state"] in ("ok", "warn")


def test_doctor_leaves_a_home_that_is_not_there_alone(tmp_path: Path) -> None:
    """Looking makes nothing."""
    kite.main(["doctor", "--json", "--set", f"home={tmp_path / 'none'}", "--set", "http.port=0"])
    assert not (tmp_path / "none").exists()
