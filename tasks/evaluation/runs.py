"""One split in, its figures out: verdicts on gold evidence, check-worthiness, rankings and open verdicts.

Called by ``tasks.evaluate``. A run is a dictionary of figures, JSON once its estimates are plain.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from cluster.wiring import Models
from configs.schema import Settings
from data.evidence import STANCES
from data.models.checkworthiness import features as checkworthiness_features
from data.parts import Parts
from tasks.evaluation import open_book, statistics
from tasks.evaluation.gold import judge
from tasks.evaluation.sets import Example, LabelledFile, RetrievalView

Run = dict[str, Any]

_SLICES: dict[str, Callable[[str], bool]] = {
    "negation": re.compile(r"\b(not|no|never|none|nor|without|cannot)\b|n't", re.IGNORECASE).search,  # type: ignore[dict-item]
    "numbers": re.compile(r"\d").search,  # type: ignore[dict-item]
    "at most 10 words": lambda claim: len(claim.split()) <= 10,
    "over 20 words": lambda claim: len(claim.split()) > 20,
}


def gold_run(part: LabelledFile, models: Models) -> Run:
    """Return the figures of verdicts on the evidence that a set names."""
    found = judge(
        part.examples,
        stance=models.stance,
        embedder=models.embedder,
        say=lambda done: say(f"  {done} passages", end="\r"),
    )
    return described(found.probabilities, part.examples, STANCES, skipped=part.skipped)


def sentence_run(part: LabelledFile, models: Models) -> Run:
    """Return the figures of check-worthiness; ``f1_positive`` is the F1 of sentences worth checking."""
    texts = [each.claim for each in part.examples]
    rows = checkworthiness_features(texts, models.embedder.embed(texts))
    probabilities = np.asarray(models.scorer.predict("checkworthiness", rows), dtype=np.float32)
    run = described(probabilities, part.examples, ("no", "yes"), skipped=part.skipped)
    counts = np.array(run["confusion"], dtype=np.int64)
    low, high = statistics.interval(counts, lambda each: statistics.f1_of(each, 1))
    value = statistics.f1_of(counts, 1)
    run["f1_positive"] = statistics.Estimate(round(value, 4), round(low, 4), round(high, 4))
    return run


def open_runs(
    view: RetrievalView,
    official: RetrievalView | None,
    splits: Sequence[str],
    settings: Settings,
    limit: int | None,
) -> Iterator[tuple[str, Run]]:
    """Yield the runs over a whole corpus: rankings of the view's and the official queries, and verdicts."""
    say(f"{view.name}: {len(view.corpus)} documents are written")
    with open_book.opened(view, settings) as (parts, own):
        for split in splits:
            if official is not None:
                yield from _ranked(official.name, official, split, parts, own, limit)
            yield from _ranked(f"{view.name}/retrieval", view, split, parts, own, limit)
            queries = _first(view.queries.get(split, {}), limit)
            if view.labels and queries:
                say(f"{view.name}/open {split}: {len(queries)} claims")
                yield f"{view.name}/open {split}", _answered(view, queries, parts, own)


def described(
    probabilities: statistics.Rows, examples: Sequence[Example], classes: Sequence[str], *, skipped: int
) -> Run:
    """Return every figure of rows (n, classes) of these examples, with slices and plot data."""
    labels = np.array([each.label for each in examples], dtype=np.int64)
    rows = statistics.among(probabilities, labels)
    predicted = rows.argmax(axis=1)
    run: Run = dict(statistics.figures(probabilities, labels))
    run["classes"] = list(classes)
    run["confusion"] = statistics.confusion(predicted, labels, len(classes)).tolist()
    run["reliability"] = [asdict(each) for each in statistics.reliability(rows, labels)]
    risks = statistics.risk_coverage(rows, labels)
    run["risk_coverage"] = [round(each, 4) for each in risks[:: max(1, len(risks) // 200)]]
    run["skipped_rows"] = skipped
    run["slices"] = {}
    for name, belongs in _SLICES.items():
        inside = np.array([bool(belongs(each.claim)) for each in examples])
        if inside.any():
            counts = statistics.confusion(predicted[inside], labels[inside], len(classes))
            run["slices"][name] = {
                "rows": int(inside.sum()),
                "accuracy": round(statistics.accuracy(counts), 4),
                "macro_f1": round(statistics.macro_f1(counts), 4),
            }
    return run


def say(line: str, end: str = "\n") -> None:
    """Tell whoever waits how far it is; figures go elsewhere."""
    sys.stderr.write(line + end)
    sys.stderr.flush()


def _first(queries: Mapping[str, str], limit: int | None) -> dict[str, str]:
    return dict(list(queries.items())[:limit])


def _ranked(
    name: str, view: RetrievalView, split: str, parts: Parts, own: Settings, limit: int | None
) -> Iterator[tuple[str, Run]]:
    judged = {key: text for key, text in view.queries.get(split, {}).items() if view.relevant.get(key)}
    queries = _first(judged, limit)
    if queries:
        say(f"{name} {split}: {len(queries)} queries")
        ranked = open_book.rank(parts, own, queries, lambda done: say(f"  {done} queries", end="\r"))
        yield f"{name} {split}", ranking_run(view.relevant, ranked)


def ranking_run(relevant: Mapping[str, Mapping[str, float]], ranked: Mapping[str, Sequence[str]]) -> Run:
    """Return nDCG@10 and recall of rankings of documents, each query counting the same."""
    run: Run = {"rows": len(ranked)}
    gains = [statistics.ndcg(found, relevant[key]) for key, found in ranked.items()]
    run["ndcg_10"] = statistics.resampled(np.array(gains))
    for depth in (10, open_book.DEPTH):
        found_at = [statistics.recall(found, relevant[key], depth) for key, found in ranked.items()]
        run[f"recall_{depth}"] = statistics.resampled(np.array(found_at))
    return run


def _answered(view: RetrievalView, queries: Mapping[str, str], parts: Parts, own: Settings) -> Run:
    """Return the figures of whole verdicts; a claim without a judged document has no evidence there."""
    verdicts = open_book.answer(parts, own, queries, lambda done: say(f"  {done} claims", end="\r"))
    rows = np.array([each.probabilities for each in verdicts], dtype=np.float32)
    examples = [Example(key, text, (), view.labels.get(key, 2)) for key, text in queries.items()]
    run = described(rows, examples, STANCES, skipped=0)
    run["fever_score"] = statistics.resampled(open_book.fever_score(verdicts, view.labels, view.relevant))
    return run
