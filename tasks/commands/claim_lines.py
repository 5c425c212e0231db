"""Claims from a pipe or a file, as they come, and their answers in order. Called by ``kite verify``.

Whatever lines are there are verified together, at most ``BATCH_LINES``, and while they are, the next ones: a
lone line is answered at once, a full pipe in batches of which ``AT_ONCE`` are on their way. Invariant: one
answer a line that is not blank, in order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Queue
from threading import Event, Semaphore, Thread
from typing import Any

import msgspec

from data.errors import InvalidValueError, KiteError

#: Most lines verified together, and most bytes read at once.
BATCH_LINES, READ_BYTES = 256, 1 << 16
#: Most batches that are on their way or wait for their turn to be printed.
AT_ONCE = 4
#: Longest line, bytes: beyond it something is no list of claims.
MAX_LINE_BYTES = 1 << 20

Ask = Callable[[Sequence[dict[str, Any]]], Sequence[Any]]


def batches(descriptor: int) -> Iterator[list[bytes]]:
    """Yield the lines of an open file, as many together as are there, blank ones left out.

    Raises:
        InvalidValueError: a line is longer than ``MAX_LINE_BYTES``.
    """
    rest = b""
    while chunk := os.read(descriptor, READ_BYTES):
        # Not through a buffered file: that would wait until its buffer is full.
        *lines, rest = (rest + chunk).split(b"\n")
        yield from _parts(lines)
        if len(rest) > MAX_LINE_BYTES:
            raise InvalidValueError(
                f"A line has more than {MAX_LINE_BYTES:,} bytes: is this a list of claims?"
            )
    yield from _parts([rest])


def answers(groups: Iterator[list[bytes]], ask: Ask, options: dict[str, Any]) -> Iterator[Any]:
    """Yield the answer of each line; a line that cannot be read has an answer that says why.

    ``ask`` is called from several threads, at most ``AT_ONCE`` at a time; answers wait for their turn.
    """
    done = 0
    for group in _sent(groups, ask, options):
        try:
            told = iter(group.told.result())
        except KiteError as exc:
            exc.add_note(f"{done:,} claims before were answered; go on after them.")
            raise
        for line, one in zip(group.lines, group.read, strict=True):
            yield next(told) if isinstance(one, dict) else _unread(line, one)
            done += 1


@dataclass(frozen=True, slots=True)
class _Group:
    """Lines that were sent together, what they ask (a text: why nothing), and their answers to come."""

    lines: list[bytes]
    read: list[dict[str, Any] | str]
    told: Future[Sequence[Any]] = field(default_factory=Future)

    def ask(self, ask: Ask) -> None:
        """Have the lines answered, on a thread of its own."""
        try:
            wanted = [one for one in self.read if isinstance(one, dict)]
            self.told.set_result(ask(wanted) if wanted else ())
        except BaseException as exc:
            self.told.set_exception(exc)


def _sent(groups: Iterator[list[bytes]], ask: Ask, options: dict[str, Any]) -> Iterator[_Group]:
    """Yield groups in order, each when it has been sent: a thread reads on while others wait for answers.

    The threads end with the process: nobody waits for a pipe or a service when the command is interrupted.
    """
    waiting: Queue[_Group | BaseException | None] = Queue()
    free, is_over = Semaphore(AT_ONCE), Event()

    def read_on() -> None:
        try:
            for lines in groups:
                free.acquire()
                if is_over.is_set():
                    return
                group = _Group(lines, [request_of(line, options) for line in lines])
                Thread(target=group.ask, args=(ask,), daemon=True).start()
                waiting.put(group)
        except BaseException as exc:
            waiting.put(exc)
        else:
            waiting.put(None)

    Thread(target=read_on, daemon=True).start()
    try:
        while (group := waiting.get()) is not None:
            if isinstance(group, BaseException):
                raise group
            yield group
            free.release()
    finally:
        is_over.set()
        free.release()


def request_of(line: bytes, options: dict[str, Any]) -> dict[str, Any] | str:
    """Return the request of a line, a claim or a JSON object with one; else the reason why it is none."""
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as exc:
        return f"The line is not UTF-8 (byte {exc.start + 1})."
    if not text.startswith("{"):
        return {**options, "claim": text}
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        return f"The line begins as JSON does, and is none: {exc}."
    return {**options, **told}


def is_rejected(answer: Any) -> bool:
    """Return whether an answer of a batch says only why there is none."""
    return answer["verdict"] is None


def _parts(lines: list[bytes]) -> Iterator[list[bytes]]:
    kept = [line for line in (one.strip() for one in lines) if line]
    for start in range(0, len(kept), BATCH_LINES):
        yield kept[start : start + BATCH_LINES]


def _unread(line: bytes, reason: str) -> dict[str, Any]:
    return {
        "claim": line.decode("utf-8", "replace")[:2_000],
        "verifications": {},
        "confidences": {},
        "reward": 0.0,
        "metadata": {"error": reason, "code": "malformed-line"},
        "verdict": None,
        "evidence": [],
        "frameworks": {},
        "knowledge_seq": None,
        "model_bundle": None,
    }
