"""The words that tasks are called with: understood by the task itself, whatever the values look like."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

import pytest

from data.claims import TenantId
from data.errors import ForbiddenError, InvalidValueError
from data.jobs.kinds import RULES, read_args, words_of
from data.jobs.places import Places
from data.jobs.records import JobKind, JobRecord

FOLDER = Path("/home/jobs/a/one")
A = TenantId("a")


class ParsedError(Exception):
    """Carries what a task understood of its words."""


def understood(kind: JobKind, args: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Call a task with the words of a job, up to the point where it has read them."""
    original = argparse.ArgumentParser.parse_args

    def parse(self: argparse.ArgumentParser, words: Any = None, namespace: Any = None) -> Any:
        raise ParsedError(vars(original(self, words, namespace)))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    task = importlib.import_module(f"tasks.{RULES[kind].module}")
    with pytest.raises(ParsedError) as told:
        task.main(words_of(JobRecord("one", kind, args, A), FOLDER))
    return dict(told.value.args[0])


CASES: list[tuple[JobKind, dict[str, Any], dict[str, Any]]] = [
    (
        JobKind.VERIFY_BATCH,
        {"input": "/f/in.jsonl", "frameworks": ["empirical", "utility"], "framework_weights": [1.0, 0.5]},
        {
            "inputs": ["/f/in.jsonl"],
            "out": "/home/jobs/a/one/output",
            "format": "jsonl",
            "frameworks": "empirical,utility",
            "framework_weights": "1.0,0.5",
            "tenant": "a",
            "order": "input",
        },
    ),
    (
        JobKind.VERIFY_BATCH,
        {"output": "/f/out", "order": "utility", "limit": 5, "format": "parquet"},
        {
            "inputs": ["/home/jobs/a/one/claims.jsonl"],
            "out": "/f/out",
            "order": "utility",
            "limit": 5,
            "format": "parquet",
        },
    ),
    (
        JobKind.IMPORT_KNOWLEDGE,
        {"file": "/f/--kind", "kind": "facts"},
        {"file": Path("/f/--kind"), "kind": "facts", "tenant": "a"},
    ),
    (
        JobKind.IMPORT_VECTORS,
        {"file": "/f/v.parquet", "dataset": "--evaluate", "metric": "dot_product", "skip_existing": True},
        {
            "file": Path("/f/v.parquet"),
            "dataset": "--evaluate",
            "metric": "dot_product",
            "skip_existing": True,
            "evaluate": False,
            "tenant": "a",
        },
    ),
    (
        JobKind.EXPORT_VECTORS,
        {"dataset": "--limit=1", "file": "/f/v.csv", "filter": "a = '--x'", "limit": 7},
        {"dataset": "--limit=1", "file": Path("/f/v.csv"), "filter": "a = '--x'", "limit": 7, "tenant": "a"},
    ),
    (
        JobKind.REBUILD_INDEX,
        {"datasets": ["--all", "b"], "force": True},
        {"datasets": ["--all", "b"], "all": False, "force": True, "embed": False, "tenant": "a"},
    ),
    (JobKind.REBUILD_INDEX, {"all": True}, {"datasets": [], "all": True, "force": False}),
    (
        JobKind.BACKUP,
        {"kind": "snapshot", "name": "--views", "target": "/f/backups"},
        {"kind": "snapshot", "name": "--views", "views": False, "target": "/f/backups"},
    ),
    (
        JobKind.EVALUATE,
        {"sets": "/f/sets", "only": ["fever", "scifact"], "splits": ["dev"], "corpora": False},
        {
            "sets": Path("/f/sets"),
            "only": "fever,scifact",
            "splits": "dev",
            "no_open": True,
            "out": FOLDER / "quality",
        },
    ),
    (JobKind.COMPACT, {"older_than": "30d"}, {"older_than": "30d", "horizon": None, "dry_run": False}),
    (JobKind.COMPACT, {"horizon": 7, "dry_run": True}, {"horizon": 7, "older_than": None, "dry_run": True}),
]


@pytest.mark.parametrize(("kind", "args", "wanted"), CASES)
def test_words_of_a_job_are_understood_by_its_task(
    kind: JobKind, args: dict[str, Any], wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that looks like an option is a value."""
    told = understood(kind, args, monkeypatch)

    assert {name: told[name] for name in wanted} == wanted


def test_every_kind_has_a_case() -> None:
    """A kind that is added is tried here."""
    assert {kind for kind, _, _ in CASES} == set(JobKind) == set(RULES)


def test_places_are_filled_in_for_home_and_tenant(tmp_path: Path) -> None:
    """A relative path is one of the first place; addresses are places too, and nothing beside them."""
    places = Places(("{home}/files/{tenant}", "s3://bucket/{tenant}"), tmp_path)

    assert places.allowed("x/*.csv", A) == str(tmp_path.resolve() / "files" / "a" / "x" / "*.csv")
    assert places.allowed("s3://bucket/a/x//y.csv", A) == "s3://bucket/a/x/y.csv"
    for outside in ("s3://bucket/ab/x", "s3://bucket/a/../b/x", "s3://other/a/x", "gs://bucket/a/x"):
        with pytest.raises((ForbiddenError, InvalidValueError)):
            places.allowed(outside, A)


@pytest.mark.parametrize(
    "address",
    ["s3://key:secret@bucket/a/x", "s3://bucket/a/x?versionId=1", "s3:///a/x"],  # pragma: allowlist secret
)
def test_address_with_more_than_a_path_is_refused(tmp_path: Path, address: str) -> None:
    """No credential and no option travels in an address."""
    places = Places(("s3://bucket/{tenant}",), tmp_path)

    with pytest.raises((ForbiddenError, InvalidValueError)):
        places.allowed(address, A)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (JobKind.COMPACT, {}),
        (JobKind.COMPACT, {"horizon": 1, "older_than": "1d"}),
        (JobKind.COMPACT, {"older_than": "1d; rm"}),
        (JobKind.REBUILD_INDEX, {}),
        (JobKind.IMPORT_VECTORS, {"file": "f", "metric": "angular"}),
        (JobKind.EXPORT_VECTORS, {"dataset": "d"}),
        (JobKind.VERIFY_BATCH, {"input": "f", "frameworks": ["--all"]}),
        (JobKind.VERIFY_BATCH, {"input": "f", "framework_weights": [float("nan")]}),
        (JobKind.BACKUP, {"key_file": "/etc/shadow"}),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path: Path, kind: JobKind, raw: dict[str, Any]) -> None:
    """In one sentence that names the kind."""
    with pytest.raises(InvalidValueError, match=kind.value):
        read_args(kind, raw, A, Places(("{home}/files/{tenant}",), tmp_path))
