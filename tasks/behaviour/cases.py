"""The claims that the behaviour tests start from: real ones, with the evidence that decides them.

Called by ``tasks.behaviour`` and its tests. The choice is by hash of the row's id, so it needs no seed and
stays the same when rows are added elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.analysis import Span
from data.evidence import Evidence
from data.knowledge import text_sha256
from data.text.stop_words import STOP_WORDS
from tasks.labelled import read_rows

#: Sets with gold evidence whose labels mean the same.
SETS = ("vitaminc", "fever_dev", "fm2", "scifact")
_WORD = re.compile(r"[^\W_]+")
#: An irrelevant sentence is a plain one: so many words.
_MIN_WORDS, _MAX_WORDS = 6, 30
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
#: A sentence that starts so speaks of what one before it names.
_POINTS_BACK = re.compile(
    r"\W*(?:he|she|it|they|this|these|that|those|his|her|its|their|such|there|here|both|"
    r"also|however|moreover|furthermore|therefore|thus|in addition|then|later|afterwards)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Case:
    """A claim with its gold label (SUPPORTS or REFUTES) and the passages that decide it."""

    id: str
    claim: str
    label: str
    items: tuple[Evidence, ...]
    source: str
    page: str

    def words(self) -> frozenset[str]:
        """Return the content words of claim, evidence and titles, in lower case."""
        texts = [self.claim, *(f"{item.title} {item.text}" for item in self.items)]
        return content_words(" ".join(texts))


def content_words(text: str) -> frozenset[str]:
    """Return the words of ``text`` that carry meaning, in lower case, cut to six letters as a rough stem."""
    found = (word.casefold() for word in _WORD.findall(text))
    return frozenset(word[:6] for word in found if len(word) > 2 and word not in STOP_WORDS)


def digest(*parts: str) -> int:
    """Return a stable number for these texts."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


def evidence_of(text: str, title: str = "", copy: str = "") -> Evidence:
    """Return ``text`` as an evidence item; ``copy`` gives the same words another id and document."""
    name = f"{digest(title, text, copy):016x}"
    return Evidence(f"p-{name}", f"d-{name}", text, Span(0, len(text)), title=title, sha256=text_sha256(text))


def choose_cases(datasets: Path, split: str, count: int) -> list[Case]:
    """Return ``count`` cases (fewer where there are not so many), as evenly over ``SETS`` as they allow."""
    queues = {name: sorted(_read(datasets, name, split), key=lambda case: digest(case.id)) for name in SETS}
    chosen: list[Case] = []
    while len(chosen) < count and any(queues.values()):
        for queue in queues.values():
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return chosen


def _read(datasets: Path, name: str, split: str) -> list[Case]:
    """Return the decided claims of one set and split, each wording once."""
    cases: dict[str, Case] = {}
    for row in sorted(read_rows(datasets, f"{name}/{split}.jsonl"), key=lambda row: digest(row["id"])):
        claim = " ".join(row["claim"].split())
        if row["label"] not in ("SUPPORTS", "REFUTES") or '""' in claim or claim in cases:
            continue
        page = row["meta"].get("page", "")
        items = tuple(
            evidence_of(item["text"], item.get("title", "") or page)
            for item in row["evidence"]
            if item.get("label", row["label"]) == row["label"]
        )
        if items:
            place = page or items[0].title or row["evidence"][0].get("doc", "")
            cases[claim] = Case(row["id"], claim, row["label"], items, name, place)
    return list(cases.values())


def stranger_to(case: Case, cases: Sequence[Case], salt: str) -> Case | None:
    """Return a case of another page that shares no content word with ``case``, by hash; ``None`` if none."""
    mine, start = case.words(), digest(salt, case.id) % len(cases)
    for step in range(len(cases)):
        other = cases[(start + step) % len(cases)]
        if other.page != case.page and not mine & other.words():
            return other
    return None


def other_page(case: Case, cases: Sequence[Case]) -> Case | None:
    """Return a case of the same set about another page, by hash, whatever words they share."""
    start = digest("other", case.id) % len(cases)
    for step in range(len(cases)):
        other = cases[(start + step) % len(cases)]
        if other.source == case.source and other.page != case.page:
            return other
    return None


def names_its_subject(text: str, title: str) -> bool:
    """Return whether the first sentence of ``text`` says what it is about, whatever stands around it.

    It has a word of its title, where there is one, and nothing that points at a sentence before it. "The
    series finale aired in August", beside a passage on another film, would be a statement about that film.
    """
    first = _SENTENCE_END.split(text.strip(), maxsplit=1)[0]
    if _POINTS_BACK.match(first) is not None:
        return False
    return not content_words(title) or bool(content_words(title) & content_words(first))


def plain_sentence(case: Case) -> str | None:
    """Return a sentence of the case's evidence that can stand alone; ``None`` when it has none."""
    for item in case.items:
        text = item.text.strip()
        whole = text[:1].isupper() and text.endswith(".")
        if whole and _MIN_WORDS <= len(text.split()) <= _MAX_WORDS and names_its_subject(text, item.title):
            return text
    return None
