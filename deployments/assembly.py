"""Puts parts together: frameworks from their specs, the retriever, the verifier. Plain Python.

The Serve replicas, the in-process service (benchmarks, tests) and batch jobs all assemble through here, so
they run the same objects.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from configs.errors import ConfigError
from configs.schema import Settings
from configs.version import VERSION
from data.changes import VerdictRecord, put_verdict
from data.claims import fingerprint
from data.datasets.transfer import FOLDER as TRANSFERS
from data.datasets.transfer_desk import Transfers
from data.evidence import ClaimBatch
from data.knowledge import Change
from data.models.reliability import ladder_of
from data.models.selective import RiskLadder
from data.models.tenant_calibration import TenantCalibration
from data.parts import Parts
from data.questions import Question
from data.verdicts import Outcome, Verdict
from deployments.building import build_framework, framework_config
from deployments.calibration import CalibrationDesk, TenantCalibrations
from deployments.framework import Framework, Spec
from deployments.frameworks import discover
from deployments.fusion import FusionConfig
from deployments.metrics import Meter
from deployments.retrieval import RetrievalConfig, Retriever
from deployments.verdict_cache import VerdictCache
from deployments.verdict_documents import document_of, question_document
from deployments.verification import AskFramework, Calibrate, Steps, Verifier, VerifierConfig


def check_framework_settings(settings: Settings) -> dict[str, Spec]:
    """Return all frameworks.

    Raises:
        ConfigError: settings of a framework that does not exist, or that do not fit it.
    """
    specs = discover()
    for section in ("framework_weights", "frameworks", "frameworks_off"):
        unknown = sorted(set(getattr(settings, section)) - set(specs))
        if unknown:
            known = ", ".join(specs)
            raise ConfigError(f"settings: {section}.{unknown[0]}: no such framework (there are {known})")
    for name, overrides in settings.frameworks.items():
        framework_config(specs[name], overrides)
    if set(specs) <= set(settings.frameworks_off):
        raise ConfigError("settings: frameworks_off: at least one framework has to be asked")
    return specs


def build_retriever(parts: Parts, settings: Settings) -> Retriever:
    """Return the retriever over these parts."""
    config = RetrievalConfig(**msgspec.to_builtins(settings.retrieval))
    return Retriever(
        parts.reader,
        analyser=parts.analyser,
        embedder=parts.embedder,
        vectors=parts.vectors,
        model_bundle=bundle_identity(parts.scorer.bundle(), settings, ladder_of(parts.reliability)),
        config=config,
    )


def build_verifier(
    parts: Parts,
    settings: Settings,
    frameworks: Mapping[str, AskFramework],
    retriever: Retriever,
    *,
    calibrations: TenantCalibrations | None = None,
    count_cached: Callable[[int, int], None] = lambda _hits, _misses: None,
) -> Verifier:
    """Return the verifier that asks these frameworks; blocking ports run in threads."""

    async def position() -> int:
        known = parts.board.read() if parts.board else None
        return known.position if known else await asyncio.to_thread(parts.reader.position)

    async def gather(questions: Sequence[Question], at: int) -> ClaimBatch:
        return await asyncio.to_thread(retriever.gather, questions, at)

    async def record(answered: Sequence[tuple[Question, Verdict]]) -> None:
        if settings.verdicts.record and answered:
            told = [to_change(verdict, question) for question, verdict in answered]
            await asyncio.to_thread(parts.reader.append, told)

    serving, verdicts = settings.serving, settings.verdicts
    calibrate = _calibrate(calibrations) if calibrations else None
    return Verifier(
        Steps(position, gather, frameworks, record, parts.prediction_set, calibrate),
        cache=VerdictCache(
            parts.store,
            model_bundle=retriever.model_bundle,
            capacity=verdicts.cache_entries,
            ttl_s=verdicts.cache_ttl_s,
            count=count_cached,
        ),
        fusion=FusionConfig(
            settings.framework_weights,
            verdicts.abstain_below,
            ladder_of(parts.reliability),
            frozenset(settings.frameworks_off),
        ),
        clock=parts.clock,
        config=VerifierConfig(
            max_batch_claims=serving.max_batch_claims,
            max_batches_in_flight=serving.max_batches_in_flight,
            max_waiting_claims=serving.max_waiting_claims,
            framework_timeout_s=serving.framework_timeout_s,
            breaker_failures=serving.breaker_failures,
            breaker_reset_s=serving.breaker_reset_s,
        ),
    )


def _calibrate(calibrations: TenantCalibrations) -> Calibrate:
    async def calibrate(questions: Sequence[Question]) -> list[TenantCalibration | None]:
        known = calibrations.remembered(questions)
        return known if known is not None else await asyncio.to_thread(calibrations.of, questions)

    return calibrate


def build_calibrations(parts: Parts, retriever: Retriever) -> TenantCalibrations | None:
    """Return the tenants' calibrations over these parts; ``None`` where the parts know no prediction sets."""
    if parts.conformal is None:
        return None
    return TenantCalibrations(
        parts.reader, parts.conformal, model_bundle=retriever.model_bundle, edition=parts.edition
    )


