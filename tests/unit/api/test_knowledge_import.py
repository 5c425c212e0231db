"""A file in one request: every format, bad rows told, damaged files refused, ClaimReviews as documents."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.claim_reviews import rating_of, read_review
from data.errors import InvalidValueError
from deployments.services import ApiLimits
from tests.unit.api.fakes import Rig
from tests.unit.api.knowledge_fakes import Tenant

ROWS = [
    {"id": "q1", "title": "Quokka", "text": "The quokka weighs 3 kilograms."},
    {"id": "q2", "title": "Quokka", "text": ""},
    {"id": "q3", "title": "Numbat", "text": "The numbat eats termites."},
]
REVIEW = {
    "@type": "ClaimReview",
    "url": "https://www.checkers.example/a/1",
    "claimReviewed": "The moon is made of cheese. It is tasty!",
    "author": {"@type": "Organization", "name": "Checkers", "url": "https://www.checkers.example"},
    "datePublished": "2021-03-04T10:00:00Z",
    "reviewRating": {"@type": "Rating", "ratingValue": "1", "bestRating": "5", "alternateName": "False"},
    "itemReviewed": {"@type": "Claim", "author": {"name": "A. Mouse"}, "datePublished": "2021-03-01"},
}


def parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def csv_of(rows: list[dict[str, Any]]) -> str:
    lines = [",".join(rows[0])] + [",".join(str(value) for value in row.values()) for row in rows]
    return "\n".join(lines) + "\n"


FILES: dict[str, str | bytes] = {
    "application/x-ndjson": "\n".join(json.dumps(row) for row in ROWS),
    "text/csv": csv_of(ROWS),
    "application/vnd.apache.parquet": parquet(ROWS),
    "application/json": json.dumps(ROWS),
}


@pytest.mark.parametrize("media_type", sorted(FILES))
def test_good_rows_go_in_and_bad_ones_are_told(mine: Tenant, media_type: str) -> None:
    """Where bad rows are to be skipped: two of three are there, and the answer says which is not and why."""
    answer = mine.send("/knowledge/import", FILES[media_type], media_type, on_error="skip")
    told = answer.json()

    assert answer.status_code == 200
    assert (told["kind"], told["rows"], told["imported"], told["rejected"]) == ("documents", 3, 2, 1)
    assert told["errors"] == [{"row": 2, "reason": "The row has no text."}]
    assert [row["id"] for row in mine.get("/knowledge/documents").json()] == ["q1", "q3"]


def test_import_with_a_bad_row_writes_nothing(mine: Tenant) -> None:
    """All or nothing, unless bad rows are to be skipped; the first one is named."""
    answer = mine.send("/knowledge/import", FILES["text/csv"], "text/csv")

    assert answer.status_code == 422
    assert "row 2" in answer.json()["detail"]
    assert mine.get("/knowledge/documents").json() == []


def test_import_twice_writes_the_same_knowledge(mine: Tenant) -> None:
    """Ids come with the rows or from their content."""
    body = "subject,predicate,object,value,unit\nEverest,height,8849 m,8849,m\n"
    for _ in range(2):
        assert mine.send("/knowledge/import", body, "text/csv").json()["kind"] == "facts"

    (fact,) = mine.get("/knowledge/facts").json()
    assert (fact["value"], fact["unit"]) == (8849.0, "m")


def test_statements_are_imported_line_by_line(mine: Tenant) -> None:
    """A line that is none is told by its number, the others are one load."""
    body = "# a comment\n<urn:a> <urn:b> <urn:c> .\n <urn:a> <urn:b> .\n<urn:a> <urn:b> <urn:d> .\n"
    told = mine.send("/knowledge/import", body, "application/n-quads", on_error="skip").json()

    assert (told["kind"], told["imported"], told["rejected"]) == ("graph", 2, 1)
    assert told["errors"][0]["reason"].startswith("Line 3, column 18: The object of a triple must be")
    assert len(mine.get("/knowledge/graph").json()) == 1


@pytest.mark.parametrize(
    ("media_type", "body", "words"),
    [
        ("application/vnd.apache.parquet", parquet(ROWS)[:-9], "not a whole Parquet file"),
        ("application/vnd.apache.parquet", b"", "not a whole Parquet file"),
        ("application/json", '[{"a": 1},\n {"a": ', "not JSON at line 2, column 8"),
        ("application/json", "[1, 2]", "row 1: The item is not a JSON object"),
        ("application/x-ndjson", "{}\n", "columns are none"),
        ("application/x-ndjson", '{"a": 1}\n', "neither documents"),
        ("text/csv", 'text\n"' + "a" * 140_000 + '"\n', "field larger"),
        ("application/n-quads", "nonsense\n", "Line 1"),
        ("application/n-quads", "", "no statement"),
        ("text/csv", "", "no row"),
        ("application/x-ndjson", '{"text": "Good words."}\n{"text": "Cut', "line 2, column 14"),
        ("application/n-quads", "<urn:a> <urn:b> <urn:c> .\n<urn:a> <urn:b", "line 2, column 15"),
        ("text/csv", "id,text\na,Good words.\nb", "line 3, column 2"),
        ("text/csv", 'id,text\na,"Good words.\nb,More words.\n', "begins at line 2"),
    ],
)
def test_damaged_file_is_refused_and_nothing_is_written(
    mine: Tenant, media_type: str, body: str | bytes, words: str
) -> None:
    """What is wrong with it, and where; none of it is taken, even where bad rows are to be skipped."""
    for on_error in ("stop", "skip"):
        answer = mine.send("/knowledge/import", body, media_type, on_error=on_error)

        assert answer.status_code in (400, 422)
        assert words in answer.json()["detail"]
    assert mine.get("/knowledge/documents").json() == []
    assert mine.get("/knowledge/graph").json() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"unit": "12"}, "row 2: The unit '12'"),
        ({"unit": "m//s"}, "row 2: The unit 'm//s'"),
        ({"unit": "kg^x"}, "row 2: The unit 'kg^x'"),
        ({"unit": "kg^2^2"}, "row 2: The unit 'kg^2^2'"),
        ({"valid_from": "2024-05-01", "valid_to": "2023-01-01"}, "row 2: The fact"),
        ({"valid_from": "2024-02-30"}, "row 2: valid_from"),
        ({"confidence": 2}, "row 2: The confidence"),
        ({"value": "many"}, "row 2: Expected"),
    ],
)
def test_impossible_fact_of_a_file_is_named_and_none_is_taken(
    mine: Tenant, fields: dict[str, Any], words: str
) -> None:
    """By its row, with what is wrong with it."""
    good = {"subject": "Everest", "predicate": "height", "value": 8849, "unit": "m"}
    body = "\n".join(json.dumps(row) for row in (good, {**good, **fields})) + "\n"
    answer = mine.send("/knowledge/import", body, "application/x-ndjson")

    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert mine.get("/knowledge/facts").json() == []


def test_imported_fact_with_a_value_alone_says_it_in_words(mine: Tenant) -> None:
    """The same words as the same fact sent by itself."""
    body = "subject,predicate,value,unit\nEverest,height,8849,m\n"
    mine.send("/knowledge/import", body, "text/csv")
    (fact,) = mine.get("/knowledge/facts").json()

    assert (fact["object"], fact["value"]) == ("8,849 m", 8849.0)


def test_file_with_too_many_rows_is_sent_to_the_task(mine: Tenant) -> None:
    """413, and the command that takes it."""
    answer = mine.send("/knowledge/import", "id,name\n" + "a,b\n" * 10_001, "text/csv")

    assert answer.status_code == 413
    assert "python -m tasks.import_knowledge" in answer.json()["detail"]


def test_parquet_that_unpacks_to_gigabytes_is_refused(mine: Tenant) -> None:
    """A few KB of file, 64 rows of a megabyte each: stopped before they are read."""
    body = parquet([{"text": "a b " * 250_000}] * 640)

    answer = mine.send("/knowledge/import", body, "application/vnd.apache.parquet")
    assert (len(body) < 200_000, answer.status_code) == (True, 413)


def test_body_over_the_limit_names_the_task() -> None:
    """Before a byte is read."""
    rig = Rig(limits=ApiLimits(body_bytes=1_000))
    answer = rig.call("POST", "/knowledge/import", content=b"x" * 2_000, headers={"Content-Type": "text/csv"})

    assert answer.status_code == 413
    assert "python -m tasks.import_knowledge" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "media_type", "status"),
    [("kind=cats", "text/csv", 400), ("on_error=x", "text/csv", 400), ("", "image/png", 415)],
)
def test_unknown_kind_type_or_choice_is_refused(
    mine: Tenant, query: str, media_type: str, status: int
) -> None:
    """The answer lists what there is."""
    headers = {"Content-Type": media_type}
    answer = mine.call("POST", f"/knowledge/import?{query}", content=b"a,b\n", headers=headers)

    assert answer.status_code == status


def test_imported_things_belong_to_the_tenant(mine: Tenant, other: Tenant) -> None:
    """Nobody else sees them."""
    mine.send("/knowledge/import", FILES["text/csv"], "text/csv")

    assert other.get("/knowledge/documents").json() == []


@pytest.mark.parametrize(
    "feed",
    [
        REVIEW,
        [REVIEW],
        {"@context": "https://schema.org", "@graph": [REVIEW]},
        {"@type": "DataFeed", "dataFeedElement": [{"@type": "DataFeedItem", "item": [REVIEW]}]},
    ],
)
def test_claim_review_of_any_feed_becomes_a_document(mine: Tenant, feed: Any) -> None:
    """Its judgement in one sentence, its publisher as source, what it rests on as metadata."""
    told = mine.send("/knowledge/import", json.dumps(feed), "application/ld+json").json()
    (listed,) = mine.get("/knowledge/documents").json()
    shown = mine.get(f"/knowledge/documents/{listed['id']}").json()

    assert (told["kind"], told["imported"]) == ("claimreviews", 1)
    assert shown["text"] == (
        "It is false that the moon is made of cheese; It is tasty, according to Checkers (2021-03-04)."
    )
    assert (shown["source"], shown["published_at"]) == ("checkers.example", "2021-03-04")
    assert shown["metadata"]["rating_label"] == "REFUTED"
    assert shown["metadata"]["rating_share"] == "0"
    assert shown["metadata"]["claim_author"] == "A. Mouse"
    assert mine.get("/knowledge/facts").json() == []


@pytest.mark.parametrize(
    ("rating", "label"),
    [
        ({"alternateName": "Pants on Fire!"}, "REFUTED"),
        ({"alternateName": "Mostly True."}, "SUPPORTED"),
        ({"alternateName": "Half true", "ratingValue": 5}, "MIXED"),
        ({"ratingValue": 2, "worstRating": 1, "bestRating": 5}, "REFUTED"),
        ({"ratingValue": "4"}, "SUPPORTED"),
        ({"ratingValue": 3}, "MIXED"),
        ({"ratingValue": 9, "worstRating": 0, "bestRating": 10}, "SUPPORTED"),
        ({"ratingValue": -1}, None),
        ({"ratingValue": 1, "worstRating": 5, "bestRating": 5}, None),
        ({"alternateName": "Three hats"}, None),
        ({}, None),
    ],
)
def test_rating_is_read_by_its_name_or_else_its_number(rating: dict[str, Any], label: str | None) -> None:
    """Names decide; a number counts on its own scale only."""
    assert rating_of(rating)[0] == label


@pytest.mark.parametrize("rating", [{"alternateName": "Half true"}, {"alternateName": "Three hats"}, {}])
def test_review_without_a_judgement_never_repeats_the_claim(rating: dict[str, Any]) -> None:
    """Only its own words are kept; without any it is set aside."""
    row = {**REVIEW, "reviewRating": rating, "reviewBody": "Lunar rock is basalt."}

    assert read_review(row).text == "Lunar rock is basalt."
    with pytest.raises(InvalidValueError, match="reviewBody"):
        read_review({**row, "reviewBody": ""})
