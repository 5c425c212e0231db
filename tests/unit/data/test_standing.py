"""The board: where the knowledge stands, read without asking the keeper."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data.standing import NAME, Board, BoardReader

_WRITER = """
import sys
from pathlib import Path
from data.standing import Board
board = Board(Path(sys.argv[1]), folder=Path(sys.argv[2]))
board.tell(int(sys.argv[3]))
print("told", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    path = tmp_path / "shm"
    path.mkdir()
    return path


def read(home: Path, memory: Path) -> tuple[int, int] | None:
    known = BoardReader(home, folder=memory).read()
    return (known.position, known.edition) if known else None


def written_elsewhere(home: Path, memory: Path, position: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(home), str(memory), str(position)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "told\n"
    return process


def test_board_tells_position_and_a_new_edition_at_every_change(home: Path, memory: Path) -> None:
    """A reader that was there before sees both change."""
    reader, board = BoardReader(home, folder=memory), Board(home, folder=memory)
    nothing = reader.read()
    board.tell(7)
    first = reader.read()
    board.tell(7)
    second = reader.read()
    board.tell(9)
    third = reader.read()

    assert nothing is None
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.position, second.position, third.position) == (7, 7, 9)
    assert first.edition < second.edition < third.edition
    board.close()
    assert reader.read() is None


def test_board_of_a_killed_writer_is_not_believed(home: Path, memory: Path) -> None:
    """Neither by who had it open nor by who comes later; the next keeper's is, and the old file is gone."""
    process = written_elsewhere(home, memory, 41)
    reader = BoardReader(home, folder=memory)
    alive = reader.read()
    process.send_signal(signal.SIGKILL)
    process.wait()
    dead, later = reader.read(), read(home, memory)
    board = Board(home, folder=memory)
    board.tell(42)
    anew = reader.read()

    assert alive is not None
    assert alive.position == 41
    assert (dead, later) == (None, None)
    assert anew is not None
    assert (anew.position, anew.board) != (41, alive.board)
    assert len(list(memory.iterdir())) == 1
    board.close()
    assert list(memory.iterdir()) == []


def test_board_of_a_home_is_not_believed_in_a_copy_of_it(tmp_path: Path, home: Path, memory: Path) -> None:
    """The copy has the note of the first one's board; its own keeper leaves that board alone."""
    first = Board(home, folder=memory)
    first.tell(5)
    copied = tmp_path / "copied"
    shutil.copytree(home, copied)
    before = read(copied, memory)
    second = Board(copied, folder=memory)
    second.tell(8)

    assert before is None
    assert read(copied, memory) == (8, 1)
    assert read(home, memory) == (5, 1)
    first.close()
    second.close()


@pytest.mark.parametrize("note", ["", "../../etc/passwd", "kite-../x", "kite-" + "0" * 32])
def test_board_note_that_names_no_board_is_no_board(note: str, home: Path, memory: Path) -> None:
    """Whatever stands there: the keeper is asked."""
    (home / NAME).parent.mkdir()
    (home / NAME).write_text(note)

    assert read(home, memory) is None


def test_board_where_memory_cannot_be_written_is_none_and_stops_nothing(home: Path, tmp_path: Path) -> None:
    """No such folder, or one that refuses: the keeper works on, and is asked."""
    missing = tmp_path / "none"
    board = Board(home, folder=missing)
    board.tell(1)
    board.tell(2)

    assert read(home, missing) is None
    board.close()
    file = tmp_path / "file"
    file.write_bytes(b"")
    Board(home, folder=file).tell(1)


def test_board_is_its_owners_alone(home: Path, memory: Path) -> None:
    """Nobody else may read or write it; one of another size is none."""
    board = Board(home, folder=memory)
    board.tell(1)
    (path,) = memory.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    os.truncate(path, 8)
    assert read(home, memory) is None
    board.close()
