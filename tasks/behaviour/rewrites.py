"""Rewrites that keep what a claim says: the same statement in other words, order, figures or units.

Called by the behaviour tests. Each rewrite is a rule that gives up (``None``) wherever it is not sure, so a
verdict that changes with one is the verifier's doing. Units are converted only where that is exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from data.text.words import listed
from tasks.behaviour.cases import digest
from tasks.behaviour.denials import Change, ended, inner
from tasks.behaviour.verbs import PAST, SUBORDINATE

_TRUTHS = ("It is true that", "It is a fact that", "It is correct that", "It is the case that")
_SHORT = {
    "is not": "isn't",
    "are not": "aren't",
    "was not": "wasn't",
    "were not": "weren't",
    "did not": "didn't",
    "does not": "doesn't",
    "do not": "don't",
    "has not": "hasn't",
    "have not": "haven't",
    "had not": "hadn't",
    "could not": "couldn't",
    "would not": "wouldn't",
    "cannot": "can't",
    "will not": "won't",
    "It is": "It's",
    "He is": "He's",
    "She is": "She's",
    "There is": "There's",
}
_LONG = {short: long for long, short in _SHORT.items()}
_SHORTEN = re.compile(rf"\b({'|'.join(_SHORT)})\b")
_LENGTHEN = re.compile(rf"\b({'|'.join(_LONG)})\b")
_SMALL = listed(
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_VALUE = {word: number for number, word in enumerate(_SMALL, start=2)}
#: What may follow a number that is rewritten: a counted noun in the plural, so no name, date or unit sign.
_COUNTED = r"(?= (?:[a-z]+ )?[a-z]{3,}s\b)"
_WORDED = re.compile(rf"(?<=[a-z] )({'|'.join(_SMALL)}){_COUNTED}")
_FIGURED = re.compile(rf"(?<=[a-z] )([2-9]|1\d|20){_COUNTED}")
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}}) ({_MONTH}),? (\d{{4}})\b")
_MONTH_FIRST = re.compile(rf"\b({_MONTH}) (\d{{1,2}}) ?, (\d{{4}})\b")
#: unit -> (other unit, exact factor); the plural form of both.
_UNITS: dict[str, tuple[str, str]] = {
    "kilometers": ("meters", "1000"),
    "kilometres": ("metres", "1000"),
    "km": ("metres", "1000"),
    "kilograms": ("grams", "1000"),
    "kg": ("grams", "1000"),
    "tonnes": ("kilograms", "1000"),
    "feet": ("inches", "12"),
    "hours": ("minutes", "60"),
    "minutes": ("seconds", "60"),
    "days": ("hours", "24"),
    "weeks": ("days", "7"),
    "decades": ("years", "10"),
    "centuries": ("years", "100"),
    "miles": ("kilometres", "1.609344"),
    "million": ("thousand", "1000"),
    "billion": ("million", "1000"),
}
_UNITED = re.compile(
    rf"(?<![\w.,$€£-])(\d{{1,6}}(?:\.\d{{1,3}})?) ({'|'.join(_UNITS)})\b(?! (?:dollars|per|of|and|[/-]))"
)
_PERCENT = re.compile(r"(?<=\d) ?%")
_WORD_PERCENT = re.compile(r"(?<=\d) (?:percent|per cent)\b")
_SYNONYMS = """
film / movie; movie / film; television series / TV series; is located in / is situated in
was located in / was situated in; more than / over; fewer than / less than; approximately / about
purchased / bought; bought / purchased; attempted / tried; prior to / before; physician / doctor
passed away / died; died / passed away; began in / started in; started in / began in; children / kids
in the United States / in the USA; the United Kingdom / the UK; took place / was held; obtained / got
numerous / many; large number of / great number of; is the author of / wrote; throughout / all through
assists / helps; assist / help; demonstrates / shows; utilized / used; commenced / began; received / got
is composed of / consists of; nearly / almost; almost / nearly; sufficient / enough; is able to / can
"""
_SYNONYM: dict[str, str] = {}
for _pair in _SYNONYMS.replace("\n", ";").strip(";").split(";"):
    _left, _right = (side.strip() for side in _pair.split(" / "))
    _SYNONYM[_left] = _right
_SYNONYMOUS = re.compile(rf"\b({'|'.join(sorted(_SYNONYM, key=len, reverse=True))})\b")
_MADE = {
    "directed": "directed",
    "wrote": "written",
    "produced": "produced",
    "founded": "founded",
    "created": "created",
    "designed": "designed",
    "discovered": "discovered",
    "invented": "invented",
    "painted": "painted",
    "composed": "composed",
    "published": "published",
    "developed": "developed",
    "recorded": "recorded",
    "built": "built",
    "released": "released",
}
_ACTIVE_OF = {made: past for past, made in _MADE.items()}
_PASSIVE = re.compile(rf"^(.+?) (?:was|were) ({'|'.join(_ACTIVE_OF)}) by ([A-Z][^,;]*?) ?\.?$")
_ACTIVE = re.compile(rf"^([A-Z][^,;]*?) ({'|'.join(_MADE)}) ([^,;]*?) ?\.?$")
#: What has no place in a simple noun phrase: another verb, a clause, an adjunct that would move with it.
_NOT_SIMPLE = re.compile(
    rf"\b(?:is|are|was|were|has|have|had|that|which|who|and|or|but|in|on|at|from|during|after|before|for|with|"
    rf"not|never|only|by|it|he|she|they|him|her|them|his|their|its|{'|'.join(PAST.values())})\b"
)
_TIME = rf"(?:in|on|during) (?:the year )?(?:(?:{_MONTH}) (?:\d{{1,2}} ?, )?)?\d{{4}}"
_TIME_LAST = re.compile(rf"^(.+) ({_TIME}) ?\.?$")
_TIME_FIRST = re.compile(rf"^({_TIME.replace('(?:in|on|during)', '(?:In|On|During)')}) ?, (.+?) ?\.?$")
_NAME = r"[A-Z][\w.'-]*(?: [A-Z][\w.'-]*){0,3}"
_TWO_NAMES = re.compile(rf"^({_NAME}) and ({_NAME}) (?=(?:are|were|have|both|met|won)\b)")
_TWO_KINDS = re.compile(r"\b(is|was) (an? )([a-z]+(?: [a-z]+)?) and (an? )([a-z]+(?: [a-z]+)?)(?= ?\.?$)")
_OF = re.compile(
    r"\b[Tt]he (capital|president|population|director|mother|father|wife|husband|brother|sister|birthplace|"
    rf"author|founder|length|height|area) of ({_NAME})(?= (?:is|was|has|had)\b)"
)
_SPACED = re.compile(r" (?=[,.;:!?%)])|(?<=\() ")


def rewrites(claim: str) -> list[Change]:
    """Return the rewrites that the claim's wording allows, in a fixed order; the phrase is always one."""
    found = [(form, rewrite(claim)) for form, rewrite in _REWRITES.items()]
    return [Change(form, text) for form, text in found if text is not None and text != claim]


