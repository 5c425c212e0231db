"""Settings of the queue: where it is kept, and what no worker can keep to."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.wiring import open_queue
from configs.encryption import Disks
from configs.errors import ConfigError
from configs.load import load_settings
from configs.production import faults
from configs.secrets import queue_url, stream_url
from data.queue.redis_queue import RedisQueue
from data.queue.sqlite_queue import SqliteQueue

URL = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ([], None),
        (["cache.backend=redis", f"cache.url={URL}"], URL),
        (["cache.backend=redis", f"cache.url={URL}", "queue.backend=sqlite"], None),
        (["queue.backend=redis", f"queue.url={URL}"], URL),
        (["cache.backend=redis", "cache.url=redis://other", f"queue.url={URL}"], URL),
    ],
)
def test_queue_is_kept_where_settings_say_or_with_the_cache(overrides: list[str], where: str | None) -> None:
    """One Redis for both where nothing else is said."""
    assert queue_url(load_settings(environ={}, overrides=overrides)) == where


def test_queue_in_a_file_lies_under_the_home(tmp_path: Path) -> None:
    """And is made when it is opened."""
    queue = open_queue(load_settings(environ={}, overrides=[f"home={tmp_path}"]))
    queue.close()

    assert isinstance(queue, SqliteQueue)
    assert (tmp_path / "queue" / "tasks.sqlite").exists()


def test_queue_in_redis_is_opened_without_asking_it(tmp_path: Path) -> None:
    """A service starts while its Redis is away."""
    overrides = [f"home={tmp_path}", "queue.backend=redis", f"queue.url={URL}"]
    queue = open_queue(load_settings(environ={}, overrides=overrides))
    queue.close()

    assert isinstance(queue, RedisQueue)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("queue.backend=redis", "neither queue.url nor a cache in Redis"),
        ("queue.workers.max_replicas=0", "max_replicas"),
        ("queue.workers.min_replicas=9", "below min_replicas"),
        ("queue.workers.lease_s=10", "two beats"),
        ("queue.longest_wait_s=1", "below first_wait_s"),
        ("queue.stream.dead={kite}:claims", "three streams"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(override: str, said: str) -> None:
    """One line that names what is wrong."""
    with pytest.raises(ConfigError, match=said):
        load_settings(environ={}, overrides=[override])


def test_address_with_a_password_comes_from_a_private_file(tmp_path: Path) -> None:
    """The queue's and the stream's; in production an open file is a fault."""
    file = tmp_path / "url"
    file.write_text("redis://:secret@127.0.0.1:1/0\n", encoding="utf-8")
    file.chmod(0o644)
    overrides = [f"home={tmp_path}", "queue.backend=redis", f"queue.url_file={file}"]
    settings = load_settings(environ={}, overrides=[*overrides, f"queue.stream.url_file={file}"])
    found = [fault.split(":")[0] for fault in faults(settings, {}, Disks())]

    assert queue_url(settings) == stream_url(settings.queue.stream) == "redis://:secret@127.0.0.1:1/0"
    assert {"queue.url_file", "queue.stream.url_file"} <= set(found)
