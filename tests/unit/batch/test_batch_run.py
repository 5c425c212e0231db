"""A whole batch with an engine of its own kind: rows, dead letters, restarts, shards, order, report, page."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from configs.schema import Settings
from data.batch.manifest import BatchOptions, clear
from data.batch.output import DRAFTS, FolderOutput
from data.batch.results import GOLD, gold_of, read_summary
from data.claims import make_claim
from data.errors import ConflictError, InvalidValueError, KiteError, UnavailableError
from data.questions import Question
from data.verdicts import VERDICT_LABELS
from deployments.api.answers import verify_answer
from tasks.measures import figures
from tasks.verify_batch_run import Asked, BatchRun, check_frameworks, fault_of, planned
from tasks.verify_batch_worker import Job, PartWorker
from tests.crash.house_of_batches import FRAMEWORKS, FakeEngine, write_input


class Killed(Exception):  # noqa: N818 - what happened, not what is wrong
    """Stands for the end of the process."""


class DyingEngine(FakeEngine):
    """Ends after so many groups."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self._left = groups

    def answer(self, questions: Any, stand: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return super().answer(questions, stand)


def silent(_done: int, _total: int | None, _phase: str) -> None:
    """Tell nobody."""


def run(asked: Asked, engine: Any = None) -> dict[str, Any]:
    used: Any = engine or FakeEngine()
    return BatchRun(asked, used, silent).run(planned(asked))


def asked_of(tmp_path: Path, body: bytes, **options: Any) -> Asked:
    (tmp_path / "in.jsonl").write_bytes(body)
    chosen = BatchOptions(**{"part_rows": 3, **options})
    return Asked((str(tmp_path / "in.jsonl"),), str(tmp_path / "out"), chosen)


def claims(count: int) -> bytes:
    return b"".join(json.dumps({"claim": f"Claim {n}."}).encode() + b"\n" for n in range(count))


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for part in sorted(out.glob("part-*.jsonl"))
        for line in part.read_text().splitlines()
    ]


def all_files(out: Path) -> dict[str, bytes]:
    """Every file that holds rows."""
    kept = [*out.glob("part-*"), *out.glob("_kite/dead/*"), *out.glob("dead_letters.jsonl")]
    return {path.name: path.read_bytes() for path in kept}


def test_batch_answers_every_good_row_and_sets_every_other_aside(tmp_path: Path) -> None:
    """Rows and dead letters together are the input; the answer is what the route would say."""
    body = (
        b'{"id": 5, "claim": "First."}\n{"claim": ""}\n{"claim": 7}\nnot json\n{"text": "x"}\n'
        b'{"claim": "Please reject."}\n{"claim": "Last.", "alpha": 0.3, "frameworks": ["utility"]}\n'
    )
    report = run(asked_of(tmp_path, body))
    rows = lines_of(tmp_path / "out")
    dead = [json.loads(line) for line in (tmp_path / "out" / "dead_letters.jsonl").read_text().splitlines()]

    assert [(row["line"], row["id"], row["answer"]["claim"]) for row in rows] == [
        (1, "5", "First."),
        (7, None, "Last."),
    ]
    assert rows[1]["answer"]["verdict"]["alpha"] == 0.3
    assert list(rows[1]["answer"]["frameworks"]) == ["utility"]
    assert sorted(row["line"] for row in dead) == [2, 3, 4, 5, 6]
    reasons = {row["line"]: row["reason"] for row in dead}
    assert reasons[3] == "claim: Input should be a valid string."
    assert "--claim-column" in reasons[5]
    assert reasons[6] == "This claim is turned away."
    assert (report["rows"], report["answered"], report["dead_letters"], report["missing"]) == (7, 2, 5, 0)
    assert (tmp_path / "out" / "_SUCCESS").exists()


