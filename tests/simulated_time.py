"""An event loop whose time passes only when nobody has anything to do: the same in every run."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Idle(selectors.DefaultSelector):
    """Instead of waiting, says how long it would have waited."""

    def __init__(self, skip: Callable[[float], None]) -> None:
        super().__init__()
        self._skip = skip

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now; where nothing is, skip the time until something is due."""
        ready = super().select(0)
        if not ready and timeout:
            self._skip(timeout)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Time is a number here."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Idle(self._pass))

    def time(self) -> float:
        """Return seconds since the loop was made."""
        return self._now_s

    def _pass(self, seconds: float) -> None:
        self._now_s += seconds


class LoopClock:
    """The running loop's time as a clock, simulated or not. Starts on 2026-01-01 00:10 UTC."""

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return 1_767_226_200.0 + asyncio.get_running_loop().time() % 1_800.0


def run_simulated(work: Coroutine[Any, Any, Result]) -> Result:
    """Run work in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)
