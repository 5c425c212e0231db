"""One worker of a batch: takes parts, reads their rows, asks, writes rows and summary.

Called by the driver in its own process, or by Ray Data in actors. Invariant: a part is done when its file
is there; done twice, by whomever, it is the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from configs.schema import Settings
from data.batch.manifest import BatchOptions, check_held
from data.batch.output import Output, open_output
from data.batch.parts import Part
from data.batch.reading import KEPT_CHARS, LAST, DeadRow, InputRow, OrderedRow, rows_of
from data.batch.results import AnsweredRow, PartSummary, commit_part, gold_of, summarise
from data.batch.tables import TableReader
from data.claims import Rejected, TenantId
from data.errors import KiteError, RequestError
from data.questions import Question
from data.tracing import remote, span
from data.verdicts import Verdict
from deployments.api.answers import verify_answer
from deployments.api.errors import clean
from deployments.api.reading import QuestionReader
from deployments.api.responses import encode
from tasks.verify_batch_engine import Engine, Standpoint, Through, open_engine

#: What workers in processes of their own are called in traces.
SERVICE = "kite-batch-worker"
#: What a row may say beside its claim, as a body of ``POST /verify`` does.
REQUEST_FIELDS = (
    "frameworks",
    "framework_weights",
    "context",
    "as_of",
    "alpha",
    "risk",
    "evidence_filter",
)


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker of a batch is told once; plain values, so that it travels."""

    out: str
    options: BatchOptions
    stand: Standpoint
    model_bundle: str
    through: Through
    #: Digest of the manifest; nothing is written where the output has got another.
    manifest: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """A row and its question."""

    row: InputRow
    question: Question


class RowReader:
    """Makes questions of rows. One thread."""

    def __init__(self, engine: Engine, options: BatchOptions, stand: Standpoint) -> None:
        self._engine = engine
        self._options = options

        async def seq_at(moment: str) -> int:
            # Never later than the batch stands, or one that goes on tomorrow would answer otherwise.
            return min(engine.seq_at(moment), stand.position)

        self._reader = QuestionReader(engine.frameworks, seq_at, TenantId(options.tenant))
        self._tables = TableReader(self._wanted())

    def rows(self, part: Part) -> Iterator[InputRow | DeadRow]:
        """Yield the rows of a part."""
        return self._tables.rows_of(part) if part.form == "parquet" else rows_of(part)

    def ask(self, rows: Sequence[InputRow | DeadRow]) -> list[_Asked | DeadRow]:
        """Return the question of each row, or why it asks none."""
        asked: list[_Asked | DeadRow] = self._engine.run(self._ask_all(rows))
        return asked

    async def _ask_all(self, rows: Sequence[InputRow | DeadRow]) -> list[_Asked | DeadRow]:
        return [row if isinstance(row, DeadRow) else await self._ask(row) for row in rows]

    async def _ask(self, row: InputRow) -> _Asked | DeadRow:
        name = self._options.claim_column
        if name not in row.columns:
            return dead(row, f"The row has no {name!r}: name the column of the claims with --claim-column.")
        try:
            return _Asked(row, (await self._reader.read(self._item(row.columns))).question)
        except RequestError as exc:
            return dead(row, clean(str(exc)))

    def _item(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row as a body of ``POST /verify``."""
        options = self._options
        item = {name: _value(name, columns[name]) for name in REQUEST_FIELDS if columns.get(name) is not None}
        item["claim"] = columns[options.claim_column]
        if options.frameworks and "frameworks" not in item:
            item["frameworks"] = list(options.frameworks)
            if options.weights and "framework_weights" not in item:
                item["framework_weights"] = list(options.weights)
        said = {name: str(columns[name]) for name in options.context_columns if columns.get(name) is not None}
        if said and isinstance(item.get("context", said), dict):
            item["context"] = {**item.get("context", {}), **said}
        return item

    def _wanted(self) -> list[str]:
        options = self._options
        named = (options.claim_column, options.id_column, options.label_column)
        return list(dict.fromkeys((*named, *options.context_columns, *options.columns, *REQUEST_FIELDS)))


class PartWorker:
    """Works on the parts of one batch. One thread."""

    def __init__(self, engine: Engine, job: Job, *, node: str = "") -> None:
        if engine.model_bundle != job.model_bundle:
            raise KiteError(
                "A worker has other models or settings than the batch began with: give every node the same."
            )
        self._engine = engine
        self._job = job
        self._node = node
        self._reader = RowReader(engine, job.options, job.stand)

    def work(self, part: Part) -> PartSummary:
        """Do one part and write it; return its summary.

        Raises:
            KiteError: the input or the output cannot be used, or the installation was away for too long.
        """
        began, cpu = time.perf_counter(), time.process_time()
        with span("part", {"kite.part": part.number, "kite.rows": part.rows}):
            answered, died = self.rows(part)
        summary = summarise(part.number, answered, died)
        summary.node = self._node
        summary.seconds = round(time.perf_counter() - began, 6)
        summary.cpu_s = round(time.process_time() - cpu, 6)
        commit_part(self._output(), self._job.options.format, answered, died, summary)
        return summary

    def score(self, part: Part) -> None:
        """Keep the rows of a part with what checking each is worth; those that ask nothing come last."""
        kept: list[OrderedRow] = []
        rows = self._reader.rows(part)
        while group := list(islice(rows, self._engine.group)):
            asked = self._reader.ask(group)
            worth = iter(self._engine.worth([one.question for one in asked if isinstance(one, _Asked)]))
            kept += [_scored(one, next(worth) if isinstance(one, _Asked) else None) for one in asked]
        body = b"".join(msgspec.json.encode(row, enc_hook=str) + b"\n" for row in kept)
        self._output().commit(scored_name(part.number), body)

    def _output(self) -> Output:
        """Return where the rows go, if they still belong there."""
        output = open_output(self._job.out)
        check_held(output, self._job.manifest)
        return output

    def rows(self, part: Part) -> tuple[list[AnsweredRow], list[DeadRow]]:
        """Return a part's rows, answered and dead, each in the order of the part."""
        answered: list[AnsweredRow] = []
        died: list[DeadRow] = []
        rows = self._reader.rows(part)
        while group := list(islice(rows, self._engine.group)):
            asked = self._reader.ask(group)
            died += [entry for entry in asked if isinstance(entry, DeadRow)]
            self._answer([entry for entry in asked if isinstance(entry, _Asked)], answered, died)
        return answered, died

    def _answer(self, asked: Sequence[_Asked], answered: list[AnsweredRow], died: list[DeadRow]) -> None:
        outcomes = self._engine.answer([entry.question for entry in asked], self._job.stand)
        for entry, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Rejected):
                died.append(dead(entry.row, clean(outcome.reason)))
            else:
                document = encode(verify_answer(outcome, entry.question))
                answered.append(self._answered(entry.row, document, outcome))

    def _answered(self, row: InputRow, document: bytes, verdict: Verdict) -> AnsweredRow:
        options = self._job.options
        given = row.columns.get(options.id_column)
        return AnsweredRow(
            row.file,
            row.line,
            given if given is None or isinstance(given, str) else _as_text(given),
            gold_of(row.columns.get(options.label_column))[0],
            {name: row.columns.get(name) for name in options.columns},
            document,
            verdict,
        )


