"""What a command tells as JSON, on a terminal and in a pipe."""

from __future__ import annotations

import io
import json

import pytest
from rich.text import Text

from tasks.commands.present import present, progress
from tasks.commands.told import Fields, Rows, Told, report_fields


class Terminal(io.StringIO):
    """Something that says it is one."""

    def isatty(self) -> bool:
        return True


def shown(told: Told, out: io.StringIO | None = None, *, as_json: bool = False) -> str:
    out = out or io.StringIO()
    assert present(told, as_json=as_json, out=out) == (told.code() if callable(told.code) else told.code)
    return out.getvalue()


TABLE = Rows(("id", "state"), [("a", "done"), ("b\x1b[2J\t", None)])


def test_table_in_a_pipe_is_lines_of_fields_with_tabs() -> None:
    """For cut and awk: no heading, no colour, no tab but those between."""
    assert shown(Told([], lambda _: TABLE)) == "a\tdone\nb [2J \t\n"


def test_table_on_a_terminal_has_a_heading_and_no_foreign_control_characters() -> None:
    """What a document says cannot clear the screen."""
    text = shown(Told([], lambda _: TABLE), Terminal())
    assert "state" in text
    assert "\x1b[2J" not in text


def test_empty_table_says_so_on_a_terminal_and_nothing_in_a_pipe() -> None:
    """Nobody wonders whether it hangs; no program reads words as a row."""
    none = Told([], lambda _: Rows(("id",), []))
    assert shown(none, Terminal()).strip() == "There are none."
    assert shown(none) == ""


def test_json_is_one_document_whatever_people_would_see() -> None:
    """Names as the API spells them."""
    told = Told({"id": "a", "n": 1, "text": "ü"}, lambda _: "for people")
    assert json.loads(shown(told, as_json=True)) == told.value
    assert "ü" in shown(told, as_json=True)


def test_stream_is_a_line_for_each_and_its_code_is_asked_at_the_end() -> None:
    """JSON lines, each written out before the next is made."""
    out, seen = io.StringIO(), []

    def items() -> object:
        for number in (1, 2):
            seen.append(out.getvalue())
            yield {"n": number}

    told = Told(items(), str, lambda: 3, is_stream=True)
    assert present(told, as_json=True, out=out) == 3
    assert out.getvalue() == '{"n":1}\n{"n":2}\n'
    assert seen == ["", '{"n":1}\n']


def test_fields_are_aligned_on_a_terminal_and_named_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """One a line."""
    monkeypatch.setenv("TERM", "dumb")
    fields = Told(0, lambda _: Fields([("rows", 3), ("whole", True)]))
    assert shown(fields) == "rows: 3\nwhole: yes\n"
    assert [line.split() for line in shown(fields, Terminal()).splitlines()] == [
        ["rows", "3"],
        ["whole", "yes"],
    ]


def test_what_rich_draws_is_plain_in_a_pipe() -> None:
    """No escape sequences where nobody can draw them."""
    assert shown(Told(0, lambda _: Text("SUPPORTED", style="bold green"))) == "SUPPORTED\n"


def test_report_is_its_fields_by_their_path() -> None:
    """Lists of plain values on one line, those of objects each on its own."""
    told = report_fields({"a": {"b": 1}, "c": [1, 2], "d": [{"e": None}], "f": {}})
    assert list(told.fields) == [("a.b", 1), ("c", "1, 2"), ("d[0].e", ""), ("f", {})]


def test_progress_without_a_terminal_is_a_line_a_phase_and_one_at_the_end() -> None:
    """Few lines, on standard error."""
    err = io.StringIO()
    with progress("batch", err=err) as tick:
        for done in range(101):
            tick(done, 100, "verifying")
    first, last = err.getvalue().splitlines()
    assert first == "verifying: 0 of 100"
    assert last.startswith("verifying: 100 of 100")


def test_progress_on_a_terminal_is_a_bar() -> None:
    """It names what is being done."""
    err = Terminal()
    with progress("batch", err=err) as tick:
        tick(1, 2, "verifying")
    assert "verifying" in err.getvalue()


@pytest.mark.parametrize(("value", "shown_as"), [(True, "yes"), (0.5, "0.5"), (None, ""), ("a\nb", "a b")])
def test_cells_are_one_line(value: object, shown_as: str) -> None:
    """A cell cannot begin another row."""
    assert shown(Told([], lambda _: Rows(("x",), [(value,)]))) == f"{shown_as}\n"
