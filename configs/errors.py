"""The root of the error tree and the one error of settings; ``data.errors`` draws the whole tree."""

from __future__ import annotations


class KiteError(Exception):
    """Anything a caller may meet; its text is one sentence a person can act on.

    ``request_id`` is that of the request it was answered to, where a service told it to a client.
    """

    request_id: str | None = None


class ConfigError(KiteError):
    """A setting stops the start; the text is one line naming file, key and reason."""
