"""What the parts of a batch come to together: counts, figures against the labels given, ids that come twice.

Called by whoever reports of a batch, a job's process or a replica. Invariant: totals follow from the parts'
summaries in order alone, and the memory they take does not grow with the rows.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import numpy as np

from data.batch.manifest import DEAD
from data.batch.results import PartSummary
from data.models.reliability import Reliability
from data.verdicts import VERDICT_LABELS

#: Reasons of dead rows that a report names; the dead letters have all.
NAMED_REASONS = 20
#: Different reasons that are counted; those that come later are one.
KNOWN_REASONS = 1_000
OTHER_REASONS = "Another reason."
#: Files among which digests of ids are dealt out, to be compared within each.
_SHARES = 64


@dataclass(slots=True)
class Totals:
    """Counts of parts, as every report of a batch has them."""

    rows: int = 0
    answered: int = 0
    dead: int = 0
    abstained: int = 0
    degraded: int = 0
    unknown_labels: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    nodes: Counter[str] = field(default_factory=Counter)

    def take(self, part: PartSummary) -> None:
        """Count a part."""
        self.rows += part.rows
        self.answered += part.answered
        self.dead += part.dead
        self.abstained += part.abstained
        self.degraded += part.degraded
        self.unknown_labels += part.unknown_labels
        self.bytes_out += part.bytes_out
        self.seconds += part.seconds
        self.cpu_s += part.cpu_s
        self.labels.update(part.labels)
        self.nodes[part.node] += part.rows
        for reason, count in sorted(part.reasons.items()):
            is_known = reason in self.reasons or len(self.reasons) < KNOWN_REASONS
            self.reasons[reason if is_known else OTHER_REASONS] += count

    def told(self, *, wanted: int, knowledge_seq: int | None, model_bundle: str | None) -> dict[str, Any]:
        """Return what every report says; ``wanted`` is how many rows there are in all."""
        named = sorted(self.reasons.items(), key=lambda one: (-one[1], one[0]))[:NAMED_REASONS]
        return {
            "rows": self.rows,
            "answered": self.answered,
            "dead_letters": self.dead,
            "dead_letters_file": DEAD if self.dead else None,
            "missing": wanted - self.rows,
            "labels": {name: self.labels[name] for name in VERDICT_LABELS},
            "abstained": self.abstained,
            "degraded": self.degraded,
            "errors": [{"reason": reason, "rows": count} for reason, count in named],
            "knowledge_seq": knowledge_seq,
            "model_bundle": model_bundle,
            "bytes": self.bytes_out,
        }


def run_told(*, rows: int, work_s: float, by: str) -> dict[str, Any]:
    """Return what a report says of the run that it ends: how many rows in how long, by whom."""
    rate = round(rows / work_s, 3) if work_s > 0 else None
    return {"rows": rows, "work_s": round(work_s, 3), "rows_per_s": rate, "by": by}


class AgainstLabels:
    """Figures of the rows whose label was given."""

    def __init__(self) -> None:
        self._reliability = Reliability()
        self._crossed = np.zeros((len(VERDICT_LABELS), len(VERDICT_LABELS)), np.int64)
        self._covered = 0

    def take(self, part: PartSummary) -> None:
        """Count a part."""
        rows = np.frombuffer(part.probabilities, np.float32).reshape(-1, len(VERDICT_LABELS))
        gold = np.frombuffer(part.gold, np.int8).astype(np.int64)
        self._reliability.take(rows.astype(np.float64), gold)
        np.add.at(self._crossed, (gold, rows.argmax(axis=1)), 1)
        self._covered += int(np.frombuffer(part.in_set, np.int8).sum())

    @property
    def confusion(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Counts (4, 4): row the given label, column the likeliest answer."""
        return self._crossed

    def told(self) -> dict[str, Any]:
        """Return the figures, and how often the prediction set held the label."""
        found = self._reliability.figures()
        coverage = round(self._covered / found["samples"], 6) if found["samples"] else None
        return {**found, "coverage": coverage}


class RepeatedIds:
    """Counts rows whose id an earlier row has; digests wait in files that have no name. A context manager."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._files: list[BinaryIO] = []

    def __enter__(self) -> RepeatedIds:
        for _ in range(_SHARES):
            file = self._open.enter_context(tempfile.TemporaryFile())
            self._files.append(cast("BinaryIO", file))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def take(self, part: PartSummary) -> None:
        """Deal out the digests of a part."""
        digests = np.frombuffer(part.ids, np.uint64)
        shares = digests % _SHARES
        for share in np.unique(shares).tolist():
            self._files[share].write(digests[shares == share].tobytes())

    def count(self) -> int:
        """Return how many rows have an id that an earlier row has."""
        found = 0
        for file in self._files:
            file.seek(0)
            digests = np.frombuffer(file.read(), np.uint64)
            found += len(digests) - len(np.unique(digests))
        return found