def test_answer_is_the_document_of_the_route_byte_by_byte(tmp_path: Path) -> None:
    """The bytes after ``"answer":`` are those that ``verify_answer`` is encoded to."""
    run(asked_of(tmp_path, claims(1)))
    line = (tmp_path / "out" / "part-000000.jsonl").read_bytes()
    engine = FakeEngine()
    run(replace(asked_of(tmp_path, claims(1)), out=str(tmp_path / "again")), engine)
    (question,) = engine.asked
    (verdict,) = FakeEngine().answer([question], engine.standpoint(question.claim.tenant))
    document = msgspec.json.encode(verify_answer(verdict, question))  # type: ignore[arg-type]

    assert line.endswith(b'"answer":' + document + b"}\n")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("groups", [0, 1, 2, 5, 8])
def test_batch_that_ends_at_any_group_goes_on_and_has_the_same_bytes(
    tmp_path: Path, form: str, groups: int
) -> None:
    """Cut off and started again, the files are those of a batch that ran through."""
    write_input(tmp_path / "in.jsonl", 60)
    options = BatchOptions(format=form, part_rows=7)
    asked = Asked((str(tmp_path / "in.jsonl"),), str(tmp_path / "out"), options)
    through = replace(asked, out=str(tmp_path / "through"))
    with pytest.raises(Killed):
        run(asked, DyingEngine(groups))
    first = all_files(tmp_path / "out")
    report, whole = run(asked), run(through)

    assert all_files(tmp_path / "out") == all_files(tmp_path / "through")
    assert first.items() <= all_files(tmp_path / "out").items()
    assert {**report, "this_run": 0, "cpu_ms_per_claim": 0} == {**whole, "this_run": 0, "cpu_ms_per_claim": 0}


def test_batch_that_goes_on_later_answers_as_of_its_beginning(tmp_path: Path) -> None:
    """Knowledge that came in between changes nothing of a batch that had begun."""
    asked = asked_of(tmp_path, claims(9))
    with pytest.raises(Killed):
        run(asked, DyingEngine(1))
    run(asked, FakeEngine(position=99))

    assert {row["answer"]["knowledge_seq"] for row in lines_of(tmp_path / "out")} == {7}


def test_moment_after_the_beginning_is_taken_as_the_beginning(tmp_path: Path) -> None:
    """A row may ask for a moment of the past, and for none of the batch's future."""
    run(asked_of(tmp_path, b'{"claim": "x is y.", "as_of": "2999-01-01"}\n'))

    assert lines_of(tmp_path / "out")[0]["answer"]["knowledge_seq"] == 7


def test_batch_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    """The report that is there is given, and nobody is asked."""
    asked, engine = asked_of(tmp_path, claims(4)), FakeEngine()
    first = run(asked)

    assert run(asked, engine) == first
    assert engine.asked == []


def test_batch_with_changed_input_is_refused_until_cleared(tmp_path: Path) -> None:
    """Other rows under the same name are another batch."""
    asked = asked_of(tmp_path, claims(4))
    run(asked)
    (tmp_path / "in.jsonl").write_bytes(claims(5))
    with pytest.raises(ConflictError, match="other inputs"):
        run(asked)
    clear(FolderOutput(tmp_path / "out"))

    assert run(asked)["rows"] == 5


def test_shards_together_do_every_part_once_and_the_last_one_reports(tmp_path: Path) -> None:
    """Two runs share the parts; the one that ends last finds all of them."""
    asked = asked_of(tmp_path, claims(10))
    first = run(replace(asked, shard=(1, 2)))
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    second = run(replace(asked, shard=(2, 2)))

    assert (first["missing"], second["missing"]) == (4, 0)
    assert [row["line"] for row in lines_of(tmp_path / "out")] == list(range(1, 11))
    assert (tmp_path / "out" / "_SUCCESS").exists()


