"""Searches are taken in turn by those who answer; who does not is passed over."""

from __future__ import annotations

import pytest

from cluster.vector_copies import Turns
from data.errors import IndexUnavailableError, InvalidValueError


class Answering:
    """An actor or a copy that tells its name, or fails."""

    def __init__(self, name: str, *, is_there: bool = True, error: Exception | None = None) -> None:
        self.name, self.is_there, self.error = name, is_there, error
        self.looked = 0

    def look(self) -> None:
        self.looked += 1

    def call(self, _method: str, *_args: object) -> str:
        if self.error is not None:
            raise self.error
        return self.name


def turns(*copies: Answering, quick: Answering | None = None, actor: Answering | None = None) -> Turns:
    return Turns(actor or Answering("patient"), quick or Answering("actor"), copies)  # type: ignore[arg-type]


def test_actor_and_copies_take_turns() -> None:
    """Each once a round."""
    asked = turns(Answering("one"), Answering("two"))
    assert [asked.call("search") for _ in range(6)] == ["actor", "one", "two"] * 2


def test_without_a_copy_that_is_there_the_actor_is_asked_with_patience() -> None:
    """And whether the copy is there is looked at each time, without waiting for it."""
    away = Answering("one", is_there=False)
    asked = turns(away)
    assert [asked.call("search") for _ in range(3)] == ["patient"] * 3
    assert away.looked == 3


def test_who_is_away_is_passed_over() -> None:
    """A copy that fails, and the actor, whose turn the copy takes."""
    gone = IndexUnavailableError("away")
    assert {turns(Answering("one", error=gone)).call("search") for _ in range(4)} == {"actor"}
    asked = turns(Answering("one"), quick=Answering("actor", error=gone))
    assert [asked.call("search") for _ in range(4)] == ["one"] * 4


def test_where_nobody_answers_the_actor_is_waited_for() -> None:
    """Its answer, or its own error after its patience."""
    gone = IndexUnavailableError("away")
    failing = {"quick": Answering("actor", error=gone)}
    assert turns(Answering("one", error=gone), **failing).call("search") == "patient"
    with pytest.raises(IndexUnavailableError, match="away"):
        turns(Answering("one", error=gone), actor=Answering("patient", error=gone), **failing).call("search")


def test_what_is_wrong_with_a_question_is_not_asked_again() -> None:
    """The actor's refusal is the answer."""
    asked = turns(Answering("one"), quick=Answering("actor", error=InvalidValueError("no")))
    with pytest.raises(InvalidValueError):
        asked.call("search")
