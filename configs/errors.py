"""The root of the error tree and the one error of settings; ``data.errors`` draws the whole tree."""

from __future__ import annotations


class KiteError(Exception):
    """Anything a caller may meet; its text is one sentence a person can act on."""


class ConfigError(KiteError):
    """A setting stops the start; the text is one line naming file, key and reason."""
