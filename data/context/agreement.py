"""Whether the claim's speaker, time and place agree with each other and with the evidence found.

Used by the contextual framework. Only passages that speak of something the claim names are held against it:
evidence on other matters is of another time and place by nature.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from data.analysis import Analysis, DateMention, Entity, Finding
from data.claims import Claim
from data.context.places import is_country, names_place, place_key
from data.evidence import Evidence
from data.knowledge import PastVerdict

_BRACKET = re.compile(r"\s*\([^)]*\)\s*$")
_FUTURE = re.compile(
    r"\b(?:will|shall|going to|plans?|planned|expected|by|until|would|forecast|project(?:ed|s)?|due)\b", re.I
)
_PAST = re.compile(
    r"\b(?:was|were|did|had|won|died|said|became|ended|began|happened|occurred)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ReadPassage:
    """A passage with its analysis."""

    evidence: Evidence
    analysis: Analysis


def own_time(claim: Claim, analysis: Analysis) -> list[Finding]:
    """Check the claim's dates against the day it was made: nobody can report what has not happened yet."""
    said = _day(claim.context.date)
    if said is None:
        return []
    found = []
    for mention in analysis.dates:
        first = _day(mention.first_day)
        if first is None or first <= said or _FUTURE.search(claim.text) or not _PAST.search(claim.text):
            continue
        words = claim.text[mention.span.start : mention.span.end]
        message = (
            f"The claim is dated {claim.context.date} and reports of “{words}”, which was then still to come."
        )
        found.append(Finding("dated_after_context", message, -0.5, mention.span))
    return found


def speaks_of(analysis: Analysis, item: Evidence) -> bool:
    """Say whether a passage (or its title) names what the claim names; places only for want of others."""
    text = f"{item.title} {item.text}"
    names = [entity.text for entity in analysis.entities if entity.label != "PLACE"]
    if names:
        return any(_has_word(text.casefold(), name.casefold()) for name in names)
    return any(names_place(text, place_key(entity.text)) for entity in analysis.entities)


def compare_time(claim: Claim, analysis: Analysis, passages: Sequence[ReadPassage]) -> list[Finding]:
    """Hold the claim's own dates against the dates in passages about the same names."""
    if not analysis.dates:
        return []
    dated = [passage for passage in passages if passage.analysis.dates]
    for passage in dated:
        for mine in analysis.dates:
            if any(_meet(mine, theirs) for theirs in passage.analysis.dates):
                message = "Evidence on the same names speaks of the same time."
                return [Finding("same_time", message, 0.2, mine.span, passage.evidence.id)]
    if not dated:
        return []
    mine, theirs = analysis.dates[0], dated[0].analysis.dates[0]
    ours = claim.text[mine.span.start : mine.span.end]
    there = dated[0].evidence.text[theirs.span.start : theirs.span.end]
    message = f"The claim speaks of “{ours}”, the evidence on the same names of another time (“{there}”)."
    one = len(dated) == 1  # a single passage may well tell of what came before or after
    kind, weight = ("one_of_other_time", -0.1) if one else ("other_time", -0.3)
    return [Finding(kind, message, weight, mine.span, dated[0].evidence.id, theirs.span)]


def compare_age(
    claim: Claim, analysis: Analysis, items: Sequence[Evidence], *, stale_days: int
) -> list[Finding]:
    """Hold the day the claim was made against the days of its evidence, where the claim has no other date."""
    said = _day(claim.context.date)
    published = [(item, day) for item in items if (day := _day(item.published_at)) is not None]
    if said is None or not published or analysis.dates:
        return []
    item, nearest = min(published, key=lambda pair: (abs((pair[1] - said).days), pair[0].id))
    if abs((nearest - said).days) <= stale_days:
        return [
            Finding(
                "evidence_of_its_time",
                "There is evidence published about the time of the claim.",
                0.1,
                None,
                item.id,
            )
        ]
    years = round(abs((nearest - said).days) / 365.25)
    message = (
        f"The nearest evidence was published {nearest.isoformat()}, about {years} years from the claim's day."
    )
    return [Finding("evidence_far_in_time", message, -0.15, None, item.id)]


