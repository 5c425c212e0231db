"""One line of the audit: who did what, when, from where, and how it ended. Pure.

Invariant: no secret, no claim text, no body; only names, ids and outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.claims import TenantId


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What happened.

    ``at`` is ISO 8601 UTC with milliseconds. ``subject`` is ``Principal.subject``, or ``anonymous``.
    ``action`` is the route (``POST /knowledge/facts``) or a command (``keys create``). ``target`` is the id
    of the thing concerned, if there is one. ``result`` is allowed, denied or failed, ``status`` the HTTP
    status (0 outside HTTP), ``reason`` the problem's code where one was answered.
    """

    at: str
    tenant: TenantId
    subject: str
    action: str
    address: str
    result: str
    status: int
    request_id: str
    target: str = ""
    reason: str = ""
