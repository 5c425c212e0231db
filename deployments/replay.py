"""Verdicts as they were recorded, and their replay: derived again from the knowledge of then, byte by byte.

Called by the API. Invariant: a replay reads no cache and records nothing, so it says what the installation
would answer, not what it remembers.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from data.catalogue import KeptVerdict
from data.claims import Rejected, TenantId
from data.errors import ConflictError, NotFoundError
from data.knowledge import PastVerdict
from data.lookup import KnowledgeReader
from data.questions import Question
from data.verdicts import Verdict
from deployments.verdict_documents import document_of, read_question, read_verdict

Derive = Callable[[Sequence[Question]], Awaitable[list[Verdict | Rejected]]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A verdict from the history: itself, the question behind it, its position and the moment."""

    verdict: Verdict
    question: Question
    seq: int
    decided_at: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What deriving a verdict again gave; ``reason`` says why it is not the same, ``None`` when it is."""

    recorded: Verdict
    derived: Verdict | None
    reason: str | None
    sha256: tuple[str, str | None]
    differences: tuple[str, ...]
    present_bundle: str


class VerdictDesk:
    """Shows and replays the verdicts of tenants. ``model_bundle`` is that of now."""

    def __init__(self, reader: KnowledgeReader, derive: Derive, *, model_bundle: str) -> None:
        self._reader = reader
        self._derive = derive
        self._bundle = model_bundle

    def use(self, model_bundle: str) -> None:
        """Compare from now on with answers of this bundle."""
        self._bundle = model_bundle

    async def page(self, tenant: TenantId, *, before_seq: int, limit: int) -> list[PastVerdict]:
        """Return a tenant's verdicts before a position, newest first."""
        return await asyncio.to_thread(self._reader.verdicts, tenant, before_seq=before_seq, limit=limit)

    async def recorded(self, tenant: TenantId, verdict_id: str) -> Recorded:
        """Return a verdict as it was answered.

        Raises:
            NotFoundError: the tenant has no such verdict.
        """
        kept = await self._kept(tenant, verdict_id)
        verdict = read_verdict(kept.document)
        if kept.question is None:
            question = Question(verdict.claim, tuple(verdict.opinions), dict(verdict.weights), verdict.alpha)
        else:
            question = read_question(kept.question)
        return Recorded(verdict, question, kept.seq, kept.decided_at, _digest(kept.document))

    async def replay(self, tenant: TenantId, verdict_id: str) -> Replay:
        """Derive a verdict again at its position and with its calibration, and compare the bytes.

        Raises:
            NotFoundError: the tenant has no such verdict.
            ConflictError: its question was not recorded.
        """
        kept = await self._kept(tenant, verdict_id)
        if kept.question is None:
            raise ConflictError(
                f"The verdict {verdict_id!r} was recorded without its question and cannot be replayed: "
                "verify the claim again."
            )
        recorded = read_verdict(kept.document)
        (outcome,) = await self._derive([read_question(kept.question)])
        derived = outcome if isinstance(outcome, Verdict) else None
        document = document_of(derived) if derived else None
        differences = _differences(kept.document, document) if document else ()
        return Replay(
            recorded,
            derived,
            None if document == kept.document else self._reason(recorded, outcome, differences),
            (_digest(kept.document), _digest(document) if document else None),
            differences,
            self._bundle,
        )

    async def _kept(self, tenant: TenantId, verdict_id: str) -> KeptVerdict:
        kept = await asyncio.to_thread(self._reader.kept_verdict, tenant, verdict_id)
        if kept is None:
            raise NotFoundError(
                f"There is no verdict {verdict_id[:100]!r}: send the verdict.id of an answer to POST /verify."
            )
        return kept

    def _reason(self, recorded: Verdict, outcome: Verdict | Rejected, differences: Sequence[str]) -> str:
        if isinstance(outcome, Rejected):
            return f"It cannot be derived now: {outcome.reason}"
        if recorded.model_bundle != self._bundle:
            return (
                f"The models or settings have changed: the verdict was made with bundle "
                f"{recorded.model_bundle}, the present one is {self._bundle}."
            )
        if recorded.degraded or outcome.degraded:
            when = "then" if recorded.degraded else "now"
            return f"Some of the frameworks asked were away {when}."
        return f"The knowledge of position {recorded.knowledge_seq} gives other {', '.join(differences)}."


def _digest(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()


def _differences(one: bytes, other: bytes) -> tuple[str, ...]:
    """Return the names of the verdict's parts that differ, sorted."""
    first: dict[str, Any] = msgspec.json.decode(one)
    second: dict[str, Any] = msgspec.json.decode(other)
    return tuple(sorted(key for key in {*first, *second} if first.get(key) != second.get(key)))
