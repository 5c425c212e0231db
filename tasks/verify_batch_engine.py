"""The verification that a batch runs: the same objects and the same ``derive`` as online, in this process.

Called by the workers of ``tasks.verify_batch``. Invariant: every answer is as of the batch's own position and
calibration, nothing is remembered or recorded, so the same row gives the same bytes whenever it is asked.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import msgspec

from cluster.owned import local_parts, resting_parts
from cluster.wiring import open_models, remote_parts
from configs.live import LiveSettings
from configs.schema import Settings
from data.claims import Rejected, TenantId, make_claim
from data.errors import ModelUnavailableError, UnavailableError
from data.evidence import ClaimBatch
from data.parts import Parts
from data.questions import Question
from data.verdicts import Outcome, Verdict
from deployments.assembly import (
    build_calibrations,
    build_retriever,
    build_verifier,
    check_framework_settings,
    in_process_frameworks,
)
from deployments.framework import Framework
from deployments.live_settings import in_force
from deployments.verification import AskFramework, Verifier

#: Who computes: this process with a home of its own; actors that read the files of a home at rest; actors
#: over the running installation's knowledge; or the installation's deployments.
Through = Literal["here", "readers", "mappers", "deployments"]
Value = TypeVar("Value")
#: How long a batch waits for a part of the installation that is away, and between two attempts, seconds.
PATIENCE_S, FIRST_PAUSE_S, LONGEST_PAUSE_S = 600.0, 0.5, 10.0
#: How long a framework may take for one group of claims: a batch is in no hurry.
FRAMEWORK_TIMEOUT_S = 600.0
#: Vectors of texts that a worker keeps: claims of a batch seldom come twice.
REMEMBERED = 2_000


@dataclass(frozen=True, slots=True)
class Standpoint:
    """Where the batch stands in the ledger: the position it answers from, and whose feedback counts."""

    position: int
    calibrated_at: int


class Engine:
    """Answers questions in this process. One thread."""

    def __init__(self, parts: Parts, settings: Settings, asks: Mapping[str, AskFramework]) -> None:
        self._parts = parts
        self._asks = dict(asks)
        self._reader = parts.reader
        self._retriever = build_retriever(parts, settings)
        self._calibrations = build_calibrations(parts, self._retriever)
        patient = _patient(settings)
        self._verifier: Verifier = build_verifier(
            parts, patient, asks, self._retriever, calibrations=self._calibrations
        )
        self.frameworks = tuple(asks)
        #: Claims that are worked on together: as many as online at most, and it makes no difference to them.
        self.group = settings.serving.max_batch_claims
        self._rest_s = settings.serving.breaker_reset_s
        self._loop = asyncio.Runner()

    @property
    def model_bundle(self) -> str:
        """Identity of everything that decides beside the knowledge."""
        return self._retriever.model_bundle

    def standpoint(self, tenant: TenantId) -> Standpoint:
        """Return where an answer to a tenant stands now."""
        position = self._reader.position()
        if self._calibrations is None:
            return Standpoint(position, 0)
        probe = Question(make_claim("A claim.", tenant=tenant), self.frameworks)
        (own,) = self._calibrations.of([probe])
        return Standpoint(position, own.seq if own else 0)

    def seq_at(self, moment: str) -> int:
        """Return the position of a moment."""
        return self._patiently(lambda: self._reader.seq_at(moment))

    def answer(self, questions: Sequence[Question], stand: Standpoint) -> list[Verdict | Rejected]:
        """Return one verdict or rejection a question, in order; waits for what is away.

        Raises:
            UnavailableError: a part of the installation was away for ``PATIENCE_S``.
        """
        pinned = [
            question
            if question.as_of is not None
            else replace(question, as_of=stand.position, calibrated_at=stand.calibrated_at)
            for question in questions
        ]
        found = self._derive(pinned)
        # A framework that failed, failed its whole group: each is asked again, at last on its own.
        again = [place for place, verdict in enumerate(found) if _is_degraded(verdict)]
        if again:
            time.sleep(self._rest_s)
        for place, verdict in zip(again, self._derive([pinned[i] for i in again]), strict=True):
            found[place] = verdict
        for place in (place for place in again if _is_degraded(found[place])):
            (found[place],) = self._derive([pinned[place]])
        return found

    def worth(self, questions: Sequence[Question]) -> list[float]:
        """Return what checking each claim is worth, in [-1, 1], by its words alone: nothing is looked up."""
        texts = [question.claim.text for question in questions]
        batch = ClaimBatch(
            claims=tuple(question.claim for question in questions),
            analyses=tuple(self._parts.analyser.analyse(texts)),
            embeddings=self._parts.embedder.embed(texts).tobytes(),
            evidence=((),) * len(questions),
            histories=((),) * len(questions),
            pattern_hits=((),) * len(questions),
            sources=(),
            knowledge_seq=0,
            model_bundle=self.model_bundle,
        )
        if not questions:
            return []
        outcomes = self._patiently(lambda: self.run(_awaited(self._asks["utility"], batch)))
        return [-1.0 if isinstance(one, Rejected) or one.abstained else one.score for one in outcomes]

    def run(self, coroutine: Any) -> Any:
        """Return the result of a coroutine, run on this engine's loop."""
        # In the context of who asks: the loop's own knows of no span.
        context = contextvars.copy_context()
        # Not by ``Runner.run``: on the main thread that puts the task into words, results and all (7 % of a
        # batch of ``utility`` alone; ``signal.getsignal`` of a handler that holds the task, Python 3.11).
        loop = self._loop.get_loop()
        return loop.run_until_complete(loop.create_task(coroutine, context=context))

    def close(self) -> None:
        """End the loop."""
        self._loop.close()

    def _derive(self, questions: Sequence[Question]) -> list[Verdict | Rejected]:
        if not questions:
            return []
        return self._patiently(lambda: list(self.run(self._verifier.derive(questions))))

    def _patiently(self, call: Callable[[], Value]) -> Value:
        deadline, pause_s = time.monotonic() + PATIENCE_S, FIRST_PAUSE_S
        while True:
            try:
                return call()
            except UnavailableError:
                if time.monotonic() + pause_s > deadline:
                    raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


