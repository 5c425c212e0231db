"""Reading any folder of labelled sets, reading their evidence, and writing the report."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import ConfigError
from tasks.evaluate import main
from tasks.evaluation.gold import WINDOW_WORDS, judge, windows
from tasks.evaluation.pages import html_page, quality_page
from tasks.evaluation.sets import Example, folders, read_retrieval, read_set


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A user's own set, with one row of every kind and one label nobody knows."""
    evidence = [{"id": "e", "text": "The tower is 330 metres tall."}]
    rows = [
        {"id": "1", "claim": "The tower is 330 m tall.", "evidence": evidence, "label": "SUPPORTS"},
        {"id": "2", "claim": "The tower is 300 m tall.", "evidence": evidence, "label": "REFUTES"},
        {"id": "3", "claim": "The tower is red.", "evidence": evidence, "label": "DISPUTED"},
    ]
    write(tmp_path / "mine" / "dev.jsonl", rows)
    write(
        tmp_path / "mine" / "pairs_test.jsonl.gz", [{"claim": "A", "text": "B", "label": "NOT_ENOUGH_INFO"}]
    )
    write(tmp_path / "mine" / "retrieval" / "corpus.jsonl", [{"id": "d", "title": "T", "text": "B"}])
    write(tmp_path / "mine" / "retrieval" / "queries.jsonl", [{"id": "q", "text": "A", "split": "dev"}])
    (tmp_path / "mine" / "retrieval" / "qrels.tsv").write_text(
        "query-id\tcorpus-id\tscore\tsplit\tlabel\nq\td\t1\tdev\tREFUTES\n", encoding="utf-8"
    )
    return tmp_path


class OverlapStance:
    """Says SUPPORTS by the share of the claim's words in the passage."""

    def judge(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        shares = [len({*c.split()} & {*p.split()}) / len(c.split()) for c, p in pairs]
        return np.array([[share, 0.0, 1.0 - share] for share in shares], dtype=np.float32)


def test_a_users_own_folder_is_read_like_any_other(mine: Path) -> None:
    """Splits and kinds come from names and rows; a label outside the three is counted, not guessed."""
    (folder,) = folders(mine)
    (dev,) = read_set(folder, ("dev",))
    assert (dev.name, dev.kind, dev.skipped) == ("mine", "verdict", 1)
    assert [example.label for example in dev.examples] == [0, 1]
    (test,) = read_set(folder, ("test",))
    assert (test.name, test.kind, test.examples[0].label) == ("mine/pairs", "pair", 2)
    view = read_retrieval(folder)
    assert view is not None
    assert (view.relevant, view.labels) == ({"q": {"d": 1.0}}, {"q": 1})


def test_the_set_folder_itself_may_be_named(mine: Path) -> None:
    """One set needs no folder of sets around it."""
    assert folders(mine / "mine") == [mine / "mine"]


@pytest.mark.parametrize(
    ("where", "only", "said"),
    [
        ("absent", (), "not a folder"),
        ("empty", (), "holds no labelled set"),
        (".", ("yours",), "no set 'yours'"),
    ],
)
def test_a_folder_without_sets_is_told_in_one_sentence(
    mine: Path, where: str, only: tuple[str, ...], said: str
) -> None:
    """What is wrong, and what would be right."""
    (mine / "empty").mkdir()
    with pytest.raises(ConfigError, match=said):
        folders(mine / where, only)


def test_a_broken_line_is_named_with_its_number(tmp_path: Path) -> None:
    """The file, the line, and what to do."""
    write(tmp_path / "mine" / "dev.jsonl", [{"claim": "A", "text": "B", "label": "SUPPORTS"}])
    with (tmp_path / "mine" / "dev.jsonl").open("a") as stream:
        stream.write("{not json\n")
    with pytest.raises(ConfigError, match="line 2"):
        list(read_set(tmp_path / "mine", ("dev",)))


def test_short_evidence_is_read_whole_and_long_evidence_in_windows() -> None:
    """No window is longer than what the model reads, and no word is lost."""
    short = Example("1", "c", (("", "One fact."), ("", "Another fact.")), 0)
    assert windows(short) == ["One fact. Another fact."]
    article = " ".join(f"Sentence number {n} says something about the town." for n in range(60))
    pieces = windows(Example("2", "c", (("", article),), 0))
    assert len(pieces) > 3
    assert all(len(piece.split()) <= WINDOW_WORDS for piece in pieces)
    assert " ".join(pieces).split() == article.split()


def test_the_window_that_decides_most_speaks_for_the_claim() -> None:
    """A long article with one sentence on the claim supports it; no evidence leaves it open."""
    filler = " ".join(f"Sentence number {n} is about bread and flour." for n in range(60))
    examples = [
        Example("1", "tall tower Paris", (("", filler + " The tall tower in Paris stands. " + filler),), 0),
        Example("2", "tall tower Paris", (), 2),
    ]
    found = judge(OverlapStance(), examples, lambda done: None)
    assert found.probabilities.argmax(axis=1).tolist() == [0, 2]


REPORT: dict[str, Any] = {
    "model_bundle": "ab" * 32,
    "runs": {
        "fm2 test": {
            "rows": 1380.0,
            "accuracy": {"value": 0.65, "low": 0.62, "high": 0.68},
            "macro_f1": {"value": 0.64, "low": 0.61, "high": 0.67},
            "calibration_error": 0.2,
            "classes": ["SUPPORTS", "<REFUTES>"],
            "confusion": [[5, 1], [2, 4]],
            "reliability": [{"share": 1.0, "confidence": 0.8, "accuracy": 0.6}],
            "risk_coverage": [0.0, 0.1],
            "slices": {"numbers": {"rows": 400, "accuracy": 0.5, "macro_f1": 0.5}},
        }
    },
}


def test_the_quality_page_says_where_it_is_weak() -> None:
    """Short of its target, weak on numbers, off in its probabilities: all three are said."""
    page = quality_page(REPORT)
    assert "| fm2 | accuracy | 0.54 | 0.650 [0.620, 0.680] | 0.7 | 0.76 | short |" in page
    assert "Short of what it must reach: fm2 (0.650 of 0.7)." in page
    assert "fm2 test, claims with numbers: accuracy 0.500 on 400 rows, 0.650 over all." in page
    assert "fm2 test: probabilities are off by 0.200 on average." in page


def test_the_html_page_is_well_formed_and_alone() -> None:
    """Every element is closed, names are escaped, and nothing is fetched."""
    page = html_page(REPORT)
    open_elements: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "circle", "line", "rect", "polyline"):
                open_elements.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag in open_elements:
                assert open_elements.pop() == tag

    Checker().feed(page)
    assert open_elements == []
    assert "<REFUTES>" not in page
    assert "http" not in page
    assert "<script" not in page


def test_without_a_folder_the_task_says_what_to_give(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 and one sentence."""
    monkeypatch.delenv("KITE_DATASETS", raising=False)
    assert main([]) == 2
    assert "give --sets" in capsys.readouterr().err
