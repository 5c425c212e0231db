"""Evidence: a stretch of text (or a fact, or a statement of the graph) found for a claim, and its stance.

Built by retrieval, judged by the empirical framework, quoted in the answer. The batch of claims with all that
was found for them is :class:`ClaimBatch`, the one value that every framework receives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data.analysis import Analysis, PairFinding, Span
from data.claims import Claim
from data.knowledge import PastVerdict, PatternHit, Source

Stance = Literal["SUPPORTS", "REFUTES", "NEUTRAL"]
#: Column order of every stance probability row.
STANCES: tuple[Stance, Stance, Stance] = ("SUPPORTS", "REFUTES", "NEUTRAL")

EvidenceKind = Literal["passage", "fact", "graph"]


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """How it was found; ``None`` where that way did not find it. ``fused`` orders the list.

    ``bm25`` is >= 0 and comparable within a claim only; ``dense`` is the cosine of the claim with the text
    behind its title, in [-1, 1]; ``fused`` see ``data.retrieval_fusion``, 1 for facts and statements.
    """

    bm25: float | None = None
    dense: float | None = None
    fused: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """One item found for one claim. ``span`` is its place in the document's text.

    ``sentence`` is the place, in ``text``, of the sentence that answers to the claim, if it was looked for.

    For ``kind == "fact"`` the typed value rides along (``value``, ``unit``), so that it is compared
    exactly, and ``text`` is the statement in words.
    """

    id: str
    document_id: str
    text: str
    span: Span
    kind: EvidenceKind = "passage"
    title: str = ""
    url: str | None = None
    source: str | None = None
    published_at: str | None = None
    sha256: str = ""
    scores: RetrievalScores = RetrievalScores()
    subject: str | None = None
    predicate: str | None = None
    object: str | None = None
    value: float | None = None
    unit: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    sentence: Span | None = None


@dataclass(frozen=True, slots=True)
class StanceJudgement:
    """What one evidence item says of the claim; ``probabilities`` in the order of :data:`STANCES`.

    ``findings`` are exact comparisons of its words with the claim's; passage spans are into the item's text.
    """

    evidence_id: str
    stance: Stance
    probabilities: tuple[float, float, float]
    findings: tuple[PairFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimBatch:
    """Claims with everything found for them; all tuples have the length of ``claims``, in its order.

    ``embeddings`` are the claims' vectors, (n, dim) float32 row-major bytes; ``sources`` holds every source
    behind any evidence and the sources they lead to, once. Claims of several tenants, or as of several
    positions, see different sources under one id: then ``source_sets`` holds each set, ``source_set_of`` the
    number of each claim's, and ``sources`` nothing.
    """

    claims: tuple[Claim, ...]
    analyses: tuple[Analysis, ...]
    embeddings: bytes
    evidence: tuple[tuple[Evidence, ...], ...]
    histories: tuple[tuple[PastVerdict, ...], ...]
    pattern_hits: tuple[tuple[PatternHit, ...], ...]
    sources: tuple[Source, ...] = ()
    knowledge_seq: int = 0
    model_bundle: str = ""
    options: dict[str, str] = field(default_factory=dict)
    source_sets: tuple[tuple[Source, ...], ...] = ()
    source_set_of: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.claims)

    def vectors(self) -> NDArray[np.float32]:
        """Return the claims' embeddings, (n, dim) float32, read-only."""
        flat = np.frombuffer(self.embeddings, dtype=np.float32)
        return flat.reshape(len(self.claims), -1) if self.claims else flat.reshape(0, 0)
