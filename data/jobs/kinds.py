"""What each kind of job may be asked for, who may ask, and the words its task is called with. Pure.

Called by the API before a job is written down and by ``tasks.run_job`` before it is run. Invariant: a task
is called with words that are made here from values of a known shape; nothing a caller sends becomes a
command, an option, or a path outside the places that the settings allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from data.access.roles import Role
from data.claims import TenantId
from data.errors import InvalidValueError
from data.jobs.places import Places, resolved
from data.jobs.records import JobKind, JobRecord

#: Most claims that are sent with a job; more belong in a file.
MAX_CLAIMS = 1_000
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=1_024)]
Number = Annotated[int, Meta(ge=1, le=2**53)]
Framework = Annotated[str, Meta(pattern="^[a-z_]{1,40}$")]
Weight = Annotated[float, Meta(ge=0.0, le=1e6)]


class Args(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a kind of job can be asked for."""


class VerifyBatchArgs(Args, frozen=True):
    """Verify the claims of ``input`` (a file, a folder or a pattern), or those of ``claims``.

    The rows go to ``output``, or stay with the job. ``order`` utility: the most useful first.
    """

    input: Text | None = None
    claims: Annotated[list[Any], Meta(min_length=1, max_length=MAX_CLAIMS)] | None = None
    output: Text | None = None
    format: Literal["jsonl", "parquet"] | None = None
    frameworks: Annotated[list[Framework], Meta(min_length=1, max_length=20)] | None = None
    framework_weights: Annotated[list[Weight], Meta(min_length=1, max_length=20)] | None = None
    order: Literal["input", "utility"] | None = None
    limit: Number | None = None


class ImportKnowledgeArgs(Args, frozen=True):
    """Load a file of documents, facts, sources, reviews or statements."""

    file: Text
    kind: Annotated[str, Meta(pattern="^[a-z_]{1,40}$")] | None = None


class ImportVectorsArgs(Args, frozen=True):
    """Load a file of vectors into a dataset."""

    file: Text
    dataset: Name | None = None
    format: Annotated[str, Meta(pattern="^[a-z0-9_]{1,20}$")] | None = None
    metric: Literal["cosine", "euclidean", "manhattan", "dot_product"] | None = None
    skip_existing: bool = False


class ExportVectorsArgs(Args, frozen=True):
    """Write a dataset into a file, whose ending tells the form."""

    dataset: Name
    file: Text
    format: Annotated[str, Meta(pattern="^[a-z0-9_]{1,20}$")] | None = None
    filter: Annotated[str, Meta(min_length=1, max_length=10_000)] | None = None
    limit: Number | None = None


class RebuildIndexArgs(Args, frozen=True):
    """Build the main indexes of some datasets, or of all, anew."""

    datasets: Annotated[list[Name], Meta(min_length=1, max_length=1_000)] | None = None
    all: bool = False
    embed: bool = False
    force: bool = False


class BackupArgs(Args, frozen=True):
    """Take a backup of the home; without ``target`` to where the installation's backups go."""

    kind: Literal["full", "incremental", "differential", "snapshot"] = "full"
    name: Name | None = None
    views: bool = False
    target: Text | None = None


class EvaluateArgs(Args, frozen=True):
    """Measure the product on labelled sets; without ``sets`` on those that the installation names."""

    sets: Text | None = None
    only: Annotated[list[Name], Meta(min_length=1, max_length=100)] | None = None
    splits: Annotated[list[Literal["train", "dev", "test"]], Meta(min_length=1, max_length=3)] | None = None
    limit: Number | None = None
    corpora: bool = True


class CompactArgs(Args, frozen=True):
    """Erase for good what was replaced or deleted up to a position, or so long ago."""

    horizon: Number | None = None
    older_than: Annotated[str, Meta(pattern="^[0-9]{1,6}[dhm]$")] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class KindRule:
    """A kind of job: shape and paths of its arguments, who may ask, its task, and the task's words.

    ``installation``: only for keys of the installation, for it concerns every tenant. ``words(args, record,
    folder)`` are the arguments of ``python -m tasks.<module>``.
    """

    args: type[Args]
    role: Role
    module: str
    words: Callable[[Any, JobRecord, Path], list[str]]
    paths: tuple[str, ...] = ()
    installation: bool = False


def read_args(
    kind: JobKind, raw: Mapping[str, Any], tenant: TenantId, places: Places | None = None
) -> dict[str, Any]:
    """Return arguments as they are kept: of the kind's shape, paths resolved.

    Without ``places`` any path will do: for a person who may read and write files here anyway.

    Raises:
        InvalidValueError: they do not fit, and why. ForbiddenError: a path that this tenant may not use.
    """
    rule = RULES[kind]
    try:
        args = msgspec.convert(raw, rule.args)
    except msgspec.ValidationError as exc:
        raise InvalidValueError(f"The args of {kind} do not fit: {exc}.") from None
    _require_choice(kind, args)
    kept: dict[str, Any] = msgspec.to_builtins(args)
    for name in rule.paths:
        if name in kept:
            kept[name] = places.allowed(kept[name], tenant) if places else resolved(kept[name])
    return kept


