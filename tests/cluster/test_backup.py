"""Backups of the running system as Ray Data jobs, and a restore into it while it serves."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tasks import backup
from tests.cluster.conftest import Kite

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CLAIM = "The windmill of Kitehaven was built in 1781."


class Asking:
    """Keeps asking until the block ends; remembers every label."""

    def __init__(self, kite: Kite) -> None:
        self._kite = kite
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.labels: list[str] = []

    def _ask(self) -> None:
        while not self._stopped.is_set():
            self.labels.append(label(self._kite.verify(CLAIM)))

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def label(answer: dict[str, Any]) -> str:
    return str(answer["verdict"]["label"])


def decided(answer: dict[str, Any]) -> tuple[str, str, list[str]]:
    """The label, why, and from which documents; its id is another one, for more is known by then."""
    cited = [str(item["document_id"]) for item in answer["evidence"]]
    return label(answer), str(answer["verdict"]["justification"]), cited


def test_backup_of_the_serving_system_brings_a_deleted_document_back(
    kite: Kite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sealed, copied and read back by Ray Data while answers go on; restored into what runs."""
    (tmp_path / "key").write_text(bytes(range(32)).hex())

    def told(*arguments: str) -> dict[str, Any]:
        place = ["--target", str(tmp_path / "target"), "--key-file", str(tmp_path / "key")]
        assert backup.main([*arguments, *place, "--env", "testing", "--set", f"home={kite.home}"]) == 0
        return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))

    with kite.client() as client:
        client.post("/api/v1/knowledge/documents", json={"id": "windmill", "text": CLAIM})
        before = kite.verify(CLAIM)
        with Asking(kite) as asking:
            created = told("create", "--views", "--ray")
        checked = told("verify", created["id"], "--ray")
        client.delete("/api/v1/knowledge/documents/windmill")
        gone = kite.verify(CLAIM)
        tried = told("restore", "--into-running", "--store", "document", "--dry-run")
        still = kite.verify(CLAIM)
        told("restore", "--into-running", "--store", "document")
        after = kite.verify(CLAIM)

    assert label(before) == "SUPPORTED"
    assert set(asking.labels) == {"SUPPORTED"}
    assert (checked["whole"], checked["backups"][0]["files"]) == (True, created["files"] + 1)
    assert created["files"] >= 3  # rows, passages and history; a manifest comes on top
    assert created["key_id"] is not None
    assert label(gone) == label(still) != "SUPPORTED"
    assert tried["restored"] == {"document": 1}
    assert decided(after) == decided(before)
