"""The relations themselves: what may happen to a verdict when its claim or its evidence is changed.

Called by ``tasks.behaviour``. Each relation changes every case in one way, chosen by hash among those that
its wording allows, and compares the verdicts before and after. Needs a judge and nothing else, so it tests
whatever models stand behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from data.evidence import Evidence
from data.verdicts import Verdict
from tasks.behaviour.cases import (
    Case,
    digest,
    evidence_of,
    names_its_subject,
    other_page,
    plain_sentence,
    stranger_to,
)
from tasks.behaviour.denials import Change, denials, other_numbers
from tasks.behaviour.judging import Asked, Judge, verdict_bytes
from tasks.behaviour.rewrites import rewrites

#: Verdicts that take a side; a relation is counted where the verdict before the change is one of them.
DECIDED = frozenset(("SUPPORTED", "REFUTED"))
#: A probability is rounded to six decimals, so a rise of one unit there is no rise.
_ROUNDING = 1.5e-6
_UNRELATED_ITEMS = 2


@dataclass(frozen=True, slots=True)
class Probe:
    """One changed question; ``start`` names the question it is compared with, ``plain`` or ``beside``."""

    relation: str
    form: str
    asked: Asked
    start: str = "plain"
    reverses: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """What a probe showed. ``applies`` is false where the start's label makes the relation say nothing."""

    case: Case
    probe: Probe
    before: Verdict
    after: Verdict
    applies: bool
    held: bool

    @property
    def decided(self) -> bool:
        """Whether the verdict before the change took a side."""
        return self.before.label in DECIDED


@dataclass(frozen=True, slots=True)
class Relation:
    """A named relation, the share of cases it must hold on, how one probe is judged, and that in words."""

    name: str
    required: float
    holds: Callable[[Verdict, Verdict], bool]
    says: str
    #: On a refuted start the relation is only certain for changes that reverse the claim.
    needs_reversal: bool = False


def _turned(before: Verdict, after: Verdict) -> bool:
    return after.label != before.label if before.label in DECIDED else after.label not in DECIDED


def _not_supported(_: Verdict, after: Verdict) -> bool:
    return after.label != "SUPPORTED"


def _same_label(before: Verdict, after: Verdict) -> bool:
    return after.label == before.label


def _same_bytes(before: Verdict, after: Verdict) -> bool:
    return verdict_bytes(after) == verdict_bytes(before)


def _no_surer(before: Verdict, after: Verdict) -> bool:
    return after.label == before.label and after.confidence <= before.confidence + _ROUNDING


def _not_enough(_: Verdict, after: Verdict) -> bool:
    return after.label == "NOT_ENOUGH_INFO"


#: In the order of the report. The bounds are the issue's: nine in ten, and all of them for what is certain.
RELATIONS: dict[str, Relation] = {
    each.name: each
    for each in (
        Relation(
            "negation", 0.9, _turned, "denying the claim turns the verdict or undoes it", needs_reversal=True
        ),
        Relation("number", 0.9, _not_supported, "with another number the claim is not supported"),
        Relation("irrelevant", 0.9, _same_label, "a sentence about something else changes no label"),
        Relation("order", 1.0, _same_bytes, "the order of the evidence changes not a byte"),
        Relation("duplicates", 0.9, _no_surer, "the same evidence again makes no verdict surer"),
        Relation("paraphrase", 0.9, _same_label, "the same claim in other words keeps the label"),
        Relation("empty", 1.0, _not_enough, "without evidence it is NOT_ENOUGH_INFO"),
        Relation("shuffled", 0.9, _not_enough, "on evidence of another page it is NOT_ENOUGH_INFO"),
    )
}


def observe(cases: Sequence[Case], judge: Judge, *, every_form: bool = False) -> list[Observation]:
    """Return what every probe of every case shows.

    With ``every_form`` all changes that a wording allows are tried, not one by hash: more to learn from, but
    the observations of one claim are then no longer independent.
    """
    starts = [_starts(case, cases) for case in cases]
    names = [name for start in starts for name in start]
    asked = [question for start in starts for question in start.values()]
    answered = iter(zip(names, judge.answer(asked), strict=True))
    before = [dict(next(answered) for _ in start) for start in starts]
    probes = [
        (case, known, probe)
        for case, start, known in zip(cases, starts, before, strict=True)
        for probe in _probes(case, start, cases, every_form=every_form)
    ]
    after = judge.answer([probe.asked for _, _, probe in probes])
    return [
        _observed(case, probe, known[probe.start], verdict)
        for (case, known, probe), verdict in zip(probes, after, strict=True)
    ]


