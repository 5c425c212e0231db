"""Who did what to whom: predicates with their doer and undergoer, whatever the voice; who is said to say it.

Called by the contextual and consistency frameworks and by ``data.exact.roles`` on sentences that
``data.text.syntax`` has read. "A defeated B" and "B was defeated by A" have the same roles. Pure. What the
grammar leaves open stays ``None``: nothing is guessed. Labels are those of Universal Dependencies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from data.analysis import Span
from data.text.lemmas import lemma_of
from data.text.syntax import ParsedSentence, ParsedToken
from data.text.words import listed

#: Words of one name or noun: "Prime Minister Boris Johnson".
_CORE = frozenset(("compound", "flat", "amod", "nummod", "nmod:desc", "goeswith"))
_SUBJECTS = frozenset(("nsubj", "nsubj:outer", "csubj"))
_PASSIVE_SUBJECTS = frozenset(("nsubj:pass", "csubj:pass"))
_RELATIVE = frozenset(("who", "whom", "which", "that"))
_NOT = frozenset(("not", "n't", "n’t", "never", "nt"))
_NONE = frozenset(("no", "neither", "none", "nobody", "nothing"))
_CALENDAR = frozenset(
    listed(
        """
january february march april may june july august september october november december monday tuesday
wednesday thursday friday saturday sunday day week month year century end time default law hand mistake
"""
    )
)
#: Verbs that report what somebody says or holds.
_REPORTING = frozenset(
    listed(
        """
