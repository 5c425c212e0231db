"""The settings in force: those of the start, under ``user_config``, under an administrator's word. Pure.

Called by whatever answers questions: gateway, queue workers, batches. Invariant: the result is a whole
``Settings`` that was checked as at the start, so a change is taken as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from configs.errors import ConfigError
from configs.live import LiveSettings
from configs.load import explain
from configs.schema import Settings
from data.access.records import FrameworkRecord
from deployments.assembly import check_framework_settings


def read_live(user_config: Mapping[str, Any] | None, start: Settings) -> LiveSettings:
    """Return a ``user_config`` as settings that fit those of the start.

    Raises:
        ConfigError: a key that is not known, or a value that does not fit: in one sentence.
    """
    try:
        live = msgspec.convert(dict(user_config or {}), LiveSettings)
    except (msgspec.ValidationError, TypeError, ValueError) as exc:
        raise ConfigError(f"user_config: {explain(str(exc))}") from exc
    if live.limits is not None and live.limits.enabled is not None:
        raise ConfigError(
            "user_config: limits.enabled: belongs to the start, for it says whether there is a door"
        )
    in_force(start, live)
    return live


def in_force(start: Settings, live: LiveSettings, words: Iterable[FrameworkRecord] = ()) -> Settings:
    """Return the settings in force; a word on a framework that is not there is passed over.

    Raises:
        ConfigError: ``live`` names a framework or a key that there is not.
    """
    verdicts, frameworks = start.verdicts, dict(start.frameworks)
    if live.abstain_below is not None:
        verdicts = msgspec.structs.replace(verdicts, abstain_below=live.abstain_below)
    for name, own in live.frameworks.items():
        frameworks[name] = {**frameworks.get(name, {}), **own}
    settings = msgspec.structs.replace(
        start,
        verdicts=verdicts,
        frameworks=frameworks,
        framework_weights={**start.framework_weights, **live.framework_weights},
        frameworks_off=start.frameworks_off if live.frameworks_off is None else live.frameworks_off,
        limits=msgspec.structs.replace(live.limits, enabled=start.limits.enabled)
        if live.limits
        else start.limits,
    )
    known = check_framework_settings(settings)
    return _told(settings, [word for word in words if word.id in known])


def _told(settings: Settings, words: list[FrameworkRecord]) -> Settings:
    weights, off = dict(settings.framework_weights), set(settings.frameworks_off)
    for word in words:
        if word.weight is not None:
            weights[word.id] = word.weight
        if word.enabled is not None:
            (off.discard if word.enabled else off.add)(word.id)
    return msgspec.structs.replace(settings, framework_weights=weights, frameworks_off=tuple(sorted(off)))
