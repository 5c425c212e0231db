"""Files of an output: whole or not there, and what stands in their way in plain words."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pyarrow import fs

from data.batch.manifest import (
    BatchOptions,
    Manifest,
    claim_output,
    clear,
    part_name,
    part_number,
    parts_done,
)
from data.batch.output import DRAFTS, ArrowOutput, FolderOutput, Output, open_output
from data.batch.parts import FileMark
from data.errors import ConflictError, CorruptDataError, InvalidValueError, StoreUnavailableError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["folder", "arrow", "objects"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    """A folder of this disk, of a file system of Arrow's, and of one where files appear whole."""
    if request.param == "folder":
        return FolderOutput(tmp_path / "out")
    if request.param == "arrow":
        return ArrowOutput(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "out", "test://out")
    (tmp_path / "out" / "_kite" / "parts").mkdir(parents=True)
    return ArrowOutput(ObjectStore(tmp_path), "out", "s3://out")


class ObjectStore:
    """A file system on which nothing can be moved, as on S3."""

    type_name = "s3"

    def __init__(self, folder: Path) -> None:
        self._inner = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())

    def __getattr__(self, name: str) -> object:
        assert name not in {"move", "create_dir"}
        return getattr(self._inner, name)


def manifest(**changed: object) -> Manifest:
    told = {"options": BatchOptions(), "files": (FileMark("a", 1, 2, "3"),), "parts": 1, "rows": 1}
    stands = {"position": 7, "calibrated_at": 0, "model_bundle": "m"}
    return Manifest(**{**told, **stands, **changed})  # type: ignore[arg-type]


def test_output_keeps_lists_replaces_and_removes_files(output: Output) -> None:
    """What is committed is read back; nothing else lies in the folder."""
    output.commit("part-000001.jsonl", b"one")
    output.commit("_kite/parts/000001.json", b"{}")
    output.commit("part-000001.jsonl", b"two")

    assert output.read("part-000001.jsonl") == b"two"
    assert output.names() == ["part-000001.jsonl"]
    assert output.names("_kite/parts") == ["000001.json"]
    output.remove("part-000001.jsonl")
    output.remove("part-000001.jsonl")
    assert (output.names(), output.read("part-000001.jsonl"), output.names("nowhere")) == ([], None, [])


def test_output_creates_a_file_once(output: Output) -> None:
    """The second who creates it changes nothing and is told so."""
    assert output.create("x", b"first")
    assert not output.create("x", b"second")
    assert output.read("x") == b"first"


def test_output_in_which_nothing_may_be_written_is_named(tmp_path: Path) -> None:
    """The sentence says where, and what to do."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(InvalidValueError, match=r"file/out.*cannot be written .*Choose another"):
        FolderOutput(tmp_path / "file" / "out").commit("a", b"x")


def test_output_on_a_full_disk_is_named_and_leaves_nothing_half(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: what was whole stays, the rest is not there."""
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from data.batch.output import FolderOutput\n"
        "from data.errors import StoreUnavailableError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "out = FolderOutput(Path(sys.argv[1]))\n"
        "out.commit('small', b'x' * 900)\n"
        "try:\n"
        "    out.commit('small', b'y' * 5000)\n"
        "except StoreUnavailableError as exc:\n"
        "    print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "the disk is full" in done.stdout
    assert (tmp_path / "out" / "small").read_bytes() == b"x" * 900
    assert os.listdir(tmp_path / "out" / "_kite" / "drafts") == []


@pytest.mark.parametrize("verb", ["commit", "create"])
def test_file_whose_draft_another_run_removes_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """A run at its end removes what it takes for left over; whoever was writing writes once more."""
    output = FolderOutput(tmp_path)
    sync, left = os.fsync, ["the other run's end"]

    def sync_and_remove(number: int) -> None:
        sync(number)
        if left:
            left.pop()
            (name,) = output.names(DRAFTS)
            output.remove(f"{DRAFTS}/{name}")

    monkeypatch.setattr(os, "fsync", sync_and_remove)
    getattr(output, verb)("a", b"one")
    assert (output.read("a"), output.names(DRAFTS), left) == (b"one", [], [])


