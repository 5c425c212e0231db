"""Retrieval and verdicts over a whole corpus: everything runs as in the product, in this process.

Called by ``tasks.evaluate``. The corpus is written into a new home through the ledger, as an import would,
then the product's retriever ranks it and its verifier answers.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from cluster.wiring import embedder_folder, local_parts
from configs.schema import Settings
from data.changes import load_segment
from data.claims import Rejected, make_claim
from data.knowledge import Document
from data.parts import Parts
from data.questions import Question
from data.segments import write_documents
from data.verdicts import Verdict
from deployments.assembly import build_retriever, build_verifier, in_process_frameworks, in_threads
from deployments.verification import Verifier
from tasks.build_embedder import build
from tasks.evaluation.sets import RetrievalView

#: Depth to which documents are ranked.
DEPTH = 100
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class OpenVerdict:
    """What was said of a claim over the whole corpus, and the documents it was said from."""

    query: str
    probabilities: tuple[float, float, float]
    documents: tuple[str, ...]


@contextmanager
def opened(view: RetrievalView, settings: Settings) -> Iterator[tuple[Parts, Settings]]:
    """Write the corpus into a home of its own, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="kite-evaluate-") as folder:
        own = msgspec.structs.replace(settings, home=folder)
        # The embedder of the user's home is used where there is one: building it again would be the same.
        Path(folder, "models").mkdir()
        Path(folder, "models", "embedder").symlink_to(embedder_folder(settings), target_is_directory=True)
        build(embedder_folder(settings))
        with local_parts(own) as parts:
            documents = [
                Document(id=key, text=text, title=title)
                for key, (title, text) in view.corpus.items()
                if text.strip()
            ]
            for start in range(0, len(documents), 1_000):
                block = documents[start : start + 1_000]
                identity = getattr(parts.embedder, "identity", "")
                ref = write_documents(Path(folder), block, embed=parts.embedder.embed, embedder=identity)
                parts.reader.append([load_segment(ref)], idempotency_key=f"evaluate/{ref.sha256}")
            yield parts, own


def rank(
    parts: Parts, settings: Settings, queries: Mapping[str, str], say: Callable[[int], None]
) -> dict[str, list[str]]:
    """Return document ids by query, best first, at most ``DEPTH``."""
    deep = msgspec.structs.replace(
        settings, retrieval=msgspec.structs.replace(settings.retrieval, passages=DEPTH, candidates=2 * DEPTH)
    )
    retriever = build_retriever(parts, deep)
    position = parts.reader.position()
    found: dict[str, list[str]] = {}
    names = list(queries)
    for start in range(0, len(names), _BLOCK):
        block = names[start : start + _BLOCK]
        batch = retriever.gather([Question(make_claim(queries[name]), ()) for name in block], position)
        for name, items in zip(block, batch.evidence, strict=True):
            ordered = sorted(items, key=lambda item: (-item.scores.fused, item.id))
            found[name] = list(dict.fromkeys(item.document_id for item in ordered if item.kind == "passage"))
        say(start + len(block))
    return found


def answer(
    parts: Parts, settings: Settings, queries: Mapping[str, str], say: Callable[[int], None]
) -> list[OpenVerdict]:
    """Return the product's verdict on every query."""
    frameworks = in_threads(in_process_frameworks(parts, settings))
    verifier = build_verifier(parts, settings, frameworks, build_retriever(parts, settings))
    return asyncio.run(_answered(verifier, queries, say))


async def _answered(
    verifier: Verifier, queries: Mapping[str, str], say: Callable[[int], None]
) -> list[OpenVerdict]:
    names, keys = tuple(sorted(verifier.breakers)), list(queries)
    found: list[OpenVerdict] = []
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK]
        verdicts = await verifier.answer([Question(make_claim(queries[key]), names) for key in block])
        found += [_open(key, verdict) for key, verdict in zip(block, verdicts, strict=True)]
        say(start + len(block))
    return found


def _open(key: str, verdict: Verdict | Rejected) -> OpenVerdict:
    """What a set with three labels can see of a verdict: conflict is no decision."""
    if isinstance(verdict, Rejected):
        return OpenVerdict(key, (0.0, 0.0, 1.0), ())
    support, refute, unknown, conflict = verdict.probabilities
    documents = tuple(dict.fromkeys(item.document_id for item in verdict.evidence))
    return OpenVerdict(key, (support, refute, unknown + conflict), documents)


def fever_score(
    verdicts: Sequence[OpenVerdict], labels: Mapping[str, int], relevant: Mapping[str, Mapping[str, float]]
) -> NDArray[np.float64]:
    """Return 1 a claim whose label is right and, where it is decided, whose gold document is cited.

    Source: Thorne et al. 2018 (FEVER), with documents in place of sentences.
    """
    scores = []
    for verdict in verdicts:
        label = labels.get(verdict.query, 2)
        right = int(np.argmax(verdict.probabilities)) == label
        cited = label == 2 or bool(set(verdict.documents) & set(relevant.get(verdict.query, {})))
        scores.append(float(right and cited))
    return np.array(scores)
