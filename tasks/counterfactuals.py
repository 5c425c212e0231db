"""Makes labelled pairs whose label is known by construction: a statement altered in one place.

Called by ``tasks.train_stance``. Deterministic: every choice comes from a hash of the texts. A changed claim
refutes only where the change is sure to make it false, so claims with bounds ("more than 30") are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tasks.labelled import LabelledPair, share_of

_AUXILIARY = re.compile(
    r"\b(is|are|was|were|has been|have been|had been|will be|will|can|could|should|would|must|does|did)\b"
    r"(?! not\b|n't)"
)
_NEGATED = re.compile(
    r"\b(not|no|never|none|neither|nor|without|nobody|nothing|hardly|n't)\b|n't", re.IGNORECASE
)
_BOUND = re.compile(
    r"\b(more|less|fewer|over|under|below|above|least|most|than|before|after|since|until|by|about|around|almost|nearly|"
    r"approximately|up to|between|exceed\w*|roughly|some|first|only)\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?<![\d,.])(1[0-9]{3}|20[0-4][0-9])(?![\d,.]*\d)")
_NUMBER = re.compile(r"(?<![\w,.\-])(\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)(?![\w]|[,.]\d)")
_NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][a-z]+(?: (?:of |the )?[A-Z][a-z]+)*\b")
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})\b")
_SENTENCE = re.compile(r"(?<=[a-z0-9)] \.|[a-z0-9)]{2}\.) (?=[A-Z])")
#: Statements taken from passages, in words: shorter ones say too little, longer ones too much at once.
_MIN_WORDS, _MAX_WORDS = 5, 28


def negate(claim: str) -> str | None:
    """Return the claim with "not" after its first auxiliary; ``None`` where it has none or is negated."""
    if _NEGATED.search(claim):
        return None
    found = _AUXILIARY.search(claim)
    if found is None:
        return None
    word = found.group(1).split(" ")[0]
    end = found.start() + len(word)
    return f"{claim[:end]} not{claim[end:]}"


def change_number(claim: str, passage: str) -> str | None:
    """Return the claim with one number or year that the passage states changed to one it does not state."""
    if _BOUND.search(claim) or _NEGATED.search(claim):
        return None
    for pattern, alter in ((_YEAR, _other_year), (_NUMBER, _other_number)):
        for found in pattern.finditer(claim):
            old = found.group(1)
            new = alter(old, claim)
            if old in passage and new not in passage:
                return claim[: found.start()] + new + claim[found.end() :]
    return None


def change_month(claim: str, passage: str) -> str | None:
    """Return the claim with its month, which the passage has, replaced by one that it has not."""
    found = _MONTH.search(claim)
    if found is None or found.group(1) not in passage or _NEGATED.search(claim) or _BOUND.search(claim):
        return None
    new = _MONTHS[(_MONTHS.index(found.group(1)) + 1 + share_of(claim, 11)) % 12]
    return None if new in passage else claim[: found.start()] + new + claim[found.end() :]


def swap_name(claim: str, passage: str, names: Sequence[str]) -> str | None:
    """Return the claim with its last name that the passage has replaced by one of ``names`` it lacks."""
    if _NEGATED.search(claim):
        return None
    inner = [
        found for found in _NAME.finditer(claim) if found.group() in passage and found.group() not in _MONTHS
    ]
    if not inner or not names:
        return None
    old = inner[-1]
    new = names[share_of(claim + old.group(), len(names))]
    if new in passage or new in claim or len(new.split()) > 3:
        return None
    return claim[: old.start()] + new + claim[old.end() :]


def names_in(pairs: Sequence[LabelledPair]) -> list[str]:
    """Return the names inside the claims, each once, sorted."""
    return sorted({name for pair in pairs for name in _NAME.findall(pair.claim) if name not in _MONTHS})


def altered(pairs: Sequence[LabelledPair]) -> Iterator[LabelledPair]:
    """Yield, for supported claims, their forms made false by one change, and the claim beside another."""
    names = names_in(pairs)
    supported = [pair for pair in pairs if pair.label == 0]
    for index, pair in enumerate(supported):
        yield from _falsified(pair.claim, pair.passage, names, title=pair.title)
        other = supported[(index + 1 + share_of(pair.claim, max(1, len(supported) - 1))) % len(supported)]
        if other.title != pair.title or not pair.title:
            yield LabelledPair(pair.claim, other.passage, 2, "unrelated", other.title)


def restated(pairs: Sequence[LabelledPair]) -> Iterator[LabelledPair]:
    """Yield a sentence of each passage as a claim (SUPPORTS), its shortened form, and its falsified forms."""
    names = names_in(pairs)
    seen: set[str] = set()
    for pair in pairs:
        if pair.passage in seen:
            continue
        seen.add(pair.passage)
        sentences = [
            each for each in _SENTENCE.split(pair.passage) if _MIN_WORDS <= len(each.split()) <= _MAX_WORDS
        ]
        if not sentences:
            continue
        claim = sentences[share_of(pair.passage, len(sentences))]
        yield LabelledPair(claim, pair.passage, 0, "restated", pair.title)
        shorter = _shortened(claim)
        if shorter is not None:
            yield LabelledPair(shorter, pair.passage, 0, "restated", pair.title)
        yield from _falsified(shorter or claim, pair.passage, names, title=pair.title)
        yield from _denied(claim, pair)


def _denied(claim: str, pair: LabelledPair) -> Iterator[LabelledPair]:
    """The passage with its sentence negated: it refutes the plain claim and supports the negated one."""
    denial = negate(claim)
    if denial is not None:
        passage = pair.passage.replace(claim, denial)
        yield LabelledPair(claim, passage, 1, "passage_negated", pair.title)
        yield LabelledPair(denial, passage, 0, "both_negated", pair.title)


def _falsified(claim: str, passage: str, names: Sequence[str], *, title: str) -> Iterator[LabelledPair]:
    changes = {
        "negated": negate(claim),
        "number_changed": change_number(claim, passage),
        "month_changed": change_month(claim, passage),
        "name_swapped": swap_name(claim, passage, names),
    }
    for source, changed in changes.items():
        if changed is not None:
            yield LabelledPair(changed, passage, 1, source, title)


def _shortened(sentence: str) -> str | None:
    """Return the sentence without its brackets and without what follows a relative clause or a late comma."""
    short = re.sub(r" ?(\(|-LRB-).*?(\)|-RRB-)", "", sentence)
    short = re.split(r" ?, (?:which|who|where|and|while|with|making)\b", short)[0].strip(" ,.")
    if short == sentence.strip(" ,.") or len(short.split()) < _MIN_WORDS:
        return None
    return f"{short}."


def _other_year(old: str, claim: str) -> str:
    return str(int(old) + (1, -1, 2, -3, 5, -8, 12, -20, 33, -40)[share_of(claim, 10)])


def _other_number(old: str, claim: str) -> str:
    value = float(old.replace(",", ""))
    if "." in old:
        return f"{value * (1.5, 0.6, 2.2, 1.1)[share_of(claim, 4)]:.{len(old.split('.')[1])}f}"
    changed = int(value * (2, 0.5, 1.2, 3, 0.8, 10)[share_of(claim, 6)]) + 1
    changed = changed + 1 if changed == int(value) else changed
    return f"{changed:,}" if "," in old else str(changed)
