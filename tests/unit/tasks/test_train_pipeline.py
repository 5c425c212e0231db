"""Training the syntax pipeline: settings build, a few sentences can be learnt, the record is whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.text.syntax import SyntaxReader, convert, widen
from tasks.lemma_table import lemma_table, written
from tasks.pipeline_config import Shape, build_pipeline, example_of
from tasks.pipeline_scores import gold_word_scores, text_scores
from tasks.train_pipeline import RATE, lowered, main, rate_at
from tasks.treebank import Sentence, Word
from tasks.word_vectors import reduced, whole_words

SMALL = Shape(width=32, depth=2, rows=(200, 100, 100, 100), hidden=32, vector_dim=4, least_seen=1)
WORDS = ("dogs", "cats", "chase", "see")
VECTORS = np.eye(4, dtype=np.float32)


def made(subject: str, verb: str, thing: str) -> Sentence:
    words = (
        Word(subject, subject.lower()[:-1], "NOUN", "NNS", 1, "nsubj", space=True),
        Word(verb, verb, "VERB", "VBP", 1, "root", space=True),
        Word(thing, thing[:-1], "NOUN", "NNS", 1, "obj", space=False),
        Word(".", ".", "PUNCT", ".", 1, "punct", space=True),
    )
    return Sentence(words, opens_paragraph=True)


TREEBANK = [
    made(subject, verb, thing)
    for subject in ("Dogs", "Cats", "Birds")
    for verb in ("chase", "see", "fear")
    for thing in ("dogs", "cats", "birds")
]


@pytest.fixture(scope="module")
def reader() -> SyntaxReader:
    """A pipeline that has learnt 27 sentences by heart."""
    from thinc.api import Adam, fix_random_seed

    fix_random_seed(1)
    nlp = build_pipeline(SMALL, WORDS, VECTORS)
    examples = [example_of(nlp, [sentence]) for sentence in TREEBANK]
    nlp.initialize(lambda: examples)
    optimizer = Adam(0.01)
    for _ in range(15):
        nlp.update(examples, sgd=optimizer)
    return SyntaxReader(nlp)


def test_pipeline_learns_what_it_is_shown(reader: SyntaxReader) -> None:
    """Heads, labels, parts of speech and lemmas of the sentences it saw come back."""
    scores = gold_word_scores(reader, TREEBANK)

    assert scores["words"] == 108
    assert min(scores[name] for name in ("uas", "las", "upos", "xpos")) >= 0.95
    assert scores["lemma"] == 1.0


def test_text_scores_count_words_and_sentences_found_in_plain_text(reader: SyntaxReader) -> None:
    """The text is put together from words and spaces and read as the product reads it."""
    scores = text_scores(reader, TREEBANK)

    assert scores["words"] == 1.0
    assert scores["sentences"] >= 0.95
    assert scores["upos"] >= 0.95


def test_wrong_labels_lower_the_scores(reader: SyntaxReader) -> None:
    """A gold tree with other heads and labels is not matched."""
    other = [
        Sentence(
            (
                Word("Dogs", "dog", "NOUN", "NNS", 2, "obj", space=True),
                Word("chase", "chase", "NOUN", "NN", 2, "obj", space=True),
                Word("cats", "cat", "VERB", "VB", 2, "root", space=True),
            ),
            opens_paragraph=True,
        )
    ]
    scores = gold_word_scores(reader, other)

    assert scores["las"] == 0.0
    assert scores["upos"] <= 0.34


def test_example_of_two_sentences_has_two_roots() -> None:
    """Heads are moved by the words before; each sentence keeps its root."""
    nlp = build_pipeline(SMALL, WORDS, VECTORS)
    gold = example_of(nlp, TREEBANK[:2]).reference

    assert [token.head.i for token in gold] == [1, 1, 1, 1, 5, 5, 5, 5]
    assert [sent.text for sent in gold.sents] == ["Dogs chase dogs.", "Dogs chase cats."]


def test_half_precision_comes_back_as_single(reader: SyntaxReader) -> None:
    """What is written in half precision is read as float32 and answers the same."""
    before = list(reader.read_words([["Dogs", "see", "cats", "."]]))
    nlp = reader._pipeline.nlp
    convert(nlp, "float16")
    assert nlp.vocab.vectors.data.dtype == np.float16
    widen(nlp)

    assert nlp.vocab.vectors.data.dtype == np.float32
    assert list(reader.read_words([["Dogs", "see", "cats", "."]])) == before


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    """The top is reached once, the end is zero."""
    rates = [rate_at(step, 100) for step in range(101)]

    assert max(rates) == pytest.approx(RATE)
    assert rates[0] < RATE / 5
    assert rates[100] == 0.0


def test_lowered_sentence_keeps_its_tree() -> None:
    """Only the writing changes."""
    small = lowered(TREEBANK[0])

    assert [word.text for word in small.words] == ["dogs", "chase", "dogs", "."]
    assert [word.head for word in small.words] == [word.head for word in TREEBANK[0].words]


def test_lemma_table_holds_only_what_the_rules_get_wrong() -> None:
    """The commonest lemma of a form counts, by part of speech; what the rule finds is left out."""
    words = [
        ("Dogs", "dog", "NOUN"),
        ("better", "good", "ADJ"),
        ("better", "well", "ADV"),
        ("better", "good", "ADJ"),
        ("better", "better", "ADJ"),
    ]
    sentences = [
        Sentence((Word(text, lemma, upos, "X", 0, "root", space=True),), opens_paragraph=True)
        for text, lemma, upos in words
    ]
    table = lemma_table(sentences)

    assert table == {("better", "ADJ"): "good", ("better", "ADV"): "well"}
    assert written(table) == "better\tADJ\tgood\nbetter\tADV\twell\n"


def test_whole_words_are_in_order_of_the_table() -> None:
    """Continuations and reserved pieces are no words; a bracket is one."""
    vocabulary = {"the": 3, "[PAD]": 0, "##ing": 2, "[": 1, "of": 4}

    assert whole_words(vocabulary) == [("[", 1), ("the", 3), ("of", 4)]


def test_reduced_table_keeps_the_widest_directions() -> None:
    """Two directions carry all the variance; distances survive the reduction up to scale."""
    rng = np.random.default_rng(3)
    flat = rng.normal(size=(50, 2)).astype(np.float32)
    table = np.concatenate([flat, np.zeros((50, 3), dtype=np.float32)], axis=1)
    small = reduced(table, 2)

    def distances(rows: np.ndarray) -> np.ndarray:
        return np.linalg.norm(rows[:, None] - rows[None], axis=2)

    ratio = distances(small)[0, 1:] / distances(table)[0, 1:]
    assert small.shape == (50, 2)
    assert ratio == pytest.approx(np.full(49, ratio[0]), rel=1e-3)


def test_missing_data_stop_the_task_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2 and the message names the file."""
    assert main(["--datasets", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "train.conllu.gz" in capsys.readouterr().err


def test_shipped_record_names_data_licence_and_scores() -> None:
    """The manifest of the shipped pipeline says what it learnt from and how well it reads."""
    folder = Path(__file__).resolve().parents[3] / "models" / "syntax"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    record = manifest["record"]
    scores = record["scores"]["test"]["gold_words"]

    assert [(item["file"], item["licence"]) for item in record["data"]] == [
        (f"ud_ewt/{split}.conllu.gz", "CC BY-SA 4.0") for split in ("train", "dev", "test")
    ]
    assert all(len(item["sha256"]) == 64 for item in record["data"])
    assert scores["uas"] >= 0.86
    assert scores["las"] >= 0.82
    assert scores["upos"] >= 0.93
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 12 * 2**20
