"""Sends texts of every kind through every stage and counts the promises that break.

Called by ``tasks.behaviour --fuzz``, by ``make fuzz``, and small by the unit tests. The cheap stages see
every item; whole verdicts, which need the models, are given on an even sample of them.
"""

from __future__ import annotations

import gc
import heapq
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.behaviour.cases import choose_cases, digest
from tasks.behaviour.fuzz_stages import CheapStages, Check
from tasks.behaviour.fuzz_texts import HUGE, FuzzItem, FuzzTexts
from tasks.behaviour.fuzz_verdicts import verdict_stage
from tasks.behaviour.growth import growth
from tasks.behaviour.judging import Judge

#: CPU seconds a stage may take: a part for every text, and one for each character of it. The slowest texts,
#: endless rows of one symbol, take 45 µs a character and are read twice, whole and in passages.
BASE_S, PER_CHARACTER_S = 0.5, 200e-6
#: CPU seconds a whole verdict may take, models included; a framework has 10 s of wall-clock in production.
VERDICT_S = 4.0
_KEPT = 50
_SLOWEST = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is tried: items in all, items that get a whole verdict, the seed, real pairs to damage.

    ``huge`` is the longest text in characters; ``growth`` adds the test of how time grows with a text.
    """

    items: int
    verdicts: int
    seed: str = "kite"
    pairs: Sequence[tuple[str, str]] = ()
    huge: int = HUGE
    growth: bool = True


@dataclass(slots=True)
class Record:
    """What happened, by stage: how often it ran, what broke, and the items that took longest."""

    runs: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)
    slowest: dict[str, list[tuple[float, int, str, int]]] = field(default_factory=dict)

    def run(self, stage: str, item: FuzzItem, check: Check, limit_s: float) -> None:
        """Run one stage on one item; note what breaks, an exception included, and how long it took."""
        found, taken = _timed(check)
        if taken > limit_s:
            found.append(f"took {taken:.2f} s of CPU, more than {limit_s:.2f} s")
        self.runs[stage] += 1
        self.cpu_s[stage] = self.cpu_s.get(stage, 0.0) + taken
        size = len(item.claim) + len(item.passage)
        queue = self.slowest.setdefault(stage, [])
        heapq.heappush(queue, (round(taken, 4), item.number, item.kind, size))
        if len(queue) > _SLOWEST:
            heapq.heappop(queue)
        for words in found:
            self.note(stage, item, words)

    def note(self, stage: str, item: FuzzItem, words: str) -> None:
        """Note one broken promise, with the start of its texts for the first of them."""
        self.broken[stage] += 1
        if len(self.examples) < _KEPT:
            self.examples.append(
                {
                    "stage": stage,
                    "item": item.number,
                    "kind": item.kind,
                    "broken": words,
                    "claim": ascii(item.claim[:300]),
                    "passage": ascii(item.passage[:300]),
                }
            )


def _timed(check: Check) -> tuple[list[str], float]:
    """Return what a check found, an exception included, and its CPU seconds, without garbage collection."""
    gc.disable()
    started = time.process_time()
    try:
        found = list(check())
    except Exception as exc:  # whatever it is, it is what this test looks for
        frame = traceback.extract_tb(exc.__traceback__)[-1]
        found = [f"{type(exc).__name__} in {Path(frame.filename).name}:{frame.name}: {str(exc)[:120]}"]
    taken = time.process_time() - started
    gc.enable()
    return found, taken


def real_seeds(datasets: Path, count: int = 2_000) -> tuple[tuple[str, str], ...]:
    """Return real claims with their first evidence, to be damaged."""
    return tuple((case.claim, case.items[0].text) for case in choose_cases(datasets, "dev", count))


def fuzz(plan: Plan, *, judge: Judge) -> dict[str, Any]:
    """Try the plan's items and return the report; ``passed`` is whether nothing broke."""
    texts = FuzzTexts(plan.seed, plan.pairs, plan.huge)
    record = Record()
    stages = CheapStages()
    sampled: list[FuzzItem] = []
    for number in range(plan.items):
        item = texts.item(number)
        limit_s = BASE_S + PER_CHARACTER_S * (len(item.claim) + len(item.passage))
        for name, check in stages.of(item):
            record.run(name, item, check, limit_s)
        if digest(plan.seed, str(number)) % plan.items < plan.verdicts:
            sampled.append(item)
    verdict_stage(sampled, judge, record.run, record.note, VERDICT_S)
    grown = growth() if plan.growth else []
    return {
        "items": plan.items,
        "seed": plan.seed,
        "ran": dict(record.runs),
        "broken": dict(record.broken),
        "examples": record.examples,
        "cpu_s": {name: round(value, 1) for name, value in record.cpu_s.items()},
        "slowest": {
            name: [
                {"cpu_s": taken, "item": number, "kind": kind, "characters": size}
                for taken, number, kind, size in sorted(queue, reverse=True)
            ]
            for name, queue in record.slowest.items()
        },
        "growth": grown,
        "passed": not record.broken and not grown,
    }


def fuzz_table(document: dict[str, Any]) -> str:
    """Return the report as a short table for a terminal."""
    lines = [
        f"{document['items']} items of seed {document['seed']}",
        f"{'stage':<12} {'ran':>8} {'broken':>7} {'CPU s':>8} {'slowest s':>10}  (item, kind, characters)",
    ]
    for name, count in document["ran"].items():
        worst = document["slowest"][name][0]
        lines.append(
            f"{name:<12} {count:>8} {document['broken'].get(name, 0):>7} {document['cpu_s'][name]:>8}"
            f" {worst['cpu_s']:>10}  ({worst['item']}, {worst['kind']}, {worst['characters']})"
        )
    lines += [f"grows too fast: {each}" for each in document["growth"]]
    lines += [
        f"{each['stage']}, item {each['item']} ({each['kind']}): {each['broken']}"
        for each in document["examples"][:20]
    ]
    return "\n".join(lines)
