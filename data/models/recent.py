"""A bounded memory of what was worked out for recent texts or pairs of texts, filled a batch at a time.

Used by the stance model. Invariant: a remembered value equals the one that would be worked out again, so
what the memory holds never shows in a result; the least recently asked texts are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Remembers ``capacity`` values by key; ``learn`` works out values for keys, in order. Thread-safe."""

    def __init__(self, capacity: int, learn: Callable[[Sequence[Key]], list[Value]]) -> None:
        self._capacity = capacity
        self._learn = learn
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = Lock()

    def of(self, keys: Sequence[Key]) -> dict[Key, Value]:
        """Return the value of each distinct key. Two threads may both learn a key; they learn the same."""
        wanted = dict.fromkeys(keys)
        with self._lock:
            found = {key: self._values[key] for key in wanted if key in self._values}
            for key in found:
                self._values.move_to_end(key)
        missing = [key for key in wanted if key not in found]
        if missing:
            learned = dict(zip(missing, self._learn(missing), strict=True))
            found.update(learned)
            with self._lock:
                self._values.update(learned)
                while len(self._values) > self._capacity:
                    self._values.popitem(last=False)
        return found


#: A memory by text.
RecentTexts = Recent[str, Value]
