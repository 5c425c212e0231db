"""Build main indexes anew while datasets serve: ``python -m tasks.rebuild_index DATASET … | --all``.

Ray Data hands the datasets to builders: processes of their own, at low priority, that read the records, train
and build, and write the next version with its manifest; the actor that serves a dataset then swaps it in,
with what was written meanwhile beside it, and keeps the one before for ``--roll-back``. ``--embed`` first
makes new vectors of the contents that another model had read. Killed and started again it ends the same.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from cluster.head import home_of
from cluster.remote import RemoteModels
from cluster.wiring import open_embedder
from configs.schema import Settings
from data.claims import DEFAULT_TENANT, TenantId, tenant_id
from data.datasets.opening import folder_of
from data.datasets.ports import IndexedDatasets, IndexInfo, VectorDatasets
from data.datasets.rebuilding import Built, build_version, last_row, texts_of_other_models
from data.datasets.records import DatasetRecord
from data.datasets.shards import shards_of
from data.datasets.writing import moment_of
from data.errors import ConflictError, InvalidValueError, KiteError, NotFoundError
from data.jobs.running import tell
from data.models.embedding import IdentifiedEmbedder
from tasks.maintenance import add_home_arguments
from tasks.session import settings_from
from tasks.vector_session import VectorSession, vector_session

#: Rows that one embedding task looks through, and texts that it reads at a time.
SPAN, TEXTS = 10_000, 256
#: CPUs of a mapper, a fraction: on a small machine nothing is left otherwise, and the job waits for ever.
BUILD_CPUS = EMBED_CPUS = 0.25
#: How much lower than others a builder's priority is, on the scale of ``nice``.
NICENESS = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is rebuilt, and how: a tenant's datasets, by one builder with so many CPUs each."""

    datasets: tuple[DatasetRecord, ...]
    tenant: TenantId = DEFAULT_TENANT
    embed: bool = False
    force: bool = False
    cpus: float = BUILD_CPUS

    @property
    def indexed(self) -> Iterator[DatasetRecord]:
        """Yield what has an index of its own: the datasets, and in place of one of several shards these."""
        for record in self.datasets:
            if record.shards == 1:
                yield record
            for number, shard in enumerate(shards_of(record), start=1):
                yield replace(shard, name=f"{record.name}, shard {number} of {record.shards}")

    @property
    def threads(self) -> int:
        """Threads of a builder; more than one make a graph that is a little different each time."""
        return max(1, int(self.cpus))


class Builder:
    """A Ray Data mapper: a dataset in, what was built out; a fault is told in its row."""

    def __init__(self, home: str, threads: int) -> None:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        self._home, self._threads = Path(home), threads

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Return ``{"dataset": id, "built": json, "fault": sentence}``."""
        record = msgspec.json.decode(row["record"], type=DatasetRecord)
        try:
            built = build_version(
                folder_of(self._home, record.id), record, row["moment"], threads=self._threads
            )
        except KiteError as exc:
            return {"dataset": record.id, "built": "", "fault": str(exc)}
        return {"dataset": record.id, "built": msgspec.json.encode(built).decode(), "fault": ""}


class Rereader:
    """A Ray Data mapper: a span of a dataset's rows in, the number of vectors made anew out."""

    def __init__(self, home: str, actors: int) -> None:
        from cluster.vectors import RemoteVectorDatasets

        self._home = Path(home)
        self._datasets = RemoteVectorDatasets(actors)
        self._models = RemoteModels()

    def __call__(self, row: dict[str, Any]) -> dict[str, int]:
        """Return ``{"embedded": count}``."""
        whose = TenantId(row["tenant"]), str(row["dataset"])
        span = int(row["after"]), int(row["last"])
        return {"embedded": reread(self._datasets, self._home, whose, span, self._models)}


def reread(
    datasets: IndexedDatasets,
    home: Path,
    whose: tuple[TenantId, str],
    span: tuple[int, int],
    embedder: IdentifiedEmbedder,
) -> int:
    """Make vectors of the contents in a span of rows that another model had read; return how many.

    ``whose`` are tenant and dataset, ``span`` the row before the first and the last one.
    """
    tenant, dataset_id = whose
    identity, folder = embedder.identity, folder_of(home, dataset_id)
    return sum(
        datasets.revalue(tenant, dataset_id, texts.rows, embedder.embed(list(texts.contents)), model=identity)
        for texts in texts_of_other_models(folder, identity, span, TEXTS)
    )


