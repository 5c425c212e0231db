"""Log lines are JSON, and mask what has the shape of a secret."""

from __future__ import annotations

import io
import json
import logging

from configs.schema import LogSettings
from deployments.api.context import REQUEST_ID
from deployments.api.logs import configure_logging

KEY = "kite_0123456789ab_" + "Z" * 36


def written(settings: LogSettings, message: str, *values: object, **fields: object) -> str:
    """What one record leaves in the log."""
    stream = io.StringIO()
    logger = logging.getLogger("kite")
    before = logger.handlers, logger.level, logger.propagate
    try:
        configure_logging(settings, logging.StreamHandler(stream))
        logging.getLogger("kite.test").info(message, *values, extra={"fields": fields})
    finally:
        logger.handlers, logger.level, logger.propagate = before
    return stream.getvalue()


def test_secret_in_a_record_is_masked_wherever_it_stands() -> None:
    """In the message, its arguments and fields; the line stays JSON."""
    text = written(LogSettings(), "sent %s to redis://:hunter2@cache/0", KEY, header=f"ApiKey {KEY}")
    line = json.loads(text)

    assert line["message"] == "sent *** to redis://:***@cache/0"
    assert line["header"] == "ApiKey ***"
    assert KEY not in text


def test_text_is_one_line_for_people_with_the_same_facts() -> None:
    """Level, message, request and fields; values that could be taken for two stand in quotes."""
    token = REQUEST_ID.set("r-7")
    try:
        text = written(
            LogSettings(format="text"),
            "a\nforged line",
            ms=3.5,
            route="/verify",
            note='two "words"',
            key=KEY,
        )
    finally:
        REQUEST_ID.reset(token)
    at, _, rest = text.partition(" ")

    assert at.endswith("+00:00")
    assert rest == (
        'INFO    kite.test a forged line request_id=r-7 ms=3.5 route=/verify note="two \\"words\\"" key=***\n'
    )


def test_record_below_the_level_is_not_written() -> None:
    """Errors only."""
    assert written(LogSettings(level="ERROR"), "hello") == ""
