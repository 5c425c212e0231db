"""Ruling patterns out by their words, never wrongly."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from data.knowledge import Pattern
from data.pattern_words import needed_words, words_in
from data.wording import Matcher

ROOT = Path(__file__).parents[3]
PATTERNS = [json.loads(line) for line in (ROOT / "configs" / "patterns.jsonl").read_text().splitlines()]
EXAMPLES = ROOT / "tests" / "unit" / "demo" / "pattern_examples.jsonl"


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        ('"slippery slope"', {"slippery"}),
        ('"everyone knows" OR "no doubt"', {"everyone", "doubt"}),
        ('(experts OR scientists) AND "are lying"', {"lying"}),
        ('NEAR("if we" "will end", 5)', {"will"}),
        ('cure NOT "no cure"', {"cure"}),
        ("so called", {"called"}),
    ],
)
def test_query_names_words_of_which_one_must_occur(query: str, needed: set[str]) -> None:
    """The longest word of a phrase, all sides of OR, the stricter side of AND."""
    assert needed_words(query) == needed


@pytest.mark.parametrize("query", ["lie*", "caf\u00e9", '"a" OR lie*', "text: word", "(open", "a + b", ""])
def test_query_that_cannot_be_read_may_always_match(query: str) -> None:
    """Prefixes, accents, columns and broken queries rule nothing out."""
    assert needed_words(query) is None


def test_words_are_folded_as_fts5_folds_them() -> None:
    """Case and accents do not count."""
    assert words_in("\u00c9lan VITAL, co-op") == {"elan", "vital", "co", "op"}


def test_no_shipped_pattern_is_ruled_out_where_fts5_matches() -> None:
    """On every example text, matching with and without the word test gives the same."""
    texts = [text for line in EXAMPLES.read_text().splitlines() for text in strings_of(json.loads(line))]
    patterns = [Pattern(**row) for row in PATTERNS]
    plain = sqlite3.connect(":memory:")
    plain.execute("CREATE VIRTUAL TABLE t USING fts5(text, tokenize='unicode61 remove_diacritics 2')")
    plain.executemany("INSERT INTO t(rowid, text) VALUES (?, ?)", enumerate(texts))
    expected = {
        (number, pattern.id)
        for pattern in patterns
        for (number,) in plain.execute("SELECT rowid FROM t WHERE t MATCH ?", (pattern.query,))
    }
    matched = Matcher().match(texts, patterns)

    assert {(number, one.id) for number, found in enumerate(matched) for one in found} == expected
    assert len(expected) >= len(patterns)


def strings_of(row: dict[str, object]) -> list[str]:
    return [value for value in row.values() if isinstance(value, str)]
