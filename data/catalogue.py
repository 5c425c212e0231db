"""Knowledge as it is listed, read one by one and replaced under a condition: what the knowledge API asks.

Answered by the views, carried by ``data.lookup`` and its remote twin. Invariant: a tag depends on the thing
alone, so the same content has the same tag on every node and after every restart.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from data.claims import TenantId

#: What can be asked for. ``passage`` lists the passages of the document that ``id`` names.
CatalogueKind = Literal["document", "passage", "fact", "source", "pattern", "graph"]


@dataclass(frozen=True, slots=True)
class CatalogueQuery:
    """Asks for one thing (``id``) or a page of things sorted by id, as of a position (``None``: now).

    ``after`` is the last id of the page before. ``subject`` and ``predicate`` narrow facts. ``own`` leaves
    out what is shared with every tenant.
    """

    kind: CatalogueKind
    tenant: TenantId
    id: str | None = None
    after: str = ""
    limit: int = 100
    as_of: int | None = None
    subject: str | None = None
    predicate: str | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One thing: its id, its JSON (a graph alone: N-Triples), and whether it is everybody's."""

    id: str
    body: bytes
    shared: bool

    @property
    def tag(self) -> str:
        """What names this content of this thing: 32 hex digits."""
        return hashlib.sha256(self.id.encode("utf-8", "replace") + b"\0" + self.body).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold for a write: the tenant's own thing is there, with one of these tags if there are."""

    kind: CatalogueKind
    tenant: TenantId
    id: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """A verdict as it was recorded: its document and the question behind it (JSON), position and moment.

    ``question`` is ``None`` for verdicts recorded before questions were kept.
    """

    id: str
    document: bytes
    question: bytes | None
    seq: int
    decided_at: str
