"""The ASGI application: the one place that lists routes and middleware, each in order.

Built by the ingress replica and by tests from a ``Services``. No Ray, no global state: two applications over
the same ``Services.store`` are two replicas.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from deployments.api.admin_endpoints import admin_endpoints
from deployments.api.dispatch import DispatchMiddleware, Route
from deployments.api.errors import problem
from deployments.api.guard import Guard
from deployments.api.job_endpoints import JOB_LOGS, job_endpoints, schedule_endpoints
from deployments.api.knowledge_endpoints import IDEMPOTENCY_KEY, knowledge_endpoints, verdict_endpoints
from deployments.api.labels import LABEL_SCHEME
from deployments.api.middleware.body_limit import BodyLimitMiddleware
from deployments.api.middleware.boundary import BoundaryMiddleware
from deployments.api.middleware.client_headers import ClientHeadersMiddleware
from deployments.api.middleware.cross_origin import CrossOriginMiddleware
from deployments.api.middleware.observe import ObserveMiddleware
from deployments.api.middleware.request_id import RequestIdMiddleware
from deployments.api.middleware.security_headers import SecurityHeadersMiddleware
from deployments.api.middleware.trace import TraceMiddleware
from deployments.api.openapi import Endpoint, build_document, json_paths
from deployments.api.reliability_plot import SVG_TYPE
from deployments.api.routes.calibration import CalibrationRoutes
from deployments.api.routes.health import METRICS_TYPE, HealthRoutes
from deployments.api.routes.pages import PageRoutes
from deployments.api.routes.rule_table import RuleTableRoutes
from deployments.api.routes.sessions import MAX_PAGE, SessionRoutes
from deployments.api.routes.texts import TextRoutes
from deployments.api.routes.verification import VerificationRoutes
from deployments.api.rules import JUDGE, OPERATE, PUBLIC, READ, SESSION, VERIFY, VERIFY_MANY, WATCH
from deployments.api.schemas import (
    CalibrationRequest,
    ExtractRequest,
    FeedbackRequest,
    ResetRequest,
    StepRequest,
    VerifyRequest,
    VerifyTextRequest,
)
from deployments.api.task_endpoints import task_endpoints
from deployments.api.text_wire import ExtractAnswer, VerifyTextAnswer
from deployments.api.vector_endpoints import LARGE_BODIES, vector_endpoints
from deployments.api.vector_transfer_endpoints import (
    FILES,
    IMPORT_BODIES,
    IMPORT_TASK,
    transfer_endpoints,
)
from deployments.api.wire import (
    CalibrationAnswer,
    FeedbackAnswer,
    HealthAnswer,
    MessageAnswer,
    ResetAnswer,
    RootAnswer,
    SessionAnswer,
    StatusAnswer,
    StepAnswer,
    VerifyAnswer,
)
from deployments.knowledge_import import TASK
from deployments.services import Services

#: Answers shorter than this are sent as they are: compressing them costs more than it saves.
GZIP_MIN_BYTES = 16 * 1024
#: zlib level: above 5 the time doubles for two or three per cent of size (JSON answers).
GZIP_LEVEL = 5
PREFIXES = ("", "/api/v1")

_MODE = {
    "name": "mode",
    "in": "query",
    "schema": {"type": "string", "enum": ["json", "human"], "default": "json"},
}
_LIMIT = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": MAX_PAGE},
}
_CURSOR = {
    "name": "cursor",
    "in": "query",
    "description": "X-Next-Cursor of the page before.",
    "schema": {"type": "string", "maxLength": 64},
}
_DOMAIN = {
    "name": "domain",
    "in": "query",
    "description": "Figures of claims whose context names this domain.",
    "schema": {"type": "string", "maxLength": 500},
}
_CLAIM = {"claim": "Water boils at 100 degrees Celsius at sea level."}
_TEXT = {
    "text": "Alice Brown said that output rose 3.5 percent in 2023. It fell in 2024. Will it rise again?",
}
_BAD_BODY = (400, 413, 415, 422)


class DirectRoute(APIRoute):
    """Hands the request straight to its handler, which reads the body itself: no dependency injection."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler as it is."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


