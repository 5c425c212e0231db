"""A bounded memory of what was worked out for recent texts, filled a batch at a time.

Used by the stance model. Invariant: a remembered value equals the one that would be worked out again, so
what the memory holds never shows in a result; the least recently asked texts are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class RecentTexts(Generic[Value]):
    """Remembers ``capacity`` values by text; ``learn`` works out values for texts, in order. Thread-safe."""

    def __init__(self, capacity: int, learn: Callable[[Sequence[str]], list[Value]]) -> None:
        self._capacity = capacity
        self._learn = learn
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._lock = Lock()

    def of(self, texts: Sequence[str]) -> dict[str, Value]:
        """Return the value of each distinct text. Two threads may both learn a text; they learn the same."""
        wanted = dict.fromkeys(texts)
        with self._lock:
            found = {text: self._values[text] for text in wanted if text in self._values}
            for text in found:
                self._values.move_to_end(text)
        missing = [text for text in wanted if text not in found]
        if missing:
            learned = dict(zip(missing, self._learn(missing), strict=True))
            found.update(learned)
            with self._lock:
                self._values.update(learned)
                while len(self._values) > self._capacity:
                    self._values.popitem(last=False)
        return found
