"""``/verdicts``: the history of a tenant's verdicts, each in full, as a ClaimReview, and replayed."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from data.errors import InvalidValueError, UnavailableError
from deployments.api.answers import verify_answer
from deployments.api.claim_review import CLAIM_REVIEW_TYPE, claim_review
from deployments.api.context import tenant_of
from deployments.api.knowledge_requests import is_known
from deployments.api.labels import scheme_named
from deployments.api.paging import Cursor, cursor_text, read_cursor, read_limit
from deployments.api.responses import encode, json_response
from deployments.replay import Replay, VerdictDesk
from deployments.services import Services

#: A position after every verdict.
_NEWEST = 2**62


class VerdictRoutes:
    """Answers about verdicts that were recorded. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def listing(self, request: Request) -> Response:
        """List your verdicts, newest first; ``X-Next-Cursor`` leads on to the older ones."""
        limit, cursor = read_limit(request.query_params), read_cursor(request.query_params)
        before = cursor.at if cursor else _NEWEST
        found = await self._desk().page(tenant_of(request), before_seq=before, limit=limit + 1)
        page = found[:limit]
        headers = {"X-Next-Cursor": cursor_text(Cursor(page[-1].seq, ""))} if len(found) > limit else None
        told = [msgspec.to_builtins(item) for item in page]
        return json_response(
            [{name: item[name] for name in item if name != "similarity"} for item in told], headers=headers
        )

    async def show(self, request: Request) -> Response:
        """Show a verdict as it was answered, or as a schema.org ClaimReview (``format=claimreview``)."""
        form = request.query_params.get("format", "verdict")
        if form not in ("verdict", "claimreview"):
            raise InvalidValueError("format is not known: use verdict or claimreview, or leave it out.")
        scheme = scheme_named(request.query_params.get("label_scheme"))
        kept = await self._desk().recorded(tenant_of(request), request.path_params["verdict_id"])
        headers = {"ETag": f'"{kept.sha256[:32]}"'}
        if is_known(request, headers):
            return Response(status_code=304, headers=headers)
        if form == "claimreview":
            review = claim_review(kept.verdict, decided_at=kept.decided_at, version=self._services.version)
            return Response(encode(review), headers=headers, media_type=CLAIM_REVIEW_TYPE)
        answer = verify_answer(kept.verdict, kept.question, scheme=scheme)
        recorded = {"seq": kept.seq, "decided_at": kept.decided_at}
        return json_response({**answer, "recorded": recorded}, headers=headers)

    async def replay(self, request: Request) -> Response:
        """Derive a verdict again from the knowledge of then, and say whether its bytes are the same."""
        verdict_id = request.path_params["verdict_id"]
        return json_response(_told(await self._desk().replay(tenant_of(request), verdict_id)))

    def _desk(self) -> VerdictDesk:
        if self._services.verdicts is None:
            raise UnavailableError("This installation records no verdicts.")
        return self._services.verdicts


def _told(replay: Replay) -> dict[str, Any]:
    derived = replay.derived
    recorded, present = replay.sha256
    return {
        "verdict_id": replay.recorded.id,
        "same": replay.reason is None,
        "reason": replay.reason,
        "knowledge_seq": replay.recorded.knowledge_seq,
        "model_bundle": {"recorded": replay.recorded.model_bundle, "present": replay.present_bundle},
        "sha256": {"recorded": recorded, "derived": present},
        "differences": list(replay.differences),
        "derived": None
        if derived is None
        else {
            "id": derived.id,
            "label": derived.label,
            "confidence": derived.confidence,
            "abstained": derived.abstained,
        },
    }