@pytest.mark.parametrize("limit", [None, 4])
def test_order_of_utility_puts_the_most_useful_first(tmp_path: Path, limit: int | None) -> None:
    """Rows come by their worth, each with its own line; rows that ask nothing come last."""
    body = claims(8) + b"not json\n"
    run(asked_of(tmp_path, body, order="utility", limit=limit))
    rows = lines_of(tmp_path / "out")
    asked = {row["line"]: row["answer"]["claim"] for row in rows}
    worth = {line: FakeEngine().worth([_question(claim)])[0] for line, claim in asked.items()}

    assert [row["line"] for row in rows] == sorted(worth, key=lambda line: -worth[line])
    assert len(rows) == (limit or 8)
    assert (tmp_path / "out" / "dead_letters.jsonl").exists() == (limit is None)


@pytest.mark.parametrize("groups", [0, 2, 4])
def test_order_of_utility_survives_an_end_at_any_group(tmp_path: Path, groups: int) -> None:
    """Cut off while weighing or verifying, it ends with the same bytes."""
    write_input(tmp_path / "in.jsonl", 40)
    options = BatchOptions(order="utility", part_rows=9)
    asked = Asked((str(tmp_path / "in.jsonl"),), str(tmp_path / "out"), options)
    run(replace(asked, out=str(tmp_path / "through")))
    with pytest.raises(Killed):
        run(asked, DyingEngine(groups))
    run(asked)

    assert all_files(tmp_path / "out") == all_files(tmp_path / "through")


def _question(claim: str) -> Question:
    return Question(make_claim(claim), FRAMEWORKS)


def test_parquet_rows_hold_the_document_and_what_is_asked_for_most(tmp_path: Path) -> None:
    """Columns of their own beside the whole document, and those that were to be kept."""
    body = b'{"claim": "One.", "id": "a", "label": "REFUTES", "topic": {"x": 1}}\n'
    run(asked_of(tmp_path, body, format="parquet", columns=("topic",)))
    (row,) = pq.read_table(tmp_path / "out" / "part-000000.parquet").to_pylist()
    document = json.loads(row["answer"])

    assert (row["file"], row["line"], row["id"], row["label"]) == ("in.jsonl", 1, "a", "REFUTES")
    assert row["verdict"] == document["verdict"]["label"]
    assert row["p_refuted"] == document["verdict"]["probabilities"]["REFUTED"]
    assert json.loads(row["columns"]) == {"topic": {"x": 1}}


def test_options_reach_every_question_and_a_row_has_the_last_word(tmp_path: Path) -> None:
    """Frameworks, weights and columns of context are those of the command where the row names none."""
    body = b'{"s": "A b.", "who": "Ann", "when": "2020-01-02"}\n{"s": "C d.", "frameworks": ["empirical"]}\n'
    told = {"frameworks": ("utility", "empirical"), "weights": (1.0, 3.0), "claim_column": "s"}
    engine = FakeEngine()
    body = body.replace(b'"who"', b'"speaker"').replace(b'"when"', b'"date"')
    run(asked_of(tmp_path, body, context_columns=("speaker", "date"), **told), engine)
    first, second = engine.asked

    assert (first.frameworks, first.weights) == (("utility", "empirical"), {"utility": 1.0, "empirical": 3.0})
    assert (first.claim.context.speaker, first.claim.context.date) == ("Ann", "2020-01-02")
    assert (second.frameworks, second.weights) == (("empirical",), {})


def test_cells_of_a_table_may_hold_what_a_request_holds(tmp_path: Path) -> None:
    """Numbers, lists and objects stand in CSV as JSON; a day stays a day."""
    file = tmp_path / "in.csv"
    file.write_text('claim,alpha,frameworks,as_of\nA b.,0.2,"[""utility""]",2020-01-02\nC d.,,,3\n')
    engine = FakeEngine()
    run(Asked((str(file),), str(tmp_path / "out"), BatchOptions()), engine)

    assert [(one.alpha, one.frameworks, one.as_of) for one in engine.asked] == [
        (0.2, ("utility",), 7),
        (0.1, FRAMEWORKS, 3),
    ]


