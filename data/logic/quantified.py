"""Reads quantifiers ("all birds fly", "some do not"), class membership and conditions from a claim.

Called by ``data.logic.reading``. Takes a clause only where its form is plain: a claim that is not understood
gives no constraint rather than a guessed one.
"""

from __future__ import annotations

import re

from data.analysis import Span
from data.logic.clauses import (
    Clause,
    Reading,
    clauses,
    concept,
    is_asserted,
    is_negated,
    without_negation,
)
from data.logic.constraints import (
    Belongs,
    Formula,
    Holds,
    Implication,
    Negation,
    Quantified,
    Quantifier,
    Statement,
)

_QUANTIFIER = re.compile(
    r"^(?P<quantifier>not all|not every|no one of|none of"
    r"|not a single|at least one|at least some|all of|some of"
    r"|most of"
    r"|every single|each of|all|every|each|no|none|some|most|only)\s+(?P<rest>.+)$",
    re.IGNORECASE,
)
_MEANING: dict[str, Quantifier] = {
    "not all": "not_all", "not every": "not_all", "no one of": "no", "none of": "no", "not a single": "no",
    "at least one": "some", "at least some": "some", "all of": "all", "some of": "some", "most of": "most",
    "every single": "all", "each of": "all", "all": "all", "every": "all", "each": "all", "no": "no",
    "none": "no", "some": "some", "most": "most", "only": "only",
}  # fmt: skip
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|cannot|will|do|does|did|isn['’]t|aren['’]t|wasn['’]t|weren['’]t|can['’]t"
    r"|don['’]t|doesn['’]t|didn['’]t|never|always)\b",
    re.IGNORECASE,
)
#: A bare plural followed by its verb: "all birds fly south".
_PLURAL_VERB = re.compile(
    r"^(?:the\s+)?(?P<kind>[a-z]+s|people|men|women|children)\s+(?P<rest>[a-z]+\b.*)$", re.IGNORECASE
)
#: What may follow "all ..." without being a quantified class.
_NOT_A_CLASS = re.compile(
    r"^(?:the (?:way|time|same)|in all|time|one|two|three|that|this|it|day|\d)\b", re.IGNORECASE
)
_CONDITION = re.compile(
    r"^if\s+(?P<condition>[^,]+?)(?:,\s*(?:then\s+)?|\s+then\s+)(?P<conclusion>[^,;.]+)", re.IGNORECASE
)
_PAST = re.compile(r"^\s*(?:was|were|had|did)", re.IGNORECASE)
_EXCEPTION = re.compile(
    r"\b(?:except|but|other than|apart from|besides|unless|until|before|after|when|where|than)\b", re.I
)
#: Words that set two times side by side: what holds at one need not at the other.
_TIMES = re.compile(
    r"\b(?:then|now|later|earlier|before|after|today|once|formerly|used to|in \d{4}|since)\b", re.I
)
_PRONOUN = re.compile(r"^(?:it|this|that|there|he|she|they|we|i|you|who|which|what)\b", re.IGNORECASE)
#: Pronouns that stand for a class named elsewhere.
_VAGUE = frozenset(("which", "whom", "who", "it", "this", "that", "one", "other", "not", "thing"))
#: Longest class or property, in words: longer ones are not understood well enough to compare.
_MAX_WORDS = 6


def quantified_statements(reading: Reading) -> list[Statement]:
    """Return the quantified clauses, memberships and conditions of a claim, in order."""
    found: list[Statement] = []
    has_condition = _CONDITION.search(reading.text) is not None
    for sentence in reading.sentences:
        condition = _condition(sentence, len(found)) if has_condition else None
        if condition is not None:
            found.append(condition)
        elif is_asserted(sentence.text) and not _TIMES.search(sentence.text):
            found += _sentence(sentence, len(found), propositions=has_condition)
    return found


def _sentence(sentence: Clause, count: int, *, propositions: bool) -> list[Statement]:
    """Read a sentence; ``propositions`` keeps clauses without inner parts, for a condition to meet."""
    found: list[Statement] = []
    previous: Quantified | None = None
    for clause in clauses(sentence, at_commas=True):
        formula = _quantified(clause, previous)
        if formula is not None:
            previous = formula
        plain: Formula | None = formula or _membership(clause)
        if plain is None and propositions:
            plain = literal(clause.text)
        if plain is not None:
            number = count + len(found)
            found.append(Statement(f"claim:q{number:02d}", plain, clause.text, span=clause.span))
    return found


