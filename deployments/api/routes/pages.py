"""``GET /``, ``/docs`` and ``/openapi.json``. Pages load nothing from any other host."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from deployments.api.responses import JSON_TYPE, encode, json_response
from deployments.services import Services

_ROOT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_DOCS_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
)

_ROOT_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Brahminy Kite</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#222}}
h1{{color:#8a3b12}}
code,pre{{background:#f4efe9;padding:.1rem .3rem;border-radius:4px}}pre{{padding:1rem;overflow:auto}}
</style></head><body>
<h1>Brahminy Kite <small>{version}</small></h1>
<p>A claim goes in; out comes a verdict with the evidence it rests on, read through {count} frameworks:
{frameworks}.</p>
<pre>curl -s localhost:8000/verify -H 'Content-Type: application/json' \\
  -d '{{"claim": "Water boils at 100 degrees Celsius at sea level."}}'</pre>
<ul>{links}</ul>
<p>Calls: {endpoints}</p>
</body></html>
"""

_DOCS_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Brahminy Kite: API</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<link rel="icon" href="docs/assets/favicon-32x32.png">
</head><body><div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body></html>
"""

_DOCS_START = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout"
});
"""


class PageRoutes:
    """Serves the front page and the documentation; all of it is built once, by :meth:`publish`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._links = {"docs": "/docs", "openapi": "/openapi.json", "health": "/health", **services.links}
        self._root: dict[str, Any] = {}
        self._page = ""
        self._document = b""

    def publish(self, paths: Sequence[str], document: Mapping[str, Any]) -> None:
        """Take the route table's paths and its OpenAPI document; called once, when the table is complete."""
        version, frameworks = self._services.version, self._services.frameworks
        self._root = {
            "name": "Brahminy Kite",
            "version": version,
            "endpoints": list(paths),
            "links": self._links,
        }
        self._page = _ROOT_PAGE.format(
            version=html.escape(version),
            count=len(frameworks),
            frameworks=html.escape(", ".join(frameworks)),
            links="".join(
                f'<li><a href="{html.escape(target)}">{html.escape(name)}</a></li>'
                for name, target in self._links.items()
            ),
            endpoints=", ".join(f"<code>{html.escape(path)}</code>" for path in paths),
        )
        self._document = encode(document)

    async def root(self, request: Request) -> Response:
        """Name the service: JSON, or a page for a browser."""
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(
                self._page, headers={"Vary": "Accept", "Content-Security-Policy": _ROOT_POLICY}
            )
        return json_response(self._root, headers={"Vary": "Accept"})

    async def docs(self, _request: Request) -> Response:
        """Show Swagger UI, from the files installed with the service."""
        return HTMLResponse(_DOCS_PAGE, headers={"Content-Security-Policy": _DOCS_POLICY})

    async def docs_start(self, _request: Request) -> Response:
        """Return the script that starts Swagger UI."""
        return Response(_DOCS_START, media_type="text/javascript")

    async def openapi(self, _request: Request) -> Response:
        """Return the OpenAPI document."""
        return Response(self._document, media_type=JSON_TYPE)
