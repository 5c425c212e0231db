"""The commands: what an operator types, the report that comes back, one line when it cannot be done."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from data.ledger import Ledger
from tasks import backup, kite
from tests.fakes import FakeClock
from tests.unit.backups.homes import KEY, House, facts, rows_of, segment


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A home, its target and its key named as an operator does."""
    made = House(tmp_path)
    made.write([*facts("a", 10), segment(made.home, "d1")])
    (tmp_path / "key").write_text(KEY.hex())
    monkeypatch.setenv("KITE_BACKUP_TARGET", str(tmp_path / "target"))
    monkeypatch.setenv("KITE_BACKUP_KEY_FILE", str(tmp_path / "key"))
    return made


def set_home(home: Path) -> tuple[str, str]:
    return "--set", f"home={home}"


def told(capsys: pytest.CaptureFixture[str], home: Path, *arguments: str, code: int = 0) -> Any:
    """Run a command of ``tasks.backup`` for a home and return its report, or its error's line."""
    assert backup.main([*arguments, "--set", f"home={home}"]) == code
    out, err = capsys.readouterr()
    return json.loads(out) if out else err


def test_commands_back_up_verify_and_restore(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Create two kinds, list them, verify them, restore to another home."""
    full = told(capsys, house.home, "create")
    house.write(facts("b", 5))
    incremental = told(capsys, house.home, "create", "--kind", "incremental")
    listed = told(capsys, house.home, "list")
    checked = told(capsys, house.home, "verify")
    restored = told(capsys, tmp_path / "new", "restore")

    assert (incremental["parent"], incremental["after_seq"], incremental["head_seq"]) == (full["id"], 11, 16)
    assert [one["id"] for one in listed["backups"]] == [full["id"], incremental["id"]]
    assert full["key_id"] is not None
    assert (checked["whole"], len(checked["backups"])) == (True, 2)
    assert restored["end"]["seq"] == 16
    assert rows_of(tmp_path / "new") == rows_of(house.home)


def test_verify_of_a_damaged_backup_names_the_file_and_exits_1(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a scheduled verification is noticed; and the restore refuses with one line."""
    told(capsys, house.home, "create")
    (part,) = (tmp_path / "target" / "backups").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    report = told(capsys, house.home, "verify", code=1)
    refused = told(capsys, tmp_path / "new", "restore", code=1)

    assert report["backups"][0]["faults"][0]["path"].endswith(part.name)
    assert part.name in refused
    assert refused.count("\n") == 1


def test_create_by_schedule_only_when_due(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """The first one is taken; a second within the year is not."""
    first = told(capsys, house.home, "create", "--schedule", "0 0 1 1 *")
    second = told(capsys, house.home, "create", "--schedule", "0 0 1 1 *")
    minutely = told(capsys, house.home, "create", "--schedule", "bad", code=1)

    assert second == {"due": False, "last": first["created_at"]}
    assert "is not a schedule" in minutely


def test_prune_and_delete_report_what_went(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Two full backups: the older one is let go; the newer one is deleted by name."""
    older = told(capsys, house.home, "create")["id"]
    newer = told(capsys, house.home, "create")["id"]
    options = ["--last", "1", "--daily", "0", "--weekly", "0", "--monthly", "0"]
    pruned = told(capsys, house.home, "prune", *options)
    deleted = told(capsys, house.home, "delete", newer)

    assert (pruned["backups"], deleted["backups"]) == ([older], [newer])
    assert told(capsys, house.home, "list")["backups"] == []


def test_stream_ends_on_a_signal_and_recover_brings_everything_back(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was streamed is in the report; ``kite recover`` restores, verifies, and builds the views."""
    told(capsys, house.home, "create")
    house.write(facts("b", 5))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    streamed = told(capsys, house.home, "stream", "--every", "0.1")
    for number, handler in before.items():
        signal.signal(number, handler)
    assert kite.main(["recover", "--json", "--set", f"home={tmp_path / 'new'}"]) == 0
    report = json.loads(capsys.readouterr().out)

    assert (streamed["rows"], streamed["seq"]) == (5, 16)
    assert (report["chain_rows"], report["refused"], report["lost_after_seq"]) == (16, [], None)
    assert report["views"]["facts"]["counts"] == {"facts": 15}
    assert rows_of(tmp_path / "new") == rows_of(house.home)


def test_kite_backup_and_restore(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same through ``kite``: a dry run tells, the restore does."""
    assert (
        kite.main(["backup", "--json", "--kind", "snapshot", "--name", "before", *set_home(house.home)]) == 0
    )
    created = json.loads(capsys.readouterr().out)
    new = f"home={tmp_path / 'new'}"
    assert kite.main(["restore", created["id"], "--at", "5", "--dry-run", "--json", "--set", new]) == 0
    tried = json.loads(capsys.readouterr().out)
    assert kite.main(["restore", created["id"], "--at", "5", "--set", new]) == 0
    capsys.readouterr()
    ledger = Ledger(tmp_path / "new" / "ledger" / "ledger.sqlite", FakeClock())

    assert (created["name"], tried["end"]["seq"], tried["dry_run"]) == ("before", 5, True)
    assert ledger.verify() == 5
    ledger.close()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["restore", "nosuch"], "no backup 'nosuch'"),
        (["restore"], "holds no backup"),
        (["restore", "--at", "yesterday"], "is not a day or an instant"),
        (["restore", "--store", "fact"], "go with --into-running"),
        (["create", "--kind", "snapshot"], "needs a name"),
        (["prune", "--last", "0"], "at least the last"),
        (["create", "--key-file", "nosuch"], "cannot be read"),
        (["create", "--target", "nosuch://x/y"], "is no backup target"),
        (["stream"], "create a full one first"),
    ],
)
def test_mistakes_are_one_clear_line(
    house: House, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    """What is wrong, without a stack trace."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if arguments[1:2] in (["--at"], ["--store"]):
        told(capsys, house.home, "create")
    line = told(capsys, house.home, *arguments, code=1)
    for number, handler in before.items():
        signal.signal(number, handler)

    assert expected in line
    assert line.count("\n") == 1


def test_no_target_is_told(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the option and the variable."""
    monkeypatch.delenv("KITE_BACKUP_TARGET")

    assert "KITE_BACKUP_TARGET" in told(capsys, house.home, "list", code=1)
