"""What the relations showed, in figures: rates with intervals, the AUROC of foreign evidence, failures.

Called by ``tasks.behaviour``. Pure: observations in, a JSON document and a text table out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.behaviour.relations import RELATIONS, Observation

#: Bounds of the AUROC of foreign evidence: chance, within what a thousand claims can tell.
CHANCE = (0.45, 0.55)
#: Normal quantile of a two-sided 95 % interval.
_Z = 1.959964
_RESAMPLES = 1_000
_SEED = 7
_EXAMPLES = 25


def wilson(held: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share. Source: Wilson, JASA 22 (1927); (0, 1) for no observation."""
    if not count:
        return 0.0, 1.0
    share, shrink = held / count, 1.0 + _Z**2 / count
    centre = (share + _Z**2 / (2 * count)) / shrink
    half = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / shrink
    return round(max(0.0, centre - half), 4), round(min(1.0, centre + half), 4)


def rate(observations: Sequence[Observation]) -> dict[str, Any]:
    """Return how often the relation held, with its interval; ``rate`` is ``None`` for no observation."""
    held, count = sum(each.held for each in observations), len(observations)
    return {
        "count": count,
        "held": held,
        "rate": round(held / count, 4) if count else None,
        "interval": wilson(held, count),
    }


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the share of (positive, negative) pairs that the scores order rightly, ties half; NaN-free.

    0.5 where one side is empty. Source: the Mann-Whitney statistic.
    """
    ups, downs = scores[positive], np.sort(scores[~positive])
    if not len(ups) or not len(downs):
        return 0.5
    below = np.searchsorted(downs, ups, side="left") + np.searchsorted(downs, ups, side="right")
    return float(below.sum() / (2.0 * len(ups) * len(downs)))


def chance(observations: Sequence[Observation]) -> dict[str, Any]:
    """Return the AUROC of P(SUPPORTED) - P(REFUTED) for the gold label, on evidence of other claims."""
    rows = [each.after.probabilities for each in observations]
    scores = np.array([row[0] - row[1] for row in rows], dtype=np.float64)
    positive = np.array([each.case.label == "SUPPORTS" for each in observations], dtype=bool)
    draws = np.random.default_rng(_SEED)
    again = []
    for _ in range(_RESAMPLES if len(scores) else 0):
        places = draws.integers(0, len(scores), len(scores))
        again.append(auroc(scores[places], positive[places]))
    low, high = np.quantile(again, (0.025, 0.975)) if again else (0.0, 1.0)
    found = auroc(scores, positive)
    return {
        "auroc": round(found, 4),
        "interval": (round(float(low), 4), round(float(high), 4)),
        "required": CHANCE,
        "passed": CHANCE[0] <= found <= CHANCE[1],
    }


def summary(observations: Sequence[Observation]) -> dict[str, Any]:
    """Return the figures of every relation, the AUROC, and whether all of them are as they must be."""
    relations = {name: _figures(name, observations) for name in RELATIONS}
    foreign = chance([each for each in observations if each.probe.relation == "shuffled"])
    passed = foreign["passed"] and all(each["passed"] for each in relations.values())
    return {"relations": relations, "shuffled_auroc": foreign, "passed": passed}


def _figures(name: str, observations: Sequence[Observation]) -> dict[str, Any]:
    mine = [each for each in observations if each.probe.relation == name and each.applies]
    decided = [each for each in mine if each.decided]
    required = RELATIONS[name].required
    counted = rate(decided)
    share = counted["rate"]
    return {
        "required": required,
        "decided": counted,
        "all": rate(mine),
        "passed": share is not None and share >= required,
        "by_form": _split(decided, [each.probe.form for each in decided]),
        "by_set": _split(decided, [each.case.source for each in decided]),
        "by_start": _split(decided, [each.before.label for each in decided]),
        "failures": [_example(each) for each in decided if not each.held][:_EXAMPLES],
    }


def _split(observations: Sequence[Observation], keys: Sequence[str]) -> dict[str, Any]:
    return {
        key: rate([each for each, own in zip(observations, keys, strict=True) if own == key])
        for key in sorted(set(keys))
    }


def _example(each: Observation) -> dict[str, Any]:
    return {
        "id": each.case.id,
        "gold": each.case.label,
        "form": each.probe.form,
        "claim": each.case.claim,
        "changed": each.probe.asked.claim,
        "evidence": [f"{item.title}: {item.text}" for item in each.probe.asked.items],
        "before": [each.before.label, *each.before.probabilities],
        "after": [each.after.label, *each.after.probabilities],
    }


def table(document: dict[str, Any]) -> str:
    """Return the figures as a short table for a terminal."""
    lines = [
        f"{document['claims']} claims of {document['split']}, {document['decided']} with a decided verdict",
        f"{'relation':<12} {'must':>5} {'rate':>7} {'95 % interval':>17} {'of':>6} {'over all':>9}",
    ]
    for name, each in document["relations"].items():
        counted, everything = each["decided"], each["all"]
        low, high = counted["interval"]
        mark = "" if each["passed"] else "  below"
        lines.append(
            f"{name:<12} {each['required']:>5.2f} {_shown(counted['rate']):>7} {low:>8.3f}–{high:<8.3f}"
            f" {counted['count']:>6} {_shown(everything['rate']):>9}{mark}"
        )
    foreign = document["shuffled_auroc"]
    low, high = foreign["interval"]
    mark = "" if foreign["passed"] else "  not chance"
    lines.append(f"AUROC on evidence of other claims {foreign['auroc']:.3f} ({low:.3f}–{high:.3f}){mark}")
    return "\n".join(lines)


def _shown(share: float | None) -> str:
    return "–" if share is None else f"{share:.4f}"
