"""What a set with three labels sees of a verdict over a whole corpus, and the figures made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.analysis import Span
from data.claims import make_claim
from data.errors import UnavailableError
from data.evidence import Evidence, Stance, StanceJudgement
from data.verdicts import VERDICT_LABELS, Probabilities, Verdict, VerdictLabel
from tasks.evaluation.open_book import MOST_CITED, OpenVerdict, fever_score, open_verdict, three_way
from tasks.evaluation.runs import ranking_run
from tasks.evaluation.sets import read_beir

ROWS: dict[Stance, tuple[float, float, float]] = {
    "SUPPORTS": (0.8, 0.1, 0.1),
    "REFUTES": (0.1, 0.8, 0.1),
    "NEUTRAL": (0.1, 0.1, 0.8),
}


def verdict(label: VerdictLabel, stances: list[tuple[str, Stance]]) -> Verdict:
    """A verdict from one passage a document."""
    row = [0.1] * 4
    row[VERDICT_LABELS.index(label)] = 0.7
    items = [Evidence(f"{key}#0", key, "It is so.", Span(0, 9)) for key, _ in stances]
    judged = {f"{key}#0": StanceJudgement(f"{key}#0", stance, ROWS[stance]) for key, stance in stances}
    return Verdict(
        id="v",
        claim=make_claim("It is so."),
        label=label,
        probabilities=(row[0], row[1], row[2], row[3]),
        confidence=0.7,
        prediction_set=(label,),
        alpha=0.1,
        abstained=None,
        justification="",
        reward=0.0,
        weights={},
        opinions={},
        evidence=tuple(items),
        stances=judged,
        knowledge_seq=1,
        model_bundle="m",
    )


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ((0.4, 0.1, 0.3, 0.2), 0),
        ((0.1, 0.4, 0.3, 0.2), 1),
        ((0.2, 0.3, 0.4, 0.1), 2),
        ((0.3, 0.2, 0.1, 0.4), 2),
    ],
)
def test_the_label_stays_and_conflict_is_no_decision(row: Probabilities, column: int) -> None:
    """SUPPORTED stays so, though unknown and conflict together outweigh it."""
    found = three_way(row)
    assert int(np.argmax(found)) == column
    assert sum(found) == pytest.approx(1.0)


def test_only_items_that_say_what_the_verdict_says_are_cited() -> None:
    """A passage that was found, and is neutral or says the contrary, is no citation."""
    found = open_verdict("q", verdict("REFUTED", [("a", "NEUTRAL"), ("b", "REFUTES"), ("c", "SUPPORTS")]))
    assert found.documents == ("b",)
    assert open_verdict("q", verdict("NOT_ENOUGH_INFO", [("a", "SUPPORTS")])).documents == ()


def test_a_verdict_without_all_frameworks_is_no_figure() -> None:
    """What was not answered for want of time or memory is not counted as undecided."""
    with pytest.raises(UnavailableError, match="framework failed on q"):
        open_verdict("q", replace(verdict("NOT_ENOUGH_INFO", []), degraded=True))


def test_no_more_than_five_items_are_cited() -> None:
    """Citing everything would always hit."""
    many: list[tuple[str, Stance]] = [(f"d{n}", "SUPPORTS") for n in range(9)]
    assert len(open_verdict("q", verdict("SUPPORTED", many)).documents) == MOST_CITED


def test_a_right_label_counts_only_with_its_document() -> None:
    """Right with the gold document, right without, wrong, and rightly undecided."""
    support, unknown = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)
    verdicts = [
        OpenVerdict("1", support, ("gold", "other")),
        OpenVerdict("2", support, ("other",)),
        OpenVerdict("3", support, ("gold",)),
        OpenVerdict("4", unknown, ()),
    ]
    gold = {"1": {"gold": 1.0}, "2": {"gold": 1.0}, "3": {"gold": 1.0}}
    assert fever_score(verdicts, {"1": 0, "2": 0, "3": 1}, gold).tolist() == [1.0, 0.0, 0.0, 1.0]


def test_rankings_are_scored_by_query() -> None:
    """First place, second place, not found: the mean over the three queries."""
    relevant = {"1": {"a": 1.0}, "2": {"a": 1.0}, "3": {"a": 1.0}}
    run = ranking_run(relevant, {"1": ["a", "b"], "2": ["b", "a"], "3": ["b"]})
    assert run["ndcg_10"].value == pytest.approx((1.0 + 1.0 / np.log2(3)) / 3, abs=1e-4)
    assert run["recall_10"].value == pytest.approx(2 / 3, abs=1e-4)


def test_official_queries_are_those_that_are_judged(tmp_path: Path) -> None:
    """By split of the judgements; a query that none judges is not asked."""
    (tmp_path / "mine" / "beir" / "qrels").mkdir(parents=True)
    folder = tmp_path / "mine"
    (folder / "beir" / "queries.jsonl").write_text(
        '{"id": "1", "text": "One"}\n{"id": "2", "text": "Two"}\n', encoding="utf-8"
    )
    (folder / "beir" / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n2\td\t1\n", encoding="utf-8"
    )
    view = read_beir(folder)
    assert view is not None
    assert (view.name, view.queries, view.relevant) == (
        "mine/beir",
        {"test": {"2": "Two"}},
        {"2": {"d": 1.0}},
    )
    assert read_beir(tmp_path) is None
