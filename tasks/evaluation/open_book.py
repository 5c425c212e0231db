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

from cluster.owned import local_parts
from cluster.wiring import embedder_folder
from configs.schema import Settings
from data.changes import load_segment
from data.claims import Rejected, make_claim
from data.errors import UnavailableError
from data.evidence import STANCES, Stance
from data.knowledge import Document
from data.parts import Parts
from data.questions import Question
from data.segments import write_documents
from data.verdicts import Probabilities, Verdict, VerdictLabel
from deployments.assembly import build_retriever, build_verifier, in_process_frameworks, in_threads
from deployments.verification import Verifier
from tasks.build_embedder import build
from tasks.evaluation.sets import RetrievalView

#: Depth to which documents are ranked, and how many passages are ranked for that: an abstract has three.
DEPTH, PASSAGES = 100, 300
_BLOCK = 64
#: How long a framework may take for a block: whatever it needs.
_PATIENCE_S = 3_600.0
_SIDES: dict[VerdictLabel, Stance] = {"SUPPORTED": "SUPPORTS", "REFUTED": "REFUTES"}


#: Items that a decided verdict may rest on, strongest first. Source: five sentences in FEVER's own scorer.
MOST_CITED = 5


@dataclass(frozen=True, slots=True)
class OpenVerdict:
    """What was said of a claim over the whole corpus, and the documents that say it, strongest first."""

    query: str
    probabilities: tuple[float, float, float]
    documents: tuple[str, ...]


@contextmanager
def opened(view: RetrievalView, settings: Settings) -> Iterator[tuple[Parts, Settings]]:
    """Write the corpus into a home of its own, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="kite-evaluate-") as folder:
        own = msgspec.structs.replace(settings, home=folder)
        # The embedder of the user's home is used, or built there: a second one would be the same.
        build(embedder_folder(settings))
        Path(folder, "models").mkdir()
        built = embedder_folder(settings).resolve()
        Path(folder, "models", "embedder").symlink_to(built, target_is_directory=True)
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
    deeper = msgspec.structs.replace(settings.retrieval, passages=PASSAGES, candidates=PASSAGES)
    deep = msgspec.structs.replace(settings, retrieval=deeper)
    retriever = build_retriever(parts, deep)
    position = parts.reader.position()
    found: dict[str, list[str]] = {}
    names = list(queries)
    for start in range(0, len(names), _BLOCK):
        block = names[start : start + _BLOCK]
        batch = retriever.gather([Question(make_claim(queries[name]), ()) for name in block], position)
        for name, items in zip(block, batch.evidence, strict=True):
            # Passages come best first; a document stands where its best passage does.
            documents = dict.fromkeys(item.document_id for item in items if item.kind == "passage")
            found[name] = list(documents)[:DEPTH]
        say(start + len(block))
    return found


def answer(
    parts: Parts, settings: Settings, queries: Mapping[str, str], say: Callable[[int], None]
) -> list[OpenVerdict]:
    """Return the product's verdict on every query, each as if it were the first that is asked.

    Raises:
        UnavailableError: a framework failed, so that the verdicts are not the product's.
    """
    # Nothing is recorded, or later claims would be judged beside earlier ones; slow machines are waited for.
    own = msgspec.structs.replace(
        settings,
        verdicts=msgspec.structs.replace(settings.verdicts, record=False),
        serving=msgspec.structs.replace(settings.serving, framework_timeout_s=_PATIENCE_S),
    )
    frameworks = in_threads(in_process_frameworks(parts, own))
    verifier = build_verifier(parts, own, frameworks, build_retriever(parts, own))
    return asyncio.run(_answered(verifier, queries, say))


async def _answered(
    verifier: Verifier, queries: Mapping[str, str], say: Callable[[int], None]
) -> list[OpenVerdict]:
    names, keys = tuple(sorted(verifier.breakers)), list(queries)
    found: list[OpenVerdict] = []
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK]
        verdicts = await verifier.answer([Question(make_claim(queries[key]), names) for key in block])
        found += [open_verdict(key, verdict) for key, verdict in zip(block, verdicts, strict=True)]
        say(start + len(block))
    return found


def open_verdict(key: str, verdict: Verdict | Rejected) -> OpenVerdict:
    """Return what a set sees of the verdict on its query ``key``; what is rejected is undecided.

    Raises:
        UnavailableError: a framework failed on it.
    """
    if isinstance(verdict, Rejected):
        return OpenVerdict(key, (0.0, 0.0, 1.0), ())
    if verdict.degraded:
        raise UnavailableError(
            f"A framework failed on {key}, so its verdict is not the product's: see the log for the cause."
        )
    return OpenVerdict(key, three_way(verdict.probabilities), _cited(verdict))


def three_way(row: Probabilities) -> tuple[float, float, float]:
    """Return the row as a set with three labels sees it: the label stays, CONFLICTING is no decision.

    Where a side leads, what stands for conflict is left out; where none does, it counts as undecided.
    """
    support, refute, unknown, conflict = row
    if max(support, refute) < max(unknown, conflict):
        return support, refute, unknown + conflict
    told = support + refute + unknown
    return support / told, refute / told, unknown / told


def _cited(verdict: Verdict) -> tuple[str, ...]:
    """Return the documents of the items that say what the verdict says, at most ``MOST_CITED`` items."""
    side = _SIDES.get(verdict.label)
    if side is None:
        return ()
    column = STANCES.index(side)
    saying = [
        (-stance.probabilities[column], item.id, item.document_id)
        for item in verdict.evidence
        if (stance := verdict.stances.get(item.id)) is not None and stance.stance == side
    ]
    return tuple(dict.fromkeys(document for _, _, document in sorted(saying)[:MOST_CITED]))


def fever_score(
    verdicts: Sequence[OpenVerdict], labels: Mapping[str, int], relevant: Mapping[str, Mapping[str, float]]
) -> NDArray[np.float64]:
    """Return 1 a claim whose label is right and, where it is decided, whose gold document is cited.

    Source: Thorne et al. 2018 (FEVER), with documents in place of sentences; an item is cited when it says
    what the verdict says.
    """
    scores = []
    for verdict in verdicts:
        label = labels.get(verdict.query, 2)
        right = int(np.argmax(verdict.probabilities)) == label
        gold = {key for key, gain in relevant.get(verdict.query, {}).items() if gain > 0}
        cited = label == 2 or bool(set(verdict.documents) & gold)
        scores.append(float(right and cited))
    return np.array(scores)
