"""Which evidence a question admits: about whom, from when, from which sources.

Carried by a question, applied by the retriever before anything is read. Pure. Invariant: what is asked for
must be known of an item; a passage without a date is in no window of time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from data.errors import InvalidValueError
from data.evidence import Evidence

#: Most names or sources in one filter.
MAX_NAMES = 100
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class EvidenceFilter:
    """``since`` and ``until`` are inclusive ISO days, ``None`` where open.

    A passage is in the window when it was published in it; a fact, or a statement of the graph, when it held
    on a day of it. An item is about an entity when its text, title or subject has the entity's words in their
    order, case aside; one of the ``entities`` is enough, as is one of the ``sources``. An empty field admits
    everything.

    Raises:
        InvalidValueError: not a day, a window that ends before it begins, a name without words, or more than
        ``MAX_NAMES`` names.
    """

    since: str | None = None
    until: str | None = None
    entities: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, day in (("since", self.since), ("until", self.until)):
            if day is not None and not _is_day(day):
                raise InvalidValueError(f"The filter's {name} {day!r} is not a day: write it as 2024-05-31.")
        if self.since and self.until and self.until < self.since:
            raise InvalidValueError(
                f"The filter ends on {self.until}, before it begins on {self.since}: exchange the two."
            )
        for names in (self.entities, self.sources):
            if len(names) > MAX_NAMES:
                raise InvalidValueError(f"The filter has {len(names)} names and the limit is {MAX_NAMES}.")
        for entity in self.entities:
            if not _WORD.search(entity):
                raise InvalidValueError(f"The filter's entity {entity!r} has no word: name a thing.")

    def __bool__(self) -> bool:
        return bool(self.since or self.until or self.entities or self.sources)

    def admits(self, item: Evidence) -> bool:
        """Return whether the item may be used."""
        return self._in_window(item) and self._is_about(item) and self._comes_from(item)

    def _in_window(self, item: Evidence) -> bool:
        if not self.since and not self.until:
            return True
        if item.kind == "passage":
            if item.published_at is None:
                return False
            first = last = item.published_at[:10]
        else:
            first, last = item.valid_from or "", item.valid_to or "9999-12-31"
        return last >= (self.since or "") and first <= (self.until or "9999-12-31")

    def _is_about(self, item: Evidence) -> bool:
        if not self.entities:
            return True
        said = [_word_runs(text) for text in (item.text, item.title, item.subject or "")]
        return any(_word_runs(entity) in text for entity in self.entities for text in said)

    def _comes_from(self, item: Evidence) -> bool:
        return not self.sources or item.source in self.sources


#: Admits everything.
NO_FILTER = EvidenceFilter()


def _word_runs(text: str) -> str:
    """Return the runs of letters and digits in lower case, a space before and after each."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
