"""Who may do what: five roles, each of which may do all that those before it may. Pure.

Read by the route table, by keys and by tokens. Invariant: the order below is the whole rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do, from least to most.

    reader: look things up. verifier: ask for verdicts, hold sessions, give feedback. editor: change the
    tenant's knowledge. operator: jobs, backups, calibration. admin: keys, limits and the audit of the tenant.
    """

    READER = "reader"
    VERIFIER = "verifier"
    EDITOR = "editor"
    OPERATOR = "operator"
    ADMIN = "admin"


_RANK = {role: rank for rank, role in enumerate(Role)}


def permits(held: Role, needed: Role) -> bool:
    """Return whether a caller of role ``held`` may do what asks for ``needed``."""
    return _RANK[held] >= _RANK[needed]


def highest(roles: Iterable[Role]) -> Role:
    """Return the role among ``roles`` (at least one) that includes the others."""
    return max(roles, key=_RANK.__getitem__)
