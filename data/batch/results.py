"""The rows that a part leaves: answered claims as JSON Lines or Parquet, dead rows, and their summary.

Called by the workers. Invariant: an answer's bytes are those of ``POST /verify``, whatever the form; the same
rows give the same bytes; a part's rows get their name last, so a part that is there has its dead rows and its
summary beside it.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from data.batch.manifest import part_name
from data.batch.output import Output
from data.batch.reading import DeadRow
from data.errors import CorruptDataError
from data.verdicts import VERDICT_LABELS, Verdict

#: Other people's names of our labels, in small letters.
GOLD = {
    **{name.lower(): name for name in VERDICT_LABELS},
    **dict.fromkeys(("supports", "support", "true", "entailment", "s"), "SUPPORTED"),
    **dict.fromkeys(("refutes", "refute", "false", "contradiction", "contradict", "r"), "REFUTED"),
    **dict.fromkeys(("not enough info", "not enough evidence", "nei", "neutral", "n"), "NOT_ENOUGH_INFO"),
    **dict.fromkeys(("disputed", "conflicting evidence/cherrypicking", "d"), "CONFLICTING"),
}
#: Longest reason that is counted as one of its own.
_REASON_CHARS = 160


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """A row with its answer: where it stood, what the caller said of it, the document of ``/verify``."""

    file: str
    line: int
    id: str | None
    label: str | None
    columns: dict[str, Any]
    answer: bytes
    verdict: Verdict


@dataclass(slots=True)
class PartSummary:
    """What a part came to. ``seconds`` it took, ``cpu_s`` of them computing, on which ``node``.

    Of the rows whose given label is known: ``probabilities`` (n, 4) float32, ``gold`` (n,) int8 columns of
    them, ``in_set`` (n,) whether the prediction set holds it. ``ids``: 8 bytes of digest an id.
    """

    number: int
    rows: int = 0
    answered: int = 0
    dead: int = 0
    degraded: int = 0
    abstained: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    unknown_labels: int = 0
    probabilities: bytes = b""
    gold: bytes = b""
    in_set: bytes = b""
    ids: bytes = b""
    bytes_out: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    node: str = ""


def gold_of(value: Any) -> tuple[str | None, str | None]:
    """Return the label that a row gives, as text, and ours that it stands for; ``None`` where none."""
    if value is None or value == "":
        return None, None
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    return text, GOLD.get(text.strip().lower().replace("_", " "), GOLD.get(text.strip().lower()))


def summarise(number: int, answered: Sequence[AnsweredRow], dead: Sequence[DeadRow]) -> PartSummary:
    """Return the summary of a part's rows; times are filled in by who took them."""
    verdicts = [row.verdict for row in answered]
    known = [(row.verdict, ours) for row in answered if (ours := gold_of(row.label)[1])]
    columns = [VERDICT_LABELS.index(ours) for _, ours in known]
    return PartSummary(
        number,
        rows=len(answered) + len(dead),
        answered=len(answered),
        dead=len(dead),
        degraded=sum(verdict.degraded for verdict in verdicts),
        abstained=sum(verdict.abstained is not None for verdict in verdicts),
        labels=dict(Counter(verdict.label for verdict in verdicts)),
        reasons=dict(Counter(row.reason[:_REASON_CHARS] for row in dead)),
        unknown_labels=sum(row.label is not None for row in answered) - len(known),
        probabilities=np.array([verdict.probabilities for verdict, _ in known], np.float32).tobytes(),
        gold=np.array(columns, np.int8).tobytes(),
        in_set=np.array([ours in verdict.prediction_set for verdict, ours in known], np.int8).tobytes(),
        ids=b"".join(hashlib.sha256(row.id.encode()).digest()[:8] for row in answered if row.id),
    )


def commit_part(
    output: Output, form: str, answered: Sequence[AnsweredRow], dead: Sequence[DeadRow], summary: PartSummary
) -> None:
    """Write a part, its rows last.

    Raises:
        InvalidValueError: the output may not be written. StoreUnavailableError: it is full or away.
    """
    body = FORMS[form](answered)
    summary.bytes_out = len(body)
    if dead:
        output.commit(dead_name(summary.number), b"".join(msgspec.json.encode(row) + b"\n" for row in dead))
    output.commit(summary_name(summary.number), msgspec.json.encode(summary))
    output.commit(part_name(summary.number, form), body)


def dead_name(number: int) -> str:
    """Return the name of a part's dead rows."""
    return f"_kite/dead/{number:06d}.jsonl"


def summary_name(number: int) -> str:
    """Return the name of a part's summary."""
    return f"_kite/parts/{number:06d}.json"


def read_summary(output: Output, number: int) -> PartSummary:
    """Return the summary of a part that is there.

    Raises:
        CorruptDataError: it is gone or cannot be read.
    """
    body = output.read(summary_name(number))
    try:
        return msgspec.json.decode(body or b"", type=PartSummary)
    except msgspec.DecodeError as exc:
        raise CorruptDataError(
            f"{output.address}/{summary_name(number)} cannot be read ({exc}): give --fresh."
        ) from exc


def as_jsonl(rows: Sequence[AnsweredRow]) -> bytes:
    """Return a line a row; ``answer`` is the document of ``/verify``, byte by byte."""
    return b"".join(
        msgspec.json.encode(
            {
                "file": row.file,
                "line": row.line,
                "id": row.id,
                "label": row.label,
                **({"columns": row.columns} if row.columns else {}),
                "answer": msgspec.Raw(row.answer),
            },
            enc_hook=str,
        )
        + b"\n"
        for row in rows
    )


def as_parquet(rows: Sequence[AnsweredRow]) -> bytes:
    """Return a table: what one asks for most in columns of its own, the whole document as text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    verdicts = [row.verdict for row in rows]
    text, real = pa.string(), pa.float64()
    columns: list[tuple[str, Any, list[Any]]] = [
        ("file", text, [row.file for row in rows]),
        ("line", pa.int64(), [row.line for row in rows]),
        ("id", text, [row.id for row in rows]),
        ("label", text, [row.label for row in rows]),
        ("columns", text, [_columns(row) for row in rows]),
        ("claim", text, [verdict.claim.text for verdict in verdicts]),
        ("verdict", text, [verdict.label for verdict in verdicts]),
        ("confidence", real, [verdict.confidence for verdict in verdicts]),
        *(
            (f"p_{name.lower()}", real, [verdict.probabilities[place] for verdict in verdicts])
            for place, name in enumerate(VERDICT_LABELS)
        ),
        ("abstained", text, [verdict.abstained for verdict in verdicts]),
        ("reward", real, [verdict.reward for verdict in verdicts]),
        ("degraded", pa.bool_(), [verdict.degraded for verdict in verdicts]),
        ("answer", text, [row.answer.decode() for row in rows]),
    ]
    arrays = [pa.array(values, kind) for _, kind, values in columns]
    table = pa.table(arrays, names=[name for name, _, _ in columns])
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _columns(row: AnsweredRow) -> str | None:
    return msgspec.json.encode(row.columns, enc_hook=str).decode() if row.columns else None


#: How rows are written, by format.
FORMS: dict[str, Callable[[Sequence[AnsweredRow]], bytes]] = {"jsonl": as_jsonl, "parquet": as_parquet}
