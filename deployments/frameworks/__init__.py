"""Finds the frameworks in this folder: importing a sibling registers it."""

from __future__ import annotations

import importlib
import pkgutil

from deployments.framework import Spec, registered


def discover() -> dict[str, Spec]:
    """Import every framework module here and return their specs by name, sorted."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return registered()


def find(name: str) -> Spec:
    """Return one framework's spec; the others are imported only if its file is not named as it is.

    Raises:
        KeyError: there is no such framework.
    """
    if name in {module.name for module in pkgutil.iter_modules(__path__)}:
        importlib.import_module(f"{__name__}.{name}")
    known = registered()
    return known[name] if name in known else discover()[name]
