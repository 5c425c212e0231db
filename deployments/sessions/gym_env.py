"""A Gymnasium environment: an agent writes claims, weighs the frameworks, and reads the verdicts.

Driven by any synchronous callable that takes a step and answers as ``POST /env/step`` does: an episode of the
HTTP client (``client.episode(...)``), or something in this process. Nothing here is random but
``action_space.sample()``, so the same actions give the same observations. A claim that is refused costs a
step and ``rejection_reward``, and teaches the agent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from data.claims import MAX_CLAIM_CHARS
from data.errors import ClaimRejectedError
from data.verdicts import VERDICT_LABELS

#: Code point ranges of the default alphabet: Latin with its accents, Greek, Cyrillic, punctuation, currency.
_RANGES = ((0x20, 0x7E), (0xA1, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x2010, 0x2027), (0x20A0, 0x20BF))
DEFAULT_CHARSET = frozenset(
    chr(code) for first, last in _RANGES for code in range(first, last + 1) if chr(code).isprintable()
)
#: Stands in an observed claim for a character that the alphabet lacks.
_UNKNOWN = "?"

Observation = dict[str, Any]
Action = dict[str, Any]


class StepCall(Protocol):
    """Takes a step: verifies a claim under weights (``None``: the learned ones)."""

    def __call__(self, claim: str, weights: Sequence[float] | None) -> Mapping[str, Any]:
        """Return the answer of ``POST /env/step``.

        Raises:
            ClaimRejectedError: the claim cannot be verified as written.
        """
        ...


class ResetCall(Protocol):
    """Begins an episode anew on the other side."""

    def __call__(self, seed: int | None) -> object:
        """Return anything; it is not looked at."""
        ...


@dataclass(frozen=True, slots=True)
class KiteEnvConfig:
    """Shape of the spaces and length of an episode; ``frameworks`` in the session's order."""

    frameworks: tuple[str, ...]
    max_steps: int = 100
    max_text_length: int = MAX_CLAIM_CHARS
    charset: frozenset[str] = DEFAULT_CHARSET
    rejection_reward: float = -1.0


class KiteEnv(gymnasium.Env[Observation, Action]):
    """Claims as actions, verdicts as observations.

    Action: ``claim`` (Text) and ``framework_weights`` (Box [0, 1], one a framework; all 0: the learned).
    Observation: ``claim`` (Text), ``verifications`` (Box [-1, 1]) and ``confidence`` (Box [0, 1]), one a
    framework, and ``probabilities`` (Box [0, 1]) in the order of ``VERDICT_LABELS``.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - the type gymnasium declares

    def __init__(
        self,
        step: StepCall,
        config: KiteEnvConfig,
        *,
        reset: ResetCall | None = None,
        render_mode: str | None = None,
    ) -> None:
        self._take_step = step
        self._begin = reset
        self._config = config
        self.render_mode = render_mode
        count = len(config.frameworks)
        letters = frozenset(config.charset | {_UNKNOWN})
        self.action_space = spaces.Dict(
            {
                "claim": spaces.Text(config.max_text_length, min_length=1, charset=letters),
                "framework_weights": spaces.Box(0.0, 1.0, (count,), np.float32),
            }
        )
        self.observation_space = spaces.Dict(
            {
                "claim": spaces.Text(config.max_text_length, min_length=0, charset=letters),
                "verifications": spaces.Box(-1.0, 1.0, (count,), np.float32),
                "confidence": spaces.Box(0.0, 1.0, (count,), np.float32),
                "probabilities": spaces.Box(0.0, 1.0, (len(VERDICT_LABELS),), np.float32),
            }
        )
        self._letters = letters
        self._steps = 0
        self._shown = "No step has been taken."

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; the first observation is empty."""
        super().reset(seed=seed, options=options)
        if self._begin is not None:
            self._begin(seed)
        self._steps = 0
        self._shown = "No step has been taken."
        return self._observe("", {}), {"frameworks": list(self._config.frameworks)}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Verify the action's claim; see ``gymnasium.Env.step``."""
        self._steps += 1
        out_of_steps = self._steps >= self._config.max_steps
        claim = str(action["claim"])
        try:
            answer = self._take_step(claim, _weights(action["framework_weights"]))
        except ClaimRejectedError as exc:
            self._shown = f"{claim}\nrefused: {exc}"
            return (
                self._observe(claim, {}),
                self._config.rejection_reward,
                False,
                out_of_steps,
                {"error": str(exc)},
            )
        observed = answer["observation"]
        reward = float(answer["reward"])
        self._shown = f"{observed['claim']}\n{observed['metadata'].get('label')}, reward {reward:.3f}"
        info = {**answer["info"], "metadata": observed["metadata"]}
        truncated = bool(answer["truncated"]) or out_of_steps
        return self._observe(observed["claim"], observed), reward, bool(answer["terminated"]), truncated, info

    def render(self) -> Any:
        """Return the last step in words when ``render_mode`` is "ansi", else nothing."""
        return self._shown if self.render_mode == "ansi" else None

    def _observe(self, claim: str, observed: Mapping[str, Any]) -> Observation:
        names = self._config.frameworks
        known = "".join(char if char in self._letters else _UNKNOWN for char in claim)
        probabilities = observed.get("metadata", {}).get("probabilities", {})
        return {
            "claim": known[: self._config.max_text_length],
            "verifications": _row(observed.get("verifications", {}), names, -1.0),
            "confidence": _row(observed.get("confidence", {}), names, 0.0),
            "probabilities": _row(probabilities, VERDICT_LABELS, 0.0),
        }


def _row(values: Mapping[str, float], names: Sequence[str], low: float) -> NDArray[np.float32]:
    """Return the values by name, (names,) float32, within [low, 1]; 0 where there is none."""
    return np.clip(np.array([values.get(name, 0.0) for name in names], dtype=np.float32), low, 1.0)


def _weights(given: NDArray[np.float32]) -> list[float] | None:
    weights = [round(float(weight), 6) for weight in given]
    return weights if any(weights) else None
