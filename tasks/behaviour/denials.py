"""Changes that make a true claim false: denials of it, and other numbers in it.

Called by the behaviour tests. Written apart from what training uses, so that the tests are no mirror of it:
denial is said in whole phrases, by "never", do-support, "no", contraction, opposites, and by taking a "not"
away; numbers are changed by several small and large steps. Every choice comes from a hash of the texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data.text.words import listed
from tasks.behaviour.cases import digest
from tasks.behaviour.verbs import SUBORDINATE, main_verb


@dataclass(frozen=True, slots=True)
class Change:
    """A changed claim. It is false where the claim is true; ``reverses``: and true where it is false."""

    form: str
    text: str
    reverses: bool = False


_FRAMES = (
    "It is not true that",
    "It is false that",
    "It is not the case that",
    "It is untrue that",
)
_NEGATIVE = re.compile(
    r"\b(?:not|never|no|none|nobody|nothing|neither|nor|without|cannot|hardly)\b|n't\b|\bun(?:able|like)\b",
    re.IGNORECASE,
)
_BE_HAVE = re.compile(
    r"\b(?:(?:was|were)(?! (?:an?|the|to|no|never|not)\b)|"
    r"(?:has|have|had)(?= (?:been|become|[a-z]+ed|sold|won)\b))"
)
_SHORT = {
    "is": "isn't",
    "are": "aren't",
    "was": "wasn't",
    "were": "weren't",
    "can": "can't",
    "will": "won't",
    "could": "couldn't",
    "does": "doesn't",
    "did": "didn't",
}
_SHORTENED = re.compile(rf"\b({'|'.join(_SHORT)})\b(?! no\b)")
_THERE = re.compile(r"^There (is|are|was|were) (?:an? |some )?(?!no\b)")
_HAS_A = re.compile(
    r"\b(has|had|won|received|contains|features|wrote|made|earned|holds) an? (?=[a-z])(?!\w+ of\b)"
)
_NOT = re.compile(r"\b(is|are|was|were|has|have|had|will|can|could) (?:not|never) ")
_ALL = re.compile(r"^(All|Every|Both) ")
_COMPOUND = re.compile(r",|;| (?:and|or|but|nor|only|both|either|first|last)\b", re.IGNORECASE)
#: Words of which a statement cannot hold both, in the place of one another.
_OPPOSITES = """
more than / less than; over / under; increases / decreases; increased / decreased; increase / decrease
before / after; higher / lower; larger / smaller; longer / shorter; older / younger; largest / smallest
highest / lowest; oldest / youngest; positive / negative; promotes / inhibits; won / lost; male / female
north of / south of; northern / southern; eastern / western; alive / dead; above / below; early / late
success / failure; successful / unsuccessful; began / ended; mother / father; brother / sister; son / daughter
husband / wife; always / never; most / least; better / worse; stronger / weaker; up / down; win / lose
"""
_OPPOSITE: dict[str, str] = {}
for _pair in _OPPOSITES.replace("\n", ";").strip(";").split(";"):
    _left, _right = (side.strip() for side in _pair.split("/"))
    _OPPOSITE |= {_left: _right, _right: _left}
_OPPOSED = re.compile(rf"\b({'|'.join(sorted(_OPPOSITE, key=len, reverse=True))})\b")

#: First words that are written small inside a sentence.
_SMALL_FIRST = re.compile(
    r"^(?:The|An?|In|On|At|It|He|She|They|There|This|That|These|Those|All|Every|Both|Some|Many|Most|No|His|Her|"
    r"Their|Its|During|After|Before|As|By|For|From|With|One|Two|Three)\b"
)


def inner(claim: str) -> str:
    """Return the claim as it stands inside a sentence: no full stop, a small first word if that is right."""
    body = claim.rstrip(" .")
    return body[0].lower() + body[1:] if _SMALL_FIRST.match(body) else body


def ended(body: str) -> str:
    """Return a sentence without its full stop as a whole one."""
    return f"{body.rstrip(' .')}."


def denials(claim: str) -> list[Change]:
    """Return the denials of a claim that its wording allows, in a fixed order; the phrase is always one."""
    frame = _FRAMES[digest("frame", claim) % len(_FRAMES)]
    changes = [Change("phrase", f"{frame} {ended(inner(claim))}", reverses=True)]
    simple = _COMPOUND.search(claim) is None and SUBORDINATE.search(claim) is None
    if _NEGATIVE.search(claim):
        positive = _NOT.sub(r"\1 ", claim, count=1)
        if positive != claim and simple:
            changes.append(Change("not_removed", positive, reverses=True))
        return changes
    for form, deny in _DENIALS.items():
        text = deny(claim)
        if text is not None:
            changes.append(Change(form, text, reverses=simple and form in _REVERSING))
    return changes


def _in_main_clause(pattern: re.Pattern[str], claim: str) -> re.Match[str] | None:
    """Return the first match that no clause of its own stands before."""
    found = pattern.search(claim)
    return None if found is None or SUBORDINATE.search(claim[: found.start()]) else found


def _never(claim: str) -> str | None:
    found = _in_main_clause(_BE_HAVE, claim)
    if found is not None:
        return f"{claim[: found.end()]} never{claim[found.end() :]}"
    verb = main_verb(claim)
    return None if verb is None else f"{claim[: verb.start]}never {claim[verb.start :]}"


def _do_support(claim: str) -> str | None:
    verb = main_verb(claim)
    if verb is None:
        return None
    return f"{claim[: verb.start]}{verb.support} not {verb.base}{claim[verb.end :]}"


def _contraction(claim: str) -> str | None:
    found = _in_main_clause(_SHORTENED, claim)
    if found is None or found.start() == 0:
        return None
    return claim[: found.start()] + _SHORT[found.group(1)] + claim[found.end() :]


def _there_is_no(claim: str) -> str | None:
    found = _THERE.search(claim)
    return None if found is None else f"There {found.group(1)} no {claim[found.end() :]}"


def _no_object(claim: str) -> str | None:
    found = _in_main_clause(_HAS_A, claim)
    return None if found is None else f"{claim[: found.start()]}{found.group(1)} no {claim[found.end() :]}"


def _not_all(claim: str) -> str | None:
    found = _ALL.match(claim)
    if found is None:
        return None
    word = "every" if found.group(1) == "Every" else found.group(1).lower()
    return f"Not {word} {claim[found.end() :]}"


def _opposite(claim: str) -> str | None:
    found = _in_main_clause(_OPPOSED, claim)
    if found is None:
        return None
    return claim[: found.start()] + _OPPOSITE[found.group()] + claim[found.end() :]


_DENIALS: dict[str, Callable[[str], str | None]] = {
    "never": _never,
    "do_support": _do_support,
    "contraction": _contraction,
    "there_is_no": _there_is_no,
    "no_object": _no_object,
    "not_all": _not_all,
    "opposite": _opposite,
}
#: Denials that are also true where a plain claim is false.
_REVERSING = frozenset(("never", "do_support", "contraction", "there_is_no", "not_all"))

_BOUND = re.compile(
    r"\b(?:more|less|fewer|over|under|above|below|at least|at most|than|within|before|after|since|until|till|"
    r"about|around|almost|nearly|approximately|between|exceed\w*|roughly|early|late|mid|minimum|maximum|no|not|never|"
    r"circa|(?:by|to|or|some) (?=\d))|n't|~|[<>≥≤]",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"(?<![\w.,:/#(–-])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?![\w:/–-]|[.,]\d)")
_YEAR = re.compile(r"1[0-9]{3}|20[0-4][0-9]")
_MONTHS = listed("January February March April May June July August September October November December")
_BESIDE_MONTH = re.compile(rf"(?:{'|'.join(_MONTHS)}) $")
#: A capital word before a figure makes it part of a name: "Billboard 200".
_NAMED = re.compile(r"(?<!^)\b[A-Z][a-z]+ $")
_MORE = re.compile(r"\b(?:more than|over|at least|above|exceeding) (?:\$ ?)?$", re.IGNORECASE)
_LESS = re.compile(r"\b(?:less than|fewer than|under|at most|below) (?:\$ ?)?$", re.IGNORECASE)
_NUMBER_WORDS = listed("two three four five six seven eight nine ten eleven twelve")
_WORDED = re.compile(rf"\b({'|'.join(_NUMBER_WORDS)})\b")
#: Larger figures are seldom meant to the last unit, so they are not changed by one.
_EXACT_BELOW = 100


def other_numbers(claim: str, evidence: str) -> list[Change]:
    """Return the claim with one number, which the evidence states, changed to ones that it does not state.

    Where the claim gives one bound ("more than 30"), the bound is moved beyond every number of the evidence;
    where it speaks of about how much, it is left alone, for another number may then be right too.
    """
    if _BOUND.search(claim):
        return _other_bound(claim, evidence)
    stated = {found.group() for found in _FIGURE.finditer(evidence)}
    stated |= {word for word in _NUMBER_WORDS if re.search(rf"\b{word}\b", evidence, re.IGNORECASE)}
    changes: list[Change] = []
    for found in _FIGURE.finditer(claim):
        changes += _changed(claim, found, stated, evidence)
    worded = _WORDED.search(claim)
    if worded is not None and worded.group() in stated:
        place = _NUMBER_WORDS.index(worded.group())
        word = _NUMBER_WORDS[(place + 1 + digest("word", claim) % 8) % len(_NUMBER_WORDS)]
        if word not in stated and str(_NUMBER_WORDS.index(word) + 2) not in stated:
            text = claim[: worded.start()] + word + claim[worded.end() :]
            changes.append(Change("word", text))
    return changes


def _other_bound(claim: str, evidence: str) -> list[Change]:
    """Return the claim with its one figure out of the reach of the evidence's: then the bound cannot hold."""
    figures = list(_FIGURE.finditer(claim))
    stated = [float(each.group().replace(",", "")) for each in _FIGURE.finditer(evidence)]
    if len(figures) != 1 or not any(stated) or _NEGATIVE.search(claim):
        return []
    found = figures[0]
    before = claim[: found.start()]
    if _MORE.search(before):
        new = f"{10 * max(stated):,.0f}"
    elif _LESS.search(before):
        new = f"{min(value for value in stated if value) / 10:g}"
    else:
        return []
    return [Change("bound", before + new + claim[found.end() :])]


