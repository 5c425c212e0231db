"""Claims that deny: "It is not true that the tower is tall", "The tower isn't tall".

Called by the stance model before it reads a pair. What a passage says of the denial of a claim is what it
says of the claim with SUPPORTS and REFUTES exchanged: logic, so it need not be learned. Only wordings that
can mean nothing else are read, phrases around a whole claim and the one "not" of a short plain statement;
every other claim comes back as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Phrases that may stand around one another: "It is not true that it is false that …".
_MOST_FRAMES = 4
_FRAME = re.compile(
    r"\s*it(?: is|['\u2019]s) (?:(?P<denies>not (?:true|the case|correct|a fact)|false|untrue|incorrect)"
    r"|true|correct|a fact|the case) that (?=\S)",
    re.IGNORECASE,
)
#: A longer statement may hold a clause that its "not" belongs to.
MAX_WORDS = 14
_DENIAL = re.compile(
    r"\b(is|are|was|were|has|have|had|does|do|did|can|could|will|would|should|may|might)"
    r"(?: (?:not|never)\b|n['\u2019]t\b)|\b(can)not\b|\b(?:(ca)|(wo))n['\u2019]t\b| never\b"
)
_FULL_FORMS = {"ca": "can", "wo": "will"}
#: Beside one of these "not" may deny a part, or nothing: "not all", "not only", "did not fall until".
_OPEN = re.compile(
    r"[,;:]|\b(?:not|no|never|nobody|nothing|none|neither|nor|without|only|all|every|any|until|because|since|but|and|or|if"
    r"|unless|than|yet|just|both|solely|necessarily|always|proven|that|which|who|whom|whose|when|while|although"
    r"|though|whether|where|as|so|such|enough|too|even|merely|simply|entirely|exclusively|fully|completely)\b"
    r"|n['\u2019]t\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Framed:
    """The claim without its denial, its first letter large, and whether it was denied."""

    claim: str
    denied: bool


def unframed(claim: str) -> Framed:
    """Return the claim without the phrases around it and without its one plain "not"."""
    inner, denied = claim, False
    for _ in range(_MOST_FRAMES):
        frame = _FRAME.match(inner)
        if frame is None:
            break
        inner = inner[frame.end() :]
        denied ^= frame["denies"] is not None
    if inner is not claim:
        inner = inner[0].upper() + inner[1:]
    affirmed = _affirmed(inner)
    return Framed(inner, denied) if affirmed is None else Framed(affirmed, not denied)


def _affirmed(claim: str) -> str | None:
    """Return a short plain statement without its one "not"; ``None`` where it has none, or is not plain."""
    denials = list(_DENIAL.finditer(claim))
    if len(denials) != 1 or len(claim.split()) > MAX_WORDS:
        return None
    word = next((group for group in denials[0].groups() if group), "")
    before, after = claim[: denials[0].start()], claim[denials[0].end() :]
    if not before.strip() or _OPEN.search(before) or _OPEN.search(after) or claim.rstrip().endswith("?"):
        return None
    return f"{before}{_FULL_FORMS.get(word, word)}{after}"
