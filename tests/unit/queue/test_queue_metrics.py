"""What a worker did, as counters."""

from __future__ import annotations

from data.queue.worker import WorkerTally
from data.streams.worker import StreamTally
from deployments.queue_metrics import worker_metrics


def test_worker_counters_tell_every_outcome_and_streams_only_where_one_is_read() -> None:
    """Each figure of the tally under its name."""
    queue, stream = worker_metrics(WorkerTally(done=3, lost=1), StreamTally(verdicts=2))
    told = {sample.labels["outcome"]: sample.value for sample in queue.samples}

    assert told == {"done": 3, "retried": 0, "dead": 0, "lost": 1, "given_back": 0, "outages": 0}
    assert queue.samples[0].name == "kite_queue_worker_tasks_total"
    assert {sample.labels["outcome"]: sample.value for sample in stream.samples}["verdicts"] == 2
    assert len(worker_metrics(WorkerTally(), None)) == 1
