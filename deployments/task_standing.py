"""Whether tasks of a tenant are still worked on: its standing among the tenants of the installation.

Asked by workers before they answer, since a task may wait for days. Plain Python; may wait for the keeper.
"""

from __future__ import annotations

from data.access.directory import AccessDirectory
from data.claims import TenantId


class TenantStanding:
    """Tells, from the keeper's list of tenants, why a tenant's tasks are not done any more. Any thread."""

    def __init__(self, directory: AccessDirectory) -> None:
        self._directory = directory

    def __call__(self, tenant: TenantId) -> str | None:
        """Return the reason in a sentence, or ``None`` where the tenant is active.

        Raises:
            StoreUnavailableError: the keeper is away, and what is known is too old.
        """
        if not self._directory.is_fresh():
            self._directory.refresh()
        record = self._directory.tenant(tenant)
        if record is None or record.state == "erased":
            return f"The tenant {tenant} is erased."
        if record.state != "active":
            return f"The tenant {tenant} is suspended: try its dead tasks again when it is active."
        return None
