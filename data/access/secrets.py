"""The two secrets of an installation: what its own tokens are signed with, and the pepper of its keys.

Called by the composition root and ``kite keys``. Given by the environment or a file in production; else made
once under the home. Invariant: neither is ever in the ledger, a backup or a log. Without the pepper no key of
before is known any more, so whoever restores a home on another machine brings ``secrets/`` along.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data.errors import ConfigError

#: Environment variables that hold a secret; with ``_FILE`` behind it, one that names the file.
SECRET_VARIABLE, PEPPER_VARIABLE = "KITE_SECRET", "KITE_PEPPER"
#: Folder of the home where they are made.
FOLDER = "secrets"
#: Fewest characters of a secret that is given: 32 characters of hex are 128 bits.
MIN_CHARS = 32


@dataclass(frozen=True, slots=True, repr=False)
class AccessSecrets:
    """``pepper`` is the key under which API keys are hashed, ``token_key`` signs access tokens; 32 bytes."""

    pepper: bytes
    token_key: bytes

    def __repr__(self) -> str:
        """Show nothing."""
        return "AccessSecrets(***)"


def access_secrets(home: Path, environ: Mapping[str, str] | None = None) -> AccessSecrets:
    """Return the secrets of an installation; makes those that are not given, once, mode 0600.

    Raises:
        ConfigError: one is too short, or its file cannot be read or made.
    """
    env = os.environ if environ is None else environ
    secret = _given(env, SECRET_VARIABLE) or made_once(home / FOLDER / "access_secret")
    pepper = _given(env, PEPPER_VARIABLE) or made_once(home / FOLDER / "key_pepper")
    return AccessSecrets(derived(pepper, b"kite api keys"), derived(secret, b"kite access tokens"))


def derived(secret: str, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose out of a secret (HKDF-SHA256, RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())


def made_once(path: Path, content: str | None = None) -> str:
    """Return the content of a file that only its owner reads; one that is not there is made.

    ``content`` is what a new file gets (random where ``None``). Of several processes that make it at once,
    one wins and all return what it wrote.

    Raises:
        ConfigError: it cannot be read or made.
    """
    try:
        if not path.exists():
            _make(path, content or secrets.token_hex(32))
        return _checked(path.read_text(encoding="ascii"), str(path))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read or made ({exc}): mend it, or restore it.") from exc


def _make(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _given(env: Mapping[str, str], name: str) -> str | None:
    if env.get(name):
        return _checked(env[name], name)
    if not env.get(f"{name}_FILE"):
        return None
    path = Path(env[f"{name}_FILE"])
    try:
        return _checked(path.read_text(encoding="utf-8"), f"{name}_FILE")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{name}_FILE: {path} cannot be read: {exc}") from exc


def _checked(secret: str, where: str) -> str:
    text = secret.strip()
    if len(text) < MIN_CHARS:
        raise ConfigError(f"{where}: a secret has at least {MIN_CHARS} characters; make a longer one.")
    return text
