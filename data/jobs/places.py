"""Which files a job may touch: those below the places that the settings name. Pure but for resolving links.

Called before a job is written down. Invariant: what is returned lies below a place that the tenant may use,
whatever links, dots or patterns the path was written with.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from data.claims import TenantId
from data.errors import ForbiddenError, InvalidValueError

#: Longest path or address.
MAX_CHARS = 1_024
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://([A-Za-z0-9._-]+)(/[^?#@]*)?", re.ASCII)
_PATTERN = re.compile(r"[*?\[]")


class Places:
    """The places of one installation; ``{home}`` and ``{tenant}`` in them are filled in here."""

    def __init__(self, folders: Sequence[str], home: Path) -> None:
        self._folders = tuple(folders)
        self._home = home

    def of(self, tenant: TenantId) -> list[str]:
        """Return a tenant's places."""
        home = str(self._home.resolve())
        return [folder.replace("{home}", home).replace("{tenant}", tenant) for folder in self._folders]

    def allowed(self, text: str, tenant: TenantId) -> str:
        """Return a path or an address as the task will be given it; a relative one is of the first place.

        Raises:
            InvalidValueError: it is no path and no address. ForbiddenError: it lies elsewhere.
        """
        if not text or len(text) > MAX_CHARS or not text.isprintable():
            raise InvalidValueError(f"A path has 1 to {MAX_CHARS} printable characters: give another.")
        places = self.of(tenant)
        found = _address(text, places) if "://" in text else _path(text, places)
        if found is None:
            raise ForbiddenError(
                f"{text[:200]!r} lies in no place that jobs of {tenant} may use: see jobs.folders in the "
                "settings, or give a path relative to the first of them."
            )
        return found


def resolved(text: str) -> str:
    """Return a path from here on as a whole one; an address as it is."""
    return text if "://" in text else str(Path(text).expanduser().absolute())


def _address(text: str, places: Sequence[str]) -> str | None:
    matched = _ADDRESS.fullmatch(text)
    if matched is None or "/../" in f"{text}/" or "/./" in f"{text}/":
        raise InvalidValueError(f"{text[:200]!r} is no address such as s3://bucket/folder/file.")
    clean = f"{matched[1]}://{matched[2]}{posixpath.normpath(matched[3] or '/')}"
    below = [place.rstrip("/") for place in places if "://" in place]
    return clean if any(clean == place or clean.startswith(f"{place}/") for place in below) else None


def _path(text: str, places: Sequence[str]) -> str | None:
    local = [Path(place) for place in places if "://" not in place]
    if not local:
        return None
    path = local[0] / text
    fixed, rest = _fixed(path)
    if ".." in rest:
        raise InvalidValueError(f"{text[:200]!r} has '..' after a pattern: write it without.")
    resolved = fixed.resolve().joinpath(*rest)
    inside = any(resolved.is_relative_to(place.resolve()) for place in local)
    return str(resolved) if inside else None


def _fixed(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the part of a path before the first pattern, and the parts from there on."""
    parts = path.parts
    first = next((number for number, part in enumerate(parts) if _PATTERN.search(part)), len(parts))
    return Path(*parts[:first]), parts[first:]
