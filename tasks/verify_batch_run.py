"""One run of a batch: plan, claim the output, do the parts that are missing, report.

Called by ``tasks.verify_batch`` and by the tests. Invariant: whatever dies, another run with the same inputs
and options ends with every row once, in the same bytes; ``_SUCCESS`` is there when all of them are.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from cluster.wiring import remote_parts
from configs.schema import Settings
from configs.version import VERSION
from data import errors
from data.batch.inputs import find_files
from data.batch.manifest import (
    DEAD,
    PAGE,
    REPORT,
    SUCCESS,
    BatchOptions,
    Manifest,
    check_held,
    claim_output,
    parts_done,
)
from data.batch.output import DRAFTS, Output, open_output
from data.batch.parts import Part, Plan
from data.batch.planning import plan
from data.batch.results import PartSummary, read_summary
from data.claims import TenantId
from data.errors import InvalidValueError, KiteError
from data.tracing import context, take
from deployments.assembly import check_framework_settings
from tasks.verify_batch_engine import Engine, Standpoint, Through, open_engine
from tasks.verify_batch_order import kept_order, put_in_order
from tasks.verify_batch_page import html_page
from tasks.verify_batch_report import RunTimes, batch_report, dead_letters
from tasks.verify_batch_worker import BatchMapper, Job, PartWorker, scored_name

#: CPUs of a mapper: a fraction, or on a small machine nothing is left for the rest of the job and it hangs.
MAPPER_CPUS = 0.25
#: Points of the plot of rows over time.
_POINTS = 200

Progress = Callable[[int, int | None, str], None]
#: Does a step of each part and yields its number, and what its worker says of it, in any order.
Elsewhere = Callable[[Job, list[Part], str], Iterator[tuple[int, bytes]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be done. ``shard`` is (number from 1, of how many); ``workers`` of mappers and readers."""

    inputs: tuple[str, ...]
    out: str
    options: BatchOptions
    through: Through = "here"
    workers: int = 1
    shard: tuple[int, int] = (1, 1)