@contextmanager
def open_engine(settings: Settings, through: Through) -> Iterator[Engine]:
    """Open an engine for as long as the block lasts; the last two of ``Through`` need Ray to be connected.

    Raises:
        StoreUnavailableError: ``here`` or ``readers``, and the installation is running.
        ModelUnavailableError: the embedder has not been built.
    """
    if through in ("here", "readers"):
        opened = local_parts if through == "here" else resting_parts
        with opened(settings, remembered=REMEMBERED) as parts:
            yield from _engine(parts, settings, _called(in_process_frameworks(parts, settings)))
    elif through == "mappers":
        parts = _with_own_models(remote_parts(settings), settings)
        yield from _engine(parts, settings, _called(in_process_frameworks(parts, settings)))
    else:
        yield from _engine(remote_parts(settings), settings, _deployed(settings))


def _engine(parts: Parts, settings: Settings, asks: Mapping[str, AskFramework]) -> Iterator[Engine]:
    # A batch is worked out under one set of settings from first to last: that of when it began.
    words = parts.reader.access_changes(0).frameworks
    engine = Engine(parts, in_force(settings, LiveSettings(), words), asks)
    try:
        yield engine
    finally:
        engine.close()


def _with_own_models(parts: Parts, settings: Settings) -> Parts:
    """Return the installation's parts with models of this process: they are where the time goes.

    On a node where the embedder is not built, the installation's own models are asked.
    """
    try:
        models = open_models(settings, remembered=REMEMBERED)
    except ModelUnavailableError:
        return parts
    return replace(
        parts,
        analyser=models.analyser,
        embedder=models.embedder,
        stance=models.stance,
        scorer=models.scorer,
    )


def _called(frameworks: Mapping[str, Framework]) -> dict[str, AskFramework]:
    """Return frameworks as async callables that run at once: a worker has one core, and threads gain none."""

    def ask(framework: Framework) -> AskFramework:
        async def call(batch: ClaimBatch) -> Sequence[Outcome]:
            return framework.verify(batch)

        return call

    return {name: ask(framework) for name, framework in frameworks.items()}


def _deployed(settings: Settings) -> dict[str, AskFramework]:
    from ray import serve

    from deployments.framework_replica import application_of
    from deployments.replica import ask_replica

    names = check_framework_settings(settings)
    return {name: ask_replica(serve.get_app_handle(application_of(name))) for name in names}


def _patient(settings: Settings) -> Settings:
    """Return settings of the same answers under which nothing is recorded and a framework has time."""
    replaced = msgspec.structs.replace
    serving = replaced(settings.serving, framework_timeout_s=FRAMEWORK_TIMEOUT_S)
    verdicts = replaced(settings.verdicts, record=False, cache_entries=1)
    return replaced(settings, serving=serving, verdicts=verdicts)


async def _awaited(ask: AskFramework, batch: ClaimBatch) -> Sequence[Outcome]:
    return await ask(batch)


def _is_degraded(verdict: Verdict | Rejected) -> bool:
    return isinstance(verdict, Verdict) and verdict.degraded
