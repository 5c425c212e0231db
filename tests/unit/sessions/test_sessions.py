"""Sessions through the API: two processes over one store are one service."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from deployments.api.wire import ResetAnswer, SessionAnswer, StepAnswer
from deployments.services import ApiLimits
from tests.unit.api.fakes import FRAMEWORKS, Rig


def start(rig: Rig, **body: Any) -> str:
    response = rig.post("/env/reset", body)
    assert response.status_code == 200, response.text
    session_id: str = response.json()["session_id"]
    return session_id


def step(rig: Rig, session_id: str, claim: str = "Water boils.", **body: Any) -> Any:
    return rig.post("/env/step", {"session_id": session_id, "claim": claim, **body})


def test_reset_answers_an_empty_observation_and_the_set_up(rig: Rig) -> None:
    """A new session shows zeros and tells its frameworks and length."""
    answer = rig.post("/env/reset", {"session_id": None, "config": None}).json()
    assert TypeAdapter(ResetAnswer).validate_python(answer, strict=True) == answer
    assert answer["info"]["frameworks"] == list(FRAMEWORKS)
    assert answer["info"]["max_steps"] == 100
    assert set(answer["observation"]["verifications"].values()) == {0.0}


def test_step_answers_scores_reward_and_running_total(rig: Rig) -> None:
    """A step is a verdict with a reward; rewards add up."""
    session_id = start(rig, config={"frameworks": ["empirical", "utility"]})
    first, second = step(rig, session_id, "One.").json(), step(rig, session_id, "Two.").json()
    assert TypeAdapter(StepAnswer).validate_python(first, strict=True) == first
    assert first["info"]["framework_results"] == first["observation"]["verifications"]
    assert list(first["observation"]["verifications"]) == ["empirical", "utility"]
    assert second["info"]["steps"] == 2
    assert second["info"]["episode_reward"] == pytest.approx(first["reward"] + second["reward"])


def test_step_reward_follows_the_sessions_weights_of_the_terms(rig: Rig) -> None:
    """Σ w·score·confidence + bonus·mean(confidence) − penalty·std(score), with the session's factors."""
    reward_config = {"score_weight": 2.0, "confidence_bonus": 0.5, "disagreement_penalty": 1.0}
    session_id = start(rig, config={"frameworks": ["empirical", "utility"], "reward_config": reward_config})
    answer = step(rig, session_id, framework_weights=[0.75, 0.25]).json()
    score = answer["observation"]["verifications"]["empirical"]
    assert answer["observation"]["confidence"] == {"empirical": 0.8, "utility": 0.0}
    assert answer["reward"] == pytest.approx(2 * 0.75 * score * 0.8 + 0.5 * 0.4 - score / 2, abs=1e-6)


def test_step_is_truncated_at_max_steps_and_the_next_is_409(rig: Rig) -> None:
    """An episode ends by its length alone."""
    session_id = start(rig, config={"max_steps": 2})
    first, last = step(rig, session_id).json(), step(rig, session_id).json()
    assert (first["done"], first["terminated"], first["truncated"]) == (False, False, False)
    assert (last["done"], last["terminated"], last["truncated"]) == (True, False, True)
    assert step(rig, session_id).status_code == 409
    assert rig.call("GET", "/sessions").json()[0]["active"] is False


def test_reset_of_a_finished_session_starts_again_with_its_own_config(rig: Rig) -> None:
    """Reset keeps the id and the set-up, and forgets the steps."""
    session_id = start(rig, config={"max_steps": 1, "frameworks": ["utility"]})
    step(rig, session_id)
    again = rig.post("/env/reset", {"session_id": session_id}).json()
    assert again["info"]["max_steps"] == 1
    assert again["info"]["frameworks"] == ["utility"]
    rendered = rig.call("GET", f"/env/render/{session_id}").json()
    assert (rendered["steps"], rendered["history"], rendered["episode_reward"]) == (0, [], 0.0)


def test_step_claim_that_is_rejected_takes_no_step(rig: Rig) -> None:
    """Nothing half-done stays behind an error."""
    session_id = start(rig)
    assert step(rig, session_id, "refuse this").status_code == 422
    assert rig.call("GET", f"/env/render/{session_id}").json()["steps"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"session_id": "nobody", "claim": "Water boils."}, 404),
        ({"session_id": "a/b", "claim": "Water boils."}, 422),
        ({"session_id": "mine", "claim": "Water boils.", "framework_weights": [1.0, 2.0]}, 422),
        ({"session_id": "mine", "claim": "far longer than ten characters"}, 422),
        ({"session_id": "mine", "claim": "Ice.", "mood": 1}, 422),
    ],
)
def test_step_bad_request_names_its_fault(rig: Rig, body: dict[str, Any], status: int) -> None:
    """Unknown sessions, bad ids, wrong lengths, unknown fields."""
    start(rig, session_id="mine", config={"frameworks": ["empirical"], "max_text_length": 10})
    assert rig.post("/env/step", body).status_code == status
    assert rig.verifier.batches == []


@pytest.mark.parametrize(
    "config",
    [
        {"max_steps": 0},
        {"max_steps": 10_001},
        {"max_text_length": 0},
        {"frameworks": ["astrology"]},
        {"frameworks": ["empirical", "empirical"]},
        {"reward_config": {"score_weight": "much"}},
        {"colour": "red"},
    ],
)
def test_reset_bad_config_is_422(rig: Rig, config: dict[str, Any]) -> None:
    """A set-up outside its bounds starts no session."""
    assert rig.post("/env/reset", {"config": config}).status_code == 422
    assert rig.call("GET", "/sessions").json() == []


