"""Files of knowledge through Ray Data into the running service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.import_knowledge import ImportReport, import_file
from tasks.session import connect
from tests.cluster.conftest import Kite

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]


def run(kite: Kite, path: Path) -> ImportReport:
    with connect(kite.settings):
        return import_file(path, kite.settings)


def test_imported_document_is_evidence_at_once_and_bad_rows_are_set_aside(kite: Kite, tmp_path: Path) -> None:
    """Rows go in, the others stand beside the file with the reason; a second import changes nothing."""
    file = tmp_path / "quokkas.jsonl"
    rows = [{"id": "q1", "title": "Quokka", "text": "The quokka Waldemar weighs 3 kilograms."}, {"id": "q2"}]
    file.write_text("\n".join(json.dumps(row) for row in rows) + '\n{"id": \n')
    report = run(kite, file)
    again = run(kite, file)
    beside = [
        json.loads(line) for line in (tmp_path / "quokkas.jsonl.rejected.jsonl").read_text().splitlines()
    ]

    assert (report.imported, report.rejected, report.kind) == (1, 2, "documents")
    assert again.knowledge_seq == report.knowledge_seq
    assert beside[0]["reason"] == "The row has no text."
    answer = kite.verify("The quokka Waldemar weighs 3 kilograms.")
    assert answer["evidence"][0]["document_id"] == "q1"  # type: ignore[index]
    assert answer["verdict"]["label"] == "SUPPORTED"  # type: ignore[index]


def test_facts_and_statements_are_evidence(kite: Kite, tmp_path: Path) -> None:
    """CSV facts and N-Quads statements answer claims exactly."""
    facts = tmp_path / "facts.csv"
    facts.write_text("subject,predicate,object,value,unit\nMount Kitefell,height,1234 m,1234,m\n")
    graph = tmp_path / "graph.nq"
    graph.write_text(
        '<urn:t:kiteria> <http://www.w3.org/2000/01/rdf-schema#label> "Kiteria" .\n'
        '<urn:t:kitestad> <http://www.w3.org/2000/01/rdf-schema#label> "Kitestad" .\n'
        "<urn:t:kiteria> <urn:t:capital> <urn:t:kitestad> .\n"
    )
    assert run(kite, facts).kind == "facts"
    assert run(kite, graph).kind == "graph"

    height = kite.verify("The height of Mount Kitefell is 2,500 metres.")
    capital = kite.verify("The capital of Kiteria is Kitestad.")
    assert height["verdict"]["label"] == "REFUTED"  # type: ignore[index]
    assert capital["verdict"]["label"] == "SUPPORTED"  # type: ignore[index]
    assert capital["evidence"][0]["kind"] == "graph"  # type: ignore[index]


@pytest.mark.datasets
def test_thousands_of_real_passages_and_real_claims(kite: Kite, datasets: Path) -> None:
    """5,000 and more passages in; for real claims about them the gold passage's document is found."""
    corpus = datasets / "scifact" / "retrieval" / "corpus.jsonl"
    report = run(kite, corpus)
    assert report.rejected == 0
    assert report.imported > 5_000

    claims = [json.loads(line) for line in (datasets / "scifact" / "dev.jsonl").read_text().splitlines()]
    gold = qrels(datasets / "scifact" / "retrieval" / "qrels.tsv")
    queries = {
        row["text"]: str(row["id"])
        for row in map(
            json.loads, (datasets / "scifact" / "retrieval" / "queries.jsonl").read_text().splitlines()
        )
    }
    asked = [
        (row["claim"], gold[queries[row["claim"]]]) for row in claims if queries.get(row["claim"]) in gold
    ]
    with kite.client() as client:
        answers = client.post("/batch/verify", json=[{"claim": claim} for claim, _ in asked]).json()
    found = [
        bool({item["document_id"] for item in answer["evidence"]} & wanted)
        for answer, (_, wanted) in zip(answers, asked, strict=True)
    ]

    assert len(asked) >= 40
    # Plain BM25 has 0.92 of the gold documents among its first ten on this set (datasets' own index).
    assert sum(found) / len(found) >= 0.8


def qrels(path: Path) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {}
    for line in path.read_text().splitlines()[1:]:
        query, document, score, *_ = line.split("\t")
        if float(score) > 0:
            wanted.setdefault(query, set()).add(document)
    return wanted
