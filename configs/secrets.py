"""Secrets in settings: read from private files, and never shown.

Called by ``configs.load`` (what ``kite config`` prints), the composition root and the log formatter. A secret
comes from the environment or a file; a command line is refused, for every user of the machine can read it.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

from configs.errors import ConfigError
from configs.queue_settings import StreamSettings
from configs.schema import CacheSettings, Settings

#: What stands where a secret was.
MASK = "***"
_URL_PASSWORD = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/?#:@]*:)[^\s/?#]+(?=@)", re.IGNORECASE)
#: Passwords that are told behind the question mark, as some addresses have them.
_QUERY_PASSWORD = re.compile(r"(?<=password=)[^\s&\"']+", re.IGNORECASE)
#: API keys, credentials of an ``Authorization`` header, and JSON Web Tokens wherever they stand.
_SHAPES = re.compile(
    r"\bkite_[0-9A-Za-z]{8,}_?[0-9A-Za-z]*"
    r"|(?<=\bBearer )[^\s\"',;]+|(?<=\bApiKey )[^\s\"',;]+|(?<=\bBasic )[A-Za-z0-9+/=_-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    re.IGNORECASE,
)

#: What a text that has any of these shapes contains, case folded: looked for first, being much cheaper.
_SIGNS = ("kite_", "bearer ", "apikey ", "basic ", "eyj", "://")


def masked(value: Any) -> Any:
    """Return settings as plain values without their secrets: the passwords of addresses."""
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return without_url_password(value) if isinstance(value, str) else value


def without_url_password(text: str) -> str:
    """Return a text with the password of every address in it masked."""
    if "://" not in text:
        return text
    return _QUERY_PASSWORD.sub(MASK, _URL_PASSWORD.sub(rf"\g<before>{MASK}", text))


def redacted(text: str) -> str:
    """Return a text, such as a log line, without anything that has the shape of a secret."""
    small = text.casefold()
    if not any(sign in small for sign in _SIGNS):
        return text
    return _SHAPES.sub(MASK, without_url_password(text))


def cache_url(cache: CacheSettings) -> str:
    """Return the address of the shared store.

    Raises:
        ConfigError: its file cannot be read.
    """
    return read_secret(Path(cache.url_file), "cache.url_file") if cache.url_file else str(cache.url)


def queue_url(settings: Settings) -> str | None:
    """Return the address of the Redis that keeps the queue, ``None`` where it is kept in a file.

    Raises:
        ConfigError: the address's file cannot be read.
    """
    queue = settings.queue
    if (queue.backend or ("redis" if settings.cache.backend == "redis" else "sqlite")) == "sqlite":
        return None
    if queue.url_file:
        return read_secret(Path(queue.url_file), "queue.url_file")
    return queue.url or cache_url(settings.cache)


def stream_url(stream: StreamSettings) -> str | None:
    """Return the address of the Redis with the streams, ``None`` where none are read.

    Raises:
        ConfigError: its file cannot be read.
    """
    return read_secret(Path(stream.url_file), "queue.stream.url_file") if stream.url_file else stream.url


def read_secret(path: Path, key: str) -> str:
    """Return the secret in a file, without the line end.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    try:
        secret = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{key}: {path} cannot be read ({exc}): mend its name or its rights") from exc
    if not secret:
        raise ConfigError(f"{key}: {path} is empty: write the secret into it")
    return secret


def exposure(path: Path) -> str | None:
    """Return what is wrong with a secret's file: away, or open to others; ``None`` if nothing is."""
    try:
        status = path.expanduser().stat()
    except OSError as exc:
        return f"{path} cannot be read ({exc.strerror})"
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"{path} is open to others (mode {stat.S_IMODE(status.st_mode):04o})"
    if status.st_uid not in (os.geteuid(), 0):
        return f"{path} belongs to another user (id {status.st_uid})"
    return None
