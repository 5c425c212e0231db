"""The audit's file: what is added stays, and whatever is done to it is found and named."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from data.audit.event import AuditEvent
from data.audit.log import AuditLog, check_export, exported
from data.audit.port import AuditQuery
from data.claims import TenantId
from data.errors import CorruptDataError, InvalidValueError, StoreUnavailableError
from tests.fakes import FakeClock

A, B = TenantId("a"), TenantId("b")


def event(number: int = 0, tenant: TenantId = A, result: str = "allowed") -> AuditEvent:
    at = f"2026-01-{number + 1:02}T12:00:00.000+00:00"
    return AuditEvent(
        at, tenant, f"key:{number}", "POST /knowledge/facts", "10.0.0.1", result, 200, f"r{number}"
    )


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    opened = AuditLog(tmp_path, FakeClock())
    yield opened
    opened.close()


def tampered(folder: Path, *statements: str) -> None:
    """Change the file as somebody with write access to the disk would: without the triggers."""
    with closing(sqlite3.connect(folder / "audit.sqlite")) as file:
        for (trigger,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            file.execute(statement)
        file.commit()


def test_lines_read_back_are_those_written(log: AuditLog) -> None:
    """Events come back in order, with positions from one on."""
    assert log.append([event(0), event(1)]) == 2
    assert log.append([event(2)]) == 3
    rows = log.read(AuditQuery())
    assert [(row.seq, row.event) for row in rows] == [(1, event(0)), (2, event(1)), (3, event(2))]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (AuditQuery(tenant=B), [2, 5]),
        (AuditQuery(newest=True, limit=2), [6, 5]),
        (AuditQuery(newest=True, before=5, limit=2), [4, 3]),
        (AuditQuery(after=4), [5, 6]),
        (AuditQuery(result="denied"), [3, 6]),
        (AuditQuery(subject="key:4"), [5]),
        (AuditQuery(request_id="r1"), [2]),
        (AuditQuery(action="POST /know"), [1, 2, 3, 4, 5, 6]),
        (AuditQuery(action="%"), []),
        (AuditQuery(since="2026-01-03", until="2026-01-04"), [3, 4]),
        (AuditQuery(since="2026-01-03T12:00:00.001Z"), [4, 5, 6]),
    ],
)
def test_read_with_filters_gives_the_lines_they_name(
    log: AuditLog, query: AuditQuery, wanted: list[int]
) -> None:
    """Every filter narrows, pages go forward and backward, and a wildcard is a plain character."""
    tenants = [A, B, A, A, B, A]
    log.append([event(n, tenant, "denied" if n in (2, 5) else "allowed") for n, tenant in enumerate(tenants)])
    assert [row.seq for row in log.read(query)] == wanted


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_read_outside_the_limit_is_refused(log: AuditLog, limit: int) -> None:
    """A page is bounded."""
    with pytest.raises(InvalidValueError, match="limit"):
        log.read(AuditQuery(limit=limit))


def test_append_repeated_under_its_name_writes_once(log: AuditLog) -> None:
    """A retry after an unknown outcome does not double the lines."""
    assert log.append([event(0)], "one") == 1
    assert log.append([event(0)], "one") == 1
    assert log.append([event(1)], "two") == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET subject = 'x'",
        "DELETE FROM events",
        "DELETE FROM starts",
        "INSERT OR REPLACE INTO events SELECT 1, at, tenant, 'x', action, address, result, status, "
        "request_id, target, reason, sha256 FROM events WHERE seq = 1",
    ],
)
def test_file_refuses_to_be_changed(tmp_path: Path, log: AuditLog, statement: str) -> None:
    """Another connection cannot alter or remove lines without taking the triggers away first."""
    log.append([event(0), event(1)])
    with closing(sqlite3.connect(tmp_path / "audit.sqlite")) as other:
        if "starts" in statement:
            other.execute("INSERT INTO starts VALUES (0, x'00')")
        with pytest.raises(sqlite3.IntegrityError, match=r"never|only added"):
            other.execute(statement)


def test_verify_of_a_sound_file_names_its_ends(log: AuditLog) -> None:
    """All holds: first and last line, and the head of the chain."""
    log.append([event(n) for n in range(5)])
    found = log.verify()
    assert (found.first, found.last, found.fault, found.gaps) == (1, 5, "", ())
    assert found.head == log.read(AuditQuery(newest=True))[0].sha256


@pytest.mark.parametrize(
    ("statements", "seq"),
    [
        (["UPDATE events SET subject = 'key:9' WHERE seq = 3"], 3),
        (["UPDATE events SET sha256 = x'00' WHERE seq = 2"], 2),
        (["DELETE FROM events WHERE seq = 4"], 4),
        (["DELETE FROM events WHERE seq >= 4"], 4),
        (["DELETE FROM events WHERE seq = 1"], 1),
        (["DELETE FROM events"], 1),
        (["UPDATE events SET seq = 9 WHERE seq = 5"], 5),
        (
            [
                "INSERT INTO starts SELECT seq, sha256 FROM events WHERE seq = 2",
                "DELETE FROM events WHERE seq < 3",
            ],
            2,
        ),
    ],
)
def test_verify_of_an_altered_file_names_the_first_line_that_does_not_hold(
    tmp_path: Path, log: AuditLog, statements: list[str], seq: int
) -> None:
    """Altered, removed in the middle, at the end or at the beginning: each is found, and where."""
    log.append([event(n) for n in range(5)])
    tampered(tmp_path, *statements)
    found = log.verify()
    assert found.fault_seq == seq, found
    assert found.fault


def test_verify_without_the_noted_end_says_so(tmp_path: Path, log: AuditLog) -> None:
    """Who removes the file beside the audit to hide a cut is noticed as well."""
    log.append([event(0)])
    (tmp_path / "head.json").unlink()
    assert "missing" in log.verify().fault


def test_file_cut_off_while_closed_tells_of_it_for_ever(tmp_path: Path) -> None:
    """The loss becomes a line when the file is opened, so that later lines do not hide it."""
    log = AuditLog(tmp_path, FakeClock())
    log.append([event(n) for n in range(5)])
    log.close()
    tampered(tmp_path, "DELETE FROM events WHERE seq > 3")
    again = AuditLog(tmp_path, FakeClock())
    again.append([event(6)])
    found = again.verify()
    assert (found.gaps, found.fault, found.last) == ((4,), "", 5)
    assert "lines up to 5 are missing" in again.read(AuditQuery(after=3))[0].event.target
    again.close()


def test_file_that_is_no_database_is_set_aside_and_the_new_one_says_so(tmp_path: Path) -> None:
    """Damage to the audit does not stop the keeper, and does not go unnoticed."""
    log = AuditLog(tmp_path, FakeClock())
    log.append([event(n) for n in range(3)])
    log.close()
    for end in ("-wal", "-shm"):
        (tmp_path / f"audit.sqlite{end}").unlink(missing_ok=True)
    (tmp_path / "audit.sqlite").write_bytes(b"no database at all" * 500)
    again = AuditLog(tmp_path, FakeClock())
    assert again.verify().gaps == (1,)
    assert (tmp_path / "audit.sqlite.corrupt-1").exists()
    again.close()


def test_drop_removes_the_oldest_lines_and_keeps_the_chain(tmp_path: Path, log: AuditLog) -> None:
    """Retention: lines before a moment go, the rest still verifies, and a line tells who did it."""
    log.append([replace(event(n), target=f"Zopilotl{n}") for n in range(6)])
    assert log.drop("2026-01-03", subject="key:boss") == 3
    found = log.verify()
    assert (found.first, found.last, found.fault) == (4, 7, "")
    told = log.read(AuditQuery(newest=True))[0].event
    assert (told.subject, told.action) == ("key:boss", "audit drop")
    whole = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Zopilotl1" not in whole
    assert b"Zopilotl3" in whole
    assert log.drop("2026-01-03", subject="key:boss") == 0
    assert log.append([event(9)]) == 8


def test_append_after_everything_was_dropped_goes_on_counting(log: AuditLog) -> None:
    """A position is never given twice."""
    log.append([event(0), event(1)])
    log.drop("2027-01-01", subject="operator")
    assert log.append([event(2)]) == 4
    assert log.verify().fault == ""


def test_append_of_hostile_text_neutralises_and_bounds_it(log: AuditLog) -> None:
    """Line breaks, escapes for terminals, direction marks and lone surrogates cannot forge a line."""
    nasty = replace(event(0), target="x\n2026 key:admin\x1b[2J\u202e\u2028\ud800", subject="s" * 1_000)
    log.append([nasty])
    kept = log.read(AuditQuery())[0].event
    assert kept.target.startswith("x\\u000a2026 key:admin\\u001b[2J\\u202e\\u2028")
    assert kept.target.isprintable()
    assert len(kept.subject) == 256
    assert log.verify().fault == ""


def test_export_gives_one_json_line_an_event(log: AuditLog) -> None:
    """All pages, in order, with position and hash."""
    log.append([event(n) for n in range(5)])
    lines = [json.loads(line) for line in exported(log, AuditQuery(limit=2))]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[0]["subject"] == "key:0"
    assert len(lines[4]["sha256"]) == 64


def test_closed_log_answers_with_a_store_error(tmp_path: Path) -> None:
    """Late calls meet an error that callers know."""
    log = AuditLog(tmp_path, FakeClock())
    log.close()
    with pytest.raises(StoreUnavailableError):
        log.read(AuditQuery())


def test_exported_lines_are_checked_on_their_own(log: AuditLog) -> None:
    """A range of lines kept elsewhere holds by itself; an altered, missing or doubled line is named."""
    log.append([event(number) for number in range(5)])
    lines = list(exported(log, AuditQuery()))
    assert check_export(lines) == (1, 5, log.verify().head)
    assert check_export(lines[2:])[:2] == (3, 5)
    for broken in (
        [*lines[:2], lines[2].replace(b"key:2", b"key:9"), *lines[3:]],
        [*lines[:2], *lines[3:]],
        [*lines[:3], *lines[2:]],
    ):
        with pytest.raises(CorruptDataError, match=r"altered at seq [34]"):
            check_export(broken)
    with pytest.raises(CorruptDataError, match="Line 2"):
        check_export([lines[0], b"{}\n"])
