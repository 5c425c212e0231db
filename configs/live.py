"""What changes while replicas run: the ``user_config`` of the gateway and of the queue's workers in Serve.

Read by ``deployments.live_settings``. Everything else is a setting of the start, and a change of it replaces
replicas.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from configs.parts import Part, Share
from configs.schema import LimitSettings


class LiveSettings(Part, frozen=True):
    """Weights, thresholds and limits over those of the start; what is left out stays as it was there.

    ``framework_weights`` and ``frameworks`` are laid over the start's, key by key; ``limits`` replaces them.
    """

    framework_weights: dict[str, Annotated[float, Meta(ge=0.0)]] = field(default_factory=dict)
    frameworks_off: tuple[str, ...] | None = None
    frameworks: dict[str, dict[str, float | int | str | bool]] = field(default_factory=dict)
    abstain_below: Share | None = None
    limits: LimitSettings | None = None
