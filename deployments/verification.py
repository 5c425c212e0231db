"""A claim's way: position → cache → gather → six frameworks in parallel → fuse → record → answer.

The ingress replica, the in-process service and the tests build a :class:`Verifier` from plain async
callables, so it knows neither Ray nor HTTP. A framework that fails or is too slow is reported as abstained
with the reason.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from data.claims import Rejected, TenantId
from data.errors import DeadlineError, InvalidValueError
from data.evidence import ClaimBatch
from data.models.tenant_calibration import TenantCalibration
from data.ports import Clock
from data.questions import Question
from data.tracing import span
from data.verdicts import Opinion, Outcome, Verdict, abstain
from deployments.batching import Batcher
from deployments.breaker import CircuitBreaker
from deployments.fusion import FusionConfig, PredictionSet, fuse
from deployments.verdict_cache import VerdictCache

Gather = Callable[[Sequence[Question], int], Awaitable[ClaimBatch]]
AskFramework = Callable[[ClaimBatch], Awaitable[Sequence[Outcome]]]
#: Makes verdicts durable, each with the question it answers.
Record = Callable[[Sequence[tuple[Question, Verdict]]], Awaitable[None]]
#: Each question's tenant's own calibration, ``None`` where the shipped one holds.
Calibrate = Callable[[Sequence[Question]], Awaitable[list[TenantCalibration | None]]]


@dataclass(frozen=True, slots=True)
class VerifierConfig:
    """Sizes and times; see ``configs.schema.ServingSettings``."""

    max_batch_claims: int = 64
    max_batches_in_flight: int = 2
    max_waiting_claims: int = 4096
    framework_timeout_s: float = 10.0
    breaker_failures: int = 5
    breaker_reset_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Steps:
    """The parts a verifier is made of.

    ``position`` gives the ledger position, ``record`` makes verdicts durable.
    """

    position: Callable[[], Awaitable[int]]
    gather: Gather
    frameworks: Mapping[str, AskFramework]
    record: Record
    prediction_set: PredictionSet
    calibrate: Calibrate | None = None


class Verifier:
    """Answers questions in batches."""

    def __init__(
        self,
        steps: Steps,
        *,
        cache: VerdictCache,
        fusion: FusionConfig,
        clock: Clock,
        config: VerifierConfig | None = None,
    ) -> None:
        self._steps = steps
        self._cache = cache
        self._fusion = fusion
        self._config = config or VerifierConfig()
        self.breakers: Mapping[str, CircuitBreaker] = {
            name: CircuitBreaker(clock, self._config.breaker_failures, self._config.breaker_reset_s)
            for name in steps.frameworks
        }
        self._batcher: Batcher[Question, Verdict | Rejected] = Batcher(
            self._answer_batch,
            max_size=self._config.max_batch_claims,
            max_in_flight=self._config.max_batches_in_flight,
            max_waiting=self._config.max_waiting_claims,
            key=_tenant_of,
        )
        self._deriver: Batcher[Question, Verdict | Rejected] = Batcher(
            self._derive_batch,
            max_size=self._config.max_batch_claims,
            max_in_flight=1,  # replays give way to questions
            max_waiting=self._config.max_waiting_claims,
            key=_tenant_of,
        )

    def succeed(self, before: Verifier) -> None:
        """Go on with the breakers of a verifier that this one takes the place of."""
        self.breakers = before.breakers

    async def answer(self, questions: Sequence[Question]) -> list[Verdict | Rejected]:
        """Return one verdict (or rejection) a question, in order.

        Raises:
            CapacityError: too many claims are waiting.
            UnavailableError: the knowledge or the models cannot be reached.
        """
        if not questions:
            return []
        with span("verify", {"kite.claims": len(questions)}):
            return await self._batcher.submit(questions)

    async def derive(self, questions: Sequence[Question]) -> list[Verdict | Rejected]:
        """Return what these questions' answers are, derived anew: nothing is remembered or recorded.

        Each names its position (``as_of``) and its calibration (``calibrated_at``), so that the answer
        is that of then.

        Raises:
            CapacityError: too many claims are waiting.
            UnavailableError: the knowledge or the models cannot be reached.
        """
        if not questions:
            return []
        with span("derive", {"kite.claims": len(questions)}):
            return await self._deriver.submit(questions)

    async def _derive_batch(self, questions: list[Question]) -> list[Verdict | Rejected]:
        position, calibrations = await self._standing(questions)
        return await self._work_out(questions, calibrations, position)

    async def _answer_batch(self, questions: list[Question]) -> list[Verdict | Rejected]:
        position, calibrations = await self._standing(questions)
        # From here on each question names its calibration, so a cached verdict is never older than it.
        questions = [
            replace(question, calibrated_at=own.seq if own else 0)
            for question, own in zip(questions, calibrations, strict=True)
        ]
        with span("cached"):
            cached = await self._cache.get(questions, position)
        still_open = [place for place, known in enumerate(cached) if known is None]
        if not still_open:
            return [known for known in cached if known is not None]
        wanted = [questions[place] for place in still_open]
        fresh = iter(await self._verify(wanted, [calibrations[place] for place in still_open], position))
        return [known if known is not None else next(fresh) for known in cached]

    async def _standing(self, questions: Sequence[Question]) -> tuple[int, list[TenantCalibration | None]]:
        """Return where the knowledge stands, and each question's calibration."""
        with span("standing"):
            return await asyncio.gather(self._steps.position(), self._calibrations(questions))

    async def _calibrations(self, questions: Sequence[Question]) -> list[TenantCalibration | None]:
        if self._steps.calibrate is None:
            return [None] * len(questions)
        return await self._steps.calibrate(questions)

    async def _verify(
        self,
        questions: list[Question],
        calibrations: Sequence[TenantCalibration | None],
        position: int,
    ) -> list[Verdict | Rejected]:
        results = await self._work_out(questions, calibrations, position)
        told = zip(questions, results, strict=True)
        with span("record"):
            await self._steps.record([(asked, given) for asked, given in told if isinstance(given, Verdict)])
        with span("cache"):
            await self._cache.put(questions, results, position)
        return results

    async def _work_out(
        self,
        questions: list[Question],
        calibrations: Sequence[TenantCalibration | None],
        position: int,
    ) -> list[Verdict | Rejected]:
        """Return the results of questions, those of one tenant and position together.

        A batch has one set of sources, and each is what its tenant saw at that position.
        """
        groups: dict[tuple[TenantId, int], list[int]] = {}
        for place, question in enumerate(questions):
            groups.setdefault((question.claim.tenant, question.position(position)), []).append(place)
        if len(groups) == 1:
            return await self._work_out_group(questions, calibrations, position)
        worked_out = await asyncio.gather(
            *(
                self._work_out_group(
                    [questions[place] for place in places],
                    [calibrations[place] for place in places],
                    position,
                )
                for places in groups.values()
            )
        )
        by_place = {
            place: result
            for places, results in zip(groups.values(), worked_out, strict=True)
            for place, result in zip(places, results, strict=True)
        }
        return [by_place[place] for place in range(len(questions))]

    async def _work_out_group(
        self,
        questions: list[Question],
        calibrations: Sequence[TenantCalibration | None],
        position: int,
    ) -> list[Verdict | Rejected]:
        """Return the results of questions of one tenant and position; an erased position harms no other."""
        try:
            return await self._work_out_together(questions, calibrations, position)
        except InvalidValueError as exc:
            return [Rejected(str(exc))] * len(questions)

    async def _work_out_together(
        self,
        questions: list[Question],
        calibrations: Sequence[TenantCalibration | None],
        position: int,
    ) -> list[Verdict | Rejected]:
        with span("retrieval"):
            batch = await self._steps.gather(questions, position)
        asked = sorted({name for question in questions for name in question.frameworks})
        answers = await asyncio.gather(*(self._ask(name, batch, questions) for name in asked))
        by_name = dict(zip(asked, answers, strict=True))
        with span("fusion"):
            return [
                self._fuse(question, batch, i, answers=by_name, calibration=calibrations[i])
                for i, question in enumerate(questions)
            ]

    async def _ask(self, name: str, batch: ClaimBatch, questions: Sequence[Question]) -> _Answers:
        rows = [i for i, question in enumerate(questions) if name in question.frameworks]
        started = time.perf_counter()
        with span(f"framework {name}", {"kite.framework": name}) as telling:
            outcomes, failure = await self._outcomes(name, select(batch, rows))
            telling.note("kite.failed", failure)
        elapsed_ms = (time.perf_counter() - started) * 1000.0
        return _Answers(dict(zip(rows, outcomes, strict=True)), failure, round(elapsed_ms, 3))

    async def _outcomes(self, name: str, batch: ClaimBatch) -> tuple[Sequence[Outcome], bool]:
        if name in self._fusion.off:
            return [abstain(f"{name} is switched off here.")] * len(batch), False
        breaker = self.breakers[name]
        if not breaker.allows():
            return [abstain(f"{name} is resting after repeated failures.")] * len(batch), True
        try:
            ask = self._steps.frameworks[name](batch)
            outcomes = await asyncio.wait_for(ask, self._config.framework_timeout_s)
        except (TimeoutError, DeadlineError):
            breaker.failed()
            limit_s = self._config.framework_timeout_s
            return [abstain(f"{name} did not answer within {limit_s:g} s.")] * len(batch), True
        except Exception:
            breaker.failed()
            return [abstain(f"{name} is not available at the moment.")] * len(batch), True
        breaker.succeeded()
        return outcomes, False

    def _fuse(
        self,
        question: Question,
        batch: ClaimBatch,
        index: int,
        *,
        answers: Mapping[str, _Answers],
        calibration: TenantCalibration | None,
    ) -> Verdict | Rejected:
        opinions: dict[str, Opinion] = {}
        for name in question.frameworks:
            outcome = answers[name].outcomes[index]
            if isinstance(outcome, Rejected):
                return outcome
            opinions[name] = outcome
        verdict = fuse(
            question,
            batch,
            index,
            opinions,
            degraded=tuple(name for name in question.frameworks if answers[name].failed),
            config=self._fusion,
            prediction_set=self._steps.prediction_set,
            calibration=calibration,
        )
        latencies = {name: answers[name].elapsed_ms for name in question.frameworks}
        return replace(verdict, latencies_ms=latencies)


@dataclass(frozen=True, slots=True)
class _Answers:
    """What one framework said of a batch, by row, and how long it took."""

    outcomes: Mapping[int, Outcome]
    failed: bool
    elapsed_ms: float


def _tenant_of(question: Question) -> TenantId:
    """Return by whom a question waits: tenants take turns."""
    return question.claim.tenant


def select(batch: ClaimBatch, rows: Sequence[int]) -> ClaimBatch:
    """Return the batch of these rows only (the same object when they are all of them)."""
    if len(rows) == len(batch):
        return batch
    vectors = batch.vectors()[list(rows)]
    return replace(
        batch,
        claims=tuple(batch.claims[i] for i in rows),
        analyses=tuple(batch.analyses[i] for i in rows),
        embeddings=vectors.tobytes(),
        evidence=tuple(batch.evidence[i] for i in rows),
        histories=tuple(batch.histories[i] for i in rows),
        pattern_hits=tuple(batch.pattern_hits[i] for i in rows),
    )
