"""Finds every framework in this folder: importing a sibling registers it."""

from __future__ import annotations

import importlib
import pkgutil

from deployments.framework import Spec, registered


def discover() -> dict[str, Spec]:
    """Import every framework module here and return their specs by name, sorted."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return registered()
