"""Builds a framework from its spec, the parts it needs and its settings. Plain Python.

Apart from :mod:`deployments.assembly`, which builds all the rest: a framework's replica needs no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from configs.errors import ConfigError
from configs.schema import Settings
from data.parts import Parts
from data.text.syntax import open_syntax
from deployments.framework import Framework, Spec


def framework_config(spec: Spec, overrides: Mapping[str, Any]) -> Any:
    """Return the framework's configuration with these settings applied.

    Raises:
        ConfigError: a key it does not have, or a value that does not fit.
    """
    known = {item.name for item in fields(spec.config)}
    unknown = sorted(set(overrides) - known)
    if unknown:
        raise ConfigError(f"settings: frameworks.{spec.name}.{unknown[0]}: there is no such setting")
    try:
        return msgspec.convert(dict(overrides), spec.config)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"settings: frameworks.{spec.name}: {exc}") from exc


def build_framework(spec: Spec, parts: Parts, overrides: Mapping[str, Any]) -> Framework:
    """Return a framework built from its spec, the parts it needs, and those it may use that are there."""
    ports = {name: getattr(parts, name) for name in spec.needs}
    if "syntax" in spec.may_use:
        ports["syntax"] = open_syntax(parts.syntax_folder)
    return spec.build(framework_config(spec, overrides), **ports)


def own_settings(settings: Settings, name: str) -> bytes:
    """Return a framework's own settings as they travel with a question."""
    return msgspec.json.encode(settings.frameworks.get(name, {}), order="sorted")
