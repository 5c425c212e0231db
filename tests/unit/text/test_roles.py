"""Who did what to whom, from sentences whose grammar is given; no model is needed."""

from __future__ import annotations

import pytest

from data.analysis import Span
from data.text.roles import Argument, agentless, attributions, predications
from data.text.syntax import ParsedSentence, ParsedToken


def sentence(table: str) -> ParsedSentence:
    """Return the sentence of "word POS TAG head label" lines, heads counted from 1, 0 for the root."""
    tokens, at = [], 0
    for index, line in enumerate(table.strip().splitlines()):
        word, upos, tag, head, label = line.split()
        place = int(head) - 1 if int(head) else index
        tokens.append(ParsedToken(word, Span(at, at + len(word)), word.lower(), upos, tag, place, label))
        at += len(word) + 1
    return ParsedSentence(Span(0, at - 1), tuple(tokens))


def text_of(parsed: ParsedSentence) -> str:
    return " ".join(token.text for token in parsed.tokens)


def said(parsed: ParsedSentence, argument: Argument | None) -> str | None:
    return text_of(parsed)[argument.span.start : argument.span.end] if argument else None


ACTIVE = sentence("""
Germany PROPN NNP 2 nsubj
defeated VERB VBD 0 root
Brazil PROPN NNP 2 obj
. PUNCT . 2 punct
""")
PASSIVE = sentence("""
Brazil PROPN NNP 3 nsubj:pass
was AUX VBD 3 aux:pass
defeated VERB VBN 0 root
by ADP IN 5 case
Germany PROPN NNP 3 obl:agent
""")
PASSIVE_BY_A_DAY = sentence("""
Brazil PROPN NNP 3 nsubj:pass
was AUX VBD 3 aux:pass
defeated VERB VBN 0 root
by ADP IN 5 case
Monday PROPN NNP 3 obl
""")
RELATIVE = sentence("""
Germany PROPN NNP 5 nsubj
, PUNCT , 1 punct
which PRON WDT 4 nsubj
beat VERB VBD 1 acl:relcl
won VERB VBD 0 root
Brazil PROPN NNP 4 obj
""")
COORDINATED = sentence("""
Mary PROPN NNP 3 nsubj
Shelley PROPN NNP 1 flat
wrote VERB VBD 0 root
novels NOUN NNS 3 obj
and CCONJ CC 8 cc
did AUX VBD 8 aux
not PART RB 8 advmod
direct VERB VB 3 conj
films NOUN NNS 8 obj
""")
PARTICIPLE = sentence("""
The DET DT 2 det
match NOUN NN 6 nsubj
won VERB VBN 2 acl
by ADP IN 5 case
Germany PROPN NNP 3 obl:agent
ended VERB VBD 0 root
""")
BELIEVED = sentence("""
The DET DT 2 det
tower NOUN NN 4 nsubj:pass
is AUX VBZ 4 aux:pass
believed VERB VBN 0 root
to PART TO 6 mark
lean VERB VB 4 xcomp
""")
SAID = sentence("""
Curie PROPN NNP 2 nsubj
said VERB VBD 0 root
that SCONJ IN 5 mark
radium NOUN NN 5 nsubj
glows VERB VBZ 2 ccomp
""")
ACCORDING = sentence("""
According VERB VBG 3 case
to ADP IN 1 fixed
NASA PROPN NNP 6 obl
the DET DT 5 det
moon NOUN NN 6 nsubj
shrinks VERB VBZ 0 root
""")
DESCRIBED = sentence("""
Alien PROPN NNP 4 nsubj
is AUX VBZ 4 cop
a DET DT 4 det
film NOUN NN 0 root
directed VERB VBN 4 acl
by ADP IN 8 case
Ridley PROPN NNP 8 compound
Scott PROPN NNP 5 obl:agent
""")
NOBODY = sentence("""
No DET DT 2 det
team NOUN NN 3 nsubj
beat VERB VBD 0 root
Brazil PROPN NNP 3 obj
""")


@pytest.mark.parametrize("parsed", [ACTIVE, PASSIVE], ids=text_of)
def test_roles_of_active_and_passive_are_the_same(parsed: ParsedSentence) -> None:
    """The winner does it in either voice."""
    (item,) = predications(parsed)

    assert (said(parsed, item.doer), item.lemma, said(parsed, item.undergoer)) == (
        "Germany",
        "defeat",
        "Brazil",
    )


def test_voice_is_told() -> None:
    """Only the passive sentence is passive."""
    assert [item.passive for parsed in (ACTIVE, PASSIVE) for item in predications(parsed)] == [False, True]


def test_passive_by_a_day_names_no_doer() -> None:
    """A day after "by" is when, not who."""
    (item,) = predications(PASSIVE_BY_A_DAY)

    assert item.doer is None
    assert said(PASSIVE_BY_A_DAY, item.undergoer) == "Brazil"


def test_relative_pronoun_stands_for_its_noun() -> None:
    """In "Germany, which beat Brazil" it is Germany that beat."""
    beat = next(item for item in predications(RELATIVE) if item.lemma == "beat")

    assert (said(RELATIVE, beat.doer), said(RELATIVE, beat.undergoer)) == ("Germany", "Brazil")


def test_coordinated_verb_shares_the_subject_and_keeps_its_own_negation() -> None:
    """The second verb has the first one's subject; "not" denies the second alone."""
    wrote, direct = predications(COORDINATED)

    assert said(COORDINATED, direct.doer) == said(COORDINATED, wrote.doer) == "Mary Shelley"
    assert wrote.negation is None
    assert direct.negation is not None
    assert text_of(COORDINATED)[direct.negation.start : direct.negation.end] == "not"


def test_participle_after_a_noun_is_a_passive_of_it() -> None:
    """ "The match won by Germany": Germany won the match."""
    won = next(item for item in predications(PARTICIPLE) if item.lemma == "win")

    assert (said(PARTICIPLE, won.doer), said(PARTICIPLE, won.undergoer)) == ("Germany", "match")


def test_what_is_said_of_a_noun_is_said_of_what_it_describes() -> None:
    """ "Alien is a film directed by Ridley Scott": Scott directed Alien."""
    direct = next(item for item in predications(DESCRIBED) if item.lemma == "direct")

    assert (said(DESCRIBED, direct.doer), said(DESCRIBED, direct.undergoer)) == ("Ridley Scott", "Alien")


def test_no_before_the_subject_denies_the_predicate() -> None:
    """ "No team beat Brazil" is denied."""
    (item,) = predications(NOBODY)

    assert item.negation == Span(0, 2)


def test_reporting_passive_without_a_doer_is_agentless() -> None:
    """ "Is believed to" does not say by whom; "was defeated by" does."""
    assert [item.lemma for item in agentless(BELIEVED)] == ["believe"]
    assert agentless(PASSIVE) == ()


@pytest.mark.parametrize(
    ("parsed", "source", "content"),
    [(SAID, "Curie", "that radium glows"), (ACCORDING, "NASA", "the moon shrinks")],
    ids=["says that", "according to"],
)
def test_reported_words_have_their_source(parsed: ParsedSentence, source: str, content: str) -> None:
    """Who says it, and the words said."""
    (item,) = attributions(parsed)

    assert said(parsed, item.source) == source
    assert text_of(parsed)[item.content.start : item.content.end] == content


def test_sentence_without_a_verb_has_no_predicate() -> None:
    """A bare name says nothing of anybody."""
    assert predications(sentence("Germany PROPN NNP 0 root")) == ()
