"""What the shipped patterns promise: each finds what it names and leaves plain statements alone."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from data.knowledge import Pattern
from data.wording import Matcher, check_pattern

ROOT = Path(__file__).parents[3]
FAMILIES = {"fallacy", "hedge", "loaded", "bias", "attribution", "rumour"}
#: Tokenizers under which the queries must mean the same: words as written, and words cut to their stems.
TOKENIZERS = ("unicode61 remove_diacritics 2", "porter unicode61")


@cache
def _patterns() -> tuple[Pattern, ...]:
    lines = (ROOT / "configs/patterns.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(Pattern(**json.loads(line)) for line in lines)


@cache
def _examples() -> dict[str, dict[str, str]]:
    lines = (Path(__file__).parent / "pattern_examples.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def _matching(tokenizer: str, texts: list[str], pattern: Pattern) -> set[int]:
    with sqlite3.connect(":memory:") as connection:
        connection.execute(f"CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='{tokenizer}')")
        connection.executemany("INSERT INTO texts(rowid, text) VALUES (?, ?)", enumerate(texts))
        return {
            row
            for (row,) in connection.execute("SELECT rowid FROM texts WHERE texts MATCH ?", (pattern.query,))
        }


def _alarm_rates(texts: list[str]) -> dict[str, float]:
    """The share of texts in which a family finds something."""
    hits = Matcher().match(texts, _patterns())
    counts = Counter(family for found in hits for family in {pattern.family for pattern in found})
    return {family: counts[family] / len(texts) for family in FAMILIES}


def test_patterns_are_150_or_more_in_the_known_families() -> None:
    """There are enough of them, each of a known family, and every family has some."""
    families = Counter(pattern.family for pattern in _patterns())
    assert len(_patterns()) >= 150
    assert set(families) == FAMILIES
    assert min(families.values()) >= 10


def test_patterns_have_unique_ids_and_one_sentence_messages() -> None:
    """An id names family and pattern; the message is a sentence for a person."""
    assert len({pattern.id for pattern in _patterns()}) == len(_patterns())
    for pattern in _patterns():
        assert re.fullmatch(rf"{pattern.family}-[a-z0-9-]+", pattern.id)
        assert pattern.name
        assert re.fullmatch(r"[A-Z].*\.", pattern.message)


def test_patterns_have_an_example_each() -> None:
    """No pattern is without its pair of example sentences, and no pair without its pattern."""
    assert set(_examples()) == {pattern.id for pattern in _patterns()}


@pytest.mark.parametrize("pattern", _patterns(), ids=lambda pattern: pattern.id)
def test_pattern_finds_its_example_and_not_its_counterexample(pattern: Pattern) -> None:
    """The query is valid FTS5 and tells its two sentences apart, with and without stemming."""
    check_pattern(pattern)
    example = _examples()[pattern.id]
    for tokenizer in TOKENIZERS:
        assert _matching(tokenizer, [example["positive"], example["negative"]], pattern) == {0}, tokenizer


def test_patterns_leave_every_counterexample_alone() -> None:
    """A plain sentence made to be near one pattern is not caught by another."""
    texts = [example["negative"] for example in _examples().values()]
    hits = Matcher().match(texts, _patterns())
    assert [(text, found) for text, found in zip(texts, hits, strict=True) if found] == []


def test_patterns_leave_the_demo_claims_alone() -> None:
    """Plain statements of fact match no pattern at all."""
    lines = (ROOT / "demo/claims.jsonl").read_text(encoding="utf-8").splitlines()
    claims = [json.loads(line)["claim"] for line in lines]
    assert set(_alarm_rates(claims).values()) == {0.0}


@pytest.mark.datasets
def test_patterns_raise_few_false_alarms_on_real_claims() -> None:
    """Of 500 claims from each of FM2 and VitaminC and all of SciFact, nearly none is called a fallacy."""
    home = os.environ.get("KITE_DATASETS")
    if not home:
        pytest.skip("KITE_DATASETS is not set")
    texts = []
    for name in ("fm2", "scifact", "vitaminc"):
        rows = (Path(home) / name / "dev.jsonl").read_text(encoding="utf-8").splitlines()
        texts += [json.loads(row)["claim"] for row in rows[:500]]
    rates = _alarm_rates(texts)
    assert rates["fallacy"] < 0.005
    assert max(rates["loaded"], rates["bias"], rates["rumour"], rates["attribution"]) < 0.01
    assert rates["hedge"] < 0.02
