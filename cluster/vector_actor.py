"""The actors that hold vector datasets and copies of them: thin shells, found by name.

Each of those that hold them has the datasets whose ids fall to its number, writes through the keeper, and
recovers from its folders and the ledger. Arguments and results are bytes (``data.datasets.wire``).
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cluster.traced import Traced
from configs.schema import Settings
from data.claims import TenantId
from data.datasets.ports import FilterValue
from data.datasets.wire import (
    INDEX,
    INDEX_SETTINGS,
    INFO,
    INFOS,
    PAGE,
    RECORD,
    REPORT,
    STATS,
    STORED,
    decode_asked,
    decode_insert,
    decode_requests,
    encode_answers,
    encode_counts,
)
from data.errors import KiteError

_LOG = logging.getLogger(__name__)


#: Seconds after which a copy takes in what came and went though nobody asked for it.
TEND_S = 2.0


class VectorsActor(Traced):
    """``VectorDatasets`` for the datasets that live here."""

    SERVICE = "kite-vectors"

    def __init__(self, settings: dict[str, Any], number: int) -> None:
        from cluster.owned import open_datasets

        self._datasets = open_datasets(msgspec.convert(settings, Settings), number)

    def create(self, tenant: TenantId, blob: bytes, overwrite: bool) -> bytes:  # noqa: FBT001 - the wire
        """Answer ``create``."""
        return INFO.encode(self._datasets.create(tenant, RECORD.decode(blob), overwrite=overwrite))

    def datasets(self, tenant: TenantId) -> bytes:
        """Answer ``datasets`` for those that live here."""
        return INFOS.encode(self._datasets.datasets(tenant))

    def dataset(self, tenant: TenantId, dataset_id: str) -> bytes:
        """Answer ``dataset``."""
        return INFO.encode(self._datasets.dataset(tenant, dataset_id))

    def update(self, tenant: TenantId, blob: bytes) -> bytes:
        """Answer ``update``."""
        return INFO.encode(self._datasets.update(tenant, RECORD.decode(blob)))

    def delete(self, tenant: TenantId, dataset_id: str) -> bool:
        """Answer ``delete``."""
        self._datasets.delete(tenant, dataset_id)
        return True

    def stats(self, tenant: TenantId, dataset_id: str) -> bytes:
        """Answer ``stats``."""
        return STATS.encode(self._datasets.stats(tenant, dataset_id))

    def insert(self, tenant: TenantId, dataset_id: str, blob: bytes) -> bytes:
        """Answer ``insert``."""
        vectors, on_duplicate, request = decode_insert(blob)
        return REPORT.encode(
            self._datasets.insert(tenant, dataset_id, vectors, on_duplicate, request=request)
        )

    def vector(self, tenant: TenantId, dataset_id: str, vector_id: str) -> bytes:
        """Answer ``vector``."""
        return STORED.encode(self._datasets.vector(tenant, dataset_id, vector_id))

    def vectors(
        self,
        tenant: TenantId,
        dataset_id: str,
        span: tuple[int, int],
        filters: FilterValue | None,
        values: bool,  # noqa: FBT001 - the wire
    ) -> bytes:
        """Answer ``vectors`` for a (limit, offset)."""
        limit, offset = span
        return PAGE.encode(
            self._datasets.vectors(
                tenant, dataset_id, limit=limit, offset=offset, filters=filters, values=values
            )
        )

    def delete_vectors(self, tenant: TenantId, dataset_id: str, ids: list[str], request: str) -> int:
        """Answer ``delete_vectors``."""
        return self._datasets.delete_vectors(tenant, dataset_id, ids, request=request)

    def search(self, tenant: TenantId, blob: bytes) -> bytes:
        """Answer ``search``."""
        return encode_answers(self._datasets.search(tenant, decode_requests(blob)))

    def word_counts(self, tenant: TenantId, blob: bytes) -> bytes:
        """Answer ``word_counts``."""
        return encode_counts(self._datasets.word_counts(tenant, decode_asked(blob)))

    def index(self, tenant: TenantId, dataset_id: str) -> bytes:
        """Answer ``index``."""
        return INDEX.encode(self._datasets.index(tenant, dataset_id))

    def build_index(self, tenant: TenantId, dataset_id: str, blob: bytes) -> bytes:
        """Answer ``build_index``."""
        settings = INDEX_SETTINGS.decode(blob)
        return INDEX.encode(self._datasets.build_index(tenant, dataset_id, settings))

    def drop_index(self, tenant: TenantId, dataset_id: str) -> bytes:
        """Answer ``drop_index``."""
        return INDEX.encode(self._datasets.drop_index(tenant, dataset_id))

    def adopt_index(self, tenant: TenantId, dataset_id: str) -> bytes:
        """Swap in the newest main index in a dataset's folder, which another process has built."""
        return INDEX.encode(self._datasets.adopt_index(tenant, dataset_id))

    def roll_back_index(self, tenant: TenantId, dataset_id: str) -> bytes:
        """Go back to the main index before the one in use."""
        return INDEX.encode(self._datasets.roll_back_index(tenant, dataset_id))

    def revalue(
        self, tenant: TenantId, dataset_id: str, rows: list[int], values: NDArray[np.float32], model: str
    ) -> int:
        """Give rows the numbers that a model made of their contents."""
        return self._datasets.revalue(tenant, dataset_id, rows, values, model=model)

    def follow(self) -> bool:
        """Learn now which datasets came and went by another actor."""
        self._datasets.follow()
        return True

    def ping(self) -> bool:
        """Raise when the ledger cannot be read."""
        self._datasets.ping()
        return True


class VectorsCopyActor(Traced):
    """A copy of the vector datasets on a node of its own: it answers searches, and follows the keeper."""

    SERVICE = "kite-vectors-copy"

    def __init__(self, settings: dict[str, Any], number: int) -> None:
        from cluster.owned import open_copy

        self._datasets = open_copy(msgspec.convert(settings, Settings), number)
        threading.Thread(target=self._tend, name="tend", daemon=True).start()

    def search(self, tenant: TenantId, blob: bytes) -> bytes:
        """Answer ``search``."""
        return encode_answers(self._datasets.search(tenant, decode_requests(blob)))

    def word_counts(self, tenant: TenantId, blob: bytes) -> bytes:
        """Answer ``word_counts``."""
        return encode_counts(self._datasets.word_counts(tenant, decode_asked(blob)))

    def ping(self) -> bool:
        """Raise when the keeper cannot be read."""
        self._datasets.follow()
        return True

    def _tend(self) -> None:
        while True:
            self._datasets.wait(TEND_S)
            try:
                self._datasets.tend()
            except KiteError as exc:
                _LOG.warning("The copy of the vector datasets does not follow: %s", exc)
            except Exception:  # it must go on, for nobody else opens datasets here
                _LOG.exception("The copy of the vector datasets does not follow.")
