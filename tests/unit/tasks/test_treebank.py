"""Reading CoNLL-U: ranges, empty nodes, heads, paragraphs, and what is refused."""

from __future__ import annotations

import pytest

from data.errors import CorruptDataError
from tasks.treebank import read_conllu

SAMPLE = """\
# newdoc id = a
# newpar id = a-1
# text = He didn't sleep.
1	He	he	PRON	PRP	_	4	nsubj	_	_
2-3	didn't	_	_	_	_	_	_	_	_
2	did	do	AUX	VBD	_	4	aux	_	_
3	n't	not	PART	RB	_	4	advmod	_	_
4	sleep	sleep	VERB	VB	_	0	root	_	SpaceAfter=No
5	.	.	PUNCT	.	_	4	punct	_	_

# text = She tea.
1	She	she	PRON	PRP	_	0	root	_	_
1.1	drank	drink	VERB	VBD	_	_	_	0:root	CopyOf=-1
2	tea	tea	NOUN	NN	_	1	orphan	_	SpaceAfter=No
3	.	.	PUNCT	.	_	1	punct	_	_
""".splitlines(keepends=True)


def row(number: int, head: int) -> str:
    return "\t".join([str(number), "x", "x", "NOUN", "NN", "_", str(head), "dep", "_", "_"])


def test_words_of_a_range_are_written_together() -> None:
    """A space follows only the last word of "didn't"; the range itself is no word."""
    first = next(read_conllu(SAMPLE))

    assert [(word.text, word.space) for word in first.words] == [
        ("He", True),
        ("did", False),
        ("n't", True),
        ("sleep", False),
        (".", True),
    ]


def test_heads_are_indices_and_a_root_heads_itself() -> None:
    """CoNLL-U counts from 1 and gives a root the head 0."""
    first = next(read_conllu(SAMPLE))

    assert [word.head for word in first.words] == [3, 3, 3, 3, 3]
    assert first.words[3].dependency == "root"


def test_empty_nodes_are_left_out() -> None:
    """The elided verb of the enhanced graph is no word; a last sentence needs no blank line."""
    _, second = read_conllu(SAMPLE)

    assert [word.text for word in second.words] == ["She", "tea", "."]


def test_paragraphs_begin_where_the_comments_say() -> None:
    """Only the first sentence opens the paragraph."""
    assert [sentence.opens_paragraph for sentence in read_conllu(SAMPLE)] == [True, False]


@pytest.mark.parametrize(
    "lines",
    [
        ["1\tonly\tthree"],
        [row(1, 0), row(2, 0)],
        [row(1, 2), row(2, 1)],
        [row(1, 0), row(2, 9)],
        [row(2, 0)],
    ],
    ids=["columns", "two roots", "no root", "head outside", "numbering"],
)
def test_what_is_no_tree_is_refused(lines: list[str]) -> None:
    """A damaged file stops the training and says where."""
    with pytest.raises(CorruptDataError, match="check the file"):
        list(read_conllu(lines))