def _quantified(clause: Clause, previous: Quantified | None) -> Quantified | None:
    """Read "<quantifier> <class> <verb phrase>"; "some do not" takes the rest from the clause before."""
    match = _QUANTIFIER.match(clause.text)
    if match is None or _EXCEPTION.search(clause.text):
        return None
    quantifier = _MEANING[match["quantifier"].lower()]
    rest = match["rest"]
    if _NOT_A_CLASS.match(rest):
        return None
    kind, prop = _divided(rest)
    if not kind and previous is not None and quantifier in ("some", "most", "no"):
        kind = previous.kind
    positive = not is_negated(rest)
    if not prop and previous is not None and (not kind or kind == previous.kind):
        kind, prop = previous.kind, previous.property
    elif _is_pro_form(rest) and previous is not None:
        prop = previous.property
    if not _fits(kind, prop) or kind == prop:
        return None
    return Quantified(quantifier, kind, prop, positive)


def _divided(rest: str) -> tuple[str, str]:
    """Split "birds can not fly" into class and property, both as concepts."""
    verb = _VERB.search(rest)
    if verb is not None:
        return concept(rest[: verb.start()]), _property(rest[verb.start() :])
    match = _PLURAL_VERB.match(rest)
    if match is None:
        return "", ""
    return concept(match["kind"]), concept(match["rest"])


def _property(phrase: str) -> str:
    """Return a verb phrase as a property; what was is another property than what is."""
    words = concept(without_negation(_bare_verb(phrase)))
    return f"{words} (past)" if words and _PAST.match(phrase) else words


def _bare_verb(phrase: str) -> str:
    """Write contracted auxiliaries in full, so that "can't fly" and "can fly" differ in the negation only."""
    phrase = re.sub(r"\bcannot\b", "can not", phrase, flags=re.IGNORECASE)
    phrase = re.sub(r"\bcan['’]t\b", "can not", phrase, flags=re.IGNORECASE)
    return re.sub(r"\b(is|are|was|were|do|does|did)n['’]t\b", r"\1 not", phrase, flags=re.IGNORECASE)


def _is_pro_form(rest: str) -> bool:
    """Say whether the verb phrase only repeats the one before: "some do not", "some birds are not"."""
    verb = _VERB.search(rest)
    return verb is not None and not concept(without_negation(_bare_verb(rest[verb.start() :])))


def _membership(clause: Clause) -> Formula | None:
    """Read "Socrates is (not) a man", "penguins cannot fly"."""
    verb = _VERB.search(clause.text)
    if verb is None or _PRONOUN.match(clause.text) or _EXCEPTION.search(clause.text):
        return None
    name, phrase = clause.text[: verb.start()], clause.text[verb.start() :]
    if _QUANTIFIER.match(name):
        return None
    subject, prop = concept(name), _property(phrase)
    if not _fits(subject, prop) or subject == prop:
        return None
    formula = Belongs(subject, prop)
    return Negation(formula) if is_negated(phrase) else formula


def _fits(kind: str, prop: str) -> bool:
    return (
        bool(kind)
        and bool(prop)
        and kind not in _VAGUE
        and max(len(kind.split()), len(prop.split())) <= _MAX_WORDS
    )


def _condition(sentence: Clause, number: int) -> Statement | None:
    """Read "if A(, then) B"."""
    match = _CONDITION.match(sentence.text)
    if match is None:
        return None
    condition, conclusion = (literal(match[part]) for part in ("condition", "conclusion"))
    start = sentence.span.start
    span = Span(start + match.start(), start + match.end())
    return Statement(f"claim:q{number:02d}", Implication(condition, conclusion), match[0].strip(), span=span)


def literal(words: str) -> Formula:
    """Return a clause as a membership where it is one, else as a proposition of its own."""
    text = words.strip(" ,.;")
    formula = _membership(Clause(text, Span(0, len(text))))
    if formula is not None:
        return formula
    proposition = Holds(concept(without_negation(_bare_verb(text))))
    return Negation(proposition) if is_negated(text) else proposition
