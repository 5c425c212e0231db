"""The rows of the route table for administration: who am I, keys, tenants, the audit, limits.

Called by ``api.asgi``.
"""

from __future__ import annotations

from typing import Any

from deployments.api.admin_schemas import (
    AuditAnswer,
    AuditCheckAnswer,
    ErasedAnswer,
    FrameworkRequest,
    KeyAnswer,
    KeyRequest,
    RateLimitsAnswer,
    RotateRequest,
    RouteAnswer,
    SwitchAnswer,
    TenantAnswer,
    TenantChangeRequest,
    TenantRequest,
    TokenAnswer,
    UsageAnswer,
    WhoAnswer,
)
from deployments.api.knowledge_endpoints import IDEMPOTENCY_KEY
from deployments.api.openapi import Endpoint
from deployments.api.routes.admin import AdminRoutes
from deployments.api.routes.audit import MAX_FILTER, NDJSON_TYPE, RESULTS, AuditRoutes
from deployments.api.routes.frameworks import FrameworkRoutes
from deployments.api.routes.limits import LimitRoutes
from deployments.api.routes.rule_table import RuleTableRoutes
from deployments.api.routes.tokens import FORM_TYPE, TokenRoutes
from deployments.api.rules import ADMINISTER, CLIENT, INSPECT, INSTALL, OVERSEE, READ
from deployments.services import Services

_BAD_BODY = (400, 413, 415, 422)
_LINE = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}


def _text(name: str, description: str, **more: Any) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": MAX_FILTER, **more}
    return {"name": name, "in": "query", "description": description, "schema": schema}


_NARROWED = (
    _text("subject", "Lines of this subject, as key:ID."),
    _text("action", "Lines whose action begins so, as POST /knowledge."),
    _text("result", "How it ended.", enum=list(RESULTS)),
    _text("request_id", "Lines of this request."),
    _text("since", "Lines from this ISO 8601 instant on.", format="date-time"),
    _text("until", "Lines up to this ISO 8601 instant.", format="date-time"),
)
_OLDER: tuple[dict[str, Any], ...] = (
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1_000}},
    {"name": "cursor", "in": "query", "description": "X-Next-Cursor of the page before.", "schema": _LINE},
)
_AFTER = {"name": "after", "in": "query", "description": "Lines after this seq.", "schema": _LINE}
_KEY = {"name": "ci", "roles": ["verifier"], "expires_at": "2027-12-31T00:00:00Z"}
_TENANT = {"id": "newsroom", "name": "The newsroom", "quotas": {"documents": 100_000}}


def admin_endpoints(services: Services, rules: RuleTableRoutes) -> list[Endpoint]:
    """Return the rows for administration."""
    return [
        Endpoint(
            "GET", "/admin/routes", rules.listing, "Who may do what", answer=list[RouteAnswer], access=READ,
        ),
        Endpoint(
            "POST", "/oauth/token", TokenRoutes(services).token, "Get an access token", answer=TokenAnswer,
            problems=(400, 401, 403, 413, 415, 429, 503), body_types=(FORM_TYPE,), access=CLIENT,
        ),
        *_key_endpoints(services),
        *_tenant_endpoints(services),
        *_audit_endpoints(services),
        *_limit_endpoints(services),
        *_framework_endpoints(services),
    ]  # fmt: skip


def _key_endpoints(services: Services) -> list[Endpoint]:
    admin, one = AdminRoutes(services), "/admin/keys/{key_id}"
    return [
        Endpoint("GET", "/admin/me", admin.who, "Who you are", answer=WhoAnswer, access=READ),
        Endpoint(
            "GET", "/admin/config", admin.settings, "The settings in force", answer=dict[str, Any],
            access=INSPECT,
        ),
        Endpoint(
            "POST", "/admin/keys", admin.create_key, "Make a key", KeyRequest, KeyAnswer,
            problems=(*_BAD_BODY, 404, 409, 503), queries=(IDEMPOTENCY_KEY,), example=_KEY, status=201,
            access=ADMINISTER,
        ),
        Endpoint(
            "GET", "/admin/keys", admin.keys, "List keys", answer=list[KeyAnswer], problems=(503,),
            access=OVERSEE,
        ),
        Endpoint("GET", one, admin.key, "Show a key", answer=KeyAnswer, problems=(404, 503), access=OVERSEE),
        Endpoint(
            "POST", f"{one}/rotate", admin.rotate_key, "Replace a key", RotateRequest, KeyAnswer,
            problems=(*_BAD_BODY, 404, 409, 503), queries=(IDEMPOTENCY_KEY,), example={"overlap_s": 3600},
            status=201, access=ADMINISTER,
        ),
        Endpoint(
            "DELETE", one, admin.revoke_key, "Revoke a key", answer=KeyAnswer, problems=(404, 409, 503),
            access=ADMINISTER,
        ),
    ]  # fmt: skip