def create_app(services: Services) -> FastAPI:
    """Return the application. Everything it needs comes with ``services``."""
    pages, rules = PageRoutes(services), RuleTableRoutes()
    endpoints = [
        *_claim_endpoints(services),
        *task_endpoints(services),
        *job_endpoints(services),
        *schedule_endpoints(services),
        *_session_endpoints(services),
        *_calibration_endpoints(services),
        *knowledge_endpoints(services),
        *verdict_endpoints(services),
        *vector_endpoints(services),
        *transfer_endpoints(services),
        *admin_endpoints(services, rules),
        *_service_endpoints(services, pages),
    ]
    rules.publish(endpoints)
    document = build_document(endpoints, services)
    pages.publish(json_paths(endpoints), document)
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, lifespan=_lifespan(services)
    )
    app.router.route_class = DirectRoute
    guard = Guard(services)
    routes = [
        Route(endpoint.method, (prefix + endpoint.path).rstrip("/") or "/", guard.around(endpoint))
        for endpoint in endpoints
        for prefix in PREFIXES
    ]
    for route in routes:
        app.router.add_api_route(route.path, route.handler, methods=[route.method], response_class=Response)
    app.add_middleware(DispatchMiddleware, routes=routes)
    for prefix in PREFIXES:
        app.mount(f"{prefix}/docs/assets", StaticFiles(directory=_swagger_files()))
    app.openapi = lambda: document  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, _answer_routing_error)
    _add_middleware(app, services)
    return app


