"""Batches on the running installation: the same bytes as over HTTP, through mappers and deployments."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.verify_batch import main
from tests.cluster.conftest import Kite
from tests.crash.batch_runs import faults, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]
DEMO = Path(__file__).resolve().parents[2] / "demo" / "claims.jsonl"


def batch(kite: Kite, source: Path, out: Path, *words: str) -> int:
    return main([str(source), f"--out={out}", "--env=testing", f"--set=home={kite.home}", *words])


def answers_of(out: Path) -> list[bytes]:
    """The documents in the rows, as they stand."""
    lines = [line for part in sorted(out.glob("part-*.jsonl")) for line in part.read_bytes().splitlines()]
    return [line[line.index(b'"answer":') + len(b'"answer":') : -1] for line in lines]


def online(kite: Kite, claims: list[str]) -> list[bytes]:
    """The documents that the API gives for the same claims, as they stand."""
    with kite.client() as client:
        answers = [client.post("/verify", json={"claim": claim}) for claim in claims]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.content for answer in answers]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's claims, and two rows that are bad."""
    file = tmp_path_factory.mktemp("batch") / "claims.jsonl"
    claims = [str(json.loads(line)["claim"]) for line in DEMO.read_text().splitlines()]
    rows = [json.dumps({"id": n, "claim": claim}) for n, claim in enumerate(claims)]
    file.write_text("\n".join([*rows, '{"claim": ', '{"claim": ""}']) + "\n")
    return file


def test_mappers_answer_as_the_api_does_though_one_is_killed(
    kite: Kite, source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """kill -9 of a mapper and of the keeper in the middle: every row once, in the bytes of POST /verify."""
    killed: list[str] = []
    killer = threading.Thread(target=_kill_when_begun, args=(kite, tmp_path / "out", killed))
    killer.start()
    code = batch(kite, source, tmp_path / "out", "--through=mappers", "--workers=2", "--part-rows=8")
    killer.join()
    report = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
    claims = [json.loads(document)["claim"] for document in answers_of(tmp_path / "out")]

    assert killed == ["ray::MapWorker", "ray::KeeperActor"]
    assert code == 3
    assert faults(source, tmp_path / "out") == []
    assert (report["dead_letters"], report["degraded"], report["missing"]) == (2, 0, 0)
    assert answers_of(tmp_path / "out") == online(kite, claims)


def test_few_rows_go_to_the_deployments_and_say_the_same(kite: Kite, source: Path, tmp_path: Path) -> None:
    """Below the crossover no job is started, and the rows are those of a job."""
    assert batch(kite, source, tmp_path / "few") == 3
    report: dict[str, Any] = json.loads((tmp_path / "few" / "report.json").read_text())
    claims = [json.loads(document)["claim"] for document in answers_of(tmp_path / "few")]

    assert report["this_run"]["by"] == "deployments"
    assert answers_of(tmp_path / "few") == online(kite, claims)


def test_dry_run_measures_and_writes_nothing(
    kite: Kite, source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rows, seconds and bytes are said, and no output is begun."""
    assert batch(kite, source, tmp_path / "none", "--dry-run") == 0
    report = json.loads(capfd.readouterr().out.strip().splitlines()[-1])

    assert report["rows"] == len(source.read_text().splitlines())
    assert report["seconds"] > 0
    assert report["bytes"] > 0
    assert not (tmp_path / "none").exists()


def test_home_that_is_not_running_is_worked_on_by_as_many_processes_as_asked_for(
    kite: Kite, source: Path, tmp_path: Path
) -> None:
    """Killed, they go with the command; begun again, it ends with the bytes of one process alone."""
    home, alone, several = tmp_path / "home", tmp_path / "alone", tmp_path / "several"
    shutil.copytree(kite.home / "models", home / "models")
    command = [sys.executable, "-m", "tasks.verify_batch", str(source), "--part-rows=8", "--env=testing"]
    command.append(f"--set=home={home}")
    with subprocess.Popen([*command, f"--out={several}", "--workers=2"], stdout=subprocess.DEVNULL) as begun:
        assert wait_for(lambda: bool(list(several.glob("part-*"))), longest_s=120.0, every_s=0.02)
        started = psutil.Process(begun.pid).children(recursive=True)
        # Ray's agents have nothing of the home, and look for their raylet once a minute.
        its_own = [one for one in started if "agent" not in " ".join(one.cmdline()).lower()]
        begun.kill()
    _, alive = psutil.wait_procs(its_own, timeout=60.0)
    codes = [
        subprocess.run([*command, f"--out={out}", *words], stdout=subprocess.DEVNULL, check=False).returncode
        for out, words in ((several, ["--workers=2"]), (alone, ["--local"]))
    ]

    assert len(its_own) > 3
    assert alive == []
    assert codes == [3, 3]
    assert faults(source, several, alone) == []


def _kill_when_begun(kite: Kite, out: Path, killed: list[str]) -> None:
    """Kill a mapper once a part is there, then the keeper."""
    wait_for(lambda: bool(list(out.glob("part-*"))), longest_s=120.0, every_s=0.02)
    for title in ("ray::MapWorker", "ray::KeeperActor"):
        for pid, command in kite.processes().items():
            if command.startswith(title):
                os.kill(pid, signal.SIGKILL)
                killed.append(title)
                break
