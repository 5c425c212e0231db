"""Lemmas that the rules do not find: counted in a treebank by written form and part of speech.

Called by the training of the syntax pipeline. Invariant: the table holds only what ``rule_lemma`` gets wrong,
in lower case, in order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from data.text.syntax import rule_lemma
from tasks.treebank import Sentence


def lemma_table(sentences: Iterable[Sentence]) -> dict[tuple[str, str], str]:
    """Return (form, part of speech) -> lemma where the commonest lemma is not the rule's.

    Of equally common lemmas the one the rule gives is taken, else the first in the alphabet.
    """
    seen: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for word in sentence.words:
            seen[word.text.lower(), word.upos][word.lemma.lower()] += 1
    table = {}
    for key, lemmas in sorted(seen.items()):
        expected = rule_lemma(*key)
        best = min(lemmas, key=lambda lemma: (-lemmas[lemma], lemma != expected, lemma))
        if best != expected:
            table[key] = best
    return table


def written(table: Mapping[tuple[str, str], str]) -> str:
    """Return the table as lines of form, part of speech and lemma, tabs between them."""
    return "".join(f"{form}\t{upos}\t{lemma}\n" for (form, upos), lemma in sorted(table.items()))