def _lifespan(services: Services) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return what runs around the application: at its end, what still waits is written."""

    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        yield
        if services.access.close is not None:
            await services.access.close()

    return run


def _add_middleware(app: FastAPI, services: Services) -> None:
    """Add the middleware, innermost first: each one added runs outside those before it."""
    limits = services.limits
    advice = {
        "/knowledge/import": f"load the file with {TASK}",
        "/vectors/batch": "send fewer vectors at once",
        "/import": f"load the file with {IMPORT_TASK}",
    }
    app.add_middleware(
        BodyLimitMiddleware,
        limit_bytes=limits.body_bytes,
        advice=advice,
        larger={LARGE_BODIES: limits.vector_body_bytes, IMPORT_BODIES: limits.import_body_bytes},
    )
    app.add_middleware(
        BoundaryMiddleware,
        timeout_s=limits.request_timeout_s,
        longer={FILES: limits.file_timeout_s, JOB_LOGS: limits.log_follow_s + limits.file_timeout_s},
    )
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_MIN_BYTES, compresslevel=GZIP_LEVEL)
    app.add_middleware(ClientHeadersMiddleware)
    if services.transport.cors_origins:
        app.add_middleware(CrossOriginMiddleware, origins=services.transport.cors_origins)
    app.add_middleware(ObserveMiddleware, observe=services.observe)
    app.add_middleware(SecurityHeadersMiddleware, hsts=services.transport.tls)
    if services.tracer is not None and services.tracer.is_on:
        app.add_middleware(TraceMiddleware, tracer=services.tracer)
    app.add_middleware(RequestIdMiddleware)


def _claim_endpoints(services: Services) -> list[Endpoint]:
    claims, texts = VerificationRoutes(services), TextRoutes(services)
    problems = (*_BAD_BODY, 503)
    return [
        Endpoint(
            "POST", "/verify", claims.verify, "Verify a claim", VerifyRequest, VerifyAnswer,
            problems=problems, queries=(LABEL_SCHEME,), example=_CLAIM, access=VERIFY,
        ),
        Endpoint(
            "POST", "/batch/verify", claims.batch, "Verify many claims", list[VerifyRequest],
            list[VerifyAnswer], problems=problems, queries=(LABEL_SCHEME,), example=[_CLAIM],
            access=VERIFY_MANY,
        ),
        Endpoint(
            "POST", "/verify/text", texts.verify, "Verify the claims of a text", VerifyTextRequest,
            VerifyTextAnswer, problems=(*problems, 404), queries=(LABEL_SCHEME,),
            example={**_TEXT, "limit": 5}, access=VERIFY_MANY,
        ),
        Endpoint(
            "POST", "/claims/extract", texts.extract, "Find the claims of a text", ExtractRequest,
            ExtractAnswer, problems=(*problems, 404), example=_TEXT, access=VERIFY,
        ),
    ]  # fmt: skip


def _session_endpoints(services: Services) -> list[Endpoint]:
    sessions = SessionRoutes(services)
    missing = (404, 503)
    return [
        Endpoint(
            "POST", "/env/reset", sessions.reset, "Start a session", ResetRequest, ResetAnswer,
            problems=(*_BAD_BODY, 409, 429, 503), example={"config": {"max_steps": 10}, "seed": 7},
            access=SESSION,
        ),
        Endpoint(
            "POST", "/env/step", sessions.step, "Take a step", StepRequest, StepAnswer,
            problems=(*_BAD_BODY, 404, 409, 503), example={"session_id": "demo", **_CLAIM}, access=VERIFY,
        ),
        Endpoint(
            "GET", "/env/render/{session_id}", sessions.render, "Show a session", answer=dict[str, Any],
            problems=(400, *missing), queries=(_MODE,), access=READ,
        ),
        Endpoint(
            "GET", "/sessions", sessions.listing, "List sessions", answer=list[SessionAnswer],
            problems=(400, 503), queries=(_LIMIT, _CURSOR), access=READ,
        ),
        Endpoint(
            "DELETE", "/sessions/{session_id}", sessions.delete, "Delete a session", answer=MessageAnswer,
            problems=missing, access=SESSION,
        ),
    ]  # fmt: skip


def _calibration_endpoints(services: Services) -> list[Endpoint]:
    calibration = CalibrationRoutes(services)
    narrowed = (_framework_query(services), _DOMAIN)
    return [
        Endpoint(
            "POST", "/verdicts/{verdict_id}/feedback", calibration.feedback, "Say what a verdict should be",
            FeedbackRequest, FeedbackAnswer, problems=(*_BAD_BODY, 404, 409, 503),
            queries=(IDEMPOTENCY_KEY,), example={"label": "REFUTED", "note": "The figure is of 2019."},
            access=JUDGE,
        ),
        Endpoint(
            "GET", "/calibration", calibration.report, "How far probabilities can be believed",
            answer=CalibrationAnswer, problems=(400, 503), queries=narrowed, access=READ,
        ),
        Endpoint(
            "POST", "/calibration", calibration.decide, "Choose a calibration", CalibrationRequest,
            CalibrationAnswer, problems=(*_BAD_BODY, 409, 503), queries=(IDEMPOTENCY_KEY,),
            example={"mode": "off"}, access=OPERATE,
        ),
        Endpoint(
            "GET", "/calibration/plot.svg", calibration.plot, "The reliability plot", media_type=SVG_TYPE,
            problems=(400, 503), queries=narrowed, access=READ,
        ),
    ]  # fmt: skip


def _framework_query(services: Services) -> dict[str, Any]:
    return {
        "name": "framework",
        "in": "query",
        "description": "Figures of this framework's own probabilities; those that give none have no samples.",
        "schema": {"type": "string", "enum": list(services.frameworks)},
    }


def _service_endpoints(services: Services, pages: PageRoutes) -> list[Endpoint]:
    health, away = HealthRoutes(services), (503,)
    return [
        Endpoint("GET", "/", pages.root, "Name, version, links", answer=RootAnswer, access=PUBLIC),
        Endpoint(
            "GET", "/health", health.health, "Health of every part", answer=HealthAnswer, problems=away,
            access=PUBLIC,
        ),
        Endpoint("GET", "/health/live", health.live, "Liveness", answer=StatusAnswer, access=PUBLIC),
        Endpoint(
            "GET", "/health/ready", health.ready, "Readiness", answer=StatusAnswer, problems=away,
            access=PUBLIC,
        ),
        Endpoint(
            "GET", "/metrics", health.metrics, "Prometheus metrics", media_type=METRICS_TYPE, access=WATCH
        ),
        Endpoint("GET", "/docs", pages.docs, "Swagger UI", media_type="text/html", access=PUBLIC),
        Endpoint("GET", "/docs/start.js", pages.docs_start, "Its start", in_schema=False, access=PUBLIC),
        Endpoint(
            "GET", "/openapi.json", pages.openapi, "This document", answer=dict[str, Any], access=PUBLIC
        ),
    ]  # fmt: skip


def _swagger_files() -> Path:
    """Return the folder of Swagger UI's files, which come with the ``swagger-ui-bundle`` package."""
    import swagger_ui_bundle

    return Path(swagger_ui_bundle.swagger_ui_path)


async def _answer_routing_error(request: Request, exc: Exception) -> Response:
    if isinstance(exc, HTTPException) and exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        exc = HTTPException(exc.status_code, headers={"Allow": _methods_of(request)})
    return problem(exc)


def _methods_of(request: Request) -> str:
    """Return the methods of a request's path; one with fewer parameters goes before those with more."""
    routes = [route for route in request.app.router.routes if isinstance(route, APIRoute)]
    here = [route for route in routes if route.path_regex.match(request.scope["path"])]
    least = min(len(route.param_convertors) for route in here)
    named = {
        method for route in here if len(route.param_convertors) == least for method in route.methods or ()
    }
    return ", ".join(sorted(named))
