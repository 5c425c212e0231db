"""Processes of the cluster start without pandas where Serve would only have it, with it elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.head import LEAN

OPTIONAL = "try:\n    import pandas as pd\nexcept ImportError:\n    pd = None\n"


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A pandas, Serve's module that would have it, and another that does."""
    serve = tmp_path / "ray" / "serve" / "_private"
    serve.mkdir(parents=True)
    (serve / "utils.py").write_text(OPTIONAL)
    (tmp_path / "frames.py").write_text(OPTIONAL)
    (tmp_path / "pandas.py").write_text("NAME = 'pandas'\n")
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.was_behind = __name__\n")
    return tmp_path


def printed(modules: Path, program: str) -> str:
    path = os.pathsep.join((LEAN, str(modules)))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_serve_does_without_pandas_and_everybody_else_gets_it(modules: Path) -> None:
    """Before, and after, and from a module that Serve's imports."""
    program = "import ray.serve._private.utils as utils, frames; print(utils.pd, frames.pd.NAME)"

    assert printed(modules, program) == "None pandas"


def test_sitecustomize_that_is_hidden_runs_all_the_same(modules: Path) -> None:
    """An environment's own start is not lost."""
    assert printed(modules, "import sys; print(sys.was_behind)") == "sitecustomize"
