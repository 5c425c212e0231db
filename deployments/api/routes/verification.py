"""``POST /verify`` and ``POST /batch/verify``: read, ask, answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from data.claims import Rejected
from data.errors import ClaimRejectedError, RequestError
from data.verdicts import Verdict
from deployments.api.answers import rejected_answer, server_timing, verify_answer
from deployments.api.context import pay_for_items, tenant_of
from deployments.api.errors import SchemaMisfitError, clean, kind_of
from deployments.api.labels import scheme_named
from deployments.api.reading import Asked, QuestionReader, json_body
from deployments.api.responses import encode, json_array_response, json_response
from deployments.services import Services

#: Items of a batch read or written before other requests get a turn on the event loop.
_TURN = 32


class VerificationRoutes:
    """Answers claims. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def verify(self, request: Request) -> Response:
        """Answer one claim."""
        started = time.perf_counter()
        scheme = scheme_named(request.query_params.get("label_scheme"))
        asked = await self._reader(request).read(await json_body(request))
        (outcome,) = await self._services.answer([asked.question])
        if isinstance(outcome, Rejected):
            raise ClaimRejectedError(outcome.reason)
        answer = verify_answer(outcome, asked.question, scheme=scheme, with_latency=asked.with_latency)
        timing = server_timing([outcome], time.perf_counter() - started)
        return json_response(answer, headers={"Server-Timing": timing})

    async def batch(self, request: Request) -> Response:
        """Answer a list of claims, order and length kept; a bad item harms no other."""
        started = time.perf_counter()
        scheme = scheme_named(request.query_params.get("label_scheme"))
        items = self._items(await json_body(request))
        await pay_for_items(request, len(items))
        read = await self._read_all(request, items)
        valid = [entry for entry in read if isinstance(entry, Asked)]
        outcomes = iter(await self._services.answer([entry.question for entry in valid]) if valid else [])
        bodies: list[bytes] = []
        verdicts: list[Verdict] = []
        for position, (item, entry) in enumerate(zip(items, read, strict=True)):
            if position % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            outcome = next(outcomes) if isinstance(entry, Asked) else entry
            if isinstance(outcome, Verdict):
                verdicts.append(outcome)
            bodies.append(encode(_entry_answer(item, entry, outcome, scheme)))
        timing = server_timing(verdicts, time.perf_counter() - started)
        return json_array_response(bodies, headers={"Server-Timing": timing})

    def _reader(self, request: Request) -> QuestionReader:
        return QuestionReader(self._services.frameworks, self._services.seq_at, tenant_of(request))

    def _items(self, body: Any) -> list[Any]:
        most = self._services.limits.batch_claims
        if not isinstance(body, list) or not 1 <= len(body) <= most:
            raise SchemaMisfitError(
                f"The body must be a JSON array of 1 to {most} requests as /verify takes them."
            )
        return body

    async def _read_all(self, request: Request, items: list[Any]) -> list[Asked | RequestError]:
        reader = self._reader(request)
        read: list[Asked | RequestError] = []
        for position, item in enumerate(items):
            if position % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            try:
                read.append(await reader.read(item))
            except RequestError as exc:
                read.append(exc)
        return read


def _entry_answer(
    item: Any, entry: Asked | RequestError, outcome: Verdict | Rejected | RequestError, scheme: str | None
) -> dict[str, Any]:
    if isinstance(entry, Asked) and isinstance(outcome, Verdict):
        return verify_answer(outcome, entry.question, scheme=scheme, with_latency=entry.with_latency)
    if isinstance(outcome, Rejected):
        return rejected_answer(item, clean(outcome.reason), "claim-rejected")
    assert isinstance(outcome, RequestError)  # noqa: S101 - the two cases above leave only this one
    return rejected_answer(item, clean(str(outcome)), kind_of(outcome).slug)