class BatchMapper:
    """A worker as an actor of Ray's, or of Ray Data's: a part in, its number, summary and fault out."""

    def __init__(self, settings: dict[str, Any], job: bytes) -> None:
        self._stack = ExitStack()
        self._worker: PartWorker | None = None
        self._fault = ""
        try:
            told = msgspec.json.decode(job, type=Job)
            opened = open_engine(msgspec.convert(settings, Settings), told.through)
            self._worker = PartWorker(self._stack.enter_context(opened), told, node=_node())
        except KiteError as exc:
            # Said with the first part: a constructor that fails ends the job in Ray's words.
            self._fault = f"{type(exc).__name__}: {exc}"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Do one part: what Ray Data calls."""
        return self.work(row)

    def work(self, row: dict[str, Any]) -> dict[str, Any]:
        """Do one part."""
        part = msgspec.json.decode(row["part"], type=Part)
        told = {"number": part.number, "summary": b"", "fault": self._fault, "spans": b""}
        if self._worker is None:
            return told
        within = remote(row.get("trace", ""), "worker", SERVICE)
        try:
            with within:
                summary = _done(self._worker, part, row["step"])
        except KiteError as exc:
            return {**told, "fault": f"{type(exc).__name__}: {exc}", "spans": within.blob()}
        return {**told, "summary": summary, "spans": within.blob()}


def _done(worker: PartWorker, part: Part, step: str) -> bytes:
    if step == "score":
        worker.score(part)
        return b""
    return msgspec.json.encode(worker.work(part))


def _node() -> str:
    """Return which node of the cluster this process is on."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def scored_name(number: int) -> str:
    """Return the name of a part's rows with their scores."""
    return f"_kite/order/scored-{number:06d}.jsonl"


def _scored(asked: _Asked | DeadRow, worth: float | None) -> OrderedRow:
    if isinstance(asked, DeadRow):
        return OrderedRow(LAST, asked.file, asked.line, {}, asked.reason, asked.row)
    row = asked.row
    return OrderedRow(LAST if worth is None else worth, row.file, row.line, row.columns)


def dead(row: InputRow, reason: str) -> DeadRow:
    """Return a row that asks nothing that can be answered."""
    return DeadRow(row.file, row.line, reason, _as_text(row.columns)[:KEPT_CHARS])


def _as_text(value: Any) -> str:
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except (UnicodeEncodeError, ValueError, TypeError):
        return ascii(value)


def _value(name: str, value: Any) -> Any:
    """Return what a cell says of the request: numbers, lists and objects stand in text as JSON."""
    if not isinstance(value, str) or (name == "as_of" and not value.isdigit()):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value
