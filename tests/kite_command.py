"""The ``kite`` command as a person runs it, in a process of its own, knowing nothing of any other cluster.

Ray knows one token a process, so whoever needs a second installation starts it through here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

#: Longest start of an installation on two loaded cores, seconds.
TIMEOUT_S = 280


def kite(command: str, *options: str, environment: str, settings: Sequence[str]) -> None:
    """Run ``kite COMMAND`` with settings as ``key=value``; fail with what it printed."""
    chosen = [word for one in settings for word in ("--set", one)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "KITE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tasks.kite", command, *options, *chosen],
        env={**clean, "KITE_ENV": environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
