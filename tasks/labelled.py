"""Readers of the labelled sets: (claim, passage, stance) pairs, and claims with gold evidence.

Called by ``tasks.train_stance``, ``tasks.train_aggregator`` and the evaluation. The folder of the sets is
always given by the caller (``KITE_DATASETS``); nothing of it is copied. Only sets whose licence allows
redistributing a model trained on them are named here, and gold labels are never part of a passage's text.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.evidence import STANCES

#: Gold label of a row as a column of ``STANCES``.
STANCE_OF = {"SUPPORTS": 0, "REFUTES": 1, "NOT_ENOUGH_INFO": 2}

#: Licence of every set that a shipped model may learn from, as its owners state it.
LICENCES = {
    "vitaminc": "CC BY-SA 3.0 (Wikipedia terms)",
    "fever_dev": "CC BY-SA 3.0 (Wikipedia terms)",
    "fever_symmetric": "CC BY-SA 3.0",
    "fm2": "Apache-2.0; evidence text CC BY-SA",
    "scifact": "CC BY 4.0; abstracts ODC-By 1.0",
    "citation_integrity": "MIT",
    "snli_cad": "Apache-2.0; SNLI text CC BY-SA 4.0",
}

#: Pages (per cent) of a retrieval corpus that are kept beside those with evidence: embedding all would take
#: minutes.
OTHER_PAGES_SHARE = 10


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """One claim beside one passage; ``label`` indexes ``STANCES``, ``title`` is the passage's page."""

    claim: str
    passage: str
    label: int
    source: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class PoolPassage:
    """A passage that a claim of the same set may meet; ``id`` is unique within its pool."""

    id: str
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class LabelledClaim:
    """A claim with its gold label (column of ``STANCES``).

    It names the pool passages that decide it
    (``gold``), or of those that its set puts beside it without deciding it (``beside``).
    """

    id: str
    text: str
    label: int
    gold: tuple[str, ...]
    source: str
    beside: tuple[str, ...] = ()


