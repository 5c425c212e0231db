"""RDF and SPARQL made to hurt: nothing is fetched, nothing takes long, nothing ends the process."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator

import pytest

from data.errors import InvalidValueError, KiteError
from data.rdf import check_query, nquads_of

#: CPU seconds that one hostile text of two megabytes may take here; most take hundredths.
MOST_S = 5.0
EX = "PREFIX ex: <http://e/> "


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server of this machine that notes who calls."""
    calls: list[str] = []

    class Noting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_response(500)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the name is the base's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
            del format, args

    server = http.server.HTTPServer(("127.0.0.1", 0), Noting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/x", calls
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "query",
    [
        EX + "SELECT * {{ ex:O\\' ex:p ?z . SERVICE <{url}> {{ ?s ?p ?o }} OPTIONAL {{ ?s ex:q 'v' }} }}",
        EX + "SELECT * {{ OPTIONAL {{ ex:O\\#b ex:p ?z }} SERVICE <{url}> {{ ?s ?p ?o }} }}",
        "SELECT * {{ ?a ?b ?c.SERVICE <{url}> {{ ?s ?p ?o }} }}",
        "SELECT * {{ ?a ?b ?c.SERVICE SILENT <{url}> {{ ?s ?p ?o }} }}",
        "SELECT * {{ ?a ?b 1SERVICE <{url}> {{ ?s ?p ?o }} }}",
        "SELECT * {{ ?a ?b true.SERVICE <{url}> {{ ?s ?p ?o }} }}",
        "SELECT * {{ ?a ?b 'c'@en.SERVICE <{url}> {{ ?s ?p ?o }} }}",
        "SELECT * {{ SERVICESILENT<{url}>{{ ?s ?p ?o }} }}",
        "PREFIX ex: <{url}> SELECT * {{ SERVICEex: {{ ?s ?p ?o }} }}",
        "PREFIX : <{url}> SELECT * {{ SERVICE: {{ ?s ?p ?o }} }}",
        "SELECT * {{ BIND(<{url}> AS ?g) SERVICE?g{{ ?s ?p ?o }} }}",
        "SELECT * {{ SER\\u0056ICE <{url}> {{ ?s ?p ?o }} }}",
        EX + "SELECT * {{ ex:O\\u0027 ex:p ?z . SERVICE <{url}> {{ ?s ?p ?o }} OPTIONAL {{ ?s ex:q 'v' }} }}",
        "SELECT * {{ FILTER(?a<?b&&1=1) SERVICE <{url}> {{ ?s ?p ?o }} FILTER(?c>?d) }}",
        "SELECT * {{ ?a ?b '''x\\'''' . SERVICE <{url}> {{ ?s ?p ?o }} }}",
        'SELECT * {{ ?a ?b """x\\"""" . SERVICE <{url}> {{ ?s ?p ?o }} }}',
    ],
)
def test_sparql_that_hides_a_call_is_refused(listener: tuple[str, list[str]], query: str) -> None:
    """What the parser would take for SERVICE is found: after escapes, without spaces, next to a full stop."""
    with pytest.raises(InvalidValueError, match="SERVICE"):
        check_query(query.format(url=listener[0]))


@pytest.mark.parametrize(
    "query",
    [
        EX + "SELECT * { ex:O\\'Brien ex:service ?service . ?s ex:p 'the SERVICE' } # service",
        'SELECT * { ?s <http://e/SERVICE> """a " SERVICE""" }',
        EX + "SELECT * { ?s ex:my-service ?o FILTER(?o < 3 && ?o > 1) }",
    ],
)
def test_sparql_that_names_the_word_is_accepted(query: str) -> None:
    """Texts, addresses, variables and local names may hold it."""
    check_query(query)


