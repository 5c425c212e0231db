"""SPARQL answers over chosen graphs only, as the W3C formats. Used by the graph view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from data.errors import InvalidValueError
from data.rdf import check_query


@dataclass(frozen=True, slots=True)
class SparqlAnswer:
    """An answer in its wire form: SPARQL results JSON for SELECT and ASK, otherwise N-Triples."""

    media_type: str
    body: bytes


def answer(store: Any, sparql: str, graphs: Sequence[str], most: int) -> SparqlAnswer:
    """Run a query whose whole world is ``graphs``, whatever its FROM clauses say.

    Oxigraph cannot be interrupted: a query that joins without bounds runs until it is done.

    Raises:
        InvalidValueError: not a query, one that calls another server, or more than ``most`` rows.
    """
    import pyoxigraph as ox

    check_query(sparql)
    world = [ox.NamedNode(graph) for graph in graphs]
    try:
        result = store.query(sparql, default_graph=world, named_graphs=world)
    except SyntaxError as exc:
        raise InvalidValueError(f"This is not a SPARQL query: {exc}.") from exc
    if isinstance(result, ox.QueryBoolean):
        return _json({"head": {}, "boolean": bool(result)})
    rows: list[Any] = list(islice(result, most + 1))
    if len(rows) > most:
        raise InvalidValueError(f"The query has more than {most} rows: add a LIMIT.")
    if isinstance(result, ox.QueryTriples):
        lines = sorted({f"{row} .\n" for row in rows})
        return SparqlAnswer("application/n-triples", "".join(lines).encode())
    names = [variable.value for variable in result.variables]
    bindings = [{name: _term(row[name]) for name in names if row[name] is not None} for row in rows]
    return _json({"head": {"vars": names}, "results": {"bindings": bindings}})


def _json(value: dict[str, Any]) -> SparqlAnswer:
    return SparqlAnswer("application/sparql-results+json", msgspec.json.encode(value))


def _term(term: Any) -> dict[str, Any]:
    import pyoxigraph as ox

    if isinstance(term, ox.NamedNode):
        return {"type": "uri", "value": term.value}
    if isinstance(term, ox.BlankNode):
        return {"type": "bnode", "value": term.value}
    if isinstance(term, ox.Triple):
        parts = {"subject": term.subject, "predicate": term.predicate, "object": term.object}
        return {"type": "triple", "value": {name: _term(part) for name, part in parts.items()}}
    told = {"type": "literal", "value": term.value}
    if term.language:
        return told | {"xml:lang": term.language}
    plain = term.datatype.value == "http://www.w3.org/2001/XMLSchema#string"
    return told if plain else told | {"datatype": term.datatype.value}