def _observed(case: Case, probe: Probe, before: Verdict, after: Verdict) -> Observation:
    relation = RELATIONS[probe.relation]
    applies = probe.reverses or not relation.needs_reversal or before.label != "REFUTED"
    if probe.relation == "number" and before.label == "REFUTED":
        # What is false stays false with most other numbers: nothing has to change.
        applies = False
    return Observation(case, probe, before, after, applies, relation.holds(before, after))


def _starts(case: Case, cases: Sequence[Case]) -> dict[str, Asked]:
    """Return the questions that changes are compared with: as labelled, and beside unrelated passages."""
    beside = list(case.items)
    for number in range(_UNRELATED_ITEMS):
        other = stranger_to(case, cases, f"beside{number}")
        if other is not None and other.items[0] not in beside:
            beside.append(other.items[0])
    return {"plain": Asked(case.claim, case.items), "beside": Asked(case.claim, tuple(beside))}


def _probes(
    case: Case, start: dict[str, Asked], cases: Sequence[Case], *, every_form: bool
) -> Iterator[Probe]:
    evidence = " ".join(item.text for item in case.items)
    for relation, changes in (
        ("negation", denials(case.claim)),
        ("number", other_numbers(case.claim, evidence)),
        ("paraphrase", rewrites(case.claim)),
    ):
        for change in changes if every_form else _one(case, relation, changes):
            asked = Asked(change.text, case.items)
            yield Probe(relation, change.form, asked, reverses=change.reverses)
    yield from _irrelevant(case, start, cases)
    for form, items in _orders(start["beside"].items):
        yield Probe("order", form, Asked(case.claim, items), start="beside")
    for form, items in _copies(case):
        yield Probe("duplicates", form, Asked(case.claim, items))
    yield Probe("empty", "no_items", Asked(case.claim, ()))
    other = other_page(case, cases)
    if other is not None:
        yield Probe("shuffled", "other_page", Asked(case.claim, other.items))


def _one(case: Case, relation: str, changes: list[Change]) -> list[Change]:
    return [changes[digest(relation, case.id) % len(changes)]] if changes else []


def _irrelevant(case: Case, start: dict[str, Asked], cases: Sequence[Case]) -> Iterator[Probe]:
    """A sentence about something else: behind the passage, before it, and as passages of their own.

    Before it only where the passage names its subject itself: "she" would be whom the new sentence names.
    """
    other = stranger_to(case, [each for each in cases if plain_sentence(each)], "sentence")
    sentence = plain_sentence(other) if other is not None else None
    if sentence is not None:
        first, *rest = case.items
        texts = {"behind": f"{first.text} {sentence}"}
        if names_its_subject(first.text, first.title):
            texts["before"] = f"{sentence} {first.text}"
        for form, text in texts.items():
            yield Probe("irrelevant", form, Asked(case.claim, (evidence_of(text, first.title), *rest)))
    if len(start["beside"].items) > len(case.items):
        yield Probe("irrelevant", "items", start["beside"])


def _orders(items: tuple[Evidence, ...]) -> Iterator[tuple[str, tuple[Evidence, ...]]]:
    if len(items) > 1:
        yield "reversed", items[::-1]
        yield "rotated", (*items[1:], items[0])


def _copies(case: Case) -> Iterator[tuple[str, tuple[Evidence, ...]]]:
    """The evidence again: the same words elsewhere, many times, and with other spacing and full stop."""
    again = [evidence_of(item.text, item.title, "again") for item in case.items]
    yield "copy", (*case.items, *again)
    many = [evidence_of(item.text, item.title, f"copy{n}") for n in range(4) for item in case.items]
    yield "five_times", (*case.items, *many)
    spaced = [
        replace(evidence_of(f"  {item.text.rstrip(' .')}", item.title, "spaced"), source="mirror.example")
        for item in case.items
    ]
    yield "respaced", (*case.items, *spaced)
