"""The Gymnasium environment, over the real session routes and over a plain callable."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from data.errors import ClaimRejectedError
from deployments.sessions.gym_env import KiteEnv, KiteEnvConfig
from tests.unit.api.fakes import Rig

FRAMEWORKS = ("empirical", "utility")


class RigEpisode:
    """A session of the app as the pair of callables that the environment takes."""

    def __init__(self, rig: Rig, max_steps: int = 100) -> None:
        self._rig = rig
        self._config = {"frameworks": FRAMEWORKS, "max_steps": max_steps}

    def reset(self, seed: int | None) -> object:
        order = {"session_id": "gym", "config": self._config, "seed": seed}
        response = self._rig.post("/env/reset", order)
        assert response.status_code == 200, response.text
        return response.json()

    def step(self, claim: str, weights: Sequence[float] | None) -> dict[str, Any]:
        order = {"session_id": "gym", "claim": claim, "framework_weights": weights}
        response = self._rig.post("/env/step", order)
        if response.status_code == 422:
            raise ClaimRejectedError(response.json()["detail"])
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


def make_env(rig: Rig, max_steps: int = 100) -> KiteEnv:
    episode = RigEpisode(rig, max_steps)
    return KiteEnv(
        episode.step, KiteEnvConfig(FRAMEWORKS, max_steps, 200), reset=episode.reset, render_mode="ansi"
    )


def action(claim: str, *weights: float) -> dict[str, Any]:
    return {"claim": claim, "framework_weights": np.array(weights or (0.5, 0.5), dtype=np.float32)}


def test_env_passes_gymnasiums_own_checker(rig: Rig) -> None:
    """Spaces, determinism under a seed, and the step API are as Gymnasium wants them."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        check_env(make_env(rig))
    said = [str(warning.message) for warning in heard if "gymnasium" in warning.filename]
    assert [text for text in said if "alternative render modes" not in text] == []


def test_env_same_seed_and_actions_give_same_observations() -> None:
    """Two runs of one policy are one run."""
    runs = []
    for _ in range(2):
        env = make_env(Rig())
        env.reset(seed=5)
        env.action_space.seed(5)
        runs.append([env.step(env.action_space.sample()) for _ in range(5)])
    for one, two in zip(*runs, strict=True):
        assert one[1:] == two[1:]
        assert all(np.array_equal(one[0][key], two[0][key]) for key in one[0])


def test_env_step_observes_the_verdict(rig: Rig) -> None:
    """Scores and probabilities come in their orders, in float32."""
    env = make_env(rig)
    env.reset(seed=1)
    observed, reward, terminated, truncated, info = env.step(action("Water boils."))
    assert observed["claim"] == "Water boils."
    assert observed["probabilities"] == pytest.approx([0.7, 0.1, 0.15, 0.05])
    assert observed["confidence"] == pytest.approx([0.8, 0.0])
    assert info["metadata"]["label"] == "SUPPORTED"
    assert (terminated, truncated, info["steps"]) == (False, False, 1)
    assert reward == pytest.approx(info["episode_reward"])


def test_env_weights_all_zero_mean_the_learned_ones(rig: Rig) -> None:
    """Zeros are a legal action; the service gets no weights."""
    env = make_env(rig)
    env.reset(seed=1)
    env.step(action("Water boils.", 0.0, 0.0))
    assert rig.verifier.batches[-1][0].weights == {}


def test_env_refused_claim_costs_a_step_and_the_penalty(rig: Rig) -> None:
    """An agent that writes nonsense learns so and goes on."""
    env = make_env(rig)
    env.reset(seed=1)
    observed, reward, terminated, _, info = env.step(action("?!"))
    assert (reward, terminated) == (-1.0, False)
    assert "claim" in info["error"]
    assert not observed["verifications"].any()


def test_env_is_truncated_at_max_steps_counting_refused_claims(rig: Rig) -> None:
    """The episode has its length whatever the agent writes."""
    env = make_env(rig, max_steps=2)
    env.reset(seed=1)
    assert env.step(action("?!"))[3] is False
    assert env.step(action("Water boils."))[3] is True


def test_env_character_outside_the_alphabet_is_sent_and_observed_as_unknown(rig: Rig) -> None:
    """The claim goes out as written; the observation stays in its space."""
    env = make_env(rig)
    env.reset(seed=1)
    observed = env.step(action("Water 水 boils."))[0]
    assert rig.verifier.batches[-1][0].claim.text == "Water 水 boils."
    assert observed["claim"] == "Water ? boils."
    assert env.observation_space.contains(observed)


def test_env_renders_the_last_step_in_words(rig: Rig) -> None:
    """A person watching sees claim, label and reward."""
    env = make_env(rig)
    env.reset(seed=1)
    env.step(action("Water boils."))
    assert env.render().startswith("Water boils.\nSUPPORTED, reward ")
