"""What the grammar of a claim tells of its context: who does what, who is said to say it, what stays unnamed.

Called by the contextual framework where a syntax pipeline is at hand. Pure: the claim's text and its parsed
sentences go in. These findings inform; only a source that grammar hides ("it is believed that") weighs, a
little.
"""

from __future__ import annotations

from collections.abc import Iterator

from data.analysis import Finding
from data.text.roles import Argument, Predication, agentless, attributions, predications
from data.text.syntax import Parsed

#: Predicates that are told, first ones first.
_MOST_TOLD = 2
#: What it takes from a claim that it hides who holds it: less than any open question does.
_UNNAMED_SOURCE_WEIGHT = -0.1


def structure_findings(text: str, parsed: Parsed) -> list[Finding]:
    """Return who does what, whom the claim quotes, and passives that name nobody, in order of the text."""
    found = [*_roles(text, parsed), *_passives(text, parsed), *_sources(text, parsed)]
    found.sort(key=lambda finding: (finding.claim_span.start if finding.claim_span else 0, finding.kind))
    return found


def _roles(text: str, parsed: Parsed) -> Iterator[Finding]:
    whole = [
        item
        for sentence in parsed
        for item in predications(sentence)
        if item.doer is not None and item.undergoer is not None
    ]
    for item in whole[:_MOST_TOLD]:
        denied = "not " if item.negation else ""
        told = f"{_said(text, item.doer)} — {denied}{_verb(text, item)} — {_said(text, item.undergoer)}"
        yield Finding("who_did_what", f"Who does what: {told}.", 0.0, item.span)


def _passives(text: str, parsed: Parsed) -> Iterator[Finding]:
    hidden = {item.span for sentence in parsed for item in agentless(sentence)}
    for sentence in parsed:
        for item in predications(sentence):
            if item.span in hidden:
                message = f"“{_verb(text, item)}”: it is not said by whom."
                yield Finding("unnamed_source", message, _UNNAMED_SOURCE_WEIGHT, item.span)
            elif item.passive and item.undergoer is not None:
                by = f"by {_said(text, item.doer)}" if item.doer else "it is not said by whom"
                yield Finding("passive_voice", f"“{_verb(text, item)}”: passive, {by}.", 0.0, item.span)


def _sources(text: str, parsed: Parsed) -> Iterator[Finding]:
    for sentence in parsed:
        for item in attributions(sentence):
            if item.source is not None:
                message = f"The claim has it from {_said(text, item.source)}."
                yield Finding("attributed_to", message, 0.0, item.source.span)


def _verb(text: str, item: Predication) -> str:
    return text[item.span.start : item.span.end]


def _said(text: str, argument: Argument | None) -> str:
    if argument is None:
        return ""
    return " ".join(text[argument.span.start : argument.span.end].split())