def compare_place(claim: Claim, analysis: Analysis, passages: Sequence[ReadPassage]) -> list[Finding]:
    """Hold the claim's places (its own, else the context's) against those in passages about the same names.

    Only one country stands against another: a city may lie in the country that the claim names.
    """
    own = [entity for entity in analysis.entities if entity.label == "PLACE"]
    wanted = {place_key(entity.text) for entity in own}
    if not wanted and claim.context.place:
        wanted = {place_key(claim.context.place)}
    span = own[0].span if own else None
    for passage in passages:
        text = f"{passage.evidence.title} {passage.evidence.text}"
        named = {place_key(entity.text) for entity in passage.analysis.entities}
        if wanted & named or any(names_place(text, name) for name in wanted):
            return [
                Finding("same_place", "Evidence speaks of the same place.", 0.1, span, passage.evidence.id)
            ]
    return _other_country(own, passages)


def _other_country(own: Sequence[Entity], passages: Sequence[ReadPassage]) -> list[Finding]:
    """Return the first country of the passages, where the claim names other countries only."""
    ours = [entity for entity in own if is_country(entity.text)]
    if not ours or len(ours) < len(own):
        return []
    for passage in passages:
        for entity in passage.analysis.entities:
            if is_country(entity.text):
                here, there = ours[0].text, entity.text
                message = f"The claim speaks of “{here}”, the evidence on the same names of “{there}”."
                place = (ours[0].span, passage.evidence.id, entity.span)
                return [Finding("other_place", message, -0.2, *place)]
    return []


def _has_word(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def compare_speaker(claim: Claim, passages: Sequence[ReadPassage]) -> list[Finding]:
    """Say whether the evidence knows the speaker."""
    speaker = claim.context.speaker
    if not speaker:
        return []
    surname = speaker.split()[-1].casefold()
    for passage in passages:
        if len(surname) > 2 and re.search(
            rf"(?<!\w){re.escape(surname)}(?!\w)", passage.evidence.text.casefold()
        ):
            message = f"Evidence speaks of {speaker}, whom the claim is ascribed to."
            return [Finding("speaker_in_evidence", message, 0.1, None, passage.evidence.id)]
    return []


def ambiguous_names(analysis: Analysis, items: Sequence[Evidence]) -> list[Finding]:
    """Return the claim's names that several titles share: "Mercury (planet)", "Mercury (element)"."""
    titles: dict[str, dict[str, str]] = {}
    for item in items:
        if item.title:
            titles.setdefault(_BRACKET.sub("", item.title).casefold(), {}).setdefault(item.title, item.id)
    found, seen = [], set()
    for entity in analysis.entities:
        name = entity.text.casefold()
        meant = titles.get(name, {})
        if len(meant) > 1 and name not in seen:
            seen.add(name)
            listed = ", ".join(f"“{title}”" for title in sorted(meant))
            first = meant[min(meant)]
            message = f"“{entity.text}” may be any of {listed}."
            found.append(Finding("ambiguous_name", message, -0.2, entity.span, first))
    return found


def prior_checks(history: Sequence[PastVerdict], *, similar_from: float) -> list[Finding]:
    """Return earlier checks of the same or a near-identical claim, oldest first.

    They inform; only a person's feedback weighs, for a verdict of the system's own is no evidence of
    anything.
    """
    found = []
    for past in sorted(history, key=lambda past: (past.seq, past.id)):
        if past.similarity < similar_from:
            continue
        label = past.feedback_label or past.label
        weight = {"SUPPORTED": 0.2, "REFUTED": -0.2}.get(label, 0.0) if past.feedback_label else 0.0
        by = "a person" if past.feedback_label else "an earlier check"
        likeness = f"similarity {past.similarity:.2f}, {past.decided_at[:10]}"
        message = f"“{past.claim}” was found {label} by {by} ({likeness})."
        found.append(Finding("prior_check", message, weight))
    return found


def _meet(first: DateMention, second: DateMention) -> bool:
    return first.first_day <= second.last_day and second.first_day <= first.last_day


def _day(words: str | None) -> date | None:
    try:
        return date.fromisoformat(words[:10]) if words else None
    except ValueError:
        return None
