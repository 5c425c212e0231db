"""The commands there are: their help, examples, completion, exit codes, and the page that lists them."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from configs.errors import ConfigError
from data.errors import (
    AuthError,
    CapacityError,
    CorruptDataError,
    DeadlineError,
    InvalidValueError,
    KiteError,
    NotFoundError,
    StoreUnavailableError,
)
from tasks import kite
from tasks.commands.told import code_of
from tests.unit.cli.command_page import PAGE, page

PROMISED = (
    "up down run status verify batch import jobs tasks search backup restore keys tenants audit bench doctor "
    "config completion"
)


def leaves(parser: argparse.ArgumentParser, path: str = "kite") -> dict[str, argparse.ArgumentParser]:
    """Every command that can be typed, by its words."""
    found = {}
    subs = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not subs:
        return {path: parser}
    for name, sub in subs[0].choices.items():
        found.update(leaves(sub, f"{path} {name}"))
    return found


def test_every_promised_command_is_there() -> None:
    """And has a line of help."""
    assert set(PROMISED.split()) <= {command.name for command in kite.COMMANDS}
    assert all(command.help for command in kite.COMMANDS)


def test_every_command_speaks_json() -> None:
    """But the one that prints a script."""
    without = [
        path
        for path, parser in leaves(kite.build_parser()).items()
        if "--json" not in parser._option_string_actions
    ]
    assert without == ["kite completion"]


@pytest.mark.parametrize("command", kite.COMMANDS, ids=lambda command: command.name)
def test_examples_of_a_command_are_understood(command: kite.Command) -> None:
    """Each example's words are those of the parser; pipes and redirections are the shell's."""
    assert command.examples
    for example in command.examples:
        line = re.sub(r'^eval "\$\((.*)\)"$', r"\1", example)
        line = line.rpartition("| ")[2].partition(" > ")[0]
        words = shlex.split(line)
        assert words[0] == "kite"
        assert kite.build_parser().parse_args(words[1:]).command == command.name


def test_help_of_a_command_shows_its_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """What people read first."""
    with pytest.raises(SystemExit) as caught:
        kite.main(["verify", "--help"])
    assert caught.value.code == 0
    assert "cat claims.txt | kite verify --jsonl" in capsys.readouterr().out


def test_only_the_typed_command_is_loaded() -> None:
    """Help of everything loads nothing; the arguments of one command are its own."""
    nothing = leaves(kite.build_parser(""))
    assert "--frameworks" not in nothing["kite verify"]._option_string_actions
    assert "--frameworks" in leaves(kite.build_parser("verify"))["kite verify"]._option_string_actions


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A script for the shell, with every command in it."""
    assert kite.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in (*PROMISED.split(), "follow", "retry"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidValueError("x"), 2),
        (ConfigError("x"), 2),
        (NotFoundError("x"), 2),
        (AuthError("x"), 2),
        (KiteError("x"), 2),
        (StoreUnavailableError("x"), 4),
        (CapacityError("x"), 4),
        (DeadlineError("x"), 4),
        (CorruptDataError("x"), 1),
    ],
)
def test_exit_code_says_whose_fault_it_is(error: KiteError, code: int) -> None:
    """The user's, the service's, or that of damaged bytes."""
    assert code_of(error) == code


def test_mistake_is_one_line_and_the_request_when_there_is_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard error; standard output stays empty."""
    error = NotFoundError("There is no job.")
    error.request_id = "r-1"

    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(kite, "_run", fail)
    assert kite.main(["config"]) == 2
    assert capsys.readouterr() == ("", "kite: There is no job.\nrequest id: r-1\n")


def test_unreachable_home_is_told_with_how_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, and what to type."""
    assert kite.main(["status", "--set", f"home={tmp_path}"]) == 4
    assert "kite up" in capsys.readouterr().err


def test_page_of_commands_is_that_of_the_parser() -> None:
    """``make docs`` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/command-line.md is old: run `make docs`"