def test_file_of_arrow_whose_draft_another_run_removes_is_written_again(tmp_path: Path) -> None:
    """The same where a file system moves drafts."""
    local = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())

    class Swept:
        type_name = "hdfs"
        moves = 0

        def __getattr__(self, name: str) -> object:
            return getattr(local, name)

        def move(self, draft: str, goal: str) -> None:
            self.moves += 1
            if self.moves == 1:
                local.delete_file(draft)
            local.move(draft, goal)

    system = Swept()
    ArrowOutput(system, "out", "hdfs://out").commit("a", b"one")
    assert ((tmp_path / "out" / "a").read_bytes(), system.moves) == (b"one", 2)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_file_system_of_arrow_is_named(number: int) -> None:
    """Where the store says that it is full, so do we."""

    class Full:
        type_name = "s3"

        def open_output_stream(self, path: str) -> None:
            raise OSError(number, "no room", path)

    with pytest.raises(StoreUnavailableError, match="the disk is full"):
        ArrowOutput(Full(), "out", "s3://out").commit("a", b"x")


def test_address_without_a_file_system_is_refused() -> None:
    """A misspelt scheme is told at once."""
    with pytest.raises(InvalidValueError, match="no file system answers to it"):
        open_output("nowhere://bucket/out")


def test_address_of_this_disk_is_a_folder(tmp_path: Path) -> None:
    """It is as durable as a path."""
    assert isinstance(open_output(f"file://{tmp_path}"), FolderOutput)


def test_manifest_is_claimed_once_and_continued_at_its_position(output: Output) -> None:
    """A later run with the same batch takes over the position at which it began."""
    first = claim_output(output, manifest())

    assert claim_output(output, manifest(position=9, calibrated_at=8)) == first


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"files": (FileMark("a", 1, 2, "4"),)}, "other inputs"),
        ({"options": BatchOptions(format="parquet", limit=3)}, "--format, --limit"),
        ({"model_bundle": "n"}, "other models or settings"),
        ({"parts": 2}, "other parts"),
    ],
)
def test_output_of_another_batch_is_refused(output: Output, changed: dict[str, object], words: str) -> None:
    """Rows of two batches never mix; the sentence says what differs and how to go on."""
    claim_output(output, manifest())

    with pytest.raises(ConflictError, match=f"{words}.*--fresh"):
        claim_output(output, manifest(**changed))


def test_rows_without_a_manifest_are_refused(output: Output) -> None:
    """Somebody else's rows are not taken for ours."""
    output.commit(part_name(3, "jsonl"), b"")

    with pytest.raises(ConflictError, match="no known batch"):
        claim_output(output, manifest())


def test_manifest_that_cannot_be_read_is_named(output: Output) -> None:
    """It is not taken for a missing one."""
    output.commit("_kite/manifest.json", b"{")

    with pytest.raises(CorruptDataError, match="give --fresh"):
        claim_output(output, manifest())


def test_manifest_claimed_by_many_at_once_is_one(tmp_path: Path) -> None:
    """However many begin together, all go on at the position of the one who was first."""
    output, found = FolderOutput(tmp_path / "out"), []
    gate = threading.Barrier(8)

    def claim(position: int) -> None:
        gate.wait()
        found.append(claim_output(output, manifest(position=position)).position)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1


def test_clear_removes_the_batch_and_nothing_else(output: Output) -> None:
    """Files of other people stay."""
    claim_output(output, manifest())
    for name in (part_name(0, "jsonl"), "_SUCCESS", "report.json", "dead_letters.jsonl", "notes.txt"):
        output.commit(name, b"")
    clear(output)

    assert output.names() == ["notes.txt"]
    assert claim_output(output, manifest(parts=5)).parts == 5


def test_part_names_are_told_from_other_files(output: Output) -> None:
    """Only whole names of parts count, of the format asked for."""
    for name in ("part-000004.jsonl", "part-000005.parquet", "part-x.jsonl", "part-000006.txt"):
        output.commit(name, b"")

    assert parts_done(output, "jsonl") == {4}
    assert part_number("part-1000000.parquet") == 1_000_000
