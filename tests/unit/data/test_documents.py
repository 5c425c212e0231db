"""Splitting documents into passages."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.documents import MAX_WORDS, MIN_WORDS, document_id, split
from data.knowledge import Document

SENTENCE = "Dr. Curie measured the radiation of 226 samples in St. Petersburg on that day. "


@given(st.text(max_size=600))
def test_split_any_text_keeps_offsets_and_loses_no_word(text: str) -> None:
    """Whatever the text, passages quote it exactly, in order, apart, and hold all that is not space."""
    passages = split(Document("d", text))

    assert all(text[one.start : one.end] == one.text for one in passages)
    assert all(before.end <= after.start for before, after in pairwise(passages))
    assert "".join("".join(one.text.split()) for one in passages) == "".join(text.split())


def test_split_long_text_gives_passages_of_the_stated_size() -> None:
    """Sentences are joined up to the stated size and never past it."""
    sizes = [len(one.text.split()) for one in split(Document("d", SENTENCE * 40))]

    assert all(MIN_WORDS <= size <= MAX_WORDS for size in sizes[:-1])
    assert sizes[-1] <= MAX_WORDS


def test_split_abbreviation_does_not_end_a_sentence() -> None:
    """A passage ends where a sentence ends, and "Dr." or "St." is no end."""
    assert all(one.text.endswith("on that day.") for one in split(Document("d", SENTENCE * 40)))


def test_split_endless_sentence_is_cut_evenly() -> None:
    """A sentence longer than a passage is cut at word boundaries into even parts."""
    sizes = [len(one.text.split()) for one in split(Document("d", "word " * 200))]

    assert sizes == [67, 67, 66]


def test_split_text_without_spaces_is_still_bounded() -> None:
    """A text without white space is cut too: nothing becomes one giant passage."""
    passages = split(Document("d", "水" * 20_000))

    assert len(passages) > 1
    assert max(len(one.text) for one in passages) <= MAX_WORDS * 60


def test_split_passages_carry_the_document() -> None:
    """Ids count up, and title, address, source and date come along."""
    document = Document("d", SENTENCE * 12, "T", "http://u", "s", "2026-01-01")
    first, second, *_ = split(document)

    assert (first.id, second.id) == ("d#0", "d#1")
    assert (first.title, first.url, first.source, first.published_at) == ("T", "http://u", "s", "2026-01-01")


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_split_empty_text_gives_nothing(text: str) -> None:
    """No words, no passages."""
    assert split(Document("d", text)) == ()


def test_document_id_follows_the_content() -> None:
    """Equal content, equal id; any difference shows."""
    assert document_id("a", "b") == document_id("a", "b")
    assert len({document_id("a", "b"), document_id("ab"), document_id("a", "b", "u")}) == 3