def _changed(claim: str, found: re.Match[str], stated: set[str], evidence: str) -> Iterator[Change]:
    old = found.group()
    before = claim[: found.start()]
    if old not in stated or (_NAMED.search(before) and not _BESIDE_MONTH.search(before)):
        return
    for form, new in _others(old, before):
        if new != old and new not in stated and new.replace(",", "") not in evidence.replace(",", ""):
            yield Change(form, before + new + claim[found.end() :])


def _others(old: str, before: str) -> Iterator[tuple[str, str]]:
    """Yield other figures in the manner of ``old``, by form."""
    comma, value = "," in old, float(old.replace(",", ""))
    if "." in old:
        places = len(old.split(".")[1])
        yield "decimal_near", f"{value * 1.1 + 10**-places:.{places}f}"
        yield "decimal_far", f"{value * 3 + 10**-places:.{places}f}"
        return
    number = int(value)
    if _BESIDE_MONTH.search(before) and number <= 31:
        yield "day", str((number + 8) % 28 + 1)
    elif _YEAR.fullmatch(old):
        yield "year_near", str(number + (1, -1, 2, -2)[digest(old, before) % 4])
        yield "year_far", str(number - 10 - digest(before, old) % 60)
    else:
        yield from _other_counts(number, comma)


def _other_counts(number: int, comma: bool) -> Iterator[tuple[str, str]]:  # noqa: FBT001
    style = "{:,}" if comma else "{}"
    if number < _EXACT_BELOW:
        yield "next", style.format(number + 1)
    yield "tenfold", style.format(max(number, 1) * 10)
    yield "half", style.format(max(number // 2, 1) if number > 1 else 4)
    digits = str(number)
    if len(digits) > 1 and digits[0] != digits[1] != "0":
        yield "swapped", style.format(int(digits[1] + digits[0] + digits[2:]))
