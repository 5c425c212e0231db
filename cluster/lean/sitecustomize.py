"""Keeps pandas, and Arrow with it, out of processes that only serve: Python runs this at the start of each.

``cluster.head`` and the image put this folder on ``PYTHONPATH``. ``ray.serve._private.utils`` imports pandas,
if it is there, for answers that are data frames, which none of ours are; in each replica, controller and
proxy that takes 35 MB and 2 s of a core (measured on Ray 2.60). Invariant: whoever else imports pandas gets
it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

#: The module that does without pandas, and says so in its own ``except ImportError``.
_WITHOUT = "ray.serve._private.utils"


class _NoPandasThere:
    """A finder that knows one thing: pandas is not there while Serve's module is being imported."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise for that import, and leave every other to the finders behind."""
        del path, target
        if name == "pandas":
            spec = getattr(sys.modules.get(_WITHOUT), "__spec__", None)
            if getattr(spec, "_initializing", False):
                raise ImportError("pandas is left out of processes that serve")
        return None


def _run_the_one_behind() -> None:
    """Run the ``sitecustomize`` that this one hides, if there is one."""
    here = Path(__file__).resolve().parent
    rest = [entry for entry in sys.path if entry and Path(entry).resolve() != here]
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None and spec.origin is not None:
        code = spec.loader.get_code("sitecustomize")  # type: ignore[attr-defined]
        exec(code, {"__name__": "sitecustomize", "__file__": spec.origin})  # noqa: S102 - as Python would


sys.meta_path.insert(0, _NoPandasThere)
_run_the_one_behind()
