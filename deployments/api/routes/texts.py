"""``POST /claims/extract`` and ``POST /verify/text``: a whole text in, its claims out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from data.claims import ClaimContext, Rejected, make_claim
from data.errors import NotFoundError
from data.models import checkworthiness
from data.questions import Question
from data.text.extraction import context_of
from data.verdicts import Verdict
from deployments.api.answers import rejected_answer, server_timing, verify_answer
from deployments.api.context import pay_for_items, tenant_of
from deployments.api.errors import clean
from deployments.api.labels import scheme_named
from deployments.api.reading import QuestionReader, fit, json_body, read_context
from deployments.api.responses import json_response
from deployments.api.schemas import DEFAULT_TEXT_CLAIMS, ExtractRequest, VerifyTextRequest
from deployments.api.text_answers import claim_answer, extraction_answer
from deployments.extraction import Extraction, ScoredClaim, choose
from deployments.services import Services

#: Answers built before other requests get a turn on the event loop.
_TURN = 32


class TextRoutes:
    """Answers texts. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def extract(self, request: Request) -> Response:
        """Return every claim of a text with its offsets and check-worthiness; nothing is verified.

        What is no claim is listed under ``skipped`` with the reason.
        """
        asked = fit(ExtractRequest, await json_body(request))
        extraction = await self._extraction(asked.text, read_context(asked.context))
        return json_response(extraction_answer(extraction, _threshold(asked.min_check_worthiness)))

    async def verify(self, request: Request) -> Response:
        """Verify the claims of a text that are most worth checking, at most ``limit``, in their order.

        A claim that depends on its neighbours is verified as it is worded and says so in
        ``depends_on_context``; nothing is put in place of "it" or "recently".
        """
        started = time.perf_counter()
        scheme = scheme_named(request.query_params.get("label_scheme"))
        asked = fit(VerifyTextRequest, await json_body(request))
        context = read_context(asked.context)
        reader = QuestionReader(self._services.frameworks, self._services.seq_at)
        ask = await reader.questions(asked)
        extraction = await self._extraction(asked.text, context)
        threshold = _threshold(asked.min_check_worthiness)
        chosen = choose(extraction, asked.limit or DEFAULT_TEXT_CLAIMS, at_least=threshold)
        await pay_for_items(request, len(chosen))
        questions = [
            ask(make_claim(item.words, tenant=tenant_of(request), context=context_of(item.claim, context)))
            for item in chosen
        ]
        outcomes = await self._services.answer(questions) if questions else []
        timed = "latency" in (asked.include or ())
        claims = await _verified(
            extraction,
            list(zip(chosen, questions, outcomes, strict=True)),
            threshold=threshold,
            scheme=scheme,
            with_latency=timed,
        )
        worthy = sum(item.check_worthiness >= threshold for item in extraction.claims)
        answer = {
            "claims": claims,
            "found": len(extraction.claims),
            "check_worthy": worthy,
            "left_out": worthy - len(claims),
            "min_check_worthiness": threshold,
        }
        verdicts = [outcome for outcome in outcomes if isinstance(outcome, Verdict)]
        timing = server_timing(verdicts, time.perf_counter() - started)
        return json_response(answer, headers={"Server-Timing": timing})

    async def _extraction(self, text: str, context: ClaimContext) -> Extraction:
        if self._services.extract is None:
            raise NotFoundError("This installation takes no texts apart: send single claims to /verify.")
        return await self._services.extract(text, context)


async def _verified(
    extraction: Extraction,
    answered: Sequence[tuple[ScoredClaim, Question, Verdict | Rejected]],
    *,
    threshold: float,
    scheme: str | None,
    with_latency: bool,
) -> list[dict[str, Any]]:
    """Return the claims with their verifications, giving other requests a turn between them."""
    found: list[dict[str, Any]] = []
    for position, (item, question, outcome) in enumerate(answered):
        if position % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        answer = claim_answer(extraction, item, threshold)
        if isinstance(outcome, Rejected):
            reason = clean(outcome.reason)
            answer["verification"] = rejected_answer({"claim": item.words}, reason, "claim-rejected")
        else:
            answer["verification"] = verify_answer(
                outcome, question, scheme=scheme, with_latency=with_latency
            )
        found.append(answer)
    return found


def _threshold(asked: float | None) -> float:
    return checkworthiness.THRESHOLD if asked is None else asked
