"""Texts that are cut into vectors: over HTTP, and the cutting itself."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import split
from data.knowledge import Document
from deployments.document_chunks import chunks_of
from tests.unit.api.vector_fakes import VectorHouse, VectorTenant

TEXT = " ".join(f"Sentence number {n} tells of foxes, hares and owls." for n in range(40))


@pytest.fixture(scope="module")
def house() -> VectorHouse:
    """An installation for the tests of this module: each speaks as a tenant of its own."""
    return VectorHouse()


@pytest.fixture
def mine(house: VectorHouse, request: pytest.FixtureRequest) -> VectorTenant:
    """A tenant that nobody has been yet."""
    house.charged.clear()
    return house.tenant(request.node.name)


def words(text: str) -> list[str]:
    return re.findall(r"\S+", text)


def test_document_becomes_chunks_whose_offsets_are_exact(mine: VectorTenant) -> None:
    """Each is a vector with its text; each costs one."""
    made = mine.dataset(dimensions=16)
    mine.house.charged.clear()
    body = {"text": TEXT, "document_id": "tale", "chunk_size": 20, "metadata": {"year": 1}}
    answer = mine.post(f"/datasets/{made}/documents/", body)
    told, charged = answer.json(), list(mine.house.charged)
    kept = {one["id"]: one for one in mine.get(f"/datasets/{made}/vectors").json()}

    assert answer.status_code == 201
    assert (told["document_id"], told["inserted_count"]) == ("tale", told["chunk_count"])
    assert [one["id"] for one in told["chunks"]] == [f"tale#{n}" for n in range(told["chunk_count"])]
    assert charged == [1, told["chunk_count"] - 1]
    for chunk in told["chunks"]:
        vector = kept[chunk["id"]]
        assert vector["content"] == TEXT[chunk["start"] : chunk["end"]]
        assert vector["metadata"] == {"year": 1, "chunk_start": chunk["start"], "chunk_end": chunk["end"]}
        assert (vector["chunk_index"], vector["chunk_count"]) == (chunk["chunk_index"], told["chunk_count"])


def test_document_without_a_size_is_cut_as_evidence_is(mine: VectorTenant) -> None:
    """The same passages; the id comes from the text."""
    made = mine.dataset(dimensions=16)
    told = mine.post(f"/datasets/{made}/documents", {"text": TEXT}).json()

    assert [(one["start"], one["end"]) for one in told["chunks"]] == [
        (part.start, part.end) for part in split(Document("x", TEXT))
    ]
    assert told["document_id"].startswith("doc-")


def test_shorter_version_of_a_document_leaves_no_old_chunks(mine: VectorTenant) -> None:
    """With overwrite; other documents stay."""
    made = mine.dataset(dimensions=16)
    path = f"/datasets/{made}/documents"
    long = mine.post(path, {"text": TEXT, "document_id": "a", "chunk_size": 20}).json()
    mine.post(path, {"text": "An owl.", "document_id": "b"})
    short = mine.post(path, {"text": "A fox.", "document_id": "a", "overwrite": True}).json()
    ids = [one["id"] for one in mine.get(f"/datasets/{made}/vectors").json()]

    assert short["removed_count"] == long["chunk_count"] - 1
    assert sorted(ids) == ["a#0", "b#0"]


def test_same_document_again_is_told_as_there(mine: VectorTenant) -> None:
    """Its chunks have the same ids."""
    made = mine.dataset(dimensions=16)
    path = f"/datasets/{made}/documents"
    first, again = (mine.post(path, {"text": "A fox runs."}).json() for _ in range(2))
    skipped = mine.post(path, {"text": "A fox runs.", "skip_existing": True}).json()

    assert (first["inserted_count"], again["failed_count"], skipped["skipped_count"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"text": ""}, 422),
        ({"text": " \n "}, 422),
        ({"text": "x", "chunk_size": 7}, 422),
        ({"text": "x", "chunk_size": 20, "chunk_overlap": 11}, 422),
        ({"text": "word " * 10_000, "chunk_size": 8}, 400),
        ({"text": "x" * 1_000_001}, 422),
    ],
)
def test_document_that_cannot_be_cut_is_refused(
    mine: VectorTenant, body: dict[str, object], status: int
) -> None:
    """With what to mend; nothing is written."""
    made = mine.dataset(dimensions=16)

    assert mine.post(f"/datasets/{made}/documents", body).status_code == status
    assert mine.get(f"/datasets/{made}").json()["vector_count"] == 0


@settings(max_examples=150, deadline=None)
@given(
    text=st.text("ab. \n!?中\u00e9Z", max_size=400),
    size=st.integers(8, 30),
    overlap=st.integers(0, 15),
)
def test_chunks_hold_every_word_in_order_and_within_the_size(text: str, size: int, overlap: int) -> None:
    """Whatever the text; each begins after the one before and repeats at most the overlap."""
    chunks = chunks_of(text, size, min(overlap, size // 2))
    covered = [False] * len(text)
    for start, end in chunks:
        assert text[start:end].strip() == text[start:end] != ""
        assert len(re.findall(r"\S{1,60}", text[start:end])) <= size
        covered[start:end] = [True] * (end - start)
    for one, after in pairwise(chunks):
        assert one[0] < after[0]
        assert one[1] < after[1]
        assert len(words(text[after[0] : one[1]])) <= overlap

    assert all(covered[place] for place, letter in enumerate(text) if not letter.isspace())


def test_chunks_overlap_by_whole_sentences() -> None:
    """The last sentence of one is the first of the next where it has room."""
    text = "One two three four. Five six seven eight. Nine ten eleven twelve. And so on it goes."
    chunks = [text[start:end] for start, end in chunks_of(text, 8, 4)]

    assert chunks[0] == "One two three four. Five six seven eight."
    assert chunks[1] == "Five six seven eight. Nine ten eleven twelve."
