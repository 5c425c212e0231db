"""Settings that change while replicas run: what is taken, what is refused, and who has the last word."""

from __future__ import annotations

from typing import Any

import pytest

from configs.errors import ConfigError
from configs.live import LiveSettings
from configs.schema import LimitSettings, RateSettings, Settings
from data.access.records import FrameworkRecord
from deployments.assembly import bundle_identity
from deployments.live_settings import in_force, read_live

START = Settings(framework_weights={"utility": 0.5, "empirical": 2.0}, frameworks_off=("evolution",))


@pytest.mark.parametrize(
    ("user_config", "said"),
    [
        ({"framework_weight": {}}, "user_config: framework_weight: there is no such setting"),
        ({"limits": {"tenants": {}}}, "user_config: limits.tenants: there is no such setting"),
        ({"abstain_below": 1.5}, "user_config: abstain_below: Expected `float` <= 1.0"),
        ({"framework_weights": {"wisdom": 1.0}}, "framework_weights.wisdom: no such framework"),
        ({"frameworks": {"utility": {"wit": 1}}}, "frameworks.utility.wit: there is no such setting"),
        ({"limits": {"enabled": True}}, "limits.enabled: belongs to the start"),
        ([1, 2], "user_config: "),
    ],
)
def test_user_config_that_does_not_fit_is_refused_in_one_sentence(user_config: Any, said: str) -> None:
    """The sentence names the key."""
    with pytest.raises(ConfigError) as refused:
        read_live(user_config, START)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_user_config_is_laid_over_the_start_key_by_key() -> None:
    """What it leaves out stays as it was."""
    limits = LimitSettings(tenant=RateSettings(per_minute=7.0))
    config = {
        "framework_weights": {"utility": 3},
        "abstain_below": 0.6,
        "limits": {"tenant": {"per_minute": 7}},
    }

    now = in_force(START, read_live(config, START))

    assert now.framework_weights == {"utility": 3.0, "empirical": 2.0}
    assert (now.verdicts.abstain_below, now.limits, now.frameworks_off) == (0.6, limits, ("evolution",))
    assert (now.http, now.retrieval) == (START.http, START.retrieval)


def test_administrators_word_stands_above_user_config() -> None:
    """A word that leaves a thing open, or names a framework that is gone, changes nothing."""
    live = LiveSettings(framework_weights={"utility": 3.0}, frameworks_off=("contextual",))
    words = [
        FrameworkRecord("utility", enabled=False, weight=0.1),
        FrameworkRecord("contextual", enabled=True),
        FrameworkRecord("empirical"),
        FrameworkRecord("gone", enabled=False, weight=9.0),
    ]

    now = in_force(START, live, words)

    assert now.framework_weights == {"utility": 0.1, "empirical": 2.0}
    assert now.frameworks_off == ("utility",)


def test_bundle_names_every_change_that_decides_an_answer_and_no_other() -> None:
    """Answers kept under one bundle are never given under other weights, thresholds or settings."""
    changes = [
        LiveSettings(framework_weights={"utility": 0.7}),
        LiveSettings(abstain_below=0.7),
        LiveSettings(frameworks_off=()),
    ]
    seen = {bundle_identity("m", START)}
    for live in changes:
        seen.add(bundle_identity("m", in_force(START, live)))

    assert len(seen) == 4
    limits = LiveSettings(limits=LimitSettings(tenant=RateSettings(per_minute=7.0)))
    assert bundle_identity("m", in_force(START, limits)) == bundle_identity("m", START)


def test_frameworks_cannot_all_be_switched_off_by_settings() -> None:
    """Somebody has to be asked."""
    names = ["consistency", "contextual", "empirical", "evolution", "power_dynamics", "utility"]
    with pytest.raises(ConfigError, match="at least one framework"):
        read_live({"frameworks_off": names}, START)
