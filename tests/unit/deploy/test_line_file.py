"""Lines of a log are written some at a time, in order, and never late where they matter."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployments.line_file import MOST_LINES, LineFile


@contextmanager
def logging_to(file: Path, *, max_bytes: int = 0, kept: int = 0) -> Iterator[tuple[logging.Logger, LineFile]]:
    """Give a logger whose lines wait until the test is over, unless something else writes them."""
    over = threading.Event()
    handler = LineFile(file, max_bytes=max_bytes, kept=kept, pause=over.wait)
    logger = logging.Logger(f"test {file}")
    logger.addHandler(handler)
    try:
        yield logger, handler
    finally:
        over.set()
        handler.close()


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines()


def test_an_ordinary_line_waits_for_others(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as (logger, handler):
        logger.info("one")
        logger.info("two")
        assert lines_of(tmp_path / "log") == []
        handler.flush()
        assert lines_of(tmp_path / "log") == ["one", "two"]


def test_a_warning_is_written_at_once_behind_what_came_before(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as (logger, _):
        logger.info("one")
        logger.warning("two")
        assert lines_of(tmp_path / "log") == ["one", "two"]


def test_many_lines_do_not_wait(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as (logger, _):
        for number in range(MOST_LINES):
            logger.info("%d", number)
        assert lines_of(tmp_path / "log") == [str(number) for number in range(MOST_LINES)]


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as (logger, _):
        logger.info("last words")
    assert lines_of(tmp_path / "log") == ["last words"]


def test_when_the_pause_is_over_all_that_waits_is_written(tmp_path: Path) -> None:
    over, paused = threading.Event(), threading.Event()

    def pause() -> None:
        paused.set()
        over.wait()

    handler = LineFile(tmp_path / "log", max_bytes=0, kept=0, pause=pause)
    written, flush = threading.Event(), handler.flush

    def flushing() -> None:
        flush()
        written.set()

    handler.flush = flushing  # type: ignore[method-assign]
    handler.handle(logging.makeLogRecord({"msg": "one", "levelno": logging.INFO}))
    assert paused.wait(30)
    handler.handle(logging.makeLogRecord({"msg": "two", "levelno": logging.INFO}))
    over.set()
    assert written.wait(30)
    assert lines_of(tmp_path / "log") == ["one", "two"]
    handler.close()


def test_a_full_file_is_put_aside_before_the_next_lines(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log", max_bytes=10, kept=2) as (logger, _):
        for word in ("the first lines", "the second", "the third"):
            logger.warning(word)
    assert lines_of(tmp_path / "log") == ["the third"]
    assert lines_of(tmp_path / "log.1") == ["the second"]
    assert lines_of(tmp_path / "log.2") == ["the first lines"]


def test_lines_of_several_threads_are_all_written_each_thread_s_in_order(tmp_path: Path) -> None:
    def talk(logger: logging.Logger, name: str) -> None:
        for number in range(1_000):
            logger.log(logging.WARNING if number % 97 == 0 else logging.INFO, "%s %d", name, number)

    with logging_to(tmp_path / "log") as (logger, _):
        threads = [threading.Thread(target=talk, args=(logger, name)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    told = [line.split() for line in lines_of(tmp_path / "log")]
    for name in "abcd":
        assert [int(number) for who, number in told if who == name] == list(range(1_000))


def test_a_line_that_cannot_be_made_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with logging_to(tmp_path / "log") as (logger, _):
        logger.info("%d", "no number")
        logger.warning("fine")
    assert lines_of(tmp_path / "log") == ["fine"]
