"""Short statements cut out of a treebank's sentences: who does what to whom, and nothing else.

Called by the training of the syntax pipeline. A treebank of web texts has few sentences such as "Germany
defeated Brazil.", and claims are mostly such: a verb that could be a participle is then read as one. Each
clause with a doer, a finite verb and an undergoer is told once as it stands and once between two names.
Pure. Invariant: what is yielded is a tree with one root, its words in the order of the sentence.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.treebank import Sentence, Word

#: Fine tags of finite verbs.
_FINITE = frozenset(("VBD", "VBZ", "VBP"))
#: What a group may hold below its top: no clause and no list.
_INNER = frozenset(("det", "amod", "compound", "flat", "nummod", "nmod:poss", "nmod", "case"))
_PRONOUNS = frozenset(("who", "which", "that", "what", "whom", "where", "when"))
#: Longest group, words.
MAX_WORDS = 6


@dataclass(frozen=True, slots=True)
class Clause:
    """Places in a sentence: a verb, its groups before it and behind it, each in order and without a gap."""

    verb: int
    before: tuple[int, ...]
    behind: tuple[tuple[int, ...], ...]


def short_statements(sentences: Sequence[Sentence], seed: int) -> list[Sentence]:
    """Return the statements of all ``sentences``; the names are drawn from theirs."""
    rng = random.Random(seed)  # noqa: S311 - draws training data
    names = [word for sentence in sentences for word in sentence.words if _is_name(word)]
    made = []
    for words in (sentence.words for sentence in sentences):
        for verb, word in enumerate(words):
            clause = _clause(words, verb) if word.upos == "VERB" else None
            if clause is not None:
                made.append(_told(words, clause))
            past = _past(words, verb)
            if past is not None:
                behind = clause.behind[1:] if clause is not None else _places(words, verb)
                made.append(_between(words, past, rng.sample(names, 2), behind))
    return made


def _is_name(word: Word) -> bool:
    return word.xpos == "NNP" and word.text.isalpha() and word.text.istitle()


def _clause(words: Sequence[Word], verb: int) -> Clause | None:
    """Return the clause of a finite verb with one doer before it and one undergoer behind it."""
    if words[verb].xpos not in _FINITE:
        return None
    doer, undergoer = _groups(words, verb, "nsubj"), _groups(words, verb, "obj")
    if len(doer) != 1 or len(undergoer) != 1 or not doer[0] or not undergoer[0]:
        return None
    if not doer[0][-1] < verb < undergoer[0][0]:
        return None
    places = tuple(group for group in _places(words, verb) if group[0] > undergoer[0][-1])
    return Clause(verb, doer[0], (undergoer[0], *places[:1]))


def _places(words: Sequence[Word], verb: int) -> tuple[tuple[int, ...], ...]:
    """Return the first adjunct behind the verb, such as "in the final", if it is a bare group."""
    found = [group for group in _groups(words, verb, "obl") if group and group[0] > verb]
    return tuple(found[:1])


def _past(words: Sequence[Word], verb: int) -> Word | None:
    """Return the verb as a past tense where it takes an object and its participle looks the same."""
    word = words[verb]
    if word.upos != "VERB" or not re.fullmatch("[a-z]+ed", word.text) or word.xpos not in ("VBD", "VBN"):
        return None
    wanted = "obj" if word.xpos == "VBD" else "nsubj:pass"
    return replace(word, xpos="VBD") if _groups(words, verb, wanted) else None


def _groups(words: Sequence[Word], verb: int, relation: str) -> list[tuple[int, ...]]:
    """Return the groups that stand in a relation to the verb; empty where one is more than a bare group."""
    tops = [at for at, word in enumerate(words) if word.head == verb != at and word.dependency == relation]
    return [_group(words, top) for top in tops]


def _group(words: Sequence[Word], top: int) -> tuple[int, ...]:
    """Return the places of a bare group without a gap, none where it is anything else."""
    places = tuple(at for at in range(len(words)) if top in _up(words, at))
    inner = all(words[at].dependency in _INNER for at in places if at != top)
    whole = places[-1] - places[0] + 1 == len(places) <= MAX_WORDS
    relative = any(words[at].text.lower() in _PRONOUNS for at in places)
    return places if inner and whole and not relative else ()


def _up(words: Sequence[Word], at: int) -> Iterator[int]:
    """Yield the place and all above it."""
    yield at
    while words[at].head != at:
        at = words[at].head
        yield at


def _told(words: Sequence[Word], clause: Clause) -> Sentence:
    kept = [*clause.before, clause.verb, *(place for group in clause.behind for place in group)]
    made = _taken(words, kept, root=kept.index(clause.verb))
    made[0] = replace(made[0], text=made[0].text[:1].upper() + made[0].text[1:])
    return _closed(made, kept.index(clause.verb))


def _between(
    words: Sequence[Word], verb: Word, names: Sequence[Word], behind: Sequence[tuple[int, ...]]
) -> Sentence:
    doer, undergoer = names
    made = [
        replace(doer, head=1, dependency="nsubj", space=True),
        replace(verb, head=1, dependency="root", space=True),
        replace(undergoer, head=1, dependency="obj", space=True),
    ]
    for group in behind:
        made += [
            replace(word, head=1 if word.head == at else word.head + 3, dependency=word.dependency)
            for at, word in enumerate(_taken(words, group, root=None))
        ]
    return _closed(made, 1)


def _taken(words: Sequence[Word], kept: Sequence[int], root: int | None) -> list[Word]:
    """Return the kept words with heads among themselves; others hang on ``root``, or on themselves."""
    numbered = {place: number for number, place in enumerate(kept)}
    made = []
    for number, place in enumerate(kept):
        head = numbered.get(words[place].head, number if root is None else root)
        made.append(replace(words[place], head=head, space=True))
    if root is not None:
        made[root] = replace(made[root], head=root, dependency="root")
    return made


def _closed(words: list[Word], root: int) -> Sentence:
    """Return the sentence with a full stop behind it."""
    stop = Word(".", ".", "PUNCT", ".", head=root, dependency="punct", space=True)
    return Sentence((*words[:-1], replace(words[-1], space=False), stop), opens_paragraph=True)
