"""Frameworks as they are administered: switched off and on, and given a default weight, while all runs.

Called by the routes under ``/admin/frameworks``. No HTTP, no Ray. Invariant: what is written follows from
what stood in the ledger right before it, and at least one framework is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from configs.schema import Settings
from data.access.desk import AccessLedger
from data.access.records import FrameworkRecord
from data.access.switches import put_framework
from data.errors import CapacityError, ConflictError, NotFoundError
from data.ports import Clock

#: How often a write is tried again when somebody else's came in between.
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class FrameworkStanding:
    """Whether a framework is asked, its weight where a request names none, and the word on it, if any."""

    name: str
    enabled: bool
    weight: float
    word: FrameworkRecord | None


class FrameworkDesk:
    """Shows and changes how frameworks stand. Blocks: call it from threads. Any thread.

    ``settings_with(words)`` gives the settings in force under words on frameworks.
    """

    def __init__(
        self,
        ledger: AccessLedger,
        names: Sequence[str],
        settings_with: Callable[[Sequence[FrameworkRecord]], Settings],
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._names = tuple(names)
        self._settings_with = settings_with
        self._clock = clock

    def all(self) -> list[FrameworkStanding]:
        """Return how every framework stands, sorted by name.

        Raises:
            StoreUnavailableError: the keeper is away.
        """
        return self._standings(self._words()[1])

    def one(self, name: str) -> FrameworkStanding:
        """Return how a framework stands.

        Raises:
            NotFoundError: there is no such framework. StoreUnavailableError: the keeper is away.
        """
        self._require(name)
        return next(one for one in self.all() if one.name == name)

    def say(self, name: str, wish: Mapping[str, Any], *, actor: str) -> FrameworkStanding:
        """Change ``enabled`` and ``weight`` as far as ``wish`` names them, and return how it stands then.

        Raises:
            NotFoundError: there is no such framework. ConflictError: no framework would be asked.
            InvalidValueError: a weight that cannot be. StoreUnavailableError: the keeper is away.
            CapacityError: others change things all the time.
        """
        return self._write(name, wish, actor)

    def forget(self, name: str, *, actor: str) -> FrameworkStanding:
        """Take back what was said of a framework: the settings count again. Raises as :meth:`say`."""
        return self._write(name, {"enabled": None, "weight": None}, actor)

    def _write(self, name: str, wish: Mapping[str, Any], actor: str) -> FrameworkStanding:
        self._require(name)
        for _ in range(_ATTEMPTS):
            seq, words = self._words()
            before = words.get(name, FrameworkRecord(name))
            word = replace(before, **wish, changed_s=round(self._clock.now_s(), 6), actor=actor)
            standings = self._standings({**words, name: word})
            if not any(one.enabled for one in standings):
                raise ConflictError(
                    f"{name} is the last framework that is asked: switch on another one first."
                )
            if self._ledger.append_access(seq, [put_framework(word, actor=actor)]) is not None:
                return next(one for one in standings if one.name == name)
        raise CapacityError("Frameworks, keys and tenants are changed by many at once: try again.")

    def _require(self, name: str) -> None:
        if name not in self._names:
            known = ", ".join(self._names)
            raise NotFoundError(f"There is no framework {name[:80]!r}: there are {known}.")

    def _words(self) -> tuple[int, dict[str, FrameworkRecord]]:
        found = self._ledger.access_changes(0)
        return found.seq, {word.id: word for word in found.frameworks}

    def _standings(self, words: Mapping[str, FrameworkRecord]) -> list[FrameworkStanding]:
        settings = self._settings_with(list(words.values()))
        weights, off = settings.framework_weights, settings.frameworks_off
        return [
            FrameworkStanding(name, name not in off, weights.get(name, 1.0), words.get(name))
            for name in sorted(self._names)
        ]
