"""The reward of one step. Pure; called by ``sessions.environment``.

DESIGN §6: Σ wᵢ·scoreᵢ·confidenceᵢ + 0.1·mean(confidence) − 0.2·std(score), the standard deviation being that
of the population. A session may weigh the three terms differently.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from data.verdicts import Opinion, Verdict


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """Weights of the three terms; the defaults give ``Verdict.reward``."""

    score_weight: float = 1.0
    confidence_bonus: float = 0.1
    disagreement_penalty: float = 0.2


def reward_of(verdict: Verdict, config: RewardConfig | None) -> float:
    """Return the reward of a step, to 6 decimals: the verdict's own unless the session has weights."""
    if config is None or not verdict.opinions:
        return verdict.reward
    opinions = verdict.opinions
    scored = sum(verdict.weights.get(name, 0.0) * o.score * o.confidence for name, o in opinions.items())
    confidence = sum(opinion.confidence for opinion in opinions.values()) / len(opinions)
    total = (
        config.score_weight * scored
        + config.confidence_bonus * confidence
        - config.disagreement_penalty * _spread(opinions.values())
    )
    return round(total, 6)


def _spread(opinions: Collection[Opinion]) -> float:
    mean = sum(opinion.score for opinion in opinions) / len(opinions)
    return math.sqrt(sum((opinion.score - mean) ** 2 for opinion in opinions) / len(opinions))
