"""Sets the dates of a claim against those of a passage: inside, overlapping, or apart.

Called by ``data.text.comparison``. Dates of the best sentence are asked first, the rest of the passage only
when it has none.
"""

from __future__ import annotations

from data.analysis import DateMention, Finding
from data.text.alignment import Alignment
from data.text.dates import FIRST_DAY, LAST_DAY
from data.text.profile import MAX_NUMBERS, Profile

_MAX_COUNT = 5
_WEIGHTS = {"inside": 0.4, "overlap": 0.1, "disjoint": -0.5}
_ORDER = ("inside", "overlap", "disjoint")


def compare_dates(
    claim: Profile, passage: Profile, aligned: Alignment, findings: list[Finding]
) -> list[float]:
    """Return the date features and add a finding for each date that is borne out or contradicted."""
    dates = claim.analysis.dates[:MAX_NUMBERS]
    counts = dict.fromkeys((*_ORDER, "missing"), 0)
    if not dates:
        return [0.0] * 5
    span = aligned.sentence
    near = [date for date in passage.analysis.dates if span.start <= date.span.start < span.end]
    for mine in dates:
        relation, theirs = _closest(mine, (near or list(passage.analysis.dates))[:MAX_NUMBERS])
        counts[relation] += 1
        if theirs is not None and relation != "overlap":
            findings.append(_finding(claim, passage, (mine, theirs), relation))
    return [
        float(min(count, _MAX_COUNT))
        for count in (len(dates), *(counts[key] for key in (*_ORDER, "missing")))
    ]


def relation_of(mine: DateMention, theirs: DateMention) -> str:
    """Return how ``theirs`` lies to ``mine``: inside it (or equal), overlapping, or disjoint."""
    if theirs.first_day > mine.last_day or theirs.last_day < mine.first_day:
        return "disjoint"
    starts = mine.first_day <= theirs.first_day <= mine.last_day
    ends = mine.first_day <= theirs.last_day <= mine.last_day
    if starts and ends:
        return "inside"
    # "in 1939" is what "from 1939 to 1945" says of a beginning; an open interval has no such edge.
    closed = theirs.first_day != FIRST_DAY and theirs.last_day != LAST_DAY and mine.first_day != FIRST_DAY
    return "inside" if (starts or ends) and closed and mine.grain == theirs.grain else "overlap"


def _closest(mine: DateMention, others: list[DateMention]) -> tuple[str, DateMention | None]:
    if not others:
        return "missing", None
    return min(
        ((relation_of(mine, other), other) for other in others), key=lambda pair: _ORDER.index(pair[0])
    )


def _finding(
    claim: Profile, passage: Profile, pair: tuple[DateMention, DateMention], relation: str
) -> Finding:
    mine, theirs = pair[0].span, pair[1].span
    said, found = claim.text[mine.start : mine.end], passage.text[theirs.start : theirs.end]
    if relation == "inside":
        return Finding(
            "date_agreement", f"{found!r} falls within {said!r}.", _WEIGHTS[relation], mine, None, theirs
        )
    message = f"The claim says {said!r}, the passage {found!r}."
    return Finding("date_mismatch", message, _WEIGHTS[relation], mine, None, theirs)
