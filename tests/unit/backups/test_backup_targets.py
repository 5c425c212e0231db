"""Every target keeps the same promises: a folder, pyarrow filesystems, and a real S3 server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from data.backups.creation import Place, Wanted, create
from data.backups.manifest import read_catalogue
from data.backups.plan import plan
from data.backups.restoration import restore
from data.backups.retention import Policy, prune
from data.backups.stream import Follower
from data.backups.targets import ArrowTarget, FolderTarget, Item, Target, open_target
from data.backups.verification import verify_backup
from data.backups.worker import Worker
from data.errors import InvalidValueError, NotFoundError, UnavailableError
from tests.unit.backups.homes import SEALERS, House, facts, rows_of, segment

MOTO = shutil.which("moto_server") or shutil.which("moto_server", path=str(Path(sys.executable).parent))
#: What both the server and its client are told.
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3-compatible server on loopback with one bucket; yields its URL."""
    if MOTO is None:
        pytest.skip("moto_server is not installed: pip install 'moto[server]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [MOTO, "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, **AWS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    request = urllib.request.Request(f"{url}/backups", method="PUT")
    request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request")
    for _ in range(300):
        try:
            urllib.request.urlopen(request).close()
            break
        except OSError:
            time.sleep(0.1)  # until the server is up
    else:
        server.kill()
        pytest.fail("moto_server did not come up within 30 s")
    yield url
    server.kill()
    server.wait()


def open_s3(url: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> Target:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    return open_target(f"s3://backups/{folder}", endpoint=url)


@pytest.fixture(params=["folder", "arrow", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """One target of each kind."""
    if request.param == "folder":
        return open_target(str(tmp_path / "target"))
    if request.param == "arrow":
        return ArrowTarget(LocalFileSystem(), str(tmp_path / "target"))
    return open_s3(request.getfixturevalue("s3_server"), tmp_path.name, monkeypatch)


def test_target_gives_back_what_was_written(target: Target) -> None:
    """Content, size and names; a file of the same name is replaced; an empty one is a file."""
    target.write("a/b/one", [b"first"])
    target.write("a/b/one", [b"x" * 3_000_000, b"y"])
    target.write("a/two", [])

    assert b"".join(target.read("a/b/one")) == b"x" * 3_000_000 + b"y"
    assert (target.size("a/b/one"), target.size("a/two"), target.size("a")) == (3_000_001, 0, None)
    assert target.files("a") == [Item("a/b/one", 3_000_001), Item("a/two", 0)]
    assert target.files("nowhere") == []


def test_target_missing_file_is_not_found(target: Target) -> None:
    """Reading it says so; deleting it is no error."""
    target.delete("a/one")

    with pytest.raises(NotFoundError, match="a/one"):
        list(target.read("a/one"))


def test_target_write_that_fails_leaves_nothing(target: Target) -> None:
    """Half a file is no file, and what stood under another name is still there."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise NotFoundError("the source is gone")

    target.write("a/other", [b"x"])
    with pytest.raises(NotFoundError):
        target.write("a/one", broken())

    assert target.files("a") == [Item("a/other", 1)]


def test_target_deleted_file_is_gone(target: Target) -> None:
    """It is not listed any more."""
    target.write("a/one", [b"x"])
    target.delete("a/one")

    assert (target.files(""), target.size("a/one")) == ([], None)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("sealer", sorted(SEALERS))
def test_backup_goes_through_every_target_and_back(target: Target, tmp_path: Path, sealer: str) -> None:
    """Create, stream, verify, prune, restore."""
    house = House(tmp_path)
    place = Place(house.home, target, SEALERS[sealer])
    house.write([*facts("a", 10), segment(house.home, "d1")], key="first")
    create(place, house.clock, wanted=Wanted("full"))
    house.write(facts("b", 5))
    create(place, house.clock, wanted=Wanted("full"))
    follower = Follower(place)
    house.write([segment(house.home, "d2")], key="late")
    follower.step()
    gone = prune(place, Policy(1, 0, 0, 0))
    catalogue = read_catalogue(target, place.sealer)
    worker = Worker(None, target, place.sealer)
    faults = verify_backup(catalogue, catalogue.newest().id, sealer=place.sealer, runner=worker).faults
    new = Place(tmp_path / "new", target, place.sealer)
    restore(new, plan(new, catalogue, latest=True))

    assert (len(gone.backups), faults) == (1, ())
    assert rows_of(tmp_path / "new") == rows_of(house.home)


def test_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "target").write_bytes(b"")
    opened = FolderTarget(tmp_path / "target")

    with pytest.raises(UnavailableError, match="cannot be used"):
        opened.write("a/one", [b"x"])


@pytest.mark.parametrize("address", ["nosuch://bucket/folder", "s3://"])
def test_address_that_is_no_target_is_refused(address: str) -> None:
    """It says what to give."""
    with pytest.raises(InvalidValueError, match="is no backup target"):
        open_target(address)


def test_s3_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: one sentence, not a stack trace."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    opened = open_s3("http://127.0.0.1:1", "x", monkeypatch)

    with pytest.raises(UnavailableError, match="cannot be used"):
        opened.files("backups")


def test_file_uri_and_path_are_the_same_folder(tmp_path: Path) -> None:
    """Both spellings find the same file."""
    folder: Callable[[str], Target] = open_target
    folder((tmp_path / "t").as_uri()).write("one", [b"x"])

    assert folder(str(tmp_path / "t")).files("") == [Item("one", 1)]
    assert os.listdir(tmp_path / "t") == ["one"]
