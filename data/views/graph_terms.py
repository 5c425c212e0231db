"""Terms and statements of the graph view as text and numbers. Pure, called by ``data.views.graph``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

#: A quad or term of pyoxigraph, whose types allow everywhere what canonical N-Quads never hold.
Quad = Any
Term = Any

_NUMBERS = frozenset(
    f"http://www.w3.org/2001/XMLSchema#{name}"
    for name in ("integer", "decimal", "double", "float", "int", "long", "short", "nonNegativeInteger")
)


def statement_of(quad: Quad) -> str:
    """Return subject, predicate and object as N-Triples writes them."""
    return f"{quad.subject} {quad.predicate} {quad.object}"


def data_block(verb: str, graph: str, statements: Sequence[str]) -> str:
    """Return the SPARQL update ``verb DATA`` for statements of one graph; empty for none."""
    return f"{verb} DATA {{ GRAPH <{graph}> {{ {' . '.join(statements)} }} }}" if statements else ""


def number_of(term: Term) -> float | None:
    """Return the number that a literal stands for, ``None`` where it is none."""
    datatype = getattr(term, "datatype", None)
    if datatype is None or datatype.value not in _NUMBERS:
        return None
    try:
        value = float(term.value)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
