"""``docs/security.md`` tells of every route what the route table says of it.

``python -m tests.unit.api.test_security_page`` (``make docs``) writes that table anew.
"""

from __future__ import annotations

from pathlib import Path

from deployments.api.routes.rule_table import markdown_of
from tests.unit.api.test_guard import rows

PAGE = Path(__file__).resolve().parents[3] / "docs" / "security.md"
BEGIN, END = "<!-- rules -->\n", "<!-- /rules -->"


def parts() -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands after it."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


def test_table_of_rules_is_that_of_the_code() -> None:
    """Written anew by ``make docs`` when a route or a rule changes."""
    assert parts()[1] == markdown_of(rows())


def test_every_test_that_the_page_names_is_there() -> None:
    """A page that names a test that was removed would promise what nobody checks."""
    root = PAGE.parents[1] / "tests"
    quoted = PAGE.read_text(encoding="utf-8").split("`")
    named = {part for part in quoted if Path(part).name.startswith("test_") and part.endswith(".py")}

    assert [name for name in sorted(named) if not list(root.rglob(Path(name).name))] == []


if __name__ == "__main__":
    start, _, rest = parts()
    PAGE.write_text(start + BEGIN + markdown_of(rows()) + END + rest, encoding="utf-8")
