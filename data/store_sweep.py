"""What caches, sessions and limits hold of a tenant in the shared store: counted, and removed for good.

Called by ``data.erasure``. The store's keys name the tenant right after what they are for; embeddings are
shared by all tenants (a vector says nothing of whose text it is), so all of them go. Invariant: a tenant's
id has none of ``/``, ``}`` and ``:``, so no prefix here is another tenant's.
"""

from __future__ import annotations

from pathlib import Path

from data.claims import TenantId
from data.errors import StoreUnavailableError
from data.ports import KeyValueStore

#: Where LMDB's file lies under the home, if the store is one.
_LMDB = Path("cache") / "data.mdb"
#: What overwrites freed pages: a value that takes one page of its own.
_FILLER, _FILLER_KEY = bytes(3_000), "erasing/"
_VALUES, _PAGE_BYTES = 500, 4_096


def prefixes(tenant: TenantId) -> dict[str, str]:
    """Return what begins the keys of a tenant, by what they are for."""
    return {
        "store: verdicts": f"verdict/{tenant}/",
        "store: sessions": f"session/{tenant}/",
        "store: steps": f"session-step/{tenant}/",
        "store: limits": f"limit:{{{tenant}}}:",
        "store: transfers": f"transfer/{tenant}/",
        "store: answers": f"answer/{tenant}/",
    }


def held_in_store(store: KeyValueStore, tenant: TenantId) -> dict[str, int]:
    """Count what the store has of a tenant."""
    return {name: len(store.scan(prefix)) for name, prefix in prefixes(tenant).items()}


def sweep(store: KeyValueStore, tenant: TenantId, home: Path) -> None:
    """Remove it, and let other bytes take its place in LMDB's file."""
    gone = 0
    for prefix in (*prefixes(tenant).values(), "embedding:"):
        for key, _ in store.scan(prefix):
            gone += store.delete(key)
    if gone and (home / _LMDB).exists():
        overwrite_free_pages(store, home / _LMDB)


def overwrite_free_pages(store: KeyValueStore, file: Path) -> None:
    """Write until every page of the file that was free holds something else, then remove that again.

    LMDB takes free pages before it lets the file grow, and those of the last transactions only later: twice.
    """
    for _ in range(2):
        start, written = file.stat().st_size, 0
        try:
            while file.stat().st_size <= start and written * _PAGE_BYTES <= start:
                for number in range(written, written + _VALUES):
                    store.put(f"{_FILLER_KEY}{number:09d}", _FILLER, ttl_s=600.0)
                written += _VALUES
        except StoreUnavailableError:
            pass  # the map is full: then no page is free any more
        finally:
            for key, _ in store.scan(_FILLER_KEY):
                store.delete(key)