def rebuild(wanted: Wanted, session: VectorSession, work: Work) -> list[dict[str, Any]]:
    """Rebuild these datasets and return what was done for each; progress goes to standard error."""
    datasets = session.shards
    reports: dict[str, dict[str, Any]] = {}
    due: list[DatasetRecord] = []
    for record in wanted.indexed:
        report = reports[record.id] = {"dataset": record.name, "dataset_id": record.id}
        info = datasets.index(wanted.tenant, record.id)
        if info.state == "building":
            raise ConflictError(f"The index of {record.name!r} is being built: wait until it is done.")
        if wanted.embed:
            report["embedded"] = work.embed(wanted, record, session)
        if _is_current(record, info) and not report.get("embedded") and not wanted.force:
            report.update(state="unchanged", version=info.version, vectors=info.indexed)
        else:
            due.append(record)
    tell(0, len(due), "building")
    built_one = work.build(wanted, due, moment_of(session.clock.now_s()))
    for number, (dataset_id, built, fault) in enumerate(built_one, 1):
        reports[dataset_id].update(_adopted(datasets, wanted.tenant, dataset_id, built, fault))
        tell(number, len(due), "building")
        _tell(f"{reports[dataset_id]['dataset']}: {reports[dataset_id]['state']}")
    return list(reports.values())


def roll_back(wanted: Wanted, session: VectorSession) -> list[dict[str, Any]]:
    """Have these datasets searched by the main index before the one in use."""
    datasets = session.shards
    found = []
    for record in wanted.indexed:
        info = datasets.roll_back_index(wanted.tenant, record.id)
        told = {"dataset": record.name, "dataset_id": record.id, "state": "rolled back"}
        found.append({**told, **_state_of(info)})
    return found


def _is_current(record: DatasetRecord, info: IndexInfo) -> bool:
    """Return whether a main index of everything is in use, by the settings asked for."""
    return info.version > 0 and not info.delta and not info.removed and info.settings == record.index


def _adopted(
    datasets: IndexedDatasets, tenant: TenantId, dataset_id: str, built: Built | None, fault: str
) -> dict[str, Any]:
    if built is None:
        return {"state": "failed", "fault": fault}
    started = time.monotonic()
    info = datasets.adopt_index(tenant, dataset_id)
    taken = {"swap_seconds": round(time.monotonic() - started, 3), "file_bytes": built.file_bytes}
    if info.version != built.version:
        told = "Another version was published meanwhile: start the task again."
        return {"state": "overtaken", "fault": told, **_state_of(info)}
    return {"state": "rebuilt", **_state_of(info), **taken}


def _state_of(info: IndexInfo) -> dict[str, Any]:
    return {
        "version": info.version,
        "kind": info.kind,
        "vectors": info.indexed,
        "beside": info.delta,
        "removed": info.removed,
    }