def words_of(record: JobRecord, folder: Path) -> list[str]:
    """Return the words that the task of a job is called with."""
    rule = RULES[record.kind]
    return rule.words(msgspec.convert(record.args, rule.args), record, folder)


def _require_choice(kind: JobKind, args: Args) -> None:
    one_of = {
        JobKind.VERIFY_BATCH: ("input", "claims"),
        JobKind.REBUILD_INDEX: ("datasets", "all"),
        JobKind.COMPACT: ("horizon", "older_than"),
    }.get(kind, ())
    if one_of and sum(bool(getattr(args, name)) for name in one_of) != 1:
        raise InvalidValueError(f"A job of kind {kind} needs either {one_of[0]} or {one_of[1]}.")


def _options(args: Args, *names: str) -> list[str]:
    """Return fields as options of the same names: a value never becomes an option of its own."""
    words = []
    for name in names:
        value, option = getattr(args, name), f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            shown = ",".join(map(str, value)) if isinstance(value, list) else value
            words.append(f"{option}={shown}")
    return words


def _verify_batch(args: VerifyBatchArgs, record: JobRecord, folder: Path) -> list[str]:
    source = args.input or str(folder / CLAIMS)
    target = args.output or str(folder / OUTPUT)
    words = _options(args, "frameworks", "framework_weights", "limit")
    words += [f"--tenant={record.tenant}", f"--out={target}", f"--format={args.format or 'jsonl'}"]
    return [*words, *(["--order=utility"] if args.order == "utility" else []), "--", source]


def _import_knowledge(args: ImportKnowledgeArgs, record: JobRecord, _folder: Path) -> list[str]:
    return [*_options(args, "kind"), f"--tenant={record.tenant}", "--", args.file]


def _import_vectors(args: ImportVectorsArgs, record: JobRecord, _folder: Path) -> list[str]:
    words = _options(args, "dataset", "format", "metric", "skip_existing")
    return [*words, f"--tenant={record.tenant}", "--", args.file]


def _export_vectors(args: ExportVectorsArgs, record: JobRecord, _folder: Path) -> list[str]:
    words = _options(args, "format", "filter", "limit")
    return [*words, f"--tenant={record.tenant}", "--", args.dataset, args.file]


def _rebuild_index(args: RebuildIndexArgs, record: JobRecord, _folder: Path) -> list[str]:
    return [
        *_options(args, "all", "embed", "force"),
        f"--tenant={record.tenant}",
        "--",
        *(args.datasets or ()),
    ]


def _backup(args: BackupArgs, _record: JobRecord, _folder: Path) -> list[str]:
    return ["create", *_options(args, "kind", "name", "views", "target")]


def _evaluate(args: EvaluateArgs, _record: JobRecord, folder: Path) -> list[str]:
    words = _options(args, "sets", "only", "splits", "limit")
    return [*words, f"--out={folder / QUALITY}", *([] if args.corpora else ["--no-open"])]


def _compact(args: CompactArgs, _record: JobRecord, _folder: Path) -> list[str]:
    return _options(args, "horizon", "older_than", "dry_run")


#: Within a job's folder: claims that were sent with it, its rows where no output is named, and measurements.
CLAIMS, OUTPUT, QUALITY = "claims.jsonl", "output", "quality"
RULES: dict[JobKind, KindRule] = {
    JobKind.VERIFY_BATCH: KindRule(
        VerifyBatchArgs, Role.VERIFIER, "verify_batch", _verify_batch, ("input", "output")
    ),
    JobKind.IMPORT_KNOWLEDGE: KindRule(
        ImportKnowledgeArgs, Role.OPERATOR, "import_knowledge", _import_knowledge, ("file",)
    ),
    JobKind.IMPORT_VECTORS: KindRule(
        ImportVectorsArgs, Role.OPERATOR, "import_vectors", _import_vectors, ("file",)
    ),
    JobKind.EXPORT_VECTORS: KindRule(
        ExportVectorsArgs, Role.OPERATOR, "export_vectors", _export_vectors, ("file",)
    ),
    JobKind.REBUILD_INDEX: KindRule(RebuildIndexArgs, Role.OPERATOR, "rebuild_index", _rebuild_index),
    JobKind.BACKUP: KindRule(BackupArgs, Role.OPERATOR, "backup", _backup, ("target",), installation=True),
    JobKind.EVALUATE: KindRule(
        EvaluateArgs, Role.OPERATOR, "evaluate", _evaluate, ("sets",), installation=True
    ),
    JobKind.COMPACT: KindRule(CompactArgs, Role.ADMIN, "compact", _compact, installation=True),
}
