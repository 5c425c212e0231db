"""``/calibration`` and feedback on verdicts: read, ask the desk, answer."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from data.changes import Feedback
from data.errors import InvalidValueError, UnavailableError
from data.feedback import CalibrationMode
from deployments.api.context import tenant_of
from deployments.api.knowledge_requests import given_key
from deployments.api.reading import fit, json_body
from deployments.api.reliability_plot import SVG_POLICY, SVG_TYPE, reliability_svg
from deployments.api.responses import json_response
from deployments.api.schemas import CalibrationRequest, FeedbackRequest
from deployments.calibration import CalibrationDesk
from deployments.services import Services

_MAX_DOMAIN_CHARS = 500


class CalibrationRoutes:
    """Answers about calibration. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def report(self, request: Request) -> Response:
        """Say how far the probabilities can be believed: JSON, or the plot for ``Accept: image/svg+xml``."""
        report = await self._report(request)
        if SVG_TYPE in request.headers.get("accept", ""):
            return _plot(report)
        return json_response(report, headers={"Vary": "Accept"})

    async def plot(self, request: Request) -> Response:
        """Draw confidence against the share that was right, as SVG."""
        return _plot(await self._report(request))

    async def decide(self, request: Request) -> Response:
        """Choose the calibration of your answers: the newest, none of your own, or that of a position."""
        asked = fit(CalibrationRequest, await json_body(request))
        if (asked.mode == "pinned") != (asked.seq is not None):
            raise InvalidValueError("seq goes with the mode pinned, and only with it: name a position.")
        decision = CalibrationMode(asked.mode, asked.seq or 0)
        return json_response(
            await self._desk().decide(tenant_of(request), decision, idempotency_key=given_key(request))
        )

    async def feedback(self, request: Request) -> Response:
        """Take in what a person says of a verdict; the latest word on a claim counts."""
        asked = fit(FeedbackRequest, await json_body(request))
        said = Feedback(request.path_params["verdict_id"], asked.label, asked.note or "")
        answer = await self._desk().give_feedback(
            tenant_of(request), said, idempotency_key=given_key(request)
        )
        return json_response(answer)

    async def _report(self, request: Request) -> dict[str, Any]:
        framework = request.query_params.get("framework")
        domain = request.query_params.get("domain") or None
        if framework is not None and framework not in self._services.frameworks:
            known = ", ".join(self._services.frameworks)
            raise InvalidValueError(f"framework is not known: use one of {known}, or leave it out.")
        if domain is not None and len(domain) > _MAX_DOMAIN_CHARS:
            raise InvalidValueError(f"domain has more than {_MAX_DOMAIN_CHARS} characters: shorten it.")
        return await self._desk().report(tenant_of(request), framework, domain)

    def _desk(self) -> CalibrationDesk:
        if self._services.calibration is None:
            raise UnavailableError("This installation keeps no calibration.")
        return self._services.calibration


def _plot(report: dict[str, Any]) -> Response:
    headers = {"Vary": "Accept", "Content-Security-Policy": SVG_POLICY}
    return Response(reliability_svg(report), media_type=SVG_TYPE, headers=headers)
