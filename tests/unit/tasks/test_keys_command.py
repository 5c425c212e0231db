"""``kite keys`` and ``kite tenants`` on a stopped home, and the key of the first start."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.schema import AuthSettings, Settings
from data.access import keys
from data.access.records import KeyRecord
from data.access.secrets import access_secrets
from data.errors import ConfigError
from data.home_lock import hold_home
from tasks import kite
from tasks.commands.starting import show_first_key
from tasks.keys import desk_of, first_key

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on this test's home; return exit code, output and errors."""
    for name in ("RAY_ADDRESS", "KITE_SECRET", "KITE_PEPPER"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = kite.main([*arguments, "--set", f"home={tmp_path}"])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def rows(run: Run, *arguments: str) -> list[dict[str, Any]]:
    code, out, err = run(*arguments, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    return told if isinstance(told, list) else [told]


def records(home: Path) -> dict[str, KeyRecord]:
    with desk_of(Settings(home=str(home))) as desk:
        return {record.id: record for record in desk.keys(None)}


def create(run: Run, *more: str) -> dict[str, Any]:
    (row,) = rows(run, "keys", "create", "robot", "--tenant", "default", "--role", "editor", *more)
    return row


def test_key_is_made_with_all_that_was_asked_and_shown_once(run: Run, tmp_path: Path) -> None:
    """The text opens under the home's pepper; no list shows it again."""
    made = create(
        run, "--role", "reader", "--expires", "90d", "--address", "10.1.2.3/8", "--hours", "22:00-06:00",
        "--days", "fri,mon",
    )  # fmt: skip
    record = records(tmp_path)[made["id"]]
    listed = run("keys", "list")[1] + run("keys", "show", made["id"])[1]

    assert keys.hash_of(made["key"], access_secrets(tmp_path, {}).pepper) == record.hashed
    assert (made["roles"], made["tenant"], made["addresses"], made["hours"]) == (
        ["reader", "editor"],
        "default",
        ["10.0.0.0/8"],
        "22:00-06:00 mon,fri",
    )
    assert record.expires_s == pytest.approx(record.created_s + 90 * 86_400.0, abs=60.0)
    assert made["id"] in listed
    assert made["key"][18:] not in listed
    assert record.hashed not in listed


def test_key_for_people_is_shown_on_a_line_of_its_own(run: Run) -> None:
    """It can be copied with two clicks."""
    code, out, _ = run("keys", "create", "chief", "--installation", "--role", "admin")

    assert code == 0
    assert re.search(r"^  kite_[0-9A-Za-z]{12}_[0-9A-Za-z]{36}$", out, re.MULTILINE)
    assert "shown only now" in out


def test_rotate_and_revoke_end_keys(run: Run, tmp_path: Path) -> None:
    """A rotated key ends after its overlap, a revoked one at once."""
    made = create(run)
    (fresh,) = rows(run, "keys", "rotate", made["id"], "--overlap", "60")
    run("keys", "revoke", fresh["id"])
    found = records(tmp_path)

    assert fresh["replaces"] == made["id"]
    assert keys.parse(fresh["key"]) == fresh["id"]
    assert found[made["id"]].expires_s == pytest.approx(found[fresh["id"]].created_s + 60.0)
    assert found[fresh["id"]].revoked_s is not None
    assert "revoked_at=" in run("keys", "show", fresh["id"])[1]


def test_keys_are_listed_by_tenant(run: Run) -> None:
    """All of them, or one tenant's."""
    made = create(run)
    rows(run, "keys", "create", "chief", "--installation", "--role", "admin")

    assert [row["id"] for row in rows(run, "keys", "list", "--tenant", "default")] == [made["id"]]
    assert len(rows(run, "keys", "list")) == 2
    assert rows(run, "keys", "list", "--tenant", "shared") == []
    assert "There are none" in run("keys", "list", "--tenant", "shared")[1]


def test_tenant_is_made_suspended_and_resumed(run: Run) -> None:
    """Each command shows how the tenant then is."""
    (made,) = rows(run, "tenants", "create", "acme", "--name", "Acme", "--quota", "keys=1")
    states = [rows(run, "tenants", act, "acme")[0]["state"] for act in ("suspend", "resume")]

    assert (made["name"], made["quotas"]) == ("Acme", {"keys": 1})
    assert states == ["suspended", "active"]
    assert [row["id"] for row in rows(run, "tenants", "list")] == ["acme", "default", "shared"]
    assert "quotas=keys:1" in run("tenants", "list")[1]


ADMIN = ("keys", "create", "n", "--installation", "--role", "admin")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("keys", "show", "nothing"), "no key 'nothing'"),
        (("keys", "revoke", "nothing"), "no key 'nothing'"),
        (("keys", "create", "n", "--tenant", "none", "--role", "reader"), "no tenant 'none'"),
        (("keys", "create", "n", "--tenant", "A B", "--role", "reader"), "tenant id"),
        ((*ADMIN, "--expires", "soon"), "--expires"),
        ((*ADMIN, "--expires", "2020-01-01"), "future"),
        ((*ADMIN, "--hours", "9-17"), "HH:MM"),
        (
            (*ADMIN, "--hours", "09:00-17:00", "--days", "fr"),
            "--days",
        ),
        ((*ADMIN, "--address", "x"), "no network"),
        (("keys", "rotate", "x", "--overlap", "-1"), "overlap"),
        (("tenants", "create", "default"), "taken"),
        (("tenants", "create", "system"), "installation's own"),
        (("tenants", "create", "a", "--quota", "cats=1"), "--quota"),
        (("tenants", "create", "a", "--quota", "keys=-1"), "--quota"),
        (("tenants", "suspend", "none"), "no tenant 'none'"),
    ],
)
def test_mistake_ends_in_one_line(run: Run, arguments: tuple[str, ...], told: str) -> None:
    """Exit code 2, nothing on the output, one line that says what to mend."""
    code, out, err = run(*arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


def test_home_that_another_process_has_open_is_refused(run: Run, tmp_path: Path) -> None:
    """A keeper without a cluster around it."""
    with hold_home(tmp_path):
        code, _, err = run("keys", "list")

    assert (code, "Another keeper owns" in err) == (4, True)


def settings(home: Path, mode: str = "required") -> Settings:
    return Settings(home=str(home), auth=AuthSettings(mode=mode))  # type: ignore[arg-type]


def test_first_start_makes_one_key_of_the_installation(run: Run, tmp_path: Path) -> None:
    """Its text lies in a file for the owner alone; later starts make none, revoked or not."""
    text = first_key(settings(tmp_path))
    assert text is not None
    file = tmp_path / "secrets" / "admin_key"
    (record,) = records(tmp_path).values()

    assert (file.read_text(), oct(file.stat().st_mode & 0o777)) == (text, "0o600")
    assert (record.id, record.tenant, record.roles) == (text[5:17], None, ("admin",))
    assert first_key(settings(tmp_path)) is None
    run("keys", "revoke", record.id)
    assert first_key(settings(tmp_path)) is None
    assert list(records(tmp_path)) == [record.id]


def test_open_installation_gets_no_key(run: Run, tmp_path: Path) -> None:
    """Nobody is asked for one."""
    assert first_key(settings(tmp_path, "open")) is None
    assert not (tmp_path / "secrets").exists()


def test_first_start_that_was_cut_off_gives_the_key_of_its_file(run: Run, tmp_path: Path) -> None:
    """Written to the file, but not to the ledger: the next start goes on with it."""
    text = keys.new_text()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin_key").write_text(text)

    assert first_key(settings(tmp_path)) == text
    assert list(records(tmp_path)) == [text[5:17]]


def test_first_key_s_file_that_holds_something_else_is_refused(run: Run, tmp_path: Path) -> None:
    """Nothing is written over it, and it is not shown."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin_key").write_text("x" * 60)

    with pytest.raises(ConfigError, match="holds no key") as caught:
        first_key(settings(tmp_path))
    assert "xxx" not in str(caught.value)
    assert records(tmp_path) == {}


def test_first_key_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """However narrow the terminal is, the key is not broken."""
    text = keys.new_text()
    show_first_key(text)
    show_first_key(None)

    assert capsys.readouterr().out.count(text) == 1
