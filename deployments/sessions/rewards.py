"""The reward of one step. Pure; called by ``sessions.environment``.

DESIGN §6: Σ wᵢ·scoreᵢ·confidenceᵢ + 0.1·mean(confidence) − 0.2·std(score), the standard deviation being that
of the population. A session may weigh the three terms differently.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.verdicts import Verdict
from deployments.fusion import CONFIDENCE_BONUS, SPREAD_PENALTY, reward


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """Weights of the three terms; the defaults give ``Verdict.reward``."""

    score_weight: float = 1.0
    confidence_bonus: float = CONFIDENCE_BONUS
    disagreement_penalty: float = SPREAD_PENALTY


def reward_of(verdict: Verdict, config: RewardConfig | None) -> float:
    """Return the reward of a step, to 6 decimals: the verdict's own unless the session has weights."""
    if config is None or not verdict.opinions:
        return verdict.reward
    return reward(
        verdict.opinions,
        verdict.weights,
        score_weight=config.score_weight,
        confidence_bonus=config.confidence_bonus,
        spread_penalty=config.disagreement_penalty,
    )
