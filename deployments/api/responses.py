"""JSON responses. One place that encodes, so every answer has the same key order and number format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

_ENCODER = msgspec.json.Encoder()
JSON_TYPE = "application/json"


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``value`` as JSON."""
    return Response(_ENCODER.encode(value), status, headers=headers, media_type=JSON_TYPE)


def json_array_response(items: list[bytes], *, headers: Mapping[str, str] | None = None) -> Response:
    """Return items that are JSON already as one JSON array."""
    return Response(b"[" + b",".join(items) + b"]", headers=headers, media_type=JSON_TYPE)


def encode(value: Any) -> bytes:
    """Return ``value`` as JSON bytes."""
    return _ENCODER.encode(value)
