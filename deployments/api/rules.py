"""What each route asks of its caller: the rules that stand in the route table. Pure.

Read by the guard, by the OpenAPI document and by the table of routes and roles in ``docs/security.md``.
Invariant: an ``Endpoint`` cannot be made without one of these.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.access.roles import Role


@dataclass(frozen=True, slots=True)
class Access:
    """A rule: the least ``role`` (``None``: anybody, unasked) and the ``operation`` that limits count it as.

    ``audited`` calls are in the audit before they are answered. ``installation``: only for keys of the
    installation, which concern every tenant. ``per_item``: the route pays for each item of the body.
    """

    role: Role | None
    operation: str
    audited: bool = False
    installation: bool = False
    per_item: bool = False


PUBLIC = Access(None, "public")
#: Asks for its own credential, in the form that OAuth 2 knows.
CLIENT = Access(None, "token", audited=True)
READ = Access(Role.READER, "read")
SEARCH = Access(Role.READER, "search")
SEARCH_MANY = Access(Role.READER, "search", per_item=True)
VERIFY = Access(Role.VERIFIER, "verify")
VERIFY_MANY = Access(Role.VERIFIER, "verify", per_item=True)
TASK = Access(Role.VERIFIER, "task")
SUBMIT = Access(Role.VERIFIER, "job", audited=True, per_item=True)
SCHEDULE = Access(Role.VERIFIER, "job", audited=True)
FOLLOW = Access(Role.VERIFIER, "read")
SESSION = Access(Role.VERIFIER, "session")
JUDGE = Access(Role.VERIFIER, "feedback", audited=True)
WRITE = Access(Role.EDITOR, "write", audited=True)
WRITE_MANY = Access(Role.EDITOR, "write", audited=True, per_item=True)
OPERATE = Access(Role.OPERATOR, "operate", audited=True)
WATCH = Access(Role.OPERATOR, "read", installation=True)
ADMINISTER = Access(Role.ADMIN, "admin", audited=True)
OVERSEE = Access(Role.ADMIN, "read")
INSTALL = Access(Role.ADMIN, "admin", audited=True, installation=True)
INSPECT = Access(Role.ADMIN, "read", installation=True)