def _tell(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201 - progress


class Work(Protocol):
    """Where the work is done: as a Ray Data job, or in this process."""

    def embed(self, wanted: Wanted, record: DatasetRecord, session: VectorSession) -> int:
        """Make new vectors of contents that another model had read; return how many."""
        ...

    def build(
        self, wanted: Wanted, records: Sequence[DatasetRecord], moment: str
    ) -> Iterator[tuple[str, Built | None, str]]:
        """Build and write main indexes; yield a dataset's id with what was built, or why not."""
        ...


class HereWork:
    """Does the work in this process, for a home that nothing has open."""

    def __init__(self, home: Path, embedder: IdentifiedEmbedder) -> None:
        self._home, self._embedder = home, embedder

    def embed(self, wanted: Wanted, record: DatasetRecord, session: VectorSession) -> int:
        """Make new vectors of contents that another model had read; return how many."""
        last = last_row(folder_of(self._home, record.id))
        return reread(session.shards, self._home, (wanted.tenant, record.id), (0, last), self._embedder)

    def build(
        self, wanted: Wanted, records: Sequence[DatasetRecord], moment: str
    ) -> Iterator[tuple[str, Built | None, str]]:
        """Build and write main indexes, one after the other."""
        for record in records:
            try:
                built = build_version(
                    folder_of(self._home, record.id), record, moment, threads=wanted.threads
                )
                yield record.id, built, ""
            except KiteError as exc:
                yield record.id, None, str(exc)


class RayWork:
    """Does the work as Ray Data jobs of the running cluster. Ray must be connected."""

    def __init__(self, settings: Settings) -> None:
        self._home, self._actors = home_of(settings), settings.vectors.actors

    def embed(self, wanted: Wanted, record: DatasetRecord, session: VectorSession) -> int:
        """Make new vectors of contents that another model had read; return how many."""
        last = last_row(folder_of(self._home, record.id))
        spans = [
            {"tenant": wanted.tenant, "dataset": record.id, "after": after, "last": min(after + SPAN, last)}
            for after in range(0, last, SPAN)
        ]
        total = 0
        for row in _mapped(spans, Rereader, (str(self._home), self._actors), cpus=EMBED_CPUS):
            total += row["embedded"]
            _tell(f"{record.name}: {total:,} texts read again")
        return total

    def build(
        self, wanted: Wanted, records: Sequence[DatasetRecord], moment: str
    ) -> Iterator[tuple[str, Built | None, str]]:
        """Build and write main indexes, each by a builder with its own CPUs."""
        rows = [{"record": msgspec.json.encode(record).decode(), "moment": moment} for record in records]
        arguments = (str(self._home), wanted.threads)
        for row in _mapped(rows, Builder, arguments, cpus=wanted.cpus):
            built = msgspec.json.decode(row["built"], type=Built) if row["built"] else None
            yield row["dataset"], built, row["fault"]


def _mapped(
    rows: list[dict[str, Any]], mapper: type[Any], arguments: tuple[Any, ...], *, cpus: float
) -> Iterable[dict[str, Any]]:
    """Run rows through one actor of ``mapper`` with its own CPUs."""
    import ray.data
    from ray.data import ActorPoolStrategy

    if not rows:
        return []
    logging.getLogger("ray.data").setLevel(logging.WARNING)  # importing it sets it to DEBUG
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    mapped: Iterable[dict[str, Any]] = data.map(
        mapper, compute=ActorPoolStrategy(size=1), num_cpus=cpus, fn_constructor_args=arguments
    ).iter_rows()
    return mapped


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; print one JSON report; exit 1 with one line when it cannot be done."""
    options = _parser().parse_args(arguments)
    started = time.monotonic()
    try:
        if not options.datasets and not options.all:
            raise InvalidValueError("Name one or more datasets, or give --all.")
        settings = settings_from(options)
        with vector_session(settings, home_stopped=options.home_stopped) as session:
            reports = _done(settings, session, options)
    except KiteError as exc:
        print(f"rebuild_index: {exc}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return 1
    report = {"datasets": reports, "seconds": round(time.monotonic() - started, 3)}
    print(msgspec.json.encode(report).decode())  # noqa: T201 - the report of a command
    return int(any("fault" in one for one in reports))


def _done(settings: Settings, session: VectorSession, options: argparse.Namespace) -> list[dict[str, Any]]:
    tenant = tenant_id(options.tenant)
    named = _named(session.datasets, tenant, options.datasets, every=options.all)
    wanted = Wanted(named, tenant, options.embed, options.force, options.cpus)
    if options.roll_back:
        return roll_back(wanted, session)
    work: Work = RayWork(settings)
    if options.home_stopped:
        work = HereWork(home_of(settings), open_embedder(settings))
    return rebuild(wanted, session, work)


def _named(
    datasets: VectorDatasets, tenant: TenantId, names: Sequence[str], *, every: bool
) -> tuple[DatasetRecord, ...]:
    there = [info.record for info in datasets.datasets(tenant) if info.tenant == tenant]
    if every:
        return tuple(there)
    found = []
    for name in names:
        record = next((one for one in there if name in (one.id, one.name)), None)
        if record is None:
            raise NotFoundError(f"There is no dataset {name[:100]!r}.")
        found.append(record)
    return tuple(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.rebuild_index", description="Build the main index of datasets anew."
    )
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help="name or id")
    parser.add_argument("--all", action="store_true", help="all of the tenant's")
    parser.add_argument("--embed", action="store_true", help="first read contents of other models again")
    parser.add_argument("--force", action="store_true", help="even where nothing changed")
    parser.add_argument("--roll-back", action="store_true", help="go back to the version before")
    parser.add_argument(
        "--cpus", type=float, default=BUILD_CPUS, help="of a builder; above 1 also its threads"
    )
    parser.add_argument("--tenant", default=DEFAULT_TENANT)
    add_home_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
