"""Log lines are JSON, and mask what has the shape of a secret."""

from __future__ import annotations

import io
import json
import logging

from deployments.api.logs import configure_logging

KEY = "kite_0123456789ab_" + "Z" * 36


def test_secret_in_a_record_is_masked_wherever_it_stands() -> None:
    """In the message, its arguments and fields; the line stays JSON."""
    stream = io.StringIO()
    logger = logging.getLogger("kite")
    before = logger.handlers, logger.level, logger.propagate
    try:
        configure_logging("INFO", logging.StreamHandler(stream))
        logging.getLogger("kite.test").info(
            "sent %s to redis://:hunter2@cache/0", KEY, extra={"fields": {"header": f"ApiKey {KEY}"}}
        )
    finally:
        logger.handlers, logger.level, logger.propagate = before
    line = json.loads(stream.getvalue())

    assert line["message"] == "sent *** to redis://:***@cache/0"
    assert line["header"] == "ApiKey ***"
    assert KEY not in stream.getvalue()
