"""Settings of a framework travel with the question, where they are not those that it began with."""

from __future__ import annotations

import asyncio
from typing import Any

from configs.live import LiveSettings
from configs.schema import Settings
from data.codec import encode_outcomes
from data.evidence import ClaimBatch
from data.verdicts import abstain
from deployments.live_settings import in_force
from deployments.replica import asks_of

START = Settings(frameworks={"utility": {"harmful_at": 0.5}})
EMPTY = ClaimBatch(claims=(), analyses=(), embeddings=b"", evidence=(), histories=(), pattern_hits=())


class Handle:
    """A Serve handle whose replica abstains and remembers what it was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.verify = self

    async def remote(self, _blob: bytes, *own: bytes) -> bytes:
        self.sent.append(own)
        return encode_outcomes([abstain("x")])


def sent(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    handles: dict[str, Any] = {"utility": Handle(), "empirical": Handle()}

    async def ask() -> None:
        for call in asks_of(handles, settings, start=START).values():
            await call(EMPTY)

    asyncio.run(ask())
    return {name: handle.sent for name, handle in handles.items()}


def test_settings_of_the_start_are_not_sent() -> None:
    """A replica of the version before, which knows nothing of them, is asked as ever."""
    assert sent(START) == {"utility": [()], "empirical": [()]}


def test_settings_that_changed_are_sent_whole_to_the_framework_they_are_of() -> None:
    """Over those of the start, in one order of keys, so that a replica builds one variant of them."""
    live = LiveSettings(frameworks={"utility": {"verifiable_at": 0.4}})

    assert sent(in_force(START, live)) == {
        "utility": [(b'{"harmful_at":0.5,"verifiable_at":0.4}',)],
        "empirical": [()],
    }