@pytest.mark.parametrize(
    "body",
    [
        '{"@context": "URL", "http://a/b": 1}',
        '{"@context": {"@import": "URL"}, "http://a/b": 1}',
        '{"@context": [{"p": "http://a/"}, "URL"], "p": 1}',
        '{"@context": {"p": {"@id": "http://a/", "@context": "URL"}}, "p": {"q": 1}}',
    ],
)
def test_json_ld_context_at_an_address_is_not_fetched(listener: tuple[str, list[str]], body: str) -> None:
    """However a context is named by address, nobody is called."""
    with pytest.raises(InvalidValueError):
        nquads_of(body.replace("URL", listener[0]).encode(), "application/ld+json")
    assert listener[1] == []


BIG = b"a" * 1_000_000
TURTLE, JSON_LD = "text/turtle", "application/ld+json"
STATEMENTS = b"<a> <../b> <c> .\n" * 40_000
SCOPES = {f"t{n}": {"@id": f"http://x/{n}", "@context": {"z": "http://z/"}} for n in range(20_000)}
TERMS = [{f"p{n}": f"http://x/{n}/"} for n in range(60_000)]
HOSTILE = {
    "base": (b"@base <http://x/" + BIG + b"> .\n" + STATEMENTS, TURTLE),
    "dots": (b"@base <http://x/" + b"a/" * 400_000 + b"> .\n" + STATEMENTS, TURTLE),
    "escaped base": (b"@base <http://x/" + b"\\u0061" * 200_000 + b"> .\n" + STATEMENTS, TURTLE),
    "prefix": (b"@prefix p: <http://x/" + BIG + b"> .\n" + b"p:a p:b p:c .\n" * 60_000, TURTLE),
    "prefixes": (b"".join(b"@prefix p%d: <http://x/> .\n" % n for n in range(70_000)), TURTLE),
    "nodes": (b"<a:a> <a:b> " + b"[ <a:b> " * 200_000 + b"<a:c>" + b"]" * 200_000 + b" .", TURTLE),
    "lists": (b"<a:a> <a:b> " + b"(" * 500_000 + b")" * 500_000 + b" .", TURTLE),
    "open": (b"<a:a> <a:b> " + b"[ <a:b> " * 200_000, TURTLE),
    "notes": (b"<a:a> <a:b> <a:c> " + b"{| <a:b> <a:c> " * 100_000, TURTLE),
    "quoted": (b"<<" * 500_000, TURTLE),
    "quoted after an apostrophe": (b"<http://x/\\u0041'> <a:p> " + b"<<" * 500_000, "application/n-triples"),
    "graphs": (b"<a:g> {" * 200_000, "application/trig"),
    "brackets": (b"[" * 1_900_000, JSON_LD),
    "objects": (b'{"a":' * 3_000 + b"1" + b"}" * 3_000, JSON_LD),
    "terms": (json.dumps({"@context": TERMS}).encode(), JSON_LD),
    "scopes": (json.dumps({"@context": SCOPES, "t1": {"z": "1"}}).encode(), JSON_LD),
    "vocabulary": (
        json.dumps({"@context": {"@vocab": f"http://x/{BIG.decode()}"}, **dict.fromkeys("abc", 1)}).encode(),
        JSON_LD,
    ),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_rdf_made_to_hurt_ends_soon(name: str) -> None:
    """Two megabytes of any of these are read or refused in little time, and the process lives on."""
    body, media_type = HOSTILE[name]
    started = time.process_time()
    with contextlib.suppress(InvalidValueError):
        nquads_of(body, media_type)
    assert time.process_time() - started < MOST_S


@pytest.mark.parametrize(
    "piece",
    [
        "'\\",
        '"\\',
        '"""\\',
        "'''\\'",
        '"""\\""',
        "<a",
        "#",
        '"',
        "\\u0041",
        "SER VICE ",
        "?",
        ":",
        "'\n",
        "<\\",
    ],
)
def test_query_made_to_hurt_is_checked_soon(piece: str) -> None:
    """A hundred thousand signs are looked at once each: this runs in the process that has the ledger."""
    query = (piece * 100_000)[:100_000]
    started = time.process_time()
    with contextlib.suppress(KiteError):
        check_query(query)
    assert time.process_time() - started < 1.0