def test_session_begun_in_one_process_goes_on_in_another(rig: Rig) -> None:
    """State lives in the store, not in a process."""
    twin = rig.twin()
    session_id = start(rig)
    body = {"session_id": session_id, "claim": "Water boils."}
    assert rig.call("POST", "/env/step", twin, json=body).json()["info"]["steps"] == 1
    assert step(rig, session_id).json()["info"]["steps"] == 2
    assert len(rig.call("GET", f"/env/render/{session_id}", twin).json()["history"]) == 2


def test_concurrent_steps_over_two_processes_are_all_taken_once(rig: Rig) -> None:
    """One wins, the others come after it, none is lost and none counts twice."""
    session_id = start(rig)
    requests = [
        ("POST", "/env/step", {"json": {"session_id": session_id, "claim": f"Claim {n}."}}) for n in range(24)
    ]
    answers = [response.json() for response in rig.calls(requests, None, rig.twin())]
    assert sorted(answer["info"]["steps"] for answer in answers) == list(range(1, 25))
    rendered = rig.call("GET", f"/env/render/{session_id}").json()
    assert [row["step"] for row in rendered["history"]] == list(range(1, 25))
    assert sorted(row["claim"] for row in rendered["history"]) == sorted(f"Claim {n}." for n in range(24))
    assert rendered["episode_reward"] == pytest.approx(sum(answer["reward"] for answer in answers), abs=1e-4)


def test_concurrent_steps_never_pass_max_steps(rig: Rig) -> None:
    """Of more steps than an episode has, the surplus is refused."""
    session_id = start(rig, config={"max_steps": 3})
    requests = [
        ("POST", "/env/step", {"json": {"session_id": session_id, "claim": f"Claim {n}."}}) for n in range(8)
    ]
    statuses = sorted(response.status_code for response in rig.calls(requests, None, rig.twin()))
    assert statuses == [200] * 3 + [409] * 5


def test_same_steps_in_two_sessions_give_the_same_answers(rig: Rig) -> None:
    """Nothing in a step depends on the session's name or the time."""
    one, two = start(rig, session_id="one", seed=1), start(rig, session_id="two", seed=1)
    rig.clock.time_s += 60
    assert step(rig, one).content == step(rig, two).content


def test_render_human_is_text_with_every_step(rig: Rig) -> None:
    """A person reads claims, scores and rewards."""
    session_id = start(rig)
    step(rig, session_id, "Water boils.")
    answer = rig.call("GET", f"/env/render/{session_id}?mode=human").json()
    assert "--- Step 1 ---\nClaim: Water boils.\nVerdict: SUPPORTED" in answer["rendered"]
    assert len(answer["history"]) == 1


def test_render_unknown_mode_is_400(rig: Rig) -> None:
    """A misspelt mode is told apart from a missing session."""
    assert rig.call("GET", f"/env/render/{start(rig)}?mode=xml").status_code == 400


def test_delete_removes_the_session_and_every_key_of_it(rig: Rig) -> None:
    """Nothing of a deleted session stays in the store."""
    session_id = start(rig, session_id="gone")
    for _ in range(3):
        step(rig, session_id)
    assert rig.call("DELETE", "/sessions/gone").json() == {"message": "Session gone deleted"}
    assert rig.store.scan("session") == []
    assert rig.call("DELETE", "/sessions/gone").status_code == 404


def test_session_expires_with_all_its_steps(rig: Rig) -> None:
    """A session lives for its time after the last reset, whatever its steps."""
    session_id = start(rig)
    rig.clock.time_s += rig.limits.session_ttl_s - 1
    assert step(rig, session_id).status_code == 200
    assert step(rig, session_id).status_code == 200
    rig.clock.time_s += 1
    assert step(rig, session_id).status_code == 404
    assert rig.store.scan("session") == []


def test_reset_beyond_capacity_is_429_and_an_own_session_still_resets() -> None:
    """A full house takes nobody new, and lets those inside go on."""
    rig = Rig(limits=ApiLimits(sessions_per_tenant=2))
    start(rig, session_id="a")
    start(rig, session_id="b")
    refused = rig.post("/env/reset", {"session_id": "c"})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    start(rig, session_id="a")
    rig.call("DELETE", "/sessions/b")
    start(rig, session_id="c")


def test_sessions_list_is_sorted_and_paged_by_cursor(rig: Rig) -> None:
    """Pages follow each other without gap or repeat."""
    for name in "cab":
        start(rig, session_id=name)
    first = rig.call("GET", "/sessions?limit=2")
    rest = rig.call("GET", f"/sessions?limit=2&cursor={first.headers['X-Next-Cursor']}")
    rows = TypeAdapter(list[SessionAnswer]).validate_python(first.json() + rest.json(), strict=True)
    assert [row["session_id"] for row in rows] == ["a", "b", "c"]
    assert "X-Next-Cursor" not in rest.headers


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many", "²", "9" * 5000])
def test_sessions_list_bad_limit_is_400(rig: Rig, limit: str) -> None:
    """A page has a size."""
    assert rig.call("GET", "/sessions", params={"limit": limit}).status_code == 400


def test_health_counts_sessions_that_are_not_over(rig: Rig) -> None:
    """Finished episodes are not active."""
    start(rig, session_id="open")
    start(rig, session_id="over", config={"max_steps": 1})
    step(rig, "over")
    assert rig.call("GET", "/health").json()["active_sessions"] == 1


def test_sessions_with_the_store_away_are_503(rig: Rig) -> None:
    """A store that is away is not a missing session."""
    rig.store.away = True
    assert rig.call("GET", "/env/render/x").status_code == 503
    assert rig.post("/env/reset", {}).status_code == 503