def _affirmed(claim: str) -> str | None:
    return f"{_TRUTHS[digest('truth', claim) % len(_TRUTHS)]} {ended(inner(claim))}"


def _contracted(claim: str) -> str | None:
    if _SHORTEN.search(claim):
        return _SHORTEN.sub(lambda found: _SHORT[found.group()], claim, count=1)
    return _LENGTHEN.sub(lambda found: _LONG[found.group()], claim, count=1) if "'" in claim else None


def _figures(claim: str) -> str | None:
    if _WORDED.search(claim):
        return _WORDED.sub(lambda found: str(_VALUE[found.group()]), claim, count=1)
    return _FIGURED.sub(lambda found: _SMALL[int(found.group()) - 2], claim, count=1)


def _date(claim: str) -> str | None:
    if _DAY_FIRST.search(claim):
        return _DAY_FIRST.sub(r"\2 \1, \3", claim, count=1)
    return _MONTH_FIRST.sub(r"\2 \1 \3", claim, count=1)


def _unit(claim: str) -> str | None:
    """Convert the first measure, where the result is exact and can still be read."""
    found = _UNITED.search(claim)
    if found is None or "-" in claim[found.end() : found.end() + 1]:
        return None
    unit, factor = _UNITS[found.group(2)]
    value = (Decimal(found.group(1)) * Decimal(factor)).normalize()
    return f"{claim[: found.start()]}{value:,f} {unit}{claim[found.end() :]}"


