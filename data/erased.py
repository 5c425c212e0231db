"""What erasing a tenant leaves behind: the proof, and what a look afterwards found."""

from __future__ import annotations

from dataclasses import dataclass, field

from data.claims import TenantId


@dataclass(frozen=True, slots=True)
class Erased:
    """The proof. ``before`` and ``after`` count what each store had of the tenant; ``after`` is all zeros.

    ``seq`` is the row that asked for it, ``head`` the chain's end before it (hex). ``backups`` still hold the
    tenant until they are pruned, ``copies`` are files under the home for a person to decide on. ``sha256``
    is that of the rest as JSON with sorted keys.
    """

    tenant: TenantId
    at: str
    seq: int
    head: str
    before: dict[str, int]
    after: dict[str, int]
    backups: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    lineage: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Remains:
    """What ``verify_erased`` found: counts by store, all zero where the tenant is gone."""

    tenant: TenantId
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_gone(self) -> bool:
        """Whether nothing was found."""
        return not any(self.counts.values())
