"""What a framework is, and the register of those there are.

A framework is one file in ``deployments/frameworks``: a class with ``verify``, decorated with
:func:`framework`. Serve deployments, autoscaling, settings, routes, metrics and the contract tests all read
the register, so a seventh framework is one more file and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from data.evidence import ClaimBatch
from data.verdicts import Outcome


class Framework(Protocol):
    """Reads claims in one way.

    Plain Python: ports come in through ``__init__`` by the names in ``Spec.needs``.
    """

    def verify(self, batch: ClaimBatch) -> list[Outcome]:
        """Return one outcome a claim, order and length kept.

        Never raises for a bad claim; deterministic; independent of the claim's neighbours in the batch.
        """
        ...


@dataclass(frozen=True, slots=True)
class Spec:
    """How to build and run a framework."""

    name: str
    build: Callable[..., Framework]
    config: type
    #: Ports the constructor takes, by parameter name: ``stance``, ``scorer``, ``facts`` ...
    #: (``cluster.wiring``).
    needs: tuple[str, ...] = ()
    #: True for frameworks whose opinion may move a claim to SUPPORTED or REFUTED (DESIGN: empirical,
    #: consistency).
    decides: bool = False
    #: CPUs a replica reserves: a fraction, for six share two cores on the smallest machine.
    num_cpus: float = 0.1
    labels: tuple[str, ...] = field(default=())
    #: Ports it takes where the installation has them; without one it does what it can.
    may_use: tuple[str, ...] = ()


_SPECS: dict[str, Spec] = {}


def framework(  # noqa: PLR0913 - a framework is described by seven things, each by name
    *,
    name: str,
    config: type,
    needs: tuple[str, ...] = (),
    decides: bool = False,
    num_cpus: float = 0.1,
    labels: tuple[str, ...] = (),
    may_use: tuple[str, ...] = (),
) -> Callable[[type[Any]], type[Any]]:
    """Register a framework class under ``name``.

    The class is built as ``Class(config, **ports)`` with ``config`` an instance of the frozen dataclass
    given.

    Raises:
        ValueError: the name is taken.
    """

    def register(cls: type[Any]) -> type[Any]:
        if name in _SPECS:
            raise ValueError(f"two frameworks are called {name!r}: rename one of them")
        _SPECS[name] = Spec(name, cls, config, needs, decides, num_cpus, labels, may_use)
        return cls

    return register


def registered() -> dict[str, Spec]:
    """Return the register as filled so far, by name, sorted."""
    return dict(sorted(_SPECS.items()))
