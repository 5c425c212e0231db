"""The shapes that the OpenAPI document names."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path


def test_no_two_shapes_of_the_wire_have_one_name() -> None:
    """The document names shapes by their class: of two with one name it would show one for both."""
    folder = Path(__file__).parents[3] / "deployments" / "api"
    names = Counter(
        node.name
        for path in folder.glob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )

    assert [name for name, count in names.items() if count > 1] == []
