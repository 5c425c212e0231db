"""Shows what a command tells: JSON for programs, tables on a terminal, plain lines in pipes.

Called by ``tasks.kite`` alone. Tables in pipes are lines of fields with a tab between them, without a
heading. Control characters of texts never reach a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from tasks.commands.told import Fields, Rows, Told

if TYPE_CHECKING:
    from rich.console import Console

#: Columns of what is shown in a pipe, where nobody says how wide it is.
PIPE_WIDTH = 100
#: Seconds between two lines of progress where there is no terminal to draw a bar on.
PROGRESS_EVERY_S = 5.0

#: ``tick(done, total, phase)``; the total is ``None`` while it is not known.
Tick = Callable[[int, int | None, str], None]


def present(told: Told, *, as_json: bool, out: TextIO | None = None) -> int:
    """Write what a command tells to ``out`` (standard output) and return its exit code."""
    target = out or sys.stdout
    items = told.value if told.is_stream else (told.value,)
    for item in items:
        if as_json:
            target.write(_json(item, is_line=told.is_stream) + "\n")
        else:
            _show(told.show(item), target)
        target.flush()
    return told.code() if callable(told.code) else told.code


@contextmanager
def progress(label: str, *, err: TextIO | None = None) -> Iterator[Tick]:
    """Lend a tick: a bar on a terminal, else a line every few seconds and a phase, on standard error."""
    target = err or sys.stderr
    if not target.isatty():
        yield _lines(label, target)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=target), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total, phase: bar.update(
            task, completed=done, total=total, description=phase or label
        )


def plain(value: object) -> str:
    """Return a value as one line of text that can do nothing to a terminal."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text)


def _json(item: Any, *, is_line: bool) -> str:
    encoded = msgspec.json.encode(item)
    return (encoded if is_line else msgspec.json.format(encoded, indent=2)).decode()


def _show(shown: Any, target: TextIO) -> None:
    is_terminal = target.isatty()
    if isinstance(shown, str):
        if shown:
            target.write(shown if shown.endswith("\n") else f"{shown}\n")
    elif isinstance(shown, Rows) and not is_terminal:
        target.writelines(_tabbed(row) for row in shown.rows)
    elif isinstance(shown, Fields) and not is_terminal:
        target.writelines(f"{name}: {plain(value)}\n" for name, value in shown.fields)
    elif shown is not None:
        _console(target).print(_drawn(shown))


def _tabbed(row: Sequence[object]) -> str:
    return "\t".join(map(plain, row)) + "\n"


def _drawn(shown: Any) -> Any:
    from rich.table import Table
    from rich.text import Text

    if isinstance(shown, Rows) and not shown.rows:
        return Text(shown.empty)
    if isinstance(shown, Rows):
        table = Table(*shown.columns, box=None, padding=(0, 2, 0, 0), header_style="bold")
        for row in shown.rows:
            table.add_row(*(Text(plain(cell)) for cell in row))
        return table
    if isinstance(shown, Fields):
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, value in shown.fields:
            table.add_row(Text(name, style="bold"), Text(plain(value)))
        return table
    return shown


def _console(target: TextIO) -> Console:
    from rich.console import Console

    return Console(file=target, highlight=False, width=None if target.isatty() else PIPE_WIDTH)


def _lines(label: str, target: TextIO) -> Tick:
    began = {"": time.monotonic()}
    last = [time.monotonic()]

    def tick(done: int, total: int | None, phase: str) -> None:
        now = time.monotonic()
        if phase in began and now - last[0] < PROGRESS_EVERY_S and done != total:
            return
        last[0] = now
        passed = now - began.setdefault(phase, now)
        rate = f", {done / passed:,.0f}/s" if passed and done else ""
        of = "" if total is None else f" of {total:,}"
        target.write(f"{phase or label}: {done:,}{of}{rate}\n")
        target.flush()

    return tick
