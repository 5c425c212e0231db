"""``kite completion SHELL``: a script by which a shell completes commands, options and file names."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.errors import InvalidValueError
from tasks.commands.told import Told

SHELLS = ("bash", "zsh", "fish")
#: How each shell takes the script in; shown on standard error.
INSTALL = {
    "bash": 'eval "$(kite completion bash)"   # in ~/.bashrc',
    "zsh": "kite completion zsh > ~/.zfunc/_kite   # with ~/.zfunc in fpath before compinit",
    "fish": "kite completion fish > ~/.config/fish/completions/kite.fish",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite completion`` takes."""
    parser.add_argument("shell", choices=SHELLS, help="which shell")


def script_of(shell: str, parser: argparse.ArgumentParser) -> Told:
    """Print the completion script of a shell.

    Raises:
        InvalidValueError: what writes such scripts is not installed.
    """
    try:
        import shtab
    except ImportError as exc:
        raise InvalidValueError("completion: shtab is not installed: pip install shtab.") from exc
    _complete_files(parser, shtab.FILE)
    script: str = shtab.complete(parser, shell)
    return Told({"shell": shell, "script": script, "install": INSTALL[shell]}, _script)


def _complete_files(parser: argparse.ArgumentParser, how: object) -> None:
    """Have arguments that are paths completed as such, in this parser and those below it."""
    for action in parser._actions:  # noqa: SLF001 - argparse tells its arguments in no other way
        if action.type is Path:
            action.complete = how  # type: ignore[attr-defined]  # what shtab reads
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            for below in action.choices.values():
                _complete_files(below, how)


def _script(told: dict[str, str]) -> str:
    return told["script"]
