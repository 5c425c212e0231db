"""A request at fault in a batch: its neighbours are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from data.errors import InvalidValueError
from deployments.batching import Batcher


async def _work(items: Sequence[int]) -> list[int]:
    await asyncio.sleep(0)
    if 3 in items:
        raise InvalidValueError("3 lies before the horizon.")
    return [2 * item for item in items]


def test_batch_with_one_request_at_fault_answers_the_others() -> None:
    """Only who asked wrongly hears of it."""

    async def ask() -> list[object]:
        batcher: Batcher[int, int] = Batcher(_work, max_size=8, max_in_flight=1, max_waiting=99)
        asked = [batcher.submit([number]) for number in range(5)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(ask())

    assert [answers[number] for number in (0, 1, 2, 4)] == [[0], [2], [4], [8]]
    with pytest.raises(InvalidValueError, match="horizon"):
        raise answers[3]  # type: ignore[misc]
