"""The folders of a tenant's datasets, found by what the ledger says: for whoever erases the tenant.

Called by ``data.erasure``. Invariant: ids of datasets are made by chance and tell nothing, so the rows that
remove them stay in the ledger, and with them the names of all folders there ever were.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from data.claims import TenantId
from data.datasets.changes import DATASET_ID, DELETE_DATASET, PUT_DATASET
from data.datasets.ledger_rows import FOLDER
from data.datasets.transfer import FOLDER as TRANSFERS
from data.ledger import Ledger


def dataset_ids(ledger: Ledger, tenant: TenantId) -> list[str]:
    """Return the ids of every dataset that a tenant has or had, as far as the ledger tells, sorted."""
    keys = {entry.key for kind in (PUT_DATASET, DELETE_DATASET) for entry in ledger.entries_of(tenant, kind)}
    return sorted(key for key in keys if DATASET_ID.fullmatch(key))


def held_folders(ledger: Ledger, home: Path, tenant: TenantId) -> int:
    """Count a tenant's datasets that have a folder, and the folder of its imports and exports."""
    folders = [home / FOLDER / key for key in dataset_ids(ledger, tenant)]
    return sum(path.exists() for path in (*folders, home / TRANSFERS / tenant))


def remove_folders(ledger: Ledger, home: Path, tenant: TenantId) -> None:
    """Remove the folders of a tenant's datasets and files; who has one open learns of it from the ledger."""
    for key in dataset_ids(ledger, tenant):
        shutil.rmtree(home / FOLDER / key, ignore_errors=True)
    shutil.rmtree(home / TRANSFERS / tenant, ignore_errors=True)
