"""Reads a Universal Dependencies treebank: gzipped CoNLL-U files into sentences of syntactic words.

Called by the training of the syntax pipeline and its tests. Ranges (``4-5 don't``) only say which words are
written together; empty nodes (``8.1``) belong to the enhanced graph and are left out. Invariant: heads are
indices into the sentence, a root's head is itself, and every sentence has exactly one root.

Source: the format as described at universaldependencies.org/format.html.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data.errors import ConfigError, CorruptDataError

_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class Word:
    """One syntactic word; ``head`` is an index into its sentence, ``space`` whether white space follows."""

    text: str
    lemma: str
    upos: str
    xpos: str
    head: int
    dependency: str
    space: bool


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words in order; ``opens_paragraph`` is true of the first sentence of a paragraph or document."""

    words: tuple[Word, ...]
    opens_paragraph: bool


def read_treebank(folder: Path, split: str) -> list[Sentence]:
    """Return the sentences of ``<split>.conllu.gz`` in ``folder``.

    Raises:
        ConfigError: there is no such file.
        CorruptDataError: a line is no CoNLL-U, or a sentence is no tree.
    """
    path = folder / f"{split}.conllu.gz"
    if not path.is_file():
        raise ConfigError(f"--datasets: {path} does not exist; name the folder that holds ud_ewt.")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return list(read_conllu(lines))


def read_conllu(lines: Iterable[str]) -> Iterator[Sentence]:
    """Yield the sentences of CoNLL-U ``lines``.

    Raises:
        CorruptDataError: a line is no CoNLL-U, or a sentence is no tree.
    """
    rows: list[list[str]] = []
    opens = False
    for raw in lines:
        line = raw.rstrip("\n")
        if line.startswith("#"):
            opens |= line.startswith(("# newpar", "# newdoc"))
        elif line:
            rows.append(_columns(line))
        elif rows:
            yield Sentence(tuple(_words(rows)), opens)
            rows, opens = [], False
    if rows:
        yield Sentence(tuple(_words(rows)), opens)


def _columns(line: str) -> list[str]:
    columns = line.split("\t")
    if len(columns) != _COLUMNS:
        raise CorruptDataError(f"The line {line[:60]!r} has not the ten columns of CoNLL-U: check the file.")
    return columns


def _words(rows: list[list[str]]) -> Iterator[Word]:
    written_together: dict[int, bool] = {}
    plain = []
    for row in rows:
        number = row[0]
        if "-" in number:
            first, last = (int(part) for part in number.split("-"))
            written_together.update(dict.fromkeys(range(first, last), False))
            written_together[last] = _is_spaced(row)
        elif "." not in number:
            plain.append(row)
    _check_tree(plain)
    for index, row in enumerate(plain):
        head = int(row[6])
        yield Word(
            text=row[1],
            lemma=row[1] if row[2] == "_" else row[2],
            upos=row[3],
            xpos=row[4],
            head=head - 1 if head else index,
            dependency=row[7],
            space=written_together.get(index + 1, _is_spaced(row)),
        )


def _is_spaced(row: list[str]) -> bool:
    return "SpaceAfter=No" not in row[9].split("|")


def _check_tree(rows: list[list[str]]) -> None:
    heads = [int(row[6]) if row[6].isdigit() else -1 for row in rows]
    numbered = [row[0] for row in rows] == [str(place) for place in range(1, len(rows) + 1)]
    if not numbered or heads.count(0) != 1 or not all(0 <= head <= len(rows) for head in heads):
        words = " ".join(row[1] for row in rows[:8])
        raise CorruptDataError(
            f"The sentence that begins “{words}” is no tree with one root: check the file."
        )