def test_report_counts_calibrates_and_warns(tmp_path: Path) -> None:
    """Labels in other people's words count, others are told, ids that come twice too."""
    labels = ["SUPPORTS", "refuted", "NEI", "half-true", None, "SUPPORTS"]
    body = b"".join(
        json.dumps({"claim": f"Claim {n}.", "id": n % 5, "label": label}).encode() + b"\n"
        for n, label in enumerate(labels)
    )
    report = run(asked_of(tmp_path, body))
    summaries = [read_summary(FolderOutput(tmp_path / "out"), number) for number in range(2)]
    rows = np.frombuffer(b"".join(each.probabilities for each in summaries), np.float32).reshape(-1, 4)
    gold = np.frombuffer(b"".join(each.gold for each in summaries), np.int8).astype(np.int64)
    measured = figures(rows, gold)

    assert report["duplicate_ids"] == 1
    found = report["calibration"]
    assert (found["samples"], found["unknown_labels"]) == (4, 1)
    assert found["accuracy"] == pytest.approx(measured["accuracy"])
    assert found["macro_f1"] == pytest.approx(measured["macro_f1"], abs=1e-4)
    assert found["log_loss"] == pytest.approx(measured["log_loss"], abs=1e-4)
    counted = Counter(row["answer"]["verdict"]["label"] for row in lines_of(tmp_path / "out"))
    assert report["labels"] == {name: counted[name] for name in VERDICT_LABELS}


def test_page_shows_the_report_and_runs_nothing(tmp_path: Path) -> None:
    """Everything from a caller's file is text on the page, and the page needs no other file."""
    run(
        asked_of(
            tmp_path,
            b'{"claim": "x y.", "label": "<script>alert(1)</script>"}\n{"claim": "<b>", "alpha": "<i>"}\n',
        )
    )
    page = (tmp_path / "out" / "report.html").read_text()

    assert "<svg" in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "<i>" not in page
    assert "src=" not in page


def test_output_within_the_inputs_is_no_input(tmp_path: Path) -> None:
    """A folder that is verified into a folder below it can be gone on with."""
    (tmp_path / "a.txt").write_text("One.\nTwo.\n")
    asked = Asked((str(tmp_path),), str(tmp_path / "out"), BatchOptions(part_rows=1))
    with pytest.raises(Killed):
        run(asked, DyingEngine(1))

    assert run(asked)["rows"] == 2


def test_input_without_rows_gives_an_empty_output(tmp_path: Path) -> None:
    """Nothing to do is done, with a report."""
    report = run(asked_of(tmp_path, b"\n\n"))

    assert (report["rows"], report["answered"], report["calibration"]) == (0, 0, None)
    assert (tmp_path / "out" / "_SUCCESS").exists()


def test_worker_with_other_models_does_nothing(tmp_path: Path) -> None:
    """Two versions of the software never answer one batch."""
    engine: Any = FakeEngine()
    stand = engine.standpoint("default")

    with pytest.raises(KiteError, match="other models or settings"):
        PartWorker(engine, Job(str(tmp_path), BatchOptions(), stand, "other", "here", ""))


class OvertakenEngine(FakeEngine):
    """Lets another command do its whole work before its own first answer."""

    def __init__(self, other: Callable[[], object]) -> None:
        super().__init__()
        self._others = [other]

    def answer(self, questions: Any, stand: Any) -> Any:
        if self._others:
            self._others.pop()()
        return super().answer(questions, stand)


def test_two_commands_on_one_output_at_once_both_come_to_the_end(tmp_path: Path) -> None:
    """Each may do what the other does; the rows are those of one command alone."""
    asked = asked_of(tmp_path, claims(40))
    alone = replace(asked, out=str(tmp_path / "alone"))
    report = run(alone)
    with ThreadPoolExecutor(4) as pool:
        told = [pool.submit(run, asked, FakeEngine(pause_s=0.001)) for _ in range(4)]
    reports = [each.result() for each in told]

    assert {each["answered"] for each in reports} == {report["answered"]}
    assert all_files(tmp_path / "out") == all_files(tmp_path / "alone")
    assert FolderOutput(tmp_path / "out").names(DRAFTS) == []