def read_rows(datasets: Path, relative: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON rows of ``relative``, or of its ``.gz`` twin.

    Raises:
        ConfigError: neither file exists.
    """
    path = datasets / relative
    packed = path.with_name(path.name + ".gz")
    if path.exists():
        raw = path.read_text(encoding="utf-8")
    elif packed.exists():
        raw = gzip.decompress(packed.read_bytes()).decode()
    else:
        raise ConfigError(
            f"No labelled set at {path}: set KITE_DATASETS (or --datasets) to the folder of the sets."
        )
    # Only "\n" ends a row: texts may hold other line separators.
    yield from (json.loads(line) for line in raw.split("\n") if line)


def file_record(datasets: Path, relative: str) -> dict[str, str]:
    """Return name, SHA-256 and licence of one file for a training record."""
    path = datasets / relative
    if not path.exists():
        path = path.with_name(path.name + ".gz")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": relative, "sha256": digest, "licence": LICENCES[relative.split("/", 1)[0]]}


def share_of(key: str, parts: int = 100) -> int:
    """Return a stable number in [0, parts) for ``key``: how rows are divided without a random state."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % parts


def read_pairs(datasets: Path, name: str, split: str) -> list[LabelledPair]:
    """Return the pairs of one set and split; ``name`` is a key of ``LICENCES`` or ``fever_nei``."""
    if name == "scifact":
        rows = read_rows(datasets, f"scifact/pairs_{split}.jsonl")
        return [LabelledPair(r["claim"], r["text"], STANCE_OF[r["label"]], name) for r in rows]
    if name == "citation_integrity":
        return list(_citation_pairs(read_rows(datasets, f"{name}/{split}.jsonl")))
    if name == "fever_nei":
        return _nei_pairs(datasets, split)
    return [_joined_pair(row, name) for row in read_rows(datasets, f"{name}/{split}.jsonl")]


def _joined_pair(row: dict[str, Any], name: str) -> LabelledPair:
    text = " ".join(item["text"] for item in row["evidence"])
    title = row["meta"].get("page", "") or row["evidence"][0].get("title", "")
    return LabelledPair(row["claim"], text, STANCE_OF[row["label"]], name, title)


def _citation_pairs(rows: Iterator[dict[str, Any]]) -> Iterator[LabelledPair]:
    """The deciding sentence of each citing claim, or a sentence of a paper that leaves it open.

    A sentence beside the deciding one is no NEUTRAL: nobody labelled it, and half of them agree.
    """
    for row in rows:
        claim = row["claim"].replace("[[CIT]]", "").strip()
        decisive = [item for item in row["evidence"] if item["label"] != "NOT_ENOUGH_INFO"]
        others = [item for item in row["evidence"] if item["label"] == "NOT_ENOUGH_INFO"]
        for item in (decisive or others)[:1]:
            yield LabelledPair(claim, item["text"], STANCE_OF[item["label"]], "citation_integrity")


def _nei_pairs(datasets: Path, split: str) -> list[LabelledPair]:
    """Claims nobody could decide, beside a near passage, titled as in the decided rows: no give-away."""
    titles: dict[str, str] = {}
    for part in ("train", "dev", "test"):
        for row in read_rows(datasets, f"fever_dev/{part}.jsonl"):
            titles.update((item["text"], item.get("title", "")) for item in row["evidence"])
    return [
        LabelledPair(row["claim"], item["text"], 2, "fever_nei", titles.get(item["text"], ""))
        for row in read_rows(datasets, f"fever_dev/nei_nearest_{split}.jsonl")
        for item in row["evidence"][:1]
    ]


def read_claims(datasets: Path, name: str, split: str) -> tuple[list[LabelledClaim], list[PoolPassage]]:
    """Return the claims of a split with the pool of passages they are looked up in.

    The pool of ``fm2`` and ``scifact`` is their ``retrieval/`` corpus, that of the others all evidence of
    the split.
    """
    if name in ("fm2", "scifact"):
        return _retrieval_view(datasets, name, split)
    rows = [*read_rows(datasets, f"{name}/{split}.jsonl")]
    if name == "fever_dev":
        rows += read_rows(datasets, f"fever_dev/nei_nearest_{split}.jsonl")
    pool: dict[str, PoolPassage] = {}
    claims = []
    for row in rows:
        title = row["meta"].get("page", "")
        for item in row["evidence"]:
            pool.setdefault(item["id"], PoolPassage(item["id"], item["text"], title or item.get("title", "")))
        named = tuple(item["id"] for item in row["evidence"])
        gold, beside = ((), named) if row["label"] == "NOT_ENOUGH_INFO" else (named, ())
        claims.append(LabelledClaim(row["id"], row["claim"], STANCE_OF[row["label"]], gold, name, beside))
    return claims, list(pool.values())


def _retrieval_view(datasets: Path, name: str, split: str) -> tuple[list[LabelledClaim], list[PoolPassage]]:
    gold: dict[str, list[str]] = {}
    labels: dict[str, int] = {}
    lines = (datasets / name / "retrieval" / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]
    for line in lines:
        query, document, _, _, label = line.split("\t")
        gold.setdefault(query, []).append(document)
        labels[query] = STANCE_OF[label]
    claims = [
        LabelledClaim(row["id"], row["text"], labels.get(row["id"], 2), tuple(gold.get(row["id"], ())), name)
        for row in read_rows(datasets, f"{name}/retrieval/queries.jsonl")
        if row["split"] == split
    ]
    corpus = read_rows(datasets, f"{name}/retrieval/corpus.jsonl")
    pool = [PoolPassage(row["id"], row["text"], row.get("title", "")) for row in corpus]
    return claims, _near(claims, pool)


def _near(claims: list[LabelledClaim], pool: list[PoolPassage]) -> list[PoolPassage]:
    """Return the pages that the claims' evidence stands on, and a tenth of the others: enough to distract."""
    gold = {passage_id for claim in claims for passage_id in claim.gold}
    pages = {passage.title for passage in pool if passage.id in gold}
    return [
        each for each in pool if each.title in pages or share_of(each.title or each.id) < OTHER_PAGES_SHARE
    ]


def label_counts(labels: list[int]) -> dict[str, int]:
    """Return how many of each stance there are."""
    return {stance: labels.count(index) for index, stance in enumerate(STANCES)}