def _framework_endpoints(services: Services) -> list[Endpoint]:
    frameworks, one = FrameworkRoutes(services), "/admin/frameworks/{name}"
    return [
        Endpoint(
            "GET", "/admin/frameworks", frameworks.listing, "List frameworks", answer=list[SwitchAnswer],
            problems=(503,), access=INSPECT,
        ),
        Endpoint(
            "GET", one, frameworks.show, "Show a framework", answer=SwitchAnswer, problems=(404, 503),
            access=INSPECT,
        ),
        Endpoint(
            "POST", one, frameworks.change, "Switch or weigh a framework", FrameworkRequest, SwitchAnswer,
            problems=(*_BAD_BODY, 404, 409, 503), example={"enabled": False}, access=INSTALL,
        ),
        Endpoint(
            "DELETE", one, frameworks.forget, "Let the settings count", answer=SwitchAnswer,
            problems=(404, 409, 503), access=INSTALL,
        ),
    ]  # fmt: skip


def _tenant_endpoints(services: Services) -> list[Endpoint]:
    admin, one = AdminRoutes(services), "/admin/tenants/{tenant_id}"
    return [
        Endpoint(
            "POST", "/admin/tenants", admin.create_tenant, "Make a tenant", TenantRequest, TenantAnswer,
            problems=(*_BAD_BODY, 409, 503), queries=(IDEMPOTENCY_KEY,), example=_TENANT, status=201,
            access=INSTALL,
        ),
        Endpoint(
            "GET", "/admin/tenants", admin.tenants, "List tenants", answer=list[TenantAnswer],
            problems=(503,), access=INSPECT,
        ),
        Endpoint(
            "GET", one, admin.tenant, "Show a tenant", answer=TenantAnswer, problems=(404, 503),
            access=INSPECT,
        ),
        Endpoint(
            "PUT", one, admin.change_tenant, "Change a tenant", TenantChangeRequest, TenantAnswer,
            problems=(*_BAD_BODY, 404, 409, 503), example={"state": "suspended"}, access=INSTALL,
        ),
        Endpoint(
            "DELETE", one, admin.erase_tenant, "Erase a tenant", answer=ErasedAnswer,
            problems=(400, 404, 409, 503), queries=(_text("confirm", "The tenant's id, once more."),),
            access=INSTALL,
        ),
    ]  # fmt: skip


def _audit_endpoints(services: Services) -> list[Endpoint]:
    audit = AuditRoutes(services)
    return [
        Endpoint(
            "GET", "/admin/audit", audit.listing, "Read the audit", answer=list[AuditAnswer],
            problems=(400, 503), queries=(*_NARROWED, *_OLDER), access=OVERSEE,
        ),
        Endpoint(
            "GET", "/admin/audit/export", audit.export, "Take the audit away", media_type=NDJSON_TYPE,
            problems=(400, 503), queries=(*_NARROWED, _AFTER), access=OVERSEE,
        ),
        Endpoint(
            "GET", "/admin/audit/check", audit.check, "Check the audit's chain", answer=AuditCheckAnswer,
            problems=(503,), access=INSPECT,
        ),
    ]  # fmt: skip


def _limit_endpoints(services: Services) -> list[Endpoint]:
    limits = LimitRoutes(services)
    return [
        Endpoint(
            "GET", "/rate-limits", limits.policy, "Your limits", answer=RateLimitsAnswer, problems=(503,),
            access=READ,
        ),
        Endpoint(
            "GET", "/rate-limits/usage", limits.usage, "What you have spent", answer=UsageAnswer,
            problems=(503,), access=READ,
        ),
    ]  # fmt: skip
