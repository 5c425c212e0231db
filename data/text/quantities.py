"""Finds the quantities in a text: number, unit in SI, comparator, and the noun that is counted.

Called by the analyser. Numbers that are parts of names, clock times, scores and bare years are no
quantities; years are the date reader's, except years before Christ, which no ISO day can hold: they come as
dimension ``year``. ``base_value`` of a percentage is in percent, of money in its own currency.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from data.analysis import Quantity, Span
from data.text.comparators import COMPARATOR_ENDS, comparator_after, comparator_before
from data.text.counted_nouns import PHRASE_ENDS, noun_after, noun_before, noun_ranked
from data.text.numbers import Number, read_number
from data.text.stop_words import STOP_WORDS
from data.text.units import CURRENCY_SIGNS, FIRST_WORDS, MAX_WORDS, UNITS, Unit, exact_unit
from data.text.words import Words, listed

_BEFORE_PRONOUN_ONE = frozenset(listed("no this that the any every each which another - some"))
_AFTER_ADVERB = frozenset(
    listed("written built shown seen made came began came made met sold won took went of and then")
)
_RESULTS = frozenset(("win", "loss", "victory", "defeat", "triumph", "draw", "record", "tie"))
_AFTER_PRONOUN_ONE = frozenset(("-", "point", "time", "day", "last", "another", "hand", "side", "way"))
#: The words of "between 5 and 10" that are bounds rather than a list.
_RANGE_JOINS = frozenset(("to", "-", "–", "—", "and", "or", "−"))
_DASHES = frozenset("-–—−")
_ERAS_BEFORE = frozenset(("bc", "b.c.", "bce", "b.c.e.", "b.c"))
_ERAS = _ERAS_BEFORE | frozenset(("ad", "a.d.", "ce", "c.e."))
_FIVE_DIGITS_OR_LESS = re.compile(r"\d{1,5}")
_YEAR = re.compile(r"1\d{3}|20\d\d|2100")
#: Of these, the ones that are followed by no count.
_SURE_LABELS = frozenset(listed("type grade phase stage chapter version section route highway number"))
#: Comparators that may stand before a year as well.
_ROUND_YEARS = frozenset(("around", "about", "c.", "ca.", "circa", "past"))
_YEAR_CUES = frozenset(
    listed(
        """
