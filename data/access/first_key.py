"""The administrator's key that an installation makes at its first start.

Called by ``kite up`` and ``kite run`` where credentials are asked for. Invariant: it is made once in the life
of a ledger; whoever revokes it is not given another.
"""

from __future__ import annotations

from pathlib import Path

from data.access.desk import AccessDesk, KeyWish
from data.access.keys import new_text, parse
from data.access.roles import Role
from data.access.secrets import FOLDER, made_once
from data.errors import ConfigError, ConflictError, CredentialError

#: Name of the file with the key's text, in the home's folder of secrets.
FILE = "admin_key"
NAME = "first administrator"


def key_file(home: Path) -> Path:
    """Return where an installation's first key lies."""
    return home / FOLDER / FILE


def ensure_first_key(home: Path, desk: AccessDesk) -> str | None:
    """Make a key of the installation if there never was one; return its text, ``None`` where there was.

    The text is written to a file of mode 0600 first, so that a start that is cut off gives the same key.

    Raises:
        ConfigError: the file holds something else, or cannot be made.
    """
    known = desk.keys()
    if any(record.tenant is None for record in known):
        return None
    path = key_file(home)
    text = made_once(path, new_text())
    try:
        parse(text)
    except CredentialError as exc:
        raise ConfigError(f"{path} holds no key: move it away, and start again.") from exc
    try:
        desk.create_key(KeyWish(NAME, None, (Role.ADMIN,)), actor="kite", text=text)
    except ConflictError:  # another start came first
        return None
    return text
