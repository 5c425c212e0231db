"""``kite audit`` over the file of a stopped home."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.audit.event import AuditEvent
from data.audit.log import AuditLog
from data.claims import TenantId
from tasks import kite
from tests.fakes import FakeClock


@pytest.fixture
def home(tmp_path: Path) -> Path:
    log = AuditLog(tmp_path / "audit", FakeClock())
    log.append(
        [
            AuditEvent(
                f"2026-01-0{day}T00:00:00.000+00:00",
                TenantId("a"),
                "key:1",
                "POST /x",
                "",
                "allowed",
                200,
                "r",
            )
            for day in range(1, 5)
        ]
    )
    log.close()
    return tmp_path


def run(home: Path, *arguments: str) -> int:
    more = ["--home-stopped", "--env", "testing", "--set", f"home={home}"]
    return kite.main(["audit", *arguments, *more])


def test_export_can_be_verified_elsewhere(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What is exported is checked from the file alone."""
    assert run(home, "export") == 0
    kept = tmp_path / "kept.jsonl"
    kept.write_text(capsys.readouterr().out, encoding="utf-8")
    assert run(home, "verify", "--file", str(kept), "--json") == 0
    assert json.loads(capsys.readouterr().out)["last"] == 4


def test_show_gives_the_last_lines_in_order(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest at the bottom."""
    assert run(home, "show", "--limit", "2") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["3", "4"]


def test_verify_of_a_cut_audit_exits_with_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts can tell."""
    assert run(home, "verify") == 0
    (home / "audit" / "head.json").write_text('{"seq": 9, "sha256": "00"}', encoding="utf-8")
    assert run(home, "verify") == 1
    assert "missing" in run_out(capsys, home)


def run_out(capsys: pytest.CaptureFixture[str], home: Path) -> str:
    capsys.readouterr()
    run(home, "show")
    return capsys.readouterr().out


def test_drop_leaves_a_line_that_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Retention is an act of an operator."""
    assert run(home, "drop", "--until", "2026-01-02", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"dropped": 2}
    assert "audit drop" in run_out(capsys, home)
    assert run(home, "verify") == 0
