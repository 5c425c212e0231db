"""Which way a statement points, and the plain numeric readings of it. For the consistency framework.

Called with an analysis; nothing here looks at any other text. Where a reading is not clear, none is given.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.analysis import Analysis, Cue, Quantity, Span, Token
from data.text.words import listed

#: Negations that turn the main clause round; the others ("without", "instead of") negate a phrase in it.
_CLAUSE_NEGATIONS = frozenset(
    (
        "not",
        "n't",
        "never",
        "cannot",
        "no longer",
        "neither",
        "nobody",
        "nothing",
        "none",
        "no one",
        "failed to",
        "fail to",
        "fails to",
        "unable to",
        "refused to",
        "refuses to",
        "declined to",
        "denied",
        "denies",
        "deny",
        "false that",
        "no",
        "hardly",
        "scarcely",
        "by no means",
        "ceased to",
        "lack",
        "lacks",
        "lacked",
    )
)
_CLAUSE_BREAKS = frozenset(
    (
        ",",
        ";",
        ":",
        "but",
        "although",
        "though",
        "because",
        "while",
        "whereas",
        "that",
        "which",
        "who",
        "when",
        "if",
        "unless",
        "until",
        "after",
        "before",
        "since",
        "(",
        ")",
        "—",
        "–",
    )
)
_SUBORDINATORS = frozenset(
    (
        "although",
        "though",
        "because",
        "while",
        "whereas",
        "when",
        "if",
        "unless",
        "after",
        "before",
        "since",
        "once",
        "until",
        "despite",
        "that",
        "which",
        "who",
        "whose",
        "where",
    )
)
_RELATIONS = frozenset(
    listed(
        """
be have contain include make earn gross cost weigh measure reach receive sell employ win score produce hold
    kill last own span cover comprise total number exceed hit get record report register consist stand
"""
    )
)
_AUXILIARIES = frozenset(
    ("be", "have", "do", "will", "would", "can", "could", "may", "might", "must", "should", "not", "'s")
)
#: A noun phrase between verb and number ("was a three day battle") makes the number its attribute.
_DETERMINERS = frozenset(("a", "an", "the", "its", "his", "her", "their", "this", "that", "of"))
_MAX_RELATION_TOKENS = 6


@dataclass(frozen=True, slots=True)
class NumericClaim:
    """One "subject, relation, quantity": "The tower is 330 metres tall". ``relation`` holds lemmas."""

    subject: Span
    relation: tuple[str, ...]
    quantity: Quantity
    negated: bool


def negated(analysis: Analysis) -> bool:
    """Return whether the main clause of the first sentence is negated; two negations cancel out."""
    return _negations(analysis, analysis.sentences[0]) % 2 == 1 if analysis.sentences else False


def negation_scope(analysis: Analysis, cue: Cue) -> Span:
    """Return what a negation governs: from its end to the end of its clause."""
    end = cue.span.end
    for token in analysis.tokens:
        if token.span.start < cue.span.end:
            continue
        if token.text.lower() in _CLAUSE_BREAKS or _closes(analysis, token):
            break
        end = token.span.end
    start = min(
        (token.span.start for token in analysis.tokens if token.span.start >= cue.span.end), default=end
    )
    return Span(min(start, end), end)


def numeric_claims(text: str, analysis: Analysis) -> list[NumericClaim]:
    """Return the clear readings "subject, relation, quantity", at most one a sentence.

    A sentence is clear when it has one quantity, no condition, and its subject stands right before a known
    verb.
    """
    found: list[NumericClaim] = []
    for sentence in analysis.sentences:
        inside = [quantity for quantity in analysis.quantities if _within(quantity.span, sentence)]
        conditional = any(cue.kind == "implication" and _within(cue.span, sentence) for cue in analysis.cues)
        if len(inside) == 1 and not conditional and inside[0].dimension != "ordinal":
            reading = _reading(text, analysis, sentence, inside[0])
            found += [reading] if reading is not None else []
    return found


def _within(span: Span, outer: Span) -> bool:
    return outer.start <= span.start < outer.end


def _closes(analysis: Analysis, token: Token) -> bool:
    return token.text in (".", "!", "?") or any(
        token.span.start == other.start for other in analysis.sentences[1:]
    )


def _main_clause(tokens: list[Token]) -> list[Token]:
    """Drop a subordinate clause at the start ("Although ..., ") and everything from a later one on."""
    if tokens and tokens[0].text.lower() in _SUBORDINATORS:
        comma = next((place for place, token in enumerate(tokens) if token.text == ","), None)
        tokens = tokens[comma + 1 :] if comma is not None else tokens
    for place, token in enumerate(tokens):
        if place > 1 and token.text.lower() in _SUBORDINATORS:
            return tokens[:place]
    return tokens


def _negations(analysis: Analysis, sentence: Span) -> int:
    tokens = _main_clause([token for token in analysis.tokens if _within(token.span, sentence)])
    if not tokens:
        return 0
    first, end = tokens[0].span.start, tokens[-1].span.end
    # "false that" governs the clause that follows it, so it counts although "that" ends the main clause.
    return sum(
        1
        for cue in analysis.cues
        if cue.kind == "negation" and cue.value in _CLAUSE_NEGATIONS and first <= cue.span.start < end
    )


def _reading(text: str, analysis: Analysis, sentence: Span, quantity: Quantity) -> NumericClaim | None:
    before = [token for token in analysis.tokens if sentence.start <= token.span.start < quantity.span.start]
    verb = next((place for place, token in enumerate(before) if _is_verb(before, place)), None)
    if verb is None or verb == 0 or len(before) - verb > _MAX_RELATION_TOKENS:
        return None
    subject, between = before[:verb], before[verb + 1 :]
    if any(token.text.lower() in _DETERMINERS for token in between):
        return None
    if subject[0].text.lower() in _SUBORDINATORS or any(token.text in (",", ";", ":") for token in subject):
        return None
    span = Span(subject[0].span.start, subject[-1].span.end)
    if (
        not any(token.text[0].isalnum() and not token.is_stop for token in subject)
        or not text[span.start : span.end]
    ):
        return None
    relation = tuple(
        token.lemma for token in before[verb:] if token.text[0].isalpha() and token.lemma != "not"
    )
    denials = sum(cue.kind == "negation" and _within(cue.span, sentence) for cue in analysis.cues)
    return NumericClaim(span, relation, quantity, negated=denials % 2 == 1)


def _is_verb(tokens: list[Token], place: int) -> bool:
    """Return whether a known verb or auxiliary stands here, and not a name written like one."""
    token = tokens[place]
    return (
        token.text.islower()
        and (token.lemma in _RELATIONS or token.lemma in _AUXILIARIES)
        and token.text != "'s"
    )