def _percent(claim: str) -> str | None:
    if _PERCENT.search(claim):
        return _PERCENT.sub(" percent", claim)
    return _WORD_PERCENT.sub("%", claim)


def _synonym(claim: str) -> str | None:
    return _SYNONYMOUS.sub(lambda found: _SYNONYM[found.group()], claim, count=1)


def _voice(claim: str) -> str | None:
    """Turn a passive with its doer into an active, or the other way round, between two simple phrases."""
    passive = _PASSIVE.match(claim)
    if passive is not None:
        thing, made, doer = passive.groups()
        return None if _complex(thing, doer) else ended(f"{doer} {_ACTIVE_OF[made]} {inner(thing)}")
    active = _ACTIVE.match(claim)
    if active is None or _complex(active.group(1), active.group(3)):
        return None
    doer, past, thing = active.groups()
    be = "were" if re.match(r"(?:two|three|four|many|several|songs|films|books|novels)\b", thing) else "was"
    return ended(f"{thing[0].upper()}{thing[1:]} {be} {_MADE[past]} by {inner(doer)}")


def _complex(*phrases: str) -> bool:
    return any(_NOT_SIMPLE.search(phrase) is not None or len(phrase.split()) > 8 for phrase in phrases)


def _time_moved(claim: str) -> str | None:
    """Move a time from the end to the front, or back, where nothing but the main clause can own it."""
    first = _TIME_FIRST.match(claim)
    if first is not None and SUBORDINATE.search(claim) is None and " and " not in claim:
        time, rest = first.groups()
        return ended(f"{rest[0].upper()}{rest[1:]} {time[0].lower()}{time[1:]}")
    last = _TIME_LAST.match(claim)
    if last is None or SUBORDINATE.search(claim) or re.search(r",| and | from | between ", claim):
        return None
    rest, time = last.groups()
    return ended(f"{time[0].upper()}{time[1:]}, {inner(rest)}")


def _swapped(claim: str) -> str | None:
    """Exchange the two sides of "A and B" where both are names or both are kinds."""
    if _TWO_NAMES.match(claim):
        return _TWO_NAMES.sub(r"\2 and \1 ", claim, count=1)
    return _TWO_KINDS.sub(r"\1 \4\5 and \2\3", claim, count=1)


def _owned(claim: str) -> str | None:
    """Say "France's capital" for "the capital of France"."""
    found = _OF.search(claim)
    if found is None:
        return None
    noun, owner = found.groups()
    return (
        f"{claim[: found.start()]}{owner}'{'' if owner.endswith('s') else 's'} {noun}{claim[found.end() :]}"
    )


def _tidied(claim: str) -> str | None:
    """Close the spaces that tokenised texts have before their punctuation, or open one."""
    return _SPACED.sub("", claim) if _SPACED.search(claim) else None


def _unstopped(claim: str) -> str | None:
    return claim.rstrip(" .") if claim.endswith(".") else f"{claim}."


_REWRITES: dict[str, Callable[[str], str | None]] = {
    "affirmed": _affirmed,
    "contraction": _contracted,
    "figures": _figures,
    "date": _date,
    "unit": _unit,
    "percent": _percent,
    "synonym": _synonym,
    "voice": _voice,
    "time_moved": _time_moved,
    "swapped": _swapped,
    "owned": _owned,
    "spacing": _tidied,
    "full_stop": _unstopped,
}
