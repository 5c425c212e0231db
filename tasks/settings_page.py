"""Writes ``docs/configuration.md`` from the settings' schema: ``python -m tasks.settings_page [--check]``.

Every setting with its variable, type, bounds and default, under the words of its section. ``--check`` writes
nothing and exits with 1 if the page is not what the schema says.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import yaml
from msgspec import NODEFAULT, Meta, Struct

from cluster.head import PROJECT_ROOT
from configs.load import CONFIG_DIR, ENVIRONMENTS
from configs.schema import Settings

PAGE = PROJECT_ROOT / "docs" / "configuration.md"
_HEAD = """# Configuration

Written by `python -m tasks.settings_page` from `configs/schema.py`: change it there.

Values come from four layers, later ones over earlier ones: the defaults below, `configs/base.yaml` and the
environment's file (`KITE_ENV`: {environments}) with one more file if `KITE_CONFIG`
names it, `KITE_…` variables, and `--set key=value` on the command line. A key that is not known, or a value
that does not fit, stops the start with one line that says which and where it came from. `kite config` prints
what is in force, passwords masked.

A variable's value is read as YAML: `KITE_HTTP__TRUSTED_PROXIES='[10.0.0.0/8]'`.
"""
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or compare the page."""
    parser = argparse.ArgumentParser(prog="python -m tasks.settings_page", description="Writes the page.")
    parser.add_argument("--check", action="store_true", help="only say whether it differs")
    options = parser.parse_args(arguments)
    text = rendered()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if options.check:
        print(f"{PAGE.name} is not what configs/schema.py says")  # noqa: T201 - the answer of a command
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


def rendered() -> str:
    """Return the page."""
    parts = [_HEAD.format(environments=", ".join(f"`{name}`" for name in ENVIRONMENTS))]
    for path, section in sections(Settings):
        rows = list(_rows(path, section))
        title = ".".join(path) or "At the top"
        parts.append(f"\n## {title}\n\n{_words(section)}\n\n" if path else f"\n## {title}\n\n")
        if rows:
            parts.append("| key | variable | type | default | differs in |\n|---|---|---|---|---|\n")
            parts += rows
    return "".join(parts)


def sections(
    section: type[Struct], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[Struct]]]:
    """Yield every section with its path, parents first."""
    yield path, section
    for name, kind in typing.get_type_hints(section).items():
        if isinstance(kind, type) and issubclass(kind, Struct):
            yield from sections(kind, (*path, name))


def _rows(path: tuple[str, ...], section: type[Struct]) -> Iterator[str]:
    hints = typing.get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        kind = hints[field.name]
        if isinstance(kind, type) and issubclass(kind, Struct):
            continue
        key = (*path, field.name)
        default = field.default if field.default is not NODEFAULT else field.default_factory()
        variable = "KITE_" + "__".join(part.upper() for part in key)
        cells = (f"`{'.'.join(key)}`", f"`{variable}`", _kind(kind), f"`{_shown(default)}`", _elsewhere(key))
        yield "| " + " | ".join(cells) + " |\n"


def _kind(kind: Any) -> str:
    """Return a type in a person's words, with its bounds."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return " ".join([_kind(inner[0]), _bounds(inner[1:])]).strip()
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("nothing" if each is type(None) else _kind(each) for each in inner)
    if origin in (tuple, dict):
        return f"list of {_kind(inner[0])}" if origin is tuple else f"{_kind(inner[1])} by name"
    if issubclass(kind, Struct):
        return f"{kind.__name__.removesuffix('Settings').lower()} settings"
    return {str: "text", int: "whole number", float: "number", bool: "yes or no"}[kind]


def _bounds(metas: Sequence[Any]) -> str:
    return ", ".join(
        f"{sign} {getattr(meta, name):g}"
        for meta in metas
        if isinstance(meta, Meta)
        for name, sign in _BOUNDS.items()
        if getattr(meta, name) is not None
    )


def _shown(value: Any) -> str:
    plain = msgspec.to_builtins(value)
    return yaml.safe_dump(plain, default_flow_style=True, width=1_000).strip().removesuffix("...").strip()


def _elsewhere(key: tuple[str, ...]) -> str:
    """Return what the shipped files say instead of the default."""
    told = []
    for name in ("base", *ENVIRONMENTS):
        value: Any = yaml.safe_load((CONFIG_DIR / f"{name}.yaml").read_bytes())
        for part in key:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            told.append(f"{name}: `{_shown(value)}`")
    return ", ".join(told)


def _words(section: type[Struct]) -> str:
    return inspect.cleandoc(section.__doc__ or "").replace("``", "`")


if __name__ == "__main__":
    sys.exit(main())