@dataclass(slots=True)
class _Clock:
    """When this run began, when its first part was begun, and how many rows were there when."""

    began_s: float
    worked_s: float | None = None
    last_s: float = 0.0
    rows: int = 0
    timeline: list[tuple[float, int]] = field(default_factory=list)

    def take(self, summary: PartSummary) -> None:
        """Count a part that is done."""
        now_s = time.monotonic()
        if self.worked_s is None:
            self.worked_s = max(self.began_s, now_s - summary.seconds)
        self.rows += summary.rows
        self.last_s = now_s
        self.timeline.append((now_s - self.began_s, self.rows))

    def times(self, asked: Asked) -> RunTimes:
        """Return what the run took."""
        worked_s = self.worked_s or time.monotonic()
        work_s = self.last_s - worked_s if self.worked_s else 0.0
        step = max(1, len(self.timeline) // _POINTS)
        kept = (*self.timeline[step - 1 :: step],)
        return RunTimes(worked_s - self.began_s, work_s, self.rows, asked.workers, asked.through, kept)


def planned(asked: Asked) -> Plan:
    """Return the parts of the inputs; what lies in the output is none of them.

    Raises:
        InvalidValueError: there are none, or they cannot be read.
    """
    out = open_output(asked.out).address.rstrip("/")
    files = [file for file in find_files(asked.inputs) if not file.address.startswith(f"{out}/")]
    if not files:
        raise InvalidValueError(f"{', '.join(asked.inputs)}: holds nothing but the output itself.")
    # In order of utility the first rows are known only when all have been weighed.
    limit = asked.options.limit if asked.options.order == "input" else None
    return plan(files, part_rows=asked.options.part_rows, limit=limit)


def run_batch(
    asked: Asked, found: Plan, settings: Settings, tell: Progress, *, began_s: float | None = None
) -> dict[str, Any]:
    """Do a batch, or what is left of it, and return its report. Ray is connected unless ``here``.

    Raises:
        RequestError: an input, an option or the output cannot be used. UnavailableError: something is away,
        or the disk is full; another run goes on where this one stopped.
    """
    check_frameworks(asked.options, settings)
    with _engine(settings, asked.through) as engine:
        return BatchRun(asked, engine, tell, elsewhere=_elsewhere(asked, settings)).run(found, began_s)


class BatchRun:
    """One run over an open engine, or one whose parts are done ``elsewhere`` in the cluster."""

    def __init__(
        self, asked: Asked, engine: Engine, tell: Progress, *, elsewhere: Elsewhere | None = None
    ) -> None:
        self._asked = asked
        self._engine = engine
        self._tell = tell
        self._elsewhere = elsewhere
        self._output = open_output(asked.out)

    def run(self, found: Plan, began_s: float | None = None) -> dict[str, Any]:
        """Do what is left to do and return the report."""
        clock = _Clock(time.monotonic() if began_s is None else began_s)
        manifest = claim_output(self._output, _manifest(self._asked, found, self._engine))
        if self._output.read(SUCCESS) is not None:
            return dict(msgspec.json.decode(self._output.read(REPORT) or b"{}"))
        job = _job(self._asked, manifest)
        in_order = self._asked.options.order == "utility"
        parts = self._ordered(found, job) if in_order else list(found.parts)
        done = parts_done(self._output, manifest.options.format)
        rows = sum(part.rows for part in parts if part.number in done)
        self._tell(rows, manifest.rows, "verifying")
        todo = [part for part in _shard(parts, self._asked.shard) if part.number not in done]
        for summary in self._work(job, todo):
            clock.take(summary)
            self._tell(rows + clock.rows, manifest.rows, "verifying")
        return _finish(self._output, manifest, clock.times(self._asked))

    def _work(self, job: Job, todo: list[Part]) -> Iterator[PartSummary]:
        if self._elsewhere is not None:
            for _, summary in self._elsewhere(job, todo, "work"):
                yield msgspec.json.decode(summary, type=PartSummary)
            return
        worker = PartWorker(self._engine, job)
        for part in todo:
            yield worker.work(part)

    def _ordered(self, found: Plan, job: Job) -> list[Part]:
        """Return parts that hold the rows in order of what checking them is worth, the most useful first."""
        if (kept := kept_order(self._output)) is not None:
            return kept
        there = set(self._output.names("_kite/order"))
        todo = [part for part in found.parts if scored_name(part.number).rpartition("/")[2] not in there]
        done = found.rows - sum(part.rows for part in todo)
        rows = {part.number: part.rows for part in todo}
        self._tell(done, found.rows, "weighing")
        for number in self._scored(job, todo):
            done += rows[number]
            self._tell(done, found.rows, "weighing")
        return put_in_order(self._output, found, self._asked.options)

    def _scored(self, job: Job, todo: list[Part]) -> Iterator[int]:
        if self._elsewhere is not None:
            for number, _ in self._elsewhere(job, todo, "score"):
                yield number
            return
        worker = PartWorker(self._engine, job)
        for part in todo:
            worker.score(part)
            yield part.number


def check_frameworks(options: BatchOptions, settings: Settings) -> None:
    """Raise ``InvalidValueError`` for frameworks that do not exist, or weights that do not belong to them."""
    known = check_framework_settings(settings)
    for name in options.frameworks:
        if name not in known:
            raise InvalidValueError(f"--frameworks: {name!r} is none: use some of {', '.join(known)}.")
    if options.weights and len(options.weights) != len(options.frameworks):
        raise InvalidValueError(
            f"--framework-weights: has {len(options.weights)} numbers for {len(options.frameworks)} "
            "--frameworks: give one for each."
        )


@contextmanager
def _engine(settings: Settings, through: Through) -> Iterator[Engine]:
    """Open the driver's engine; where others compute, one that only knows where the batch stands."""
    if through in ("here", "readers"):
        with open_engine(settings, through) as engine:
            yield engine
        return
    engine = Engine(remote_parts(settings), settings, {})
    try:
        yield engine
    finally:
        engine.close()


def _elsewhere(asked: Asked, settings: Settings) -> Elsewhere | None:
    """Return what does parts in the cluster, ``None`` where this process does them."""
    if asked.through == "here":
        return None
    return partial(_mapped if asked.through == "mappers" else _by_actors, settings, asked.workers)


def _manifest(asked: Asked, found: Plan, engine: Engine) -> Manifest:
    stand = engine.standpoint(TenantId(asked.options.tenant))
    rows, parts = found.rows, len(found.parts)
    if asked.options.order == "utility":
        rows = min(rows, asked.options.limit or rows)
        parts = -(-rows // asked.options.part_rows)
    return Manifest(
        asked.options,
        found.files,
        parts,
        rows,
        stand.position,
        stand.calibrated_at,
        engine.model_bundle,
        software=VERSION,
    )


def _job(asked: Asked, manifest: Manifest) -> Job:
    stand = Standpoint(manifest.position, manifest.calibrated_at)
    # Whole: a worker's working folder is another one.
    out = open_output(asked.out).address
    return Job(out, asked.options, stand, manifest.model_bundle, asked.through, manifest.digest)


def _shard(parts: Sequence[Part], shard: tuple[int, int]) -> list[Part]:
    number, of = shard
    return [part for part in parts if part.number % of == number - 1]


def cores() -> int:
    """Return how many CPUs the cluster has."""
    import ray

    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(there.get("CPU", 1)))


def _mapped(
    settings: Settings, workers: int, job: Job, todo: list[Part], step: str
) -> Iterator[tuple[int, bytes]]:
    """Have actors of Ray Data do parts; it restarts them and their parts when they or their nodes die."""
    import ray.data
    from ray.data import ActorPoolStrategy

    if not todo:
        return
    logging.getLogger("ray.data").setLevel(logging.WARNING)  # importing it sets it to DEBUG
    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [_item(part, step) for part in todo]
    mapped = ray.data.from_items(items, override_num_blocks=len(items)).map(
        BatchMapper,  # type: ignore[arg-type]
        compute=ActorPoolStrategy(size=min(workers, len(todo)), max_tasks_in_flight_per_actor=2),
        num_cpus=MAPPER_CPUS,
        fn_constructor_args=(msgspec.to_builtins(settings), msgspec.json.encode(job)),
    )
    for row in mapped.iter_rows():
        yield _done(row)


def _by_actors(
    settings: Settings, workers: int, job: Job, todo: list[Part], step: str
) -> Iterator[tuple[int, bytes]]:
    """Have plain actors do parts; Ray restarts them and their parts when they die.

    On one machine that is all it takes: Ray Data's own actors and threads would use the same cores. For the
    running deployments it is one actor, not this process, which would not end: Ray waits for Serve's handles
    when it disconnects (Ray 2.60).
    """
    import ray
    from ray.util import ActorPool

    made: Any = ray.remote(num_cpus=MAPPER_CPUS, max_restarts=-1, max_task_retries=-1)(BatchMapper)
    given = (msgspec.to_builtins(settings), msgspec.json.encode(job))
    actors = [made.remote(*given) for _ in range(min(workers, len(todo)))]
    try:
        pool = ActorPool(actors)
        for row in pool.map_unordered(lambda actor, part: actor.work.remote(_item(part, step)), todo):
            yield _done(row)
    finally:
        for actor in actors:
            ray.kill(actor)


def _item(part: Part, step: str) -> dict[str, Any]:
    return {"part": msgspec.json.encode(part), "step": step, "trace": context()}


def _done(row: dict[str, Any]) -> tuple[int, bytes]:
    """Return what a worker says of a part; raise what stood in its way."""
    take(row.get("spans", b""))
    if row["fault"]:
        raise fault_of(row["fault"])
    return int(row["number"]), row["summary"]


def fault_of(told: str) -> KiteError:
    """Return a worker's error as the one it was."""
    name, _, reason = told.partition(": ")
    kind = getattr(errors, name, KiteError)
    return kind(reason) if isinstance(kind, type) and issubclass(kind, KiteError) else KiteError(reason)


def _finish(output: Output, manifest: Manifest, times: RunTimes) -> dict[str, Any]:
    """Write the report where every part is there; return it, or what can be said so far."""
    there = sorted(parts_done(output, manifest.options.format))
    report = batch_report(manifest, (read_summary(output, number) for number in there), times)
    if len(there) < manifest.parts:
        return report
    check_held(output, manifest.digest)
    if report["dead_letters"]:
        output.commit(DEAD, lambda: dead_letters(output, there))
    output.commit(REPORT, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    output.commit(PAGE, html_page(report).encode())
    output.commit(SUCCESS, b"")
    for name in output.names(DRAFTS):
        output.remove(f"{DRAFTS}/{name}")
    return report
