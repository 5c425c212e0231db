"""RDF text made safe to keep and to run: canonical N-Quads, and SPARQL that cannot leave the machine.

Called by ``data.changes`` when a graph is written and by the graph view when a query is asked.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote

from data.errors import InvalidValueError

#: Prefix of the names that blank nodes get, so that statements can be deleted and replayed by name.
BLANK_PREFIX = "urn:kite:blank:"

#: Predicates that give a thing its name, best first.
LABELS = (
    "http://www.w3.org/2000/01/rdf-schema#label",
    "http://schema.org/name",
    "https://schema.org/name",
    "http://www.w3.org/2004/02/skos/core#prefLabel",
)
#: Predicates that say where a graph came from.
SOURCES = ("http://www.w3.org/ns/prov#wasDerivedFrom", "http://purl.org/dc/terms/source")

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")
#: What may hold any word in SPARQL without meaning it: comments, strings (long ones first), IRIs.
_OPAQUE = re.compile(
    r"#[^\n\r]*"
    r'|"""(?:[^"\\]|\\.|"(?!""))*"""'
    r"|'''(?:[^'\\]|\\.|'(?!''))*'''"
    r'|"(?:[^"\\\n\r]|\\.)*"'
    r"|'(?:[^'\\\n\r]|\\.)*'"
    r"|<[^<>\"{}|^`\\\x00-\x20]*>",
    re.DOTALL,
)
_SERVICE = re.compile(r"(?<![\w:?$.-])SERVICE(?![\w:])", re.IGNORECASE)


def canonical_quads(nquads: str, key: str) -> list[str]:
    """Return the statements as sorted N-Quads lines, each once, blank nodes named after ``key`` and label.

    Raises:
        InvalidValueError: not N-Quads, a statement quoted inside another, or no statement at all.
    """
    import pyoxigraph as ox

    try:
        quads = list(ox.parse(nquads.encode(), format=ox.RdfFormat.N_QUADS))
    except (SyntaxError, UnicodeEncodeError) as exc:
        raise InvalidValueError(f"The graph {key!r} is not N-Quads: {exc}.") from exc
    if not quads:
        raise InvalidValueError(f"The graph {key!r} holds no statement: send at least one line.")
    return sorted({_line([_named(term, key) for term in quad]) for quad in quads})


def check_lines(nquads: str, key: str) -> None:
    """Raise ``InvalidValueError`` unless ``nquads`` is what :func:`canonical_quads` gives."""
    if nquads != "\n".join(canonical_quads(nquads, key)) + "\n":
        raise InvalidValueError(
            f"The graph {key!r} is not in canonical form: build the change with put_graph."
        )


def check_query(sparql: str) -> None:
    """Raise ``InvalidValueError`` for a query that would call another server (``SERVICE``)."""
    plain = _ESCAPE.sub(lambda found: _character(found[1] or found[2]), sparql)
    if _SERVICE.search(_OPAQUE.sub(" ", plain)):
        raise InvalidValueError(
            "SERVICE is not allowed: a query may ask this knowledge only. Remove that clause."
        )


def readable(iri: str) -> str:
    """Return the end of an IRI as words (``birthPlace``: ``birth Place``); empty for a blank node."""
    if iri.startswith(BLANK_PREFIX):
        return ""
    end = re.split(r"[#/:]", iri.rstrip("#/:"))[-1]
    return " ".join(_CAMEL.sub(" ", re.sub(r"[_+-]", " ", unquote(end))).split())


def _named(term: object, key: str) -> str:
    import pyoxigraph as ox

    if isinstance(term, ox.Triple):
        raise InvalidValueError(f"The graph {key!r} quotes a statement inside another: name it instead.")
    if isinstance(term, ox.BlankNode):
        digest = hashlib.sha256(f"{key}\0{term.value}".encode()).hexdigest()
        return f"<{BLANK_PREFIX}{digest[:24]}>"
    return "" if isinstance(term, ox.DefaultGraph) else str(term)


def _line(terms: list[str]) -> str:
    return " ".join(term for term in terms if term) + " ."


def _character(digits: str) -> str:
    code = int(digits, 16)
    return chr(code) if code <= 0x10FFFF else " "
