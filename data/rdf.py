"""RDF text made safe to keep and to run: canonical N-Quads, and SPARQL that cannot leave the machine.

Called by ``data.changes`` when a graph is written and by the graph view when a query is asked.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import unquote

import msgspec

from data.errors import InvalidValueError
from data.json_faults import json_fault

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

#: RDF texts that are read, by media type, as Oxigraph names them.
RDF_TYPES = {
    "text/turtle": "TURTLE",
    "application/n-quads": "N_QUADS",
    "application/n-triples": "N_TRIPLES",
    "application/trig": "TRIG",
    "application/ld+json": "STREAMING_JSON_LD",
}

#: Characters of one text of RDF once its prefixes are written out.
MAX_NQUADS_CHARS = 32 * 1024 * 1024
#: Characters of one IRI as it is written, and terms that one JSON-LD text may define.
MAX_IRI_CHARS, MAX_TERMS = 4_096, 2_000
#: Brackets of JSON-LD inside one another.
MAX_JSON_DEPTH = 64
_FRONT = {"@context": 0, "@type": 1, "@id": 2}

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")
#: What may hold any word in SPARQL without meaning it: comments, strings (long ones first), IRIs, variables
#: and local names; a backslash takes the sign after it out of the language. Strings that are never closed run
#: on, so that this looks at every sign once.
_OPAQUE = re.compile(
    r"\\."
    r"|#[^\n\r]*"
    r'|"""(?:[^"\\]|\\.|"(?!""))*(?:""")?'
    r"|'''(?:[^'\\]|\\.|'(?!''))*(?:''')?"
    r'|"(?:[^"\\\n\r]|\\.)*"?'
    r"|'(?:[^'\\\n\r]|\\.)*'?"
    r"|<(?:[^<>\"{}|^`\\\x00-\x20]|\\.)*>"
    r"|[?$]\w+"
    r"|:[\w-]*",
    re.DOTALL,
)
#: An IRI longer than any that is used: as a base or prefix it would be written out again and again.
_LONG_IRI = re.compile(rf"<[^<>\"{{}}|^`\x00-\x20]{{{MAX_IRI_CHARS + 1}}}")


def canonical_quads(nquads: str, key: str) -> list[str]:
    """Return the statements as sorted N-Quads lines, each once, blank nodes named after ``key`` and label.

    Raises:
        InvalidValueError: not N-Quads, a statement quoted inside another, or no statement at all.
    """
    import pyoxigraph as ox

    _check_flat(nquads, f"The graph {key!r}")
    try:
        quads = list(ox.parse(nquads.encode(), format=ox.RdfFormat.N_QUADS))
    except (SyntaxError, UnicodeEncodeError) as exc:
        raise InvalidValueError(f"The graph {key!r} is not N-Quads: {exc}.") from exc
    if not quads:
        raise InvalidValueError(f"The graph {key!r} holds no statement: send at least one line.")
    return sorted({_line([_named(term, key) for term in quad]) for quad in quads})


def nquads_of(body: bytes, media_type: str) -> str:
    """Return the statements of an RDF text as N-Quads.

    Raises:
        InvalidValueError: not a format that is read here, or not well-formed; the text says at which line.
    """
    import pyoxigraph as ox

    if media_type not in RDF_TYPES:
        raise InvalidValueError(f"{media_type!r} is not RDF: use one of {', '.join(RDF_TYPES)}.")
    name = RDF_TYPES[media_type]
    if name == "STREAMING_JSON_LD":
        body = _streamable(body)
    else:
        text = body.decode("utf-8", "replace")
        _check_flat(text, "The body")
        if _LONG_IRI.search(text):
            raise _too_long_an_iri()
    lines: list[str] = []
    size = 0
    try:
        for quad in ox.parse(body, format=getattr(ox.RdfFormat, name)):
            lines.append(_line(["" if isinstance(one, ox.DefaultGraph) else str(one) for one in quad]))
            size += len(lines[-1])
            if size > MAX_NQUADS_CHARS:  # a long prefix makes gigabytes of a small file
                break
    except (SyntaxError, ValueError) as exc:
        if "LoadDocumentCallback" in str(exc):
            raise InvalidValueError(
                "The JSON-LD names a context at an address, which is not fetched: write the context itself."
            ) from exc
        said = name.removeprefix("STREAMING_").replace("_", "-")
        raise InvalidValueError(f"The body is not {said}: {_place(exc)}.") from exc
    if size > MAX_NQUADS_CHARS:
        raise InvalidValueError(
            f"The statements have more than {MAX_NQUADS_CHARS} characters as N-Quads: send fewer at once."
        )
    return "\n".join(lines) + "\n"


def _check_flat(text: str, what: str) -> None:
    """Refuse statements about statements before they are parsed: nested deeply, they end the process."""
    if "<<" in text and "<<" in _OPAQUE.sub(" ", text):
        raise InvalidValueError(f"{what} quotes a statement inside another: name it instead.")


def _streamable(body: bytes) -> bytes:
    """Return JSON-LD with each object's context, type and id in front, so that it is read as a stream.

    The other way of reading it keeps every statement in memory, a small file with a long prefix gigabytes of
    them. Depth is bounded, for the parser's time grows with its square.
    """
    try:
        value = msgspec.json.decode(body)
        streamed = _in_front(value, MAX_JSON_DEPTH)
        _check_contexts(value)
        return msgspec.json.encode(streamed)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidValueError(f"The body is {json_fault(body, str(exc))}.") from exc
    except RecursionError:
        raise InvalidValueError(
            f"The JSON-LD is nested more than {MAX_JSON_DEPTH} deep: name the inner things by @id."
        ) from None


def _in_front(value: Any, depth: int) -> Any:
    if depth == 0:
        raise RecursionError
    if isinstance(value, list):
        return [_in_front(item, depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    keys = sorted(value, key=lambda key: _FRONT.get(key, len(_FRONT)))
    return {key: _in_front(value[key], depth - 1) for key in keys}


def _check_contexts(value: Any) -> None:
    """Refuse contexts that define very much, or hold a very long IRI: a small text would take minutes."""
    terms, waiting = 0, [(value, False)]
    while waiting:
        one, inside = waiting.pop()
        if isinstance(one, dict):
            terms += len(one) * inside
            waiting += ((item, inside or key == "@context") for key, item in one.items())
        elif isinstance(one, list):
            terms += len(one) * inside
            waiting += ((item, inside) for item in one)
        elif inside and isinstance(one, str) and len(one) > MAX_IRI_CHARS:
            raise _too_long_an_iri()
    if terms > MAX_TERMS:
        raise InvalidValueError(
            f"The JSON-LD defines more than {MAX_TERMS} terms: leave out those that it does not use."
        )


def _too_long_an_iri() -> InvalidValueError:
    return InvalidValueError(f"An IRI has more than {MAX_IRI_CHARS} characters: shorten it.")


def _place(exc: Exception) -> str:
    message = str(exc.args[0] if exc.args else exc).removeprefix("Parser error ").rstrip(".")
    line = getattr(exc, "lineno", None)
    return message if line is None or "line" in message else f"at line {line}: {message}"


def check_lines(nquads: str, key: str) -> None:
    """Raise ``InvalidValueError`` unless ``nquads`` is what :func:`canonical_quads` gives."""
    if nquads != "\n".join(canonical_quads(nquads, key)) + "\n":
        raise InvalidValueError(
            f"The graph {key!r} is not in canonical form: build the change with put_graph."
        )


def check_query(sparql: str) -> None:
    """Raise ``InvalidValueError`` for a query that would call another server (``SERVICE``).

    The parser needs no space around a word, so whatever is no string, IRI, variable or local name must not
    hold it anywhere. Both readings of escapes count, for the text before and after them.
    """
    plain = _ESCAPE.sub(lambda found: _character(found[1] or found[2]), sparql)
    if any("service" in _OPAQUE.sub(" ", text).lower() for text in (sparql, plain)):
        raise InvalidValueError(
            "SERVICE is not allowed: a query may ask this knowledge only. Remove that clause (and give a "
            "prefix of this name another)."
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
