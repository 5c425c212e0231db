"""A short list of claims as a job that the running deployments answer at once, without a job's start.

Called by the route that takes jobs. Rows, dead letters and report lie where ``tasks.verify_batch`` puts them.
Invariant: the job's folder is this process's from the first moment on; if this process dies, or the
deployments are full, the job is run again like any other, and ends with the same rows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from data.batch.manifest import DEAD, REPORT, SUCCESS
from data.batch.output import open_output
from data.batch.reading import KEPT_CHARS, DeadRow
from data.batch.results import AnsweredRow, PartSummary, commit_part, gold_of, summarise
from data.batch.totals import Totals, run_told
from data.claims import Rejected, TenantId
from data.errors import KiteError, RequestError
from data.jobs.folder import JobFolder
from data.jobs.kinds import CLAIMS, OUTPUT
from data.jobs.records import JobKind, JobState
from data.jobs.running import sentence_of
from data.questions import Question
from data.traces import Tracer, job_span
from data.tracing import told_on
from data.verdicts import Verdict
from deployments.api.answers import verify_answer
from deployments.api.errors import clean
from deployments.api.reading import QuestionReader, SeqAt
from deployments.api.responses import encode

#: Claims that are asked together: in between, others come in and a stop is noticed.
GROUP = 64
#: What a claim may say beside its text, as a body of ``POST /verify`` does; anything else is left aside.
REQUEST_FIELDS = ("frameworks", "framework_weights", "context", "as_of", "alpha", "risk", "evidence_filter")

Answer = Callable[[Sequence[Question]], Awaitable[list[Verdict | Rejected]]]


class OnlineBatch:
    """Answers the claims of jobs. One event loop."""

    def __init__(
        self,
        answer: Answer,
        frameworks: tuple[str, ...],
        seq_at: SeqAt,
        *,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer or Tracer("kite-gateway")
        self._answer = answer
        self._frameworks = frameworks
        self._seq_at = seq_at

    async def run(
        self, folder: JobFolder, claims: Sequence[Any], args: Mapping[str, Any], tenant: TenantId
    ) -> None:
        """Answer the claims of a job that this process runs, and say how it ended; never raises an error."""
        try:
            told = job_span(JobKind.VERIFY_BATCH, folder.path.name)
            with self._tracer.root(*told, links=(told_on(),), always=True):
                await self._run(folder, claims, args, tenant)
        except asyncio.CancelledError:
            folder.set_state(JobState.INTERRUPTED, "The replica that ran it was stopped.")
            raise
        except Exception as exc:
            # Whatever it is, the job has its own process then, whose report names what is wrong.
            reason = sentence_of(exc) if isinstance(exc, KiteError) else type(exc).__name__
            folder.set_state(JobState.INTERRUPTED, f"The deployments did not answer: {reason}")
        finally:
            folder.flush()
            folder.release()

    async def _run(
        self, folder: JobFolder, claims: Sequence[Any], args: Mapping[str, Any], tenant: TenantId
    ) -> None:
        began = time.perf_counter()
        reader = QuestionReader(self._frameworks, self._seq_at, tenant)
        answered: list[AnsweredRow] = []
        dead: list[DeadRow] = []
        await asyncio.to_thread(folder.progress, 0, len(claims), "verifying")
        for start in range(0, len(claims), GROUP):
            if await asyncio.to_thread(folder.should_stop):
                await asyncio.to_thread(folder.set_state, JobState.STOPPED, "Stopped on demand.")
                return
            group = [(start + place, claim) for place, claim in enumerate(claims[start : start + GROUP], 1)]
            await self._group(reader, group, args, (answered, dead))
            await asyncio.to_thread(folder.progress, len(answered) + len(dead), len(claims), "verifying")
        seconds = time.perf_counter() - began
        await asyncio.to_thread(_write, folder, answered, sorted(dead, key=lambda row: row.line), seconds)
        await asyncio.to_thread(folder.set_state, JobState.SUCCEEDED)

    async def _group(
        self,
        reader: QuestionReader,
        group: Sequence[tuple[int, Any]],
        args: Mapping[str, Any],
        rows: tuple[list[AnsweredRow], list[DeadRow]],
    ) -> None:
        answered, dead = rows
        asked: list[tuple[int, dict[str, Any], Question]] = []
        for line, claim in group:
            try:
                item = _item(claim, args)
                asked.append((line, item, (await reader.read(item)).question))
            except RequestError as exc:
                dead.append(_dead(line, claim, clean(str(exc))))
        outcomes = await self._answer([question for _, _, question in asked]) if asked else []
        whole = dict(group)
        for (line, _, question), outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Rejected):
                dead.append(_dead(line, whole[line], clean(outcome.reason)))
            else:
                answered.append(_answered(line, whole[line], question, outcome))


def _item(claim: Any, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return a claim as a body of ``POST /verify``."""
    if not isinstance(claim, dict):
        return {"claim": claim, **_chosen(args)}
    said = {name: claim[name] for name in REQUEST_FIELDS if claim.get(name) is not None}
    chosen = {} if "frameworks" in said else _chosen(args)
    return {**chosen, **said, "claim": claim.get("claim")}


def _chosen(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: args[name] for name in ("frameworks", "framework_weights") if name in args}


def _answered(line: int, claim: Any, question: Question, verdict: Verdict) -> AnsweredRow:
    given = claim.get("id") if isinstance(claim, dict) else None
    label = gold_of(claim.get("label") if isinstance(claim, dict) else None)[0]
    name = given if given is None or isinstance(given, str) else encode(given).decode()
    return AnsweredRow(CLAIMS, line, name, label, {}, encode(verify_answer(verdict, question)), verdict)


def _dead(line: int, claim: Any, reason: str) -> DeadRow:
    row = {"claim": claim} if isinstance(claim, str) else claim
    return DeadRow(CLAIMS, line, reason, encode(row).decode("utf-8", "replace")[:KEPT_CHARS])


def _write(
    folder: JobFolder, answered: Sequence[AnsweredRow], dead: Sequence[DeadRow], seconds: float
) -> None:
    output = open_output(str(folder.path / OUTPUT))
    summary = summarise(0, answered, dead)
    commit_part(output, "jsonl", answered, dead, summary)
    if dead:
        output.commit(DEAD, b"".join(encode(row) + b"\n" for row in dead))
    report = _report(summary, answered, seconds)
    output.commit(REPORT, msgspec.json.format(encode(report), indent=1) + b"\n")
    output.commit(SUCCESS, b"")
    folder.report(report)


def _report(summary: PartSummary, answered: Sequence[AnsweredRow], seconds: float) -> dict[str, Any]:
    totals = Totals()
    totals.take(summary)
    verdicts = [row.verdict for row in answered]
    told = totals.told(
        wanted=summary.rows,
        knowledge_seq=max((verdict.knowledge_seq for verdict in verdicts), default=None),
        model_bundle=verdicts[0].model_bundle if verdicts else None,
    )
    return {**told, "this_run": run_told(rows=summary.rows, work_s=seconds, by="online")}
