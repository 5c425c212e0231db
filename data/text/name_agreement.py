"""Sets the names of a claim against those of a passage: found, missing, or another name in the same place.

Called by ``data.text.comparison``. Part of a person's name is enough ("Obama" for "Barack Obama").
"""

from __future__ import annotations

from data.analysis import Entity, Finding
from data.text.alignment import Alignment
from data.text.profile import Profile

_MAX_COUNT = 5.0


def compare_names(
    claim: Profile, passage: Profile, aligned: Alignment, findings: list[Finding]
) -> list[float]:
    """Return the name features and add a finding for each name that has another in its place."""
    names = claim.analysis.entities
    if not names:
        return [0.0, 1.0, 0.0, 0.0]
    have = passage.word_set
    missing = [name for name in names if not _is_in(name, have)]
    swaps = 0
    for name in missing:
        other = _swapped(name, claim, passage, aligned)
        if other is not None:
            swaps += 1
            message = f"The claim names {name.text!r} where the passage has {other.text!r}."
            findings.append(Finding("name_mismatch", message, -0.3, name.span, None, other.span))
    recall = 1.0 - len(missing) / len(names)
    return [
        min(_MAX_COUNT, float(len(names))),
        recall,
        min(_MAX_COUNT, float(len(missing))),
        min(_MAX_COUNT, float(swaps)),
    ]


def _is_in(name: Entity, have: frozenset[str]) -> bool:
    parts = [part for part in name.text.lower().split() if part[0].isalnum()]
    if not parts:
        return True
    if name.label in ("PERSON", "NAME"):
        return parts[-1] in have or (parts[0] in have and len(parts[0]) > 3)
    return all(part in have for part in parts)


def _swapped(name: Entity, claim: Profile, passage: Profile, aligned: Alignment) -> Entity | None:
    """Return a name of the same kind that the claim lacks and that stands beside the same words."""
    span = aligned.sentence
    mine = claim.text.lower()
    around = claim.around(name.span, 3)
    for other in passage.analysis.entities:
        if (
            other.label != name.label
            or not span.start <= other.span.start < span.end
            or other.text.lower() in mine
        ):
            continue
        if around & passage.around(other.span, 3):
            return other
    return None
