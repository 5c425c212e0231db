"""Rewrites must keep what a claim says, and give up where they might not."""

from __future__ import annotations

import pytest

from tasks.behaviour.rewrites import rewrites


def by_form(claim: str) -> dict[str, str]:
    return {change.form: change.text for change in rewrites(claim)}


@pytest.mark.parametrize(
    ("form", "claim", "rewritten"),
    [
        ("contraction", "Estonia is not a country.", "Estonia isn't a country."),
        ("contraction", "Cells don't divide.", "Cells do not divide."),
        ("figures", "She had seven siblings.", "She had 7 siblings."),
        ("figures", "She won after 12 years.", "She won after twelve years."),
        ("date", "It opened on 3 May 1999.", "It opened on May 3, 1999."),
        ("date", "It opened on May 3 , 1999.", "It opened on 3 May 1999."),
        ("unit", "The trial took 4 hours.", "The trial took 240 minutes."),
        ("unit", "The road is 2.5 km long.", "The road is 2,500 metres long."),
        ("percent", "It scored 83 % in May.", "It scored 83 percent in May."),
        ("synonym", "The film was long.", "The movie was long."),
        ("voice", "Norman Jewison directed The Kid.", "The Kid was directed by Norman Jewison."),
        ("voice", "The novel was written by Jane Austen.", "Jane Austen wrote the novel."),
        ("time_moved", "The film was released in 2003.", "In 2003, the film was released."),
        ("time_moved", "In 2003, the film was released.", "The film was released in 2003."),
        ("swapped", "Ann and Bob are both tall.", "Bob and Ann are both tall."),
        ("swapped", "Ann is a singer and an actor.", "Ann is an actor and a singer."),
        ("owned", "The capital of France is old.", "France's capital is old."),
        ("spacing", "It grew ( slowly ) .", "It grew (slowly)."),
        ("full_stop", "It grew.", "It grew"),
    ],
)  # fmt: skip
def test_rewrites_say_the_same_in_other_words(form: str, claim: str, rewritten: str) -> None:
    """Each form as a person would write it."""
    assert by_form(claim)[form] == rewritten


@pytest.mark.parametrize(
    ("form", "claim"),
    [
        ("time_moved", "He fought in the war that ended in 1945."),
        ("time_moved", "It lasted from 1939 to the spring of 1945 and in 1946."),
        ("voice", "He wrote books and lost money in Paris."),
        ("figures", "The Seven Samurai is a film."),
        ("unit", "The price rose by 5 million of them."),
        ("date", "It opened in May 1999."),
    ],
)
def test_rewrites_give_up_where_the_meaning_might_move(form: str, claim: str) -> None:
    """A clause that owns the time, a name, an adjunct: no rewrite."""
    assert form not in by_form(claim)


def test_rewrites_never_offer_the_claim_itself() -> None:
    """A rewrite that changes nothing tests nothing."""
    claim = "Anna met Boris."
    assert claim not in by_form(claim).values()
