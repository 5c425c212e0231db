"""What the shipped syntax pipeline promises: places, trees, determinism, and scores on held-out sentences."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from data.errors import CorruptDataError, ModelUnavailableError
from data.text.roles import predications
from data.text.syntax import MAX_WORDS, SyntaxReader, load_syntax, open_syntax, syntax_identity
from tasks.pipeline_scores import gold_word_scores
from tasks.treebank import read_treebank

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "syntax"
ODD = (
    "",
    " \n\t ",
    "\u200b",
    "…",
    "Ⅻ ½ km² — naïve\u0301 “café”",
    "東京は日本の首都です。",
    "مرحبا بالعالم",
    "👩‍👩‍👧 won 🏆 in 2020!!!",
    "\ud800 lone surrogate",
    "a\x00b\x07c",
    "x" * 5_000,
    "http://" + "a." * 600,
    "word " * 400,
    "(((((((((()))))))))) ,,,, ;;;;",
)
TEXTS = (
    "The Eiffel Tower is 330 metres tall.",
    "Germany defeated Brazil in 2014. Brazil was not defeated by Italy.",
    "Marie Curie, who was born in Warsaw, won two Nobel Prizes.",
    "The report said that no vaccine causes autism.",
)


@pytest.fixture(scope="module")
def reader() -> SyntaxReader:
    return load_syntax(SHIPPED)


@pytest.mark.parametrize("text", [*ODD, *TEXTS], ids=range(len(ODD) + len(TEXTS)))
def test_any_text_gives_trees_whose_places_are_in_it(reader: SyntaxReader, text: str) -> None:
    """Every word slices to itself, in order; heads are inside the sentence; each sentence has one root."""
    parsed = reader.read([text])[0]
    at, text = 0, text.replace("\ud800", "\ufffd")
    for sentence in parsed:
        assert 0 < len(sentence.tokens) <= MAX_WORDS
        for token in sentence.tokens:
            assert text[token.span.start : token.span.end] == token.text
            assert token.span.start >= at
            assert 0 <= token.head < len(sentence.tokens)
            at = token.span.end
        assert (sentence.span.start, sentence.span.end) == (
            sentence.tokens[0].span.start,
            sentence.tokens[-1].span.end,
        )
        for start in range(len(sentence.tokens)):
            place, steps = start, 0
            while sentence.tokens[place].head != place:
                place, steps = sentence.tokens[place].head, steps + 1
                assert steps <= len(sentence.tokens)


def test_text_reads_the_same_alone_in_a_batch_and_from_the_cache(reader: SyntaxReader) -> None:
    """Neighbours and order change nothing."""
    together = reader.read([*ODD, *TEXTS])
    fresh = load_syntax(SHIPPED)
    alone = [fresh.read([text])[0] for text in reversed([*ODD, *TEXTS])]

    assert together == alone[::-1]
    assert reader.read(TEXTS) == together[len(ODD) :]


def test_plain_sentence_is_read_right(reader: SyntaxReader) -> None:
    """Parts of speech, lemmas, labels and heads of an easy sentence."""
    (sentence,) = reader.read(["The old dog chased three cats."])[0]

    assert [(token.text, token.upos, token.dependency) for token in sentence.tokens] == [
        ("The", "DET", "det"),
        ("old", "ADJ", "amod"),
        ("dog", "NOUN", "nsubj"),
        ("chased", "VERB", "root"),
        ("three", "NUM", "nummod"),
        ("cats", "NOUN", "obj"),
        (".", "PUNCT", "punct"),
    ]
    assert [token.head for token in sentence.tokens] == [2, 2, 3, 3, 5, 3, 3]
    assert [token.lemma for token in sentence.tokens][2:6] == ["dog", "chase", "three", "cat"]


@pytest.mark.parametrize(
    "text",
    [
        "Germany defeated Brazil.",
        "Brazil was defeated by Germany.",
        "Brazil had been defeated by Germany in the final.",
        "It was a surprise that Germany defeated Brazil.",
    ],
)
def test_winner_is_found_in_any_voice(reader: SyntaxReader, text: str) -> None:
    """The same two play the same parts however it is said."""
    roles = [
        (item.doer.head, item.undergoer.head)
        for sentence in reader.read([text])[0]
        for item in predications(sentence)
        if item.lemma == "defeat" and item.doer and item.undergoer
    ]

    assert roles == [("germany", "brazil")]


def test_identity_is_that_of_the_manifest(reader: SyntaxReader) -> None:
    """Reading the identity needs no loading."""
    assert reader.identity == syntax_identity(SHIPPED)
    assert len(reader.identity) == 64


def test_missing_folder_is_told_and_frameworks_go_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Loading refuses; opening warns and gives nothing; the identity is empty."""
    missing = tmp_path / "none"

    with pytest.raises(ModelUnavailableError):
        load_syntax(missing)
    with caplog.at_level("WARNING", logger="kite.syntax"):
        assert open_syntax(missing) is None
    assert "go without" in caplog.text
    assert syntax_identity(missing) == ""


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    """What loads is what the manifest names."""
    folder = tmp_path / "syntax"
    shutil.copytree(SHIPPED, folder)
    with (folder / "parser" / "model").open("ab") as stream:
        stream.write(b"x")

    with pytest.raises(CorruptDataError):
        load_syntax(folder)


@pytest.mark.datasets
def test_shipped_pipeline_reaches_what_it_must_on_held_out_sentences(reader: SyntaxReader) -> None:
    """UAS .86, LAS .82 and UPOS .93 on 300 test sentences, the treebank's words given."""
    datasets = os.environ.get("KITE_DATASETS")
    if not datasets:
        pytest.skip("KITE_DATASETS is not set: there is no labelled data here")
    scores = gold_word_scores(reader, read_treebank(Path(datasets) / "ud_ewt", "test")[::7][:300])

    assert scores["uas"] >= 0.86
    assert scores["las"] >= 0.82
    assert scores["upos"] >= 0.93