in since until till by from during before after between through to year years of late early mid
circa c. ca. summer winter spring autumn fall the and - – — / ( , january february march april may
june july august september october november december jan jan. feb feb. mar mar. apr apr. jun jun.
jul jul. aug aug. sep sep. sept sept. oct oct. nov nov. dec dec. around about
"""
    )
)
_LABELS = frozenset(
    listed(
        """
no no. number # type grade phase stage chapter version level class section article route highway
season episode volume act part figure table channel rank flight unit category page vol. vol group
grade step part model mark system type world
"""
    )
)


@dataclass(frozen=True, slots=True)
class _Read:
    """A quantity on its way: the number, its unit, and the words it takes."""

    number: Number
    unit: Unit | None
    first: int
    end: int


def find_quantities(words: Words, starts: list[int], dated: set[int]) -> list[Quantity]:
    """Return the quantities in order.

    ``starts`` are the word indices a number may start at; those ``dated`` were read as
    dates and are left alone.
    """
    found: list[Quantity] = []
    done = 0
    for index in starts:
        if index < done or index in dated:
            continue
        read = _read(words, index)
        if read is None:
            continue
        found += _with_range(words, read, found)
        done = read.end
    return found


def _read(words: Words, index: int) -> _Read | None:
    number = read_number(words, index)
    if number is None:
        return None
    unit, end = _unit_after(words, number)
    first = index
    sign = CURRENCY_SIGNS.get(words.low(index - 1))
    if sign is not None and (unit is None or not unit.dimension.startswith(("percent", "money"))):
        number, end = _money_scale(words, number)
        unit, first = sign, index - 1
        follows = UNITS.get(words.low(end).rstrip("s"))
        end += int(follows is not None and follows.dimension == sign.dimension)
    read = _Read(number, unit, first, end)
    return None if _is_no_quantity(words, read) else read


def _money_scale(words: Words, number: Number) -> tuple[Number, int]:
    """Read the "m" or "b" that the tokenizer split from "$25m" as a scale."""
    scale = {"m": 1e6, "b": 1e9, "k": 1e3, "bn": 1e9, "tn": 1e12}.get(words.low(number.end).rstrip("."))
    if scale is None or not words.touches(number.end):
        return number, number.end
    end = number.end + 1
    return replace(number, value=number.value * scale, step=number.step * scale, end=end), end


def _unit_after(words: Words, number: Number) -> tuple[Unit | None, int]:
    at = number.end
    if words.low(at) in _DASHES and words.low(at + 1) in FIRST_WORDS:
        at += 1
    if number.form == "ordinal" or at >= len(words):
        return None, number.end
    symbol = words.surface[at].rstrip(".") or words.surface[at]
    exact = exact_unit(symbol) if number.form == "digits" else None
    if exact is None and words.surface[at] in "°º":
        exact = exact_unit(words.surface[at] + words.surf(at + 1)[:1])
        at += int(exact is not None)
    if exact is not None:
        return exact, at + 1
    if words.lower[at] not in FIRST_WORDS and words.lemmas[at] not in FIRST_WORDS:
        return None, number.end
    for size in range(min(MAX_WORDS, len(words) - at), 0, -1):
        for forms in (words.lower, words.lemmas):
            unit = UNITS.get(" ".join(forms[at : at + size]).rstrip("."))
            if unit is not None and not _is_other_word(words, at, size):
                return unit, at + size
    return None, number.end


def _is_other_word(words: Words, at: int, size: int) -> bool:
    """Return whether a unit's name mostly is another word."""
    low = words.lower[at]
    return size == 1 and low in ("won", "bar", "bars", "stone", "stones", "rs", "cad", "pp", "bits")


def _is_no_quantity(words: Words, read: _Read) -> bool:
    number, index, unit = read.number, read.number.first, read.unit
    if number.form == "ordinal":
        return _is_adverb(words, index)
    if unit is not None:
        return (
            read.end > number.end
            and len(unit.symbol) < len(words.surface[number.end])
            and _is_title(words, read)
        )
    if number.form == "words":
        named = words.surface[index][0].isupper() and words.surf(index - 1)[:1].isupper()
        return (named and index > 1) or (number.value == 1.0 and _is_pronoun_one(words, index))
    if number.form != "digits" or words.low(number.end) in _ERAS_BEFORE:
        return False
    if words.low(number.end) in ("'s", "’s") and number.value % 10 == 0:
        return True
    readers = (_is_clock_time, _is_score, _is_year, _is_name_part)
    return any(reader(words, read) for reader in readers)


def _is_clock_time(words: Words, read: _Read) -> bool:
    before, after = read.number.first - 1, read.number.end
    return (words.low(after) == ":" and words.touches(after)) or (
        words.low(before) == ":" and words.touches(before + 1)
    )


def _is_adverb(words: Words, index: int) -> bool:
    """Return whether "first" tells when, not which: "first published", "at first"."""
    after = words.low(index + 1)
    if words.lower[index] != "first":
        return False
    return after.endswith("ed") or after in _AFTER_ADVERB or words.low(index - 1) == "at"


def _is_title(words: Words, read: _Read) -> bool:
    """Return whether number and unit are a name: "127 Hours"."""
    inside = words.surface[read.number.end]
    return inside[0].isupper() and inside[1:].islower() and words.surf(read.end)[:1] != "("


def _is_pronoun_one(words: Words, index: int) -> bool:
    after, before = words.low(index + 1), words.low(index - 1)
    if before in _BEFORE_PRONOUN_ONE or after in _AFTER_PRONOUN_ONE:
        return True
    return not after.isalpha() or after in STOP_WORDS


def _is_score(words: Words, read: _Read) -> bool:
    """Return whether the number is either side of a result such as "3-2", without spaces."""
    for dash in (read.number.end, read.number.first - 1):
        left, right = words.low(dash - 1), words.low(dash + 1)
        joined = words.low(dash) in _DASHES and words.touches(dash) and words.touches(dash + 1)
        if (
            joined
            and left.isdecimal()
            and right.isdecimal()
            and len(left + right) < 8
            and int(left) > int(right)
        ):
            return True
    return False


def _is_year(words: Words, read: _Read) -> bool:
    low = words.lower[read.number.first]
    if read.number.end != read.number.first + 1 or not _YEAR.fullmatch(low):
        return False
    before = words.low(read.first - 1)
    if before not in _ROUND_YEARS and comparator_before(words, read.first)[0] not in (None, "="):
        return False
    noun = noun_after(words, read.number.end, plural=True)
    return before in _YEAR_CUES or noun is None


def _is_name_part(words: Words, read: _Read) -> bool:
    """Return whether the number only tells one thing from another: "Type 2", "Toy Story 3", "Vol. 2"."""
    index = read.number.first
    if words.low(index - 1) == "." and words.low(index - 2) in _LABELS:
        return True
    before = words.surf(index - 1)
    if not before or words.low(index - 1) in PHRASE_ENDS:
        return False
    low = before.lower()
    label = low in _LABELS
    if low in COMPARATOR_ENDS or (low in STOP_WORDS and not label):
        return False
    capital = before[0].isupper()
    if low in _SURE_LABELS or (capital and index > 1 and read.number.value < 10):
        return True
    return (label or capital) and noun_after(words, read.number.end, plural=True) is None


def _with_range(words: Words, read: _Read, found: list[Quantity]) -> list[Quantity]:
    sign, first = comparator_before(words, read.first)
    late, end = comparator_after(words, read.end)
    comparator = late or sign or "="
    made = _quantity(words, read, comparator, Span(words.starts[min(first, read.first)], words.ends[end - 1]))
    join = words.low(read.first - 1)
    if not found or join not in _RANGE_JOINS or sign is not None:
        return [made]
    low = found[-1]
    gap = words.starts[read.first - 1] - low.span.end
    if not 0 <= gap <= 1 or not _is_range(words, low, made, read):
        return [made]
    found[-1] = _lower_end(low, made, read)
    return [replace(made, comparator="<=")]


def _is_range(words: Words, low: Quantity, high: Quantity, read: _Read) -> bool:
    join = words.lower[read.first - 1]
    head = words.text[max(0, low.span.start - 9) : low.span.start].lower().rstrip(" $€£")
    same = low.dimension == high.dimension or (low.dimension == "count" and low.noun in (None, high.noun))
    if not same or low.comparator not in "=~" or low.value >= high.value * 1e9:
        return False
    if join == "and":
        return head.endswith("between")
    if join == "to" and head.endswith("from"):
        return False
    return join != "or" and low.dimension != "ordinal"


def _lower_end(low: Quantity, high: Quantity, read: _Read) -> Quantity:
    """Give the first number of a range the unit, scale and noun that were said once, at its end."""
    if low.unit is None and high.unit is not None:
        base = high.base_value if not high.value else low.value * (high.base_value / high.value)
        low = replace(low, unit=high.unit, dimension=high.dimension, base_value=base)
    scale = _spoken_scale(read.number)
    if scale > 1 and abs(low.value) < 1000 <= abs(low.value) * scale:
        low = replace(low, value=low.value * scale, base_value=low.base_value * scale)
    return replace(low, comparator=">=", noun=low.noun or high.noun)


def _spoken_scale(number: Number) -> float:
    """Return the thousand, million ... that a number was said in, else 1."""
    said_in_words = number.end - number.first > 1
    return next((s for s in (1e12, 1e9, 1e6, 1e3) if said_in_words and abs(number.value) >= s), 1.0)


def _quantity(words: Words, read: _Read, comparator: str, span: Span) -> Quantity:
    number, unit = read.number, read.unit
    value = round(number.value, 9)
    if unit is not None:
        noun = noun_before(words, read.first)
        return Quantity(
            value, unit.symbol, _base(unit.to_base(number.value)), unit.dimension, comparator, noun, span
        )
    if words.low(read.end) in _ERAS_BEFORE:
        wide = Span(span.start, words.ends[read.end])
        return Quantity(value, "BC", 1.0 - value, "year", comparator, None, wide)
    if number.form == "ordinal":
        noun = noun_ranked(words, read.end)
        return Quantity(value, None, value, "ordinal", comparator, noun, span)
    noun = noun_after(words, read.end, plural=number.value != 1.0)
    if number.form == "fraction":
        return Quantity(value, None, _base(100.0 * number.value), "percent", comparator, noun, span)
    return Quantity(value, None, value, "count", comparator, noun or noun_before(words, read.first), span)


def _base(value: float) -> float:
    """Round to 12 significant digits, so that a conversion leaves no binary dust."""
    return float(f"{value:.12g}")