def build_calibration_desk(
    parts: Parts, calibrations: TenantCalibrations | None, meter: Meter
) -> CalibrationDesk | None:
    """Return what takes feedback and reports on calibration, its counts going to ``meter``."""
    if calibrations is None:
        return None
    return CalibrationDesk(
        parts.reader,
        calibrations,
        reliability=parts.reliability,
        count_feedback=meter.feedback,
        tell_alarm=meter.calibration_alarm,
        tell_error=meter.calibration_error,
    )


def build_transfers(parts: Parts, home: Path) -> Transfers | None:
    """Return what imports and exports vectors; ``None`` where there are no vector datasets."""
    if parts.datasets is None:
        return None
    return Transfers(parts.datasets, parts.store, parts.clock, home / TRANSFERS)


def build_embed(parts: Parts) -> Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]:
    """Return the embedder as an async callable that runs in threads."""

    async def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return await asyncio.to_thread(parts.embedder.embed, texts)

    return embed


def in_process_frameworks(parts: Parts, settings: Settings) -> dict[str, Framework]:
    """Return every framework, built in this process."""
    return {
        name: build_framework(spec, parts, settings.frameworks.get(name, {}))
        for name, spec in check_framework_settings(settings).items()
    }


def in_threads(frameworks: Mapping[str, Framework]) -> dict[str, AskFramework]:
    """Return these frameworks as async callables that run in threads."""

    def ask(framework: Framework) -> AskFramework:
        async def call(batch: ClaimBatch) -> Sequence[Outcome]:
            return await asyncio.to_thread(framework.verify, batch)

        return call

    return {name: ask(framework) for name, framework in frameworks.items()}


def to_change(verdict: Verdict, question: Question | None = None) -> Change:
    """Return the ledger change that records a verdict and, for its replay, the question it answers."""
    record = VerdictRecord(
        id=verdict.id,
        claim=verdict.claim.text,
        fingerprint=fingerprint(verdict.claim),
        label=verdict.label,
        probability=verdict.confidence,
        document=document_of(verdict),
        question=question_document(question, verdict) if question else b"null",
    )
    return put_verdict(record, verdict.claim.tenant)


def bundle_identity(models: str, settings: Settings, ladder: RiskLadder | None = None) -> str:
    """Return the identity of what decides an answer beside the knowledge: models, settings, software.

    ``ladder`` decides which answers are withheld where a ``risk`` is asked for.
    """
    parts = [
        VERSION,
        models,
        settings.retrieval,
        settings.verdicts,
        settings.framework_weights,
        settings.frameworks,
        *([ladder.to_list()] if ladder else []),
        *([{"off": sorted(settings.frameworks_off)}] if settings.frameworks_off else []),
    ]
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]
