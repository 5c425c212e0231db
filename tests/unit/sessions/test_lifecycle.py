"""Steps and resets that meet in the store, and the reward by itself."""

from __future__ import annotations

import dataclasses

import pytest

from data.claims import DEFAULT_TENANT, TenantId, make_claim
from data.errors import ConflictError, NotFoundError, QuotaError
from data.questions import Question
from data.verdicts import Opinion, Verdict
from deployments.services import ApiLimits
from deployments.sessions.environment import SessionConfig, SessionState
from deployments.sessions.lifecycle import ResetOrder, SessionStore
from deployments.sessions.rewards import RewardConfig, reward_of
from tests.unit.api.fakes import FakeClock, FakeKeyValueStore, make_verdict

CONFIG = SessionConfig(("empirical", "utility"), max_steps=3)


def store_and_session() -> tuple[SessionStore, SessionState]:
    clock = FakeClock()
    sessions = SessionStore(FakeKeyValueStore(clock), clock, ApiLimits())
    return sessions, sessions.start(DEFAULT_TENANT, ResetOrder("s", None, None), CONFIG)


def verdict_on(text: str) -> Verdict:
    return make_verdict(Question(make_claim(text), CONFIG.frameworks))


def test_step_verified_before_a_reset_is_not_taken_after_it() -> None:
    """A late verdict does not leak into the next episode."""
    sessions, state = store_and_session()
    sessions.start(DEFAULT_TENANT, ResetOrder("s", None, None), CONFIG)
    with pytest.raises(ConflictError, match="was reset"):
        sessions.take(DEFAULT_TENANT, state, verdict_on("One."))
    assert sessions.load(DEFAULT_TENANT, "s")[1].steps == 0


def test_step_of_a_session_deleted_meanwhile_does_not_revive_it() -> None:
    """A deleted session stays deleted."""
    sessions, state = store_and_session()
    sessions.delete(DEFAULT_TENANT, "s")
    with pytest.raises(NotFoundError):
        sessions.take(DEFAULT_TENANT, state, verdict_on("One."))
    assert sessions.listing(DEFAULT_TENANT) == []


def test_session_of_another_tenant_is_not_found() -> None:
    """A tenant sees its own sessions only."""
    sessions, _ = store_and_session()
    with pytest.raises(NotFoundError):
        sessions.load(TenantId("other"), "s")
    assert sessions.listing(TenantId("other")) == []


def test_history_after_a_reset_holds_nothing_of_the_episode_before() -> None:
    """Rows belong to an episode."""
    sessions, state = store_and_session()
    for text in ("One.", "Two.", "Three."):
        sessions.take(DEFAULT_TENANT, state, verdict_on(text))
    again = sessions.start(DEFAULT_TENANT, ResetOrder("s", None, None), CONFIG)
    after = sessions.take(DEFAULT_TENANT, again, verdict_on("Four."))
    assert [record.claim for record in sessions.history(DEFAULT_TENANT, after)] == ["Four."]


def opinions(*pairs: tuple[float, float]) -> dict[str, Opinion]:
    return {f"f{n}": Opinion(score, sure, "X", "") for n, (score, sure) in enumerate(pairs)}


def test_reward_with_default_weights_is_the_formula_of_the_design() -> None:
    """Σ w·score·confidence + 0.1·mean(confidence) − 0.2·std(score), worked by hand."""
    verdict = dataclasses.replace(
        verdict_on("One."), opinions=opinions((1.0, 0.5), (-1.0, 1.0)), weights={"f0": 0.75, "f1": 0.25}
    )
    by_hand = 0.75 * 1.0 * 0.5 + 0.25 * -1.0 * 1.0 + 0.1 * 0.75 - 0.2 * 1.0
    assert reward_of(verdict, RewardConfig()) == pytest.approx(by_hand)


def test_reward_without_weights_is_the_verdicts_own() -> None:
    """A session that says nothing takes what fusion gave."""
    verdict = dataclasses.replace(verdict_on("One."), reward=0.123456)
    assert reward_of(verdict, None) == 0.123456


def test_session_beyond_the_tenants_quota_is_refused() -> None:
    """A tenant's own bound holds beside that of the installation; starting again is no growth."""
    clock = FakeClock()
    quotas = {DEFAULT_TENANT: 2}
    sessions = SessionStore(FakeKeyValueStore(clock), clock, ApiLimits(), quota=quotas.get)
    for name in ("1", "2", "2"):
        sessions.start(DEFAULT_TENANT, ResetOrder(name, None, None), CONFIG)
    with pytest.raises(QuotaError, match="may keep 2 sessions"):
        sessions.start(DEFAULT_TENANT, ResetOrder("3", None, None), CONFIG)
    sessions.start(TenantId("other"), ResetOrder("3", None, None), CONFIG)
    sessions.delete(DEFAULT_TENANT, "1")
    sessions.start(DEFAULT_TENANT, ResetOrder("3", None, None), CONFIG)


def test_sessions_of_tenants_whose_ids_begin_alike_stay_apart() -> None:
    """Neither a list nor a bound of one counts the other's."""
    clock = FakeClock()
    sessions = SessionStore(FakeKeyValueStore(clock), clock, ApiLimits(sessions_per_tenant=1))
    for name in ("a", "a-b", "ab"):
        sessions.start(TenantId(name), ResetOrder("s", None, None), CONFIG)
    assert [len(sessions.listing(TenantId(name))) for name in ("a", "a-b", "ab", "a-")] == [1, 1, 1, 0]
