"""What a shell offers after some words, in the shell itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.commands.completion import script_of
from tasks.kite import build_parser


@pytest.fixture(scope="module")
def bash_script() -> str:
    return str(script_of("bash", build_parser()).value["script"])


def offered(script: str, *words: str, cwd: Path) -> list[str]:
    """What bash offers for the last of these words."""
    typed = " ".join(f"'{word}'" for word in words)
    program = (
        f"{script}\nCOMP_WORDS=(kite {typed}); COMP_CWORD={len(words)}\n"
        'COMP_LINE="kite"; COMP_POINT=0; _shtab_kite; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", program], cwd=cwd, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ver",), ["verify"]),
        (("jobs", "l"), ["list", "logs"]),
        (("jobs", "list", "--state", "run"), ["running"]),
        (("verify", "--fi"), ["--file"]),
        (("verify", "--file", "cla"), ["claims.txt"]),
    ],
)
def test_bash_completes_commands_options_values_and_files(
    bash_script: str, words: tuple[str, ...], expected: list[str], tmp_path: Path
) -> None:
    """As far as it can be known without asking the service."""
    (tmp_path / "claims.txt").touch()
    assert offered(bash_script, *words, cwd=tmp_path) == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_script_is_one_that_the_shell_can_read(shell: str, tmp_path: Path) -> None:
    """Only its grammar is looked at."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(script_of(shell, build_parser()).value["script"], encoding="utf-8")
    assert subprocess.run([shell, "-n", str(file)], check=False, timeout=30).returncode == 0
