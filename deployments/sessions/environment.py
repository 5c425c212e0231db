"""The reinforcement-learning environment as pure values: a state, and functions from state to state.

Called by ``sessions.lifecycle``, which keeps states in the shared store. No clock, no randomness, no I/O: the
same steps give the same states. An episode has no end of its own, so ``terminated`` is always false; it is
truncated after ``max_steps``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from data.claims import MAX_CLAIM_CHARS
from data.verdicts import VERDICT_LABELS, Verdict
from deployments.sessions.rewards import RewardConfig, reward_of

DEFAULT_MAX_STEPS = 100


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How a session is set up. ``reward`` is ``None`` for the verdict's own reward."""

    frameworks: tuple[str, ...]
    max_steps: int = DEFAULT_MAX_STEPS
    max_text_length: int = MAX_CLAIM_CHARS
    reward: RewardConfig | None = None


@dataclass(frozen=True, slots=True)
class FrameworkResult:
    """What is kept of one framework's opinion."""

    score: float
    confidence: float
    label: str
    abstained: str | None = None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step that was taken; ``step`` counts from 1, ``results`` are in the order of the frameworks."""

    step: int
    claim: str
    reward: float
    verdict_id: str
    label: str
    probabilities: tuple[float, float, float, float]
    confidence: float
    abstained: str | None
    knowledge_seq: int
    model_bundle: str
    degraded: bool
    results: dict[str, FrameworkResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session without the steps before the last one; ``episode`` tells one reset from the next."""

    session_id: str
    episode: str
    config: SessionConfig
    created_at: str
    expires_at_s: float
    seed: int | None = None
    steps: int = 0
    episode_reward: float = 0.0
    truncated: bool = False
    last: StepRecord | None = None

    @property
    def done(self) -> bool:
        """Whether the episode is over."""
        return self.truncated


def advance(state: SessionState, verdict: Verdict) -> SessionState:
    """Return the state after one more step, whose claim got ``verdict``."""
    config = state.config
    steps = state.steps + 1
    reward = reward_of(verdict, config.reward)
    record = StepRecord(
        step=steps,
        claim=verdict.claim.text,
        reward=reward,
        verdict_id=verdict.id,
        label=verdict.label,
        probabilities=verdict.probabilities,
        confidence=verdict.confidence,
        abstained=verdict.abstained,
        knowledge_seq=verdict.knowledge_seq,
        model_bundle=verdict.model_bundle,
        degraded=verdict.degraded,
        results={name: _result(verdict, name) for name in config.frameworks},
    )
    return replace(
        state,
        steps=steps,
        episode_reward=round(state.episode_reward + reward, 6),
        truncated=steps >= config.max_steps,
        last=record,
    )


def _result(verdict: Verdict, name: str) -> FrameworkResult:
    opinion = verdict.opinions.get(name)
    if opinion is None:
        return FrameworkResult(0.0, 0.0, "ABSTAINED", "The framework gave no opinion.")
    return FrameworkResult(opinion.score, opinion.confidence, opinion.label, opinion.abstained)


def reset_answer(state: SessionState) -> dict[str, Any]:
    """Return the answer of ``POST /env/reset``."""
    zeros = dict.fromkeys(state.config.frameworks, 0.0)
    return {
        "session_id": state.session_id,
        "observation": {"claim": "", "verifications": zeros, "confidence": dict(zeros), "metadata": {}},
        "info": {
            "frameworks": list(state.config.frameworks),
            "max_steps": state.config.max_steps,
            "max_text_length": state.config.max_text_length,
            "seed": state.seed,
        },
    }


def step_answer(state: SessionState) -> dict[str, Any]:
    """Return the answer of ``POST /env/step`` for the last step of ``state``.

    Raises:
        ValueError: no step has been taken.
    """
    record = state.last
    if record is None:
        raise ValueError("a session without a step has no step answer")
    scores = {name: result.score for name, result in record.results.items()}
    return {
        "observation": {
            "claim": record.claim,
            "verifications": scores,
            "confidence": {name: result.confidence for name, result in record.results.items()},
            "metadata": _metadata(record),
        },
        "reward": record.reward,
        "done": state.done,
        "terminated": False,
        "truncated": state.truncated,
        "info": {
            "claim": record.claim,
            "framework_results": dict(scores),
            "episode_reward": state.episode_reward,
            "steps": state.steps,
        },
    }


def _metadata(record: StepRecord) -> dict[str, Any]:
    return {
        "verdict_id": record.verdict_id,
        "label": record.label,
        "probabilities": dict(zip(VERDICT_LABELS, record.probabilities, strict=True)),
        "confidence": record.confidence,
        "abstained": record.abstained,
        "degraded": record.degraded,
        "knowledge_seq": record.knowledge_seq,
        "model_bundle": record.model_bundle,
        "frameworks": {
            name: {"label": result.label, "abstained": result.abstained}
            for name, result in record.results.items()
        },
    }


def summary(state: SessionState) -> dict[str, Any]:
    """Return a session's row in ``GET /sessions``."""
    return {
        "session_id": state.session_id,
        "created_at": state.created_at,
        "steps": state.steps,
        "episode_reward": state.episode_reward,
        "active": not state.done,
    }


def render_json(state: SessionState, history: Sequence[StepRecord]) -> dict[str, Any]:
    """Return the episode so far: every step with its scores in the order of the session's frameworks."""
    return {
        "session_id": state.session_id,
        "steps": state.steps,
        "claim": state.last.claim if state.last else "",
        "frameworks": list(state.config.frameworks),
        "history": [_history_row(record) for record in history],
        "episode_reward": state.episode_reward,
        "done": state.done,
    }


def _history_row(record: StepRecord) -> dict[str, Any]:
    return {
        "step": record.step,
        "claim": record.claim,
        "verifications": {name: result.score for name, result in record.results.items()},
        "confidence": {name: result.confidence for name, result in record.results.items()},
        "label": record.label,
        "verdict_id": record.verdict_id,
        "reward": record.reward,
    }


def render_text(state: SessionState, history: Sequence[StepRecord]) -> str:
    """Return the episode so far for a person to read."""
    lines = [f"Session {state.session_id}: {state.steps} of {state.config.max_steps} steps"]
    for record in history:
        lines += ["", f"--- Step {record.step} ---", f"Claim: {record.claim}"]
        lines.append(f"Verdict: {record.label} ({record.confidence:.2f})")
        for name, result in record.results.items():
            said = f"abstained: {result.abstained}" if result.abstained else f"{result.score:+.2f}"
            lines.append(f"  {name}: {said}")
        lines.append(f"Reward: {record.reward:.3f}")
    lines += ["", f"Episode reward: {state.episode_reward:.3f}" + (" (finished)" if state.done else "")]
    return "\n".join(lines)
