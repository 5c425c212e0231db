"""The command itself: what it refuses, how it ends, and what it leaves in the job's folder."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from configs.schema import Settings
from data.batch.parts import Part, Plan
from data.jobs.folder import JobFolder
from data.jobs.records import JobState
from tasks import verify_batch, verify_batch_estimate, verify_batch_run
from tasks.verify_batch import SMALL_ROWS, add_arguments, main
from tests.crash.house_of_batches import FakeEngine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home on which the command works with an engine that answers at once."""

    @contextmanager
    def opened(_settings: Settings, _through: str) -> Iterator[FakeEngine]:
        yield FakeEngine()

    monkeypatch.setattr(verify_batch_run, "open_engine", opened)
    monkeypatch.setattr(verify_batch_estimate, "open_engine", opened)
    for name in ("KITE_JOB", "RAY_ADDRESS", "KITE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def call(home: Path, *words: str) -> int:
    return main([*words, "--env=testing", f"--set=home={home}"])


def written(tmp_path: Path, body: str) -> str:
    (tmp_path / "in.jsonl").write_text(body)
    return str(tmp_path / "in.jsonl")


def only_job(home: Path) -> JobFolder:
    (path,) = (home / "jobs" / "default").iterdir()
    return JobFolder(path)


def test_command_that_answers_every_row_ends_with_0_and_reports_once(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON document on standard output; progress goes to standard error and to the job's folder."""
    assert call(home, written(tmp_path, '{"claim": "One."}\n'), f"--out={tmp_path / 'out'}") == 0
    printed, said = capsys.readouterr()
    job = only_job(home)
    record, progress = job.read(), job.read_progress()

    assert json.loads(printed)["answered"] == 1
    assert "verifying: 1 of 1 rows" in said
    assert record is not None
    assert record.state is JobState.SUCCEEDED
    assert progress is not None
    assert (progress.done, progress.total) == (1, 1)
    report = job.read_report()
    assert report is not None
    assert report["rows"] == 1


def test_command_with_dead_letters_ends_with_3(home: Path, tmp_path: Path) -> None:
    """The rows that could be answered are; the exit code says that some could not."""
    assert call(home, written(tmp_path, '{"claim": "One."}\nnot json\n'), f"--out={tmp_path / 'out'}") == 3
    assert json.loads((tmp_path / "out" / "report.json").read_bytes())["dead_letters"] == 1


def test_command_run_again_ends_as_before(home: Path, tmp_path: Path) -> None:
    """Done is done, and the exit code is the same."""
    source = written(tmp_path, '{"claim": "One."}\nnot json\n')

    assert [call(home, source, f"--out={tmp_path / 'out'}") for _ in range(2)] == [3, 3]


def test_command_begun_anew_takes_other_input(home: Path, tmp_path: Path) -> None:
    """``--fresh`` removes what was there before it begins."""
    call(home, written(tmp_path, '{"claim": "One."}\n'), f"--out={tmp_path / 'out'}")
    source = written(tmp_path, '{"claim": "One."}\n{"claim": "Two."}\n')

    assert call(home, source, f"--out={tmp_path / 'out'}") == 2
    assert call(home, source, f"--out={tmp_path / 'out'}", "--fresh") == 0


def test_command_in_an_output_that_cannot_be_written_ends_with_2(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says where it cannot write."""
    (tmp_path / "file").write_text("in the way")

    assert call(home, written(tmp_path, '{"claim": "One."}\n'), f"--out={tmp_path / 'file' / 'out'}") == 2
    assert "cannot be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--shard=5/4"], "--shard: '5/4' is no share"),
        (["--framework-weights=a,b"], "are no numbers"),
        (["--frameworks=nothing"], "'nothing' is none"),
        (["--local", "--workers=2"], "--local: one process works"),
        (["--local", "--through=deployments"], "--local: one process works"),
        (["--through=deployments"], "start it first"),
        (["--tenant=Not A Tenant"], "tenant id"),
    ],
)
def test_command_with_a_wrong_option_ends_with_2_and_one_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    """Each mistake is told in a sentence."""
    source = written(tmp_path, '{"claim": "One."}\n')

    assert call(home, source, f"--out={tmp_path / 'out'}", *words) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_dry_run_says_what_it_will_be_and_writes_nothing(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows are counted, seconds and bytes measured on some of them; no job is written down."""
    source = written(tmp_path, "".join(f'{{"claim": "Claim {n}."}}\n' for n in range(200)))

    assert call(home, source, f"--out={tmp_path / 'out'}", "--dry-run", "--part-rows=50") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["parts"]) == (200, 4)
    assert report["sample"]["rows"] == 120
    assert report["bytes"] > 200 * 100
    assert not (tmp_path / "out").exists()
    assert not (home / "jobs").exists()


@pytest.mark.parametrize(("rows", "through"), [(SMALL_ROWS, "deployments"), (SMALL_ROWS + 1, "mappers")])
def test_small_inputs_go_to_the_deployments(
    rows: int, through: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Up to the measured size no job is started."""
    monkeypatch.setattr(verify_batch, "cores", lambda: 4)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([str(tmp_path), "--out=x"])
    asked = verify_batch._asked(options)
    found = Plan((), (Part(0, "a", "a", "jsonl", 0, 1, rows),))
    placed = verify_batch._placed(asked, found, options)

    assert (placed.through, placed.workers) == (through, 4 if through == "mappers" else 1)
    assert replace(placed, through="here", workers=1) == asked
