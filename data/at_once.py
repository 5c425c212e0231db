"""Several calls that wait for others, made at the same time.

Called where one question goes to several actors. Invariant: every call has ended before any answer or error
is told, so nothing goes on behind the caller's back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TypeVar

Answer = TypeVar("Answer")


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Return the answers of calls, in order; raise what the first that failed raised.

    A single call is made by the calling thread.
    """
    if len(calls) < 2:
        return [call() for call in calls]
    with ThreadPoolExecutor(len(calls)) as threads:
        asked = [threads.submit(copy_context().run, call) for call in calls]
        wait(asked)
    return [one.result() for one in asked]
