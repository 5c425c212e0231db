"""Labelled sets in a folder: which there are, and their rows. Any folder of the same layout will do.

Called by ``tasks.evaluate``. A set is a folder with ``*.jsonl`` (or ``.jsonl.gz``) files; its rows tell what
it is: ``claim`` + ``evidence`` (a verdict on gold evidence), ``claim`` + ``text`` (a pair), ``text`` +
``label`` 0 or 1 (check-worthiness); ``retrieval/`` beside them is a corpus with queries and relevance, and
``beir/`` other queries over the same corpus, in BEIR's layout.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from data.errors import ConfigError

#: Gold label of a row as a column of ``STANCES``.
LABELS = {"SUPPORTS": 0, "REFUTES": 1, "NOT_ENOUGH_INFO": 2}
SPLITS = ("train", "dev", "test", "devtest", "contrast", "ext")

Kind = Literal["verdict", "pair", "sentence"]


@dataclass(frozen=True, slots=True)
class Example:
    """One row: a claim (or sentence), its evidence texts with their titles, its label as a column."""

    id: str
    claim: str
    evidence: tuple[tuple[str, str], ...]
    label: int


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """One split of one set. ``skipped`` counts rows whose label is not one of the three (or 0 and 1)."""

    name: str
    split: str
    kind: Kind
    examples: tuple[Example, ...]
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class RetrievalView:
    """A corpus (id to title and text), queries by split, and the gain of documents by query."""

    name: str
    corpus: dict[str, tuple[str, str]]
    queries: dict[str, dict[str, str]]
    relevant: dict[str, dict[str, float]]
    labels: dict[str, int] = field(default_factory=dict)


def folders(root: Path, only: tuple[str, ...] = ()) -> list[Path]:
    """Return the folders of sets under ``root`` (or ``root`` itself), sorted by name.

    Raises:
        ConfigError: there is none, or one of ``only`` is missing.
    """
    if not root.is_dir():
        raise ConfigError(f"{root} is not a folder: give --sets the folder that holds the labelled sets.")
    found = (
        [root]
        if _is_set(root)
        else sorted(each for each in root.iterdir() if each.is_dir() and _is_set(each))
    )
    if not found:
        raise ConfigError(
            f"{root} holds no labelled set: a set is a folder with *.jsonl or *.conllu.gz files."
        )
    names = {each.name for each in found}
    missing = [name for name in only if name not in names]
    if missing:
        raise ConfigError(f"There is no set {missing[0]!r} in {root}; it has {', '.join(sorted(names))}.")
    return [each for each in found if not only or each.name in only]


def read_set(folder: Path, splits: tuple[str, ...], limit: int | None = None) -> Iterator[LabelledFile]:
    """Yield the files of one set whose split is asked for and whose rows are of a known kind."""
    for path in _files(folder):
        stem = path.name.split(".", 1)[0]
        split, rest = _split_of(stem)
        if split not in splits:
            continue
        rows = list(_rows(path))
        kind = _kind(rows[0]) if rows else None
        if kind is None:
            continue
        examples = [_example(row, kind, index) for index, row in enumerate(rows)]
        known = [each for each in examples if each is not None]
        if known:
            name = f"{folder.name}/{rest}" if rest else folder.name
            yield LabelledFile(name, split, kind, tuple(known[:limit]), len(examples) - len(known))


def read_beir(folder: Path) -> RetrievalView | None:
    """Return the official queries over a set's corpus, without the corpus; ``None`` where there are none.

    Layout and splits are BEIR's (Thakur et al. 2021): ``queries.jsonl`` and ``qrels/<split>.tsv``.
    """
    view = folder / "beir"
    if not (view / "qrels").is_dir():
        return None
    texts = {row["id"]: row["text"] for row in _rows(view / "queries.jsonl")}
    queries: dict[str, dict[str, str]] = {}
    relevant: dict[str, dict[str, float]] = {}
    for path in sorted((view / "qrels").glob("*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            query, document, score = line.split("\t")[:3]
            relevant.setdefault(query, {})[document] = float(score)
            queries.setdefault(path.stem, {})[query] = texts[query]
    return RetrievalView(f"{folder.name}/beir", {}, queries, relevant)


def read_retrieval(folder: Path) -> RetrievalView | None:
    """Return the retrieval view of a set; ``None`` where it has none."""
    view = folder / "retrieval"
    if not (view / "corpus.jsonl").exists() and not (view / "corpus.jsonl.gz").exists():
        return None
    corpus = {
        row["id"]: (str(row.get("title", "")), str(row["text"])) for row in _rows(view / "corpus.jsonl")
    }
    queries: dict[str, dict[str, str]] = {}
    for row in _rows(view / "queries.jsonl"):
        queries.setdefault(row.get("split", "test"), {})[row["id"]] = row["text"]
    relevant: dict[str, dict[str, float]] = {}
    labels: dict[str, int] = {}
    for line in (view / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, score, *more = line.split("\t")
        relevant.setdefault(query, {})[document] = float(score)
        if len(more) > 1 and more[1] in LABELS:
            labels[query] = LABELS[more[1]]
    return RetrievalView(folder.name, corpus, queries, relevant, labels)


def _is_set(folder: Path) -> bool:
    return bool(_files(folder)) or any(folder.glob("*.conllu.gz"))


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.name.endswith((".jsonl", ".jsonl.gz")))


def _split_of(stem: str) -> tuple[str, str]:
    """Return the split named in a file's stem, and what else the stem says ("pairs_dev": dev, pairs)."""
    parts = stem.split("_")
    for part in parts:
        if part in SPLITS:
            return part, "_".join(each for each in parts if each != part)
    return "test", stem


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    packed = path if path.name.endswith(".gz") else path.with_name(path.name + ".gz")
    raw = gzip.decompress(packed.read_bytes()) if not path.exists() or path == packed else path.read_bytes()
    for number, line in enumerate(raw.decode("utf-8").split("\n"), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as exc:
                raise ConfigError(
                    f"{path}, line {number}, is not JSON: {exc}. Mend or remove the line."
                ) from exc


def _kind(row: Mapping[str, Any]) -> Kind | None:
    if "claim" in row and row.get("evidence"):
        return "verdict"
    if "claim" in row and "text" in row:
        return "pair"
    return "sentence" if "text" in row and row.get("label") in (0, 1) else None


def _example(row: Mapping[str, Any], kind: Kind, index: int) -> Example | None:
    identity = str(row.get("id", index))
    if kind == "sentence":
        label = row.get("label")
        return Example(identity, str(row["text"]), (), int(label)) if label in (0, 1) else None
    column = LABELS.get(str(row.get("label")))
    if column is None:
        return None
    if kind == "pair":
        return Example(identity, str(row["claim"]), ((str(row.get("title", "")), str(row["text"])),), column)
    page = str(row.get("meta", {}).get("page", ""))
    items = tuple((str(item.get("title", "") or page), str(item["text"])) for item in row["evidence"])
    return Example(identity, str(row["claim"]), items, column)
