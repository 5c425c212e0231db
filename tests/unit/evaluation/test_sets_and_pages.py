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
from tasks.evaluate import added_to, main
from tasks.evaluation.gold import TOGETHER, WINDOW_WORDS, judge, passages_of, windows
from tasks.evaluation.pages import MOST_WEAKNESSES, html_page, quality_page
from tasks.evaluation.sets import Example, folders, read_retrieval, read_set
from tests.fakes import FakeEmbedder


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


def test_evidence_is_read_behind_its_title() -> None:
    """As in serving; a title that goes on, or that the text says, is not said again."""
    items = (
        ("Gandhi (film)", "It was late."),
        ("Gandhi (film)", "It was long."),
        ("Delhi", "Delhi was hot."),
    )
    (read,) = windows(Example("1", "c", items, 0))
    assert read == "Gandhi (film): It was late. It was long. Delhi was hot."


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
    found = judge(examples, stance=OverlapStance(), embedder=FakeEmbedder(), say=lambda done: None)
    assert found.probabilities.argmax(axis=1).tolist() == [0, 2]


def test_of_a_whole_article_the_nearest_sentences_are_read_together() -> None:
    """In the article's order, two, three and five of them; what is said of them is averaged."""
    sentences = [f"Sentence number {n} is about bread and flour." for n in range(60)]
    sentences[7], sentences[40] = "The tower in Paris stands.", "It is a tall tower."
    example = Example("1", "tall tower Paris", tuple(("", text) for text in sentences), 0)
    passages = passages_of(example, FakeEmbedder())
    assert passages[0] == "The tower in Paris stands. It is a tall tower."
    assert [len(each.split(".")) - 1 for each in passages] == list(TOGETHER)
    found = judge([example], stance=OverlapStance(), embedder=FakeEmbedder(), say=lambda done: None)
    assert found.probabilities[0].tolist() == pytest.approx(found.rows[0].mean(axis=0).tolist())


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


def test_only_the_largest_weaknesses_are_told_and_those_of_test_splits() -> None:
    """Twenty sets are off, each a little more than the last, and a dev split by most of all."""
    runs = {f"set{n:02} test": {"calibration_error": 0.2 + n / 100} for n in range(20)}
    page = quality_page({**REPORT, "runs": {**runs, "set03 dev": {"calibration_error": 0.9}}})
    told = [line for line in page.splitlines() if "are off by" in line and line.startswith("- ")]
    assert len(told) == MOST_WEAKNESSES
    assert told[0] == "- set19 test: probabilities are off by 0.390 on average."
    assert "set03 dev" not in page
    assert "The 12 largest of 20 weaknesses." in page


def test_what_was_not_measured_is_named_with_its_reason() -> None:
    """A missing line would look as if nothing were wanted."""
    page = quality_page({**REPORT, "missing": {"ud_ewt": "there is no syntax pipeline among the models"}})
    assert "ud_ewt (there is no syntax pipeline among the models)" in page
    assert "wice/60 labels" in page.split("Not measured in this report:")[1]


def test_an_earlier_report_of_the_same_models_is_kept_beside_the_new_one() -> None:
    """New figures win; of other models nothing is kept."""
    earlier = {
        "model_bundle": "m",
        "splits": ["dev"],
        "missing": {"ud_ewt": "none", "old": "none"},
        "runs": {"fm2 dev": {"rows": 1}, "wice dev": {"rows": 2}},
    }
    report = {
        "model_bundle": "m",
        "splits": ["test"],
        "missing": {},
        "runs": {"fm2 dev": {"rows": 3}, "ud_ewt test": {"rows": 4}},
    }
    found = added_to(earlier, report)
    assert {name: run["rows"] for name, run in found["runs"].items()} == {
        "fm2 dev": 3,
        "ud_ewt test": 4,
        "wice dev": 2,
    }
    assert (found["splits"], found["missing"]) == (["dev", "test"], {"old": "none"})
    assert added_to({**earlier, "model_bundle": "other"}, report) == report


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
