"""Frameworks get the syntax pipeline where its folder is, and stand without it where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data.parts import Parts
from data.text.syntax import SyntaxReader
from deployments.building import build_framework
from deployments.frameworks import discover

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "syntax"


def parts(folder: Path | None) -> Parts:
    """Return parts of which only the folder is looked at."""
    names = ("reader", "vectors", "analyser", "embedder", "stance", "scorer", "store", "clock")
    ports: dict[str, Any] = dict.fromkeys(names)
    return Parts(**ports, prediction_set=lambda *_: (), syntax_folder=folder)


@pytest.mark.parametrize("name", ["contextual", "consistency"])
def test_framework_that_may_use_syntax_gets_it(name: str) -> None:
    """Both are given one reader, loaded at construction."""
    built: Any = build_framework(discover()[name], parts(SHIPPED), {})

    assert isinstance(built._syntax, SyntaxReader)


@pytest.mark.parametrize("name", ["contextual", "consistency"])
def test_missing_folder_leaves_a_framework_without_syntax_and_says_so(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names what is missing; the framework is built all the same."""
    with caplog.at_level("WARNING", logger="kite.syntax"):
        built: Any = build_framework(discover()[name], parts(tmp_path / name), {})

    assert built._syntax is None
    assert "There is no model in" in caplog.text


def test_other_frameworks_are_not_given_syntax() -> None:
    """Only those that ask for it load it."""
    assert [name for name, spec in discover().items() if "syntax" in spec.may_use] == [
        "consistency",
        "contextual",
    ]