def test_command_that_another_overtakes_ends_as_alone(tmp_path: Path) -> None:
    """The output is done when it begins its first part; it ends all the same, and changes no row."""
    asked = asked_of(tmp_path, claims(10))
    seen: dict[str, bytes] = {}

    def other() -> None:
        run(asked)
        seen.update(all_files(tmp_path / "out"))

    assert run(asked, OvertakenEngine(other))["answered"] == 10
    assert seen == all_files(tmp_path / "out")


def test_command_whose_output_is_begun_anew_writes_no_row_into_it(tmp_path: Path) -> None:
    """--fresh takes the output away from a command that is still at work; that one is told."""
    asked = asked_of(tmp_path, claims(10))
    later = replace(asked, options=replace(asked.options, part_rows=4))

    def other() -> None:
        clear(FolderOutput(tmp_path / "out"))
        run(later)

    with pytest.raises(ConflictError, match="begun anew by another command"):
        run(asked, OvertakenEngine(other))
    assert [len(part.read_bytes().splitlines()) for part in sorted((tmp_path / "out").glob("part-*"))] == [
        4,
        4,
        2,
    ]


class ForgettingEngine(FakeEngine):
    """Does not keep what it was asked."""

    def answer(self, questions: Any, stand: Any) -> Any:
        self.asked.clear()
        return super().answer(questions, stand)


def test_memory_of_a_batch_does_not_grow_with_its_rows(tmp_path: Path) -> None:
    """Good rows, bad rows, labels and ids: eight times as many take what the first ones took."""

    def peak(rows: int) -> int:
        folder = tmp_path / str(rows)
        folder.mkdir()
        write_input(folder / "in.jsonl", rows)
        options = BatchOptions(part_rows=100)
        asked = Asked((str(folder / "in.jsonl"),), str(folder / "out"), options)
        tracemalloc.start()
        assert run(asked, ForgettingEngine())["missing"] == 0
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    run(asked_of(tmp_path, claims(3)))  # what is made once
    assert peak(3_200) < 1.25 * peak(400)


def test_summary_that_is_gone_is_told(tmp_path: Path) -> None:
    """A part whose summary was removed by hand is not counted as nothing."""
    asked = asked_of(tmp_path, claims(4))
    run(asked)
    (tmp_path / "out" / "_SUCCESS").unlink()
    (tmp_path / "out" / "_kite" / "parts" / "000001.json").unlink()

    with pytest.raises(KiteError, match=r"000001\.json cannot be read"):
        run(asked)


def test_faults_of_workers_are_the_errors_they_were() -> None:
    """Across processes an error keeps its kind, and with it the exit code."""
    assert isinstance(fault_of("StoreUnavailableError: full"), UnavailableError)
    assert isinstance(fault_of("InvalidValueError: no"), InvalidValueError)
    assert type(fault_of("Unheard: of")) is KiteError


def test_frameworks_and_weights_are_checked_before_anything_is_read() -> None:
    """A misspelt framework would make every row a dead letter."""
    with pytest.raises(InvalidValueError, match="'empirica' is none"):
        check_frameworks(BatchOptions(frameworks=("empirica",)), Settings())
    with pytest.raises(InvalidValueError, match="2 numbers for 1 --frameworks"):
        check_frameworks(BatchOptions(frameworks=("utility",), weights=(1.0, 2.0)), Settings())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("SUPPORTS", "SUPPORTED"),
        ("Not Enough Evidence", "NOT_ENOUGH_INFO"),
        ("NOT_ENOUGH_INFO", "NOT_ENOUGH_INFO"),
        (True, "SUPPORTED"),
        ("pants-fire", None),
        (None, None),
    ],
)
def test_labels_of_other_schemes_are_known(given: Any, expected: str | None) -> None:
    """FEVER's, AVeriTeC's and NLI's words, and plain true and false."""
    assert gold_of(given)[1] == expected
    assert set(GOLD.values()) <= set(VERDICT_LABELS)
