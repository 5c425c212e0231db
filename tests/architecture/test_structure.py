"""The shape of the code: purity, size, and no trace of where it was made."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from configs.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("configs", "data", "cluster", "deployments", "tasks")
RAY_FILES = {f"deployments/{name}.py" for name in ("app", "framework_replica", "queue_replica", "replica")}
MODULES = sorted(path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
PURE = [
    path
    for path in MODULES
    if path.parts[0] in {"configs", "data", "deployments"} and path.as_posix() not in RAY_FILES
]
MAX_MODULE_LINES, MAX_FUNCTION_LINES = 400, 40


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def test_pure_modules_import_without_ray() -> None:
    """Verification is plain Python: importing all of it does not import Ray."""
    names = [dotted(path) for path in PURE]
    script = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
    script += "sys.exit(1 if 'ray' in sys.modules else 0)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    """At most 400 lines a module, 40 a function without its docstring; every module has a docstring."""
    source = (ROOT / path).read_text(encoding="utf-8")
    tree = ast.parse(source)

    assert len(source.splitlines()) <= MAX_MODULE_LINES
    assert ast.get_docstring(tree) or not source.strip()
    assert {name: lines for name, lines in function_lines(tree) if lines > MAX_FUNCTION_LINES} == {}


def function_lines(tree: ast.AST) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            first = body[0].lineno if body else node.lineno
            found.append((node.name, (node.end_lineno or node.lineno) - first + 1))
    return found


def test_product_holds_no_path_or_registry_of_the_place_it_was_made() -> None:
    """No home folder, no registry address, no download address in the locks."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    needles = (
        "/" + "root/",
        "/" + "work/",
        "pypi" + ".org",
        "files.python" + "hosted",
        "registry." + "npmjs",
    )
    told = []
    for name in filter(None, tracked):
        path = ROOT / name
        if path.suffix in {".ubj", ".npy", ".onnx", ".png"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        told += [(name, needle) for needle in needles if needle in text]

    assert told == []


def test_locks_pin_every_line_with_a_hash_and_hold_no_gpu_package() -> None:
    """The served environment is reproducible, and without torch or CUDA."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    names = [line.split("==")[0] for line in text.splitlines() if "==" in line and not line.startswith(" ")]

    assert {"ray", "faiss-cpu", "duckdb", "xgboost", "spacy", "pyoxigraph", "redis"} <= set(names)
    assert [name for name in names if "torch" in name or "nvidia" in name or "cuda" in name] == []
    assert text.count("--hash=sha256:") >= len(names)


def test_version_is_told_once() -> None:
    """pyproject.toml and the code name the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["version"] == VERSION
