"""The work on backup files as a Ray Data job: one row a file, spread over the cluster where that is possible.

Used by ``tasks.backup --ray``. Every worker opens the target and reads the key from its file by itself; rows
carry jobs and answers as JSON. Invariant: answers come in the order of the jobs, and the first job that
failed is what the caller hears of.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from data import errors
from data.backups.manifest import StoredFile
from data.backups.sealing import sealer_from
from data.backups.targets import open_target
from data.backups.worker import Checked, Copied, FileJob, PartJob, Worker
from data.errors import CorruptDataError, KiteError

#: CPUs of a worker: a fraction, or on a small machine nothing is left for the rest of the job and it hangs.
WORKER_CPUS = 0.25
#: Files a worker takes at a time.
BATCH_FILES = 4
_JOBS: dict[str, Any] = {"part": PartJob, "file": FileJob, "check": StoredFile}


class FileWorker:
    """A Ray Data mapper: batches of jobs in, batches of answers out."""

    def __init__(self, home: str, address: str, endpoint: str | None, key_file: str | None) -> None:
        sealer = sealer_from({}, key_file=Path(key_file) if key_file else None)
        self._worker = Worker(Path(home), open_target(address, endpoint=endpoint), sealer)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Return ``answer`` (JSON), ``error`` (its class) and ``text`` for each job."""
        answers = [
            self._one(str(kind), str(job)) for kind, job in zip(batch["kind"], batch["job"], strict=True)
        ]
        return {
            "answer": [answer for answer, _, _ in answers],
            "error": [error for _, error, _ in answers],
            "text": [text for _, _, text in answers],
        }

    def _one(self, kind: str, job: str) -> tuple[str, str, str]:
        work = msgspec.json.decode(job, type=_JOBS[kind])
        try:
            (done,) = self._worker.check([work]) if kind == "check" else self._worker.copy([work])
        except KiteError as exc:
            return "", type(exc).__name__, str(exc)
        return msgspec.json.encode(done).decode(), "", ""


class RayRunner:
    """A ``Runner`` over Ray Data. Ray must be connected."""

    def __init__(self, home: str, address: str, *, endpoint: str | None, key_file: str | None) -> None:
        self._arguments = (home, address, endpoint, key_file)

    def copy(self, jobs: Sequence[PartJob | FileJob]) -> list[Copied]:
        """See ``Runner``."""
        rows = [("part" if isinstance(job, PartJob) else "file", job) for job in jobs]
        return [msgspec.json.decode(answer, type=Copied) for answer in self._answers(rows, here=True)]

    def check(self, files: Sequence[StoredFile]) -> list[Checked]:
        """See ``Runner``."""
        rows = [("check", file) for file in files]
        here = urlsplit(self._arguments[1]).scheme in {"", "file"}
        return [msgspec.json.decode(answer, type=Checked) for answer in self._answers(rows, here=here)]

    def _answers(
        self, rows: Sequence[tuple[str, PartJob | FileJob | StoredFile]], *, here: bool
    ) -> list[str]:
        """Do the work, on this node alone with ``here``: the home, or the target's folder, is on its disk."""
        import ray.data
        from ray.data import ActorPoolStrategy

        if not rows:
            return []
        logging.getLogger("ray.data").setLevel(logging.WARNING)  # importing it sets it to DEBUG
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        items = [{"kind": kind, "job": msgspec.json.encode(job).decode()} for kind, job in rows]
        done = ray.data.from_items(items, override_num_blocks=min(len(items), 64)).map_batches(
            FileWorker,
            batch_size=BATCH_FILES,
            compute=ActorPoolStrategy(min_size=1, max_size=4),
            num_cpus=WORKER_CPUS,
            fn_constructor_args=self._arguments,
            label_selector={"ray.io/node-id": _this_node()} if here else None,
        )
        return [_answer(row) for row in done.iter_rows()]


def _this_node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _answer(row: dict[str, Any]) -> str:
    if row["error"]:
        raise getattr(errors, row["error"], CorruptDataError)(row["text"])
    return str(row["answer"])