say state claim announce report add write tweet argue testify confirm reveal note explain insist assert
declare warn acknowledge maintain allege believe think suggest estimate conclude find show indicate deny
predict consider expect hope suspect understand know feel rumor rumour
"""
    )
)


@dataclass(frozen=True, slots=True)
class Argument:
    """Someone or something that takes part.

    ``head`` is the lemma of its main word, ``keys`` the lower-case words of its name; ``kind`` is the part
    of speech of the main word. ``place`` is its index in the sentence; ``span`` covers the name.
    """

    place: int
    span: Span
    head: str
    keys: frozenset[str]
    kind: str


@dataclass(frozen=True, slots=True)
class Predication:
    """One predicate: ``doer`` does it, ``undergoer`` is what it is done to; ``None`` where it is not said.

    ``negation`` is the word that denies this predicate and no other.
    """

    place: int
    span: Span
    lemma: str
    doer: Argument | None
    undergoer: Argument | None
    passive: bool
    negation: Span | None


@dataclass(frozen=True, slots=True)
class Attribution:
    """Somebody is said to say something; ``source`` is ``None`` where it is not said who."""

    verb: Span
    source: Argument | None
    content: Span


class _Tree:
    """A sentence with its children looked up once."""

    def __init__(self, sentence: ParsedSentence) -> None:
        self.tokens = sentence.tokens
        self.below: list[list[int]] = [[] for _ in sentence.tokens]
        for place, token in enumerate(sentence.tokens):
            if token.head != place:
                self.below[token.head].append(place)

    def child(self, place: int, labels: frozenset[str]) -> int | None:
        """Return the first word below ``place`` with one of these labels."""
        return next((at for at in self.below[place] if self.tokens[at].dependency in labels), None)

    def subtree(self, place: int) -> Iterator[int]:
        """Yield ``place`` and all words below it, in no order."""
        waiting = [place]
        while waiting:
            at = waiting.pop()
            yield at
            waiting += self.below[at]

    def described(self, place: int) -> int:
        """Return whom a noun says something of ("Alien is a film directed by Scott"), or its own place."""
        if self.child(place, frozenset(("cop",))) is None:
            return place
        subject = self.child(place, _SUBJECTS)
        return place if subject is None else subject

    def argument(self, place: int | None) -> Argument | None:
        """Return the argument whose main word stands at ``place``."""
        if place is None:
            return None
        core = [place, *(at for at in self.below[place] if self.tokens[at].dependency in _CORE)]
        core += [deep for at in core[1:] for deep in self.below[at] if self.tokens[deep].dependency in _CORE]
        core.sort()
        first, last = self.tokens[core[0]], self.tokens[core[-1]]
        keys = frozenset(
            self.tokens[at].text.lower() for at in core if self.tokens[at].text[:1].isalnum()
        ) | {lemma_of(self.tokens[place].text.lower())}
        main = self.tokens[place]
        return Argument(
            place, Span(first.span.start, last.span.end), lemma_of(main.text.lower()), keys, main.upos
        )


def predications(sentence: ParsedSentence) -> tuple[Predication, ...]:
    """Return the predicates of a sentence in order, each with those who take part."""
    tree = _Tree(sentence)
    found: dict[int, Predication] = {}
    for place in _from_the_top(tree):
        if _is_predicate(tree, place):
            found[place] = _predication(tree, place, found)
    return tuple(found[place] for place in sorted(found))


def attributions(sentence: ParsedSentence) -> tuple[Attribution, ...]:
    """Return what the sentence reports as said, in order of the verbs; "according to" counts as one."""
    tree = _Tree(sentence)
    found = []
    for place, token in enumerate(tree.tokens):
        if _lemma(token) in _REPORTING and token.upos == "VERB":
            content = tree.child(place, frozenset(("ccomp", "csubj", "csubj:pass")))
            if content is None and token.dependency == "parataxis":
                content = token.head
            if content is not None:
                own = frozenset(tree.subtree(place)) if content == token.head else frozenset()
                found.append(Attribution(token.span, _speaker(tree, place), _extent(tree, content, own)))
        elif token.text.lower() == "according" and token.dependency == "case":
            own = frozenset(tree.subtree(token.head))
            content = tree.tokens[token.head].head
            if content not in own:
                span = _extent(tree, content, own)
                found.append(Attribution(token.span, tree.argument(token.head), span))
    return tuple(found)


def agentless(sentence: ParsedSentence) -> tuple[Predication, ...]:
    """Return the passive reporting predicates that do not say by whom ("is believed to", "it is said")."""
    return tuple(
        item
        for item in predications(sentence)
        if item.passive and item.doer is None and item.lemma in _REPORTING
    )


def _from_the_top(tree: _Tree) -> Iterator[int]:
    """Yield every word after its head, so that what is inherited is known."""
    waiting = [place for place, token in enumerate(tree.tokens) if token.head == place]
    while waiting:
        place = waiting.pop(0)
        yield place
        waiting += tree.below[place]


def _is_predicate(tree: _Tree, place: int) -> bool:
    token = tree.tokens[place]
    if token.dependency in ("aux", "aux:pass", "cop", "case", "mark", "amod", "compound", "fixed"):
        return False
    return token.upos == "VERB" or tree.child(place, frozenset(("cop",))) is not None


def _predication(tree: _Tree, place: int, above: dict[int, Predication]) -> Predication:
    token = tree.tokens[place]
    governor = above.get(token.head) if token.dependency == "conj" else None
    subject = tree.child(place, _SUBJECTS)
    suffered = tree.child(place, _PASSIVE_SUBJECTS)
    thing = tree.child(place, frozenset(("obj",)))
    passive = _is_passive(tree, place, governor)
    made = Predication(
        place=place,
        span=token.span,
        lemma=_lemma(token),
        doer=_agent(tree, place) if passive else tree.argument(subject),
        undergoer=tree.argument(suffered if suffered is not None else subject)
        if passive
        else tree.argument(thing),
        passive=passive,
        negation=_negation(tree, place),
    )
    return _with_relative(tree, _with_inherited(made, governor), token)


def _is_passive(tree: _Tree, place: int, governor: Predication | None) -> bool:
    token = tree.tokens[place]
    if tree.child(place, frozenset(("aux:pass", *_PASSIVE_SUBJECTS))) is not None:
        return True
    bare = tree.child(place, frozenset(("aux", "obj", *_SUBJECTS))) is None
    if token.tag != "VBN" or not bare:
        return False
    return token.dependency == "acl" or (governor is not None and governor.passive)


def _with_inherited(made: Predication, governor: Predication | None) -> Predication:
    """Give a coordinated verb the subject of the verb before it ("A came and saw B")."""
    if governor is None:
        return made
    shared = governor.undergoer if governor.passive else governor.doer
    if made.passive and made.undergoer is None:
        agent = governor.doer if governor.passive and made.doer is None else made.doer
        return replace(made, undergoer=shared, doer=agent)
    if not made.passive and made.doer is None:
        return replace(made, doer=shared)
    return made


def _with_relative(tree: _Tree, made: Predication, token: ParsedToken) -> Predication:
    """Put the noun in the place of the pronoun that stands for it ("the team that beat B")."""
    noun = tree.argument(tree.described(token.head))
    if token.dependency == "acl:relcl":
        doer = noun if _is_relative(made.doer) else made.doer
        return replace(made, doer=doer, undergoer=noun if _is_relative(made.undergoer) else made.undergoer)
    if token.dependency == "acl" and token.tag == "VBG" and made.doer is None:
        return replace(made, doer=noun)
    if token.dependency == "acl" and made.passive and made.undergoer is None:
        return replace(made, undergoer=noun)
    return made


def _is_relative(argument: Argument | None) -> bool:
    return argument is not None and argument.kind == "PRON" and argument.head in _RELATIVE


def _agent(tree: _Tree, place: int) -> Argument | None:
    """Return by whom a passive is done; "by Monday" and "by 1990" name nobody."""
    for at in tree.below[place]:
        token = tree.tokens[at]
        if token.dependency not in ("obl:agent", "obl") or token.upos == "NUM":
            continue
        by = any(tree.tokens[low].text.lower() == "by" for low in tree.below[at])
        if by and _lemma(token) not in _CALENDAR:
            return tree.argument(at)
    return None


def _negation(tree: _Tree, place: int) -> Span | None:
    """Return the word that denies a predicate: "not", "never", or a "no" before one who takes part."""
    for at in tree.below[place]:
        token = tree.tokens[at]
        word = token.text.lower()
        if word in _NOT and token.dependency in ("advmod", "det", "cc"):
            return token.span
        if token.dependency in ("nsubj", "nsubj:pass", "obj"):
            if word in _NONE:
                return token.span
            denied = [low for low in tree.below[at] if tree.tokens[low].text.lower() in _NONE]
            if denied and tree.tokens[denied[0]].dependency == "det":
                return tree.tokens[denied[0]].span
    return None


def _speaker(tree: _Tree, place: int) -> Argument | None:
    if _is_passive(tree, place, None):
        return _agent(tree, place)
    return tree.argument(tree.child(place, _SUBJECTS))


def _extent(tree: _Tree, place: int, without: frozenset[int]) -> Span:
    """Return the characters of the words below ``place``, less those of ``without``, edges untouched."""
    spans = [
        tree.tokens[at].span
        for at in tree.subtree(place)
        if at not in without and tree.tokens[at].upos != "PUNCT"
    ]
    spans = spans or [tree.tokens[place].span]
    return Span(min(span.start for span in spans), max(span.end for span in spans))


def _lemma(token: ParsedToken) -> str:
    return lemma_of(token.text.lower())
