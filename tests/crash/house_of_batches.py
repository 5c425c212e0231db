"""What a crash run of batches is made of: an engine that answers at once, an input, a driver.

Called by ``tests.crash.batch_runs`` and by the unit tests. The engine stands in for models alone: reading,
parts, commits, restart and report are the product's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.batch.manifest import BatchOptions
from data.claims import Rejected, TenantId
from data.questions import Question
from data.verdicts import VERDICT_LABELS, Opinion, Verdict
from tasks.verify_batch_engine import Standpoint
from tasks.verify_batch_run import Asked, BatchRun, planned

FRAMEWORKS = ("consistency", "empirical", "utility")
#: One row in so many is empty, not JSON, of a wrong type, or not UTF-8.
BAD = 23


class FakeEngine:
    """Answers by a digest of the claim, ``pause_s`` a group; a claim that says "reject" is rejected."""

    frameworks = FRAMEWORKS
    group = 8
    model_bundle = "fake-models"

    def __init__(self, *, pause_s: float = 0.0, position: int = 7) -> None:
        self._pause_s = pause_s
        self._position = position
        self.asked: list[Question] = []

    def standpoint(self, tenant: TenantId) -> Standpoint:
        """Return where the fake ledger stands."""
        del tenant
        return Standpoint(self._position, 0)

    def seq_at(self, moment: str) -> int:
        """Return a position after every other."""
        del moment
        return 1_000_000

    def answer(self, questions: Sequence[Question], stand: Standpoint) -> list[Verdict | Rejected]:
        """Return what follows from the text and the position."""
        time.sleep(self._pause_s)
        self.asked += questions
        return [_answer(question, stand) for question in questions]

    def worth(self, questions: Sequence[Question]) -> list[float]:
        """Return the share of the digest's first byte."""
        return [_digest(question.claim.text)[0] / 255.0 for question in questions]

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine."""
        return asyncio.run(coroutine)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _answer(question: Question, stand: Standpoint) -> Verdict | Rejected:
    claim = question.claim
    if "reject" in claim.text:
        return Rejected("This claim is turned away.")
    digest = _digest(claim.text)
    place = digest[1] % 3
    row = [0.1, 0.1, 0.1, 0.1]
    row[place] = 0.7
    return Verdict(
        id=digest.hex()[:32],
        claim=claim,
        label=VERDICT_LABELS[place],
        probabilities=(row[0], row[1], row[2], row[3]),
        confidence=0.7,
        prediction_set=(VERDICT_LABELS[place],),
        alpha=question.alpha,
        abstained=None,
        justification="By its digest.",
        reward=0.0,
        weights=dict.fromkeys(question.frameworks, 1.0),
        opinions={name: Opinion(0.0, 0.0, "X", "none") for name in question.frameworks},
        evidence=(),
        stances={},
        knowledge_seq=question.position(stand.position),
        model_bundle="fake-models",
    )


def write_input(path: Path, rows: int) -> None:
    """Write claims as JSON Lines, some of them bad."""
    with path.open("wb") as stream:
        for number in range(rows):
            bad = {0: b'{"claim": ', 1: b'{"claim": ""}', 2: b'{"claim": 5}', 3: b'{"claim": "caf\xe9"}'}
            if number % BAD == 4:
                stream.write(bad[number // BAD % 4] + b"\n")
            else:
                row = {"id": f"r{number}", "claim": f"Claim {number} is true.", "label": "SUPPORTS"}
                stream.write(json.dumps(row).encode() + b"\n")


def drive(source: Path, out: Path, form: str, *, pause_s: float = 0.0) -> dict[str, Any]:
    """Run the batch in this process, to its end."""
    options = BatchOptions(format=form, part_rows=20)
    asked = Asked((str(source),), str(out), options)
    engine: Any = FakeEngine(pause_s=pause_s)
    return BatchRun(asked, engine, lambda _done, _total, _phase: None).run(planned(asked))
