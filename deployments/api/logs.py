"""Log records as one JSON object a line; the serving process calls :func:`configure_logging` once.

Records carry the request id and trace of the request at hand. No claim text is logged above DEBUG: callers
pass counts, names and durations in ``extra={"fields": {...}}``, and exceptions are shown by type and place,
without their message. Whatever has the shape of a secret is masked, whoever logged it.
"""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from typing import Any

import msgspec

from configs.secrets import redacted
from deployments.api.context import REQUEST_ID, TRACEPARENT


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON line, keys in a fixed order."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in (("request_id", REQUEST_ID.get()), ("traceparent", TRACEPARENT.get())):
            if value:
                line[name] = value
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = describe_exception(record.exc_info[1])
        return redacted(msgspec.json.encode(line, enc_hook=str).decode())


def describe_exception(exc: BaseException | None) -> dict[str, Any]:
    """Return type and places of an exception, without its message: that may quote the text of a claim."""
    if exc is None:
        return {}
    places = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(exc.__traceback__)]
    return {"type": type(exc).__name__, "at": places}


def configure_logging(level: str, handler: logging.Handler) -> None:
    """Send the records of the ``kite`` loggers to ``handler`` as JSON lines."""
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("kite")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False
