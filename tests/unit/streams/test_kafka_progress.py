"""How far a consumer is with a partition, and the note that says so to the next."""

from __future__ import annotations

import pytest

from data.streams.kafka_progress import MOST_GIVEN, SPAN, Progress, after


def read(offsets: range, *, given: int = 0) -> Progress:
    progress = Progress()
    for offset in offsets:
        progress.add(offset)
        progress.open[offset] += given
    return progress


def test_progress_low_is_the_first_entry_that_is_not_settled() -> None:
    """What is settled above it is remembered until it is reached."""
    progress = read(range(10, 14))
    lows = [progress.low]
    for offset in (11, 10, 13, 12):
        progress.settle([offset])
        lows.append(progress.low)

    assert lows == [10, 10, 12, 12, 14]
    assert progress.done == set()


def test_progress_low_passes_offsets_that_hold_no_entry() -> None:
    """Markers of transactions have offsets and are never read: they hold nothing up."""
    progress = Progress()
    for offset in (3, 5, 9):
        progress.add(offset)
        progress.settle([offset])

    assert progress.low == 10


def test_progress_note_tells_the_next_consumer_what_is_settled_and_how_often_the_rest_was_given() -> None:
    """It reads on from the low offset, passes over what is settled, and knows what to suspect."""
    progress = read(range(100, 106), given=1)
    progress.settle([102, 105])
    progress.open[100] = 7
    following = Progress()
    following.learn(progress.low, progress.note() + "\0")
    fresh = [following.add(offset) for offset in range(100, 108)]

    assert fresh == [True, True, False, True, True, False, True, True]
    assert following.open == {100: 7, 101: 1, 103: 1, 104: 1, 106: 0, 107: 0}
    assert [following.is_suspect(offset) for offset in (100, 106)] == [True, False]


def test_progress_note_keeps_what_the_last_consumer_knew_and_this_one_has_not_read_yet() -> None:
    """A consumer that dies young loses nothing of it."""
    old = read(range(3), given=2)
    young = Progress()
    young.learn(old.low, old.note())
    young.add(0)
    third = Progress()
    third.learn(young.low, young.note())
    for offset in range(3):
        third.add(offset)

    assert third.open == {0: 2, 1: 2, 2: 2}


def test_progress_learning_what_was_committed_closes_entries_that_are_settled() -> None:
    """A transaction in doubt had been committed: its entries are not settled again."""
    progress = read(range(4), given=1)
    later = after(progress, [0, 2])
    assert list(progress.open) == [0, 1, 2, 3]
    progress.learn(later.low, later.note())

    assert progress.open == {1: 1, 3: 1}
    assert (progress.low, progress.done) == (1, {2})


def test_progress_note_stays_below_what_a_broker_takes() -> None:
    """As much as may be given out and settled above the low offset, at worst."""
    progress = read(range(10**12, 10**12 + SPAN))
    given = 0
    for offset in list(progress.open):
        if given < MOST_GIVEN - 1 and offset % 3 == 0:
            progress.open[offset], given = 99, given + 1
    progress.settle([each for each, count in progress.open.items() if not count and each % 2])

    assert progress.has_room(10**12 + SPAN - 1)
    assert len(progress.note()) < 4_096


def test_progress_has_no_room_beyond_its_span_or_for_more_than_it_may_give_out() -> None:
    """Either would make its note too long."""
    assert not read(range(2)).has_room(SPAN)
    assert not read(range(MOST_GIVEN), given=1).has_room(MOST_GIVEN)


@pytest.mark.parametrize("note", ["", "anything at all", "!!|1:2", "AA==|x:y", "AA==|1"])
def test_progress_note_of_somebody_else_says_nothing(note: str) -> None:
    """A group's offsets may have been set by hand, with any text."""
    progress = Progress()
    progress.learn(5, note)

    assert (progress.done, progress.before, progress.low) == (set(), {}, 5)
