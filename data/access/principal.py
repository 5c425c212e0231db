"""Who sends a request, as found out from its credential. Pure.

Made by the authenticator, read by the guard in front of every route. Invariant: a principal acts for exactly
one tenant.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.access.roles import Role
from data.claims import TenantId


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential was good.

    ``subject`` is how audit and logs name it (``key:ID``, ``jwt:ISSUER/SUB``, ``open``), never a secret.
    ``tenant`` is the one it acts for now. With ``installation`` it administers every tenant: it may choose
    the tenant that it acts for, create tenants and see the whole audit. ``key_id`` is the API key's, if any.
    """

    subject: str
    tenant: TenantId
    role: Role
    installation: bool = False
    key_id: str | None = None
