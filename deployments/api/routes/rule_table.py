"""``GET /admin/routes``: every route and what it asks of its caller, from the route table itself.

The same rows make the table in ``docs/security.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from deployments.api.openapi import Endpoint
from deployments.api.responses import json_response


class RuleTableRoutes:
    """Shows the rules. Built before the table is complete, which :meth:`publish` then brings."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def publish(self, endpoints: Iterable[Endpoint]) -> None:
        """Take the complete route table; called once."""
        self._rows = [rule_of(endpoint) for endpoint in endpoints if endpoint.in_schema]

    async def listing(self, request: Request) -> Response:
        """List every route with the least role that may call it; null: anybody."""
        del request
        return json_response(self._rows)


def rule_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return what a route asks, as it is shown."""
    rule = endpoint.access
    return {
        "method": endpoint.method,
        "path": endpoint.shown_path,
        "role": rule.role,
        "operation": rule.operation,
        "installation": rule.installation,
        "audited": rule.audited,
    }


def markdown_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rules, as they are shown, as a Markdown table."""
    lines = ["| call | least role | counts as | audited |", "|---|---|---|---|"]
    for row in rows:
        role = "anybody" if row["role"] is None else str(row["role"])
        whose = " of the installation" if row["installation"] else ""
        audited = "yes" if row["audited"] else ""
        lines.append(f"| `{row['method']} {row['path']}` | {role}{whose} | {row['operation']} | {audited} |")
    return "\n".join(lines) + "\n"
