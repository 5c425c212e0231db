"""The columns of the facts view's rows, as Arrow hands them to DuckDB. Called by ``data.views.facts``."""

from __future__ import annotations

from typing import Any


def facts_schema() -> Any:
    """Return the Arrow schema of the table ``facts``."""
    import pyarrow as pa

    texts = (
        "tenant",
        "id",
        "subject",
        "predicate",
        "object",
        "unit",
        "valid_from",
        "valid_to",
        "source",
        "name",
    )
    columns = [(name, pa.string()) for name in texts]
    columns += [("value", pa.float64()), ("confidence", pa.float64()), ("words", pa.list_(pa.string()))]
    return pa.schema([*columns, ("added_seq", pa.int64()), ("removed_seq", pa.int64())])
