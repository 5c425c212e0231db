"""Schemathesis over the OpenAPI document of a served installation, all checks on, with one credential.

Used by the contract and the cluster tests. Runs in a process of its own, as its makers mean it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path(__file__).with_name("schemathesis.toml")


@dataclass(frozen=True)
class Run:
    """How a run ended: its exit code, requests sent, operations tried, and what it printed."""

    code: int
    requests: int
    operations: int
    output: str

    @property
    def failures(self) -> str:
        """What failed, for a person to read; empty where nothing did."""
        return "" if self.code == 0 else self.output[-20_000:]


def schemathesis(address: str, key: str, *options: str, examples: int = 10, seed: int = 7) -> Run:
    """Run it against ``address`` with an API key."""
    command: Sequence[str] = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run",
        f"{address}/openapi.json", "--checks", "all", "--header", f"X-API-Key: {key}",
        "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color", *options,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:  # where it keeps what it finds
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900, cwd=folder)
    output = done.stdout + done.stderr
    return Run(
        done.returncode, _number(r"(\d+) generated", output), _number(r"Tested: (\d+)", output), output
    )


def _number(pattern: str, output: str) -> int:
    found = re.search(pattern, output)
    return int(found[1]) if found else 0
