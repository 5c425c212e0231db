"""Id and trace of the request at hand: set by the outermost middleware, read by logs and errors.

Context variables, so concurrent requests never see each other's values.
"""

from __future__ import annotations

from contextvars import ContextVar

#: Id of the request at hand; empty outside a request.
REQUEST_ID: ContextVar[str] = ContextVar("kite_request_id", default="")
#: W3C ``traceparent`` of the request at hand, when its sender gave a valid one.
TRACEPARENT: ContextVar[str] = ContextVar("kite_traceparent", default="")
