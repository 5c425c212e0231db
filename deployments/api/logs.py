"""Log records as lines, JSON or text; the serving process calls :func:`configure_logging` once.

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

from configs.schema import LogSettings
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
            **_details(record),
        }
        return redacted(msgspec.json.encode(line, enc_hook=str).decode())


class TextFormatter(logging.Formatter):
    """Writes a record as one line for people: moment, level, message, then ``name=value`` pairs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; a value with blanks or control characters stands in quotes."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        pairs = [f"{name}={_shown(value)}" for name, value in _details(record).items()]
        message = " ".join(record.getMessage().split())
        return redacted(" ".join([at, f"{record.levelname:<7}", record.name, message, *pairs]))


def _details(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record carries besides its message."""
    found: dict[str, Any] = {}
    for name in ("request_id", "traceparent"):
        if value := getattr(record, name, ""):
            found[name] = value
    found.update(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[0] is not None:
        found["exception"] = describe_exception(record.exc_info[1])
    return found


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    plain = text.isprintable() and text and not set(text) & set(' "=')
    return text if plain else msgspec.json.encode(text).decode()


def describe_exception(exc: BaseException | None) -> dict[str, Any]:
    """Return type and places of an exception, without its message: that may quote the text of a claim."""
    if exc is None:
        return {}
    places = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(exc.__traceback__)]
    return {"type": type(exc).__name__, "at": places}


def _with_ids(record: logging.LogRecord) -> bool:
    """Give a record the ids of the request at hand: its line may be made when that is over."""
    record.request_id, record.traceparent = REQUEST_ID.get(), TRACEPARENT.get()
    return True


def configure_logging(settings: LogSettings, handler: logging.Handler) -> None:
    """Send the records of the ``kite`` loggers to ``handler``, as the settings say."""
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    handler.filters = [_with_ids]
    logger = logging.getLogger("kite")
    logger.handlers = [handler]
    logger.setLevel(settings.level)
    logger.propagate = False
