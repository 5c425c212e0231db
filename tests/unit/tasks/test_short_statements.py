"""Short statements cut out of a treebank."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tasks.short_statements import short_statements
from tasks.treebank import Sentence, read_conllu


def sentence(*rows: str) -> Sentence:
    """Rows are ``form xpos upos head relation``, heads counted from 1 as in the format."""
    lines = [
        f"{number}\t{form}\t{form.lower()}\t{upos}\t{xpos}\t_\t{head}\t{relation}\t_\t_"
        for number, (form, xpos, upos, head, relation) in enumerate((row.split() for row in rows), 1)
    ]
    (read,) = read_conllu(line + "\n" for line in lines)
    return read


WON = sentence(
    "Yesterday NN NOUN 4 obl",
    "the DT DET 3 det",
    "team NN NOUN 4 nsubj",
    "defeated VBD VERB 0 root",
    "Brazil NNP PROPN 4 obj",
    "in IN ADP 8 case",
    "the DT DET 8 det",
    "final NN NOUN 4 obl",
    ", , PUNCT 10 punct",
    "said VBD VERB 4 parataxis",
    "Rome NNP PROPN 10 nsubj",
)
BEATEN = sentence(
    "Brazil NNP PROPN 3 nsubj:pass",
    "was VBD AUX 3 aux:pass",
    "defeated VBN VERB 0 root",
    "by IN ADP 5 case",
    "Rome NNP PROPN 3 obl:agent",
)
WHO = sentence(
    "Who WP PRON 2 nsubj", "defeated VBD VERB 0 root", "Brazil NNP PROPN 2 obj", "Rome NNP PROPN 2 obl"
)


def told(sentences: Iterable[Sentence]) -> list[str]:
    return [" ".join(word.text for word in each.words) for each in sentences]


def test_clause_is_told_alone_with_its_place() -> None:
    """What stands around the doer, the verb and the undergoer is left out."""
    assert "The team defeated Brazil in the final ." in told(short_statements([WON], 7))


def test_past_tense_is_told_between_names_of_the_treebank() -> None:
    """Two names, and where the event was."""
    (named,) = [text for text in told(short_statements([WON], 7)) if text.split()[0] in ("Brazil", "Rome")]
    assert sorted(named.split()) == sorted(["Brazil", "defeated", "Rome", "in", "the", "final", "."])


def test_participle_of_a_passive_gives_a_past_tense() -> None:
    """What is done to one is done by another: the verb takes an object."""
    (made,) = short_statements([BEATEN], 7)
    assert [(word.xpos, word.dependency) for word in made.words] == [
        ("NNP", "nsubj"),
        ("VBD", "root"),
        ("NNP", "obj"),
        (".", "punct"),
    ]


def test_question_is_no_statement() -> None:
    """ "Who defeated Brazil" says nothing of a doer."""
    assert not [text for text in told(short_statements([WHO], 7)) if text.startswith("Who")]


@pytest.mark.parametrize("source", [WON, BEATEN, WHO], ids=["active", "passive", "question"])
def test_every_statement_is_a_tree_with_one_root(source: Sentence) -> None:
    """Every word leads up to the one root."""
    for made in short_statements([source], 7):
        roots = [at for at, word in enumerate(made.words) if word.head == at]
        assert [made.words[at].dependency for at in roots] == ["root"]
        for at in range(len(made.words)):
            steps = 0
            while made.words[at].head != at:
                at, steps = made.words[at].head, steps + 1  # noqa: PLW2901 - walks up
                assert steps <= len(made.words)


def test_same_seed_gives_the_same_statements() -> None:
    """Training can be repeated."""
    assert short_statements([WON, BEATEN], 7) == short_statements([WON, BEATEN], 7)
