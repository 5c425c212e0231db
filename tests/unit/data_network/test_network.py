"""What the source-network measures promise."""

from __future__ import annotations

import pytest

from data.knowledge import Source
from data.network import (
    Mention,
    herfindahl,
    network_of,
    reachable,
    standing,
    voices_of,
)

NEWS = (
    Source("globe", "Globe", owner="news-uk"),
    Source("herald", "Herald", owner="dow"),
    Source("news-uk", "News UK", owner="news-corp"),
    Source("dow", "Dow", owner="news-corp"),
    Source("news-corp", "News Corp"),
    Source("agency", "Agency"),
)


def _mentions(*sources: str) -> list[Mention]:
    return [Mention(source, f"doc-{place}", f"words {place}") for place, source in enumerate(sources)]


def test_voices_with_one_owner_far_above_count_once() -> None:
    """Two papers owned by two companies of one group are one voice, named after the group."""
    (voice,) = voices_of(_mentions("globe", "herald"), network_of(NEWS))
    assert (voice.name, voice.sources, voice.documents) == ("news-corp", ("globe", "herald"), 2)


def test_voices_without_common_owner_stay_apart() -> None:
    """An agency of its own is a second voice; the larger voice comes first."""
    voices = voices_of(_mentions("agency", "globe", "herald"), network_of(NEWS))
    assert [(voice.name, voice.documents) for voice in voices] == [("news-corp", 2), ("agency", 1)]


def test_voices_that_nothing_is_known_of_speak_for_themselves() -> None:
    """Ids that are not on record are voices under their own id."""
    assert [voice.name for voice in voices_of(_mentions("b", "a"), network_of(()))] == ["a", "b"]


def test_voices_with_the_same_words_count_once() -> None:
    """A syndicated text is one voice and one document, however many print it."""
    copies = [Mention("a", "d1", "the same"), Mention("b", "d2", "the same"), Mention("c", "d3", "other")]
    voices = voices_of(copies, network_of(()))
    assert [(voice.sources, voice.documents) for voice in voices] == [(("a", "b"), 1), (("c",), 1)]


def test_voices_of_several_passages_of_one_document_count_the_document_once() -> None:
    """Three passages of one document are one document."""
    passages = [Mention("a", "d1", f"part {number}") for number in range(3)]
    assert voices_of(passages, network_of(()))[0].documents == 1


def test_voices_citing_each_other_in_a_circle_count_once() -> None:
    """Of three that cite one another in a circle none can be shown to be the origin."""
    ring = (Source("a", "A", cites=("b",)), Source("b", "B", cites=("c",)), Source("c", "C", cites=("a",)))
    network = network_of(ring)
    assert network.circles == (("a", "b", "c"),)
    assert len(voices_of(_mentions("a", "b", "c"), network)) == 1


def test_voices_citing_one_way_stay_apart() -> None:
    """Citing another body is no circle."""
    network = network_of((Source("a", "A", cites=("b",)), Source("b", "B")))
    assert network.circles == ()
    assert len(voices_of(_mentions("a", "b"), network)) == 2


def test_voices_are_the_same_whatever_the_order() -> None:
    """The order of mentions and sources changes nothing."""
    mentions = _mentions("globe", "agency", "herald", "globe")
    assert voices_of(mentions[::-1], network_of(NEWS[::-1])) == voices_of(mentions, network_of(NEWS))


def test_owners_in_a_circle_have_one_name() -> None:
    """Bodies that own each other end at the first id of their circle and not in an endless walk."""
    network = network_of(
        (Source("x", "X", owner="b"), Source("b", "B", owner="a"), Source("a", "A", owner="b"))
    )
    assert dict(network.roots) == {"a": "a", "b": "a", "x": "a"}


def test_network_ranks_the_cited_above_those_who_cite() -> None:
    """PageRank of a star: the cited centre is first, the ranks sum to 1, and the closed form holds."""
    star = (Source("hub", "Hub"), *(Source(f"s{n}", "S", cites=("hub",)) for n in range(3)))
    ranks = network_of(star).ranks
    assert sum(ranks.values()) == pytest.approx(1.0, abs=1e-5)
    # With d = 0.85 and the hub dangling: leaf = (0.15 + 0.85 hub) / 4 and hub = leaf + 3 x 0.85 x leaf.
    leaf = 0.15 / (4 - 0.85 * 3.55)
    assert ranks["s0"] == pytest.approx(leaf, abs=2e-5)
    assert ranks["hub"] == pytest.approx(3.55 * leaf, abs=2e-5)


def test_standing_is_one_for_the_most_cited_and_lower_for_others() -> None:
    """The most cited source stands at 1, one that only cites lower, a stranger at 0."""
    network = network_of((Source("a", "A", cites=("b",)), Source("b", "B")))
    assert standing(["b"], network) == 1.0
    assert 0.0 < standing(["a"], network) < 1.0
    assert standing(["stranger"], network) == 0.0


def test_reachable_follows_owners_and_citations_and_nothing_else() -> None:
    """What a source leads to is found through unknown ids and loops; what it does not lead to is left out."""
    sources = {
        "a": Source("a", "A", owner="o", cites=("b", "gone")),
        "b": Source("b", "B", cites=("a",)),
        "o": Source("o", "O"),
        "far": Source("far", "Far", cites=("a",)),
    }
    assert [source.id for source in reachable(["a"], sources)] == ["a", "b", "o"]


@pytest.mark.parametrize(("sizes", "index"), [([5], 1.0), ([1, 1], 0.5), ([2, 1, 1], 0.375), ([1] * 4, 0.25)])
def test_herfindahl_of_shares_is_the_sum_of_their_squares(sizes: list[int], index: float) -> None:
    """Known values of the index."""
    assert herfindahl(sizes) == pytest.approx(index)


@pytest.mark.parametrize("sizes", [[], [1, 0]])
def test_herfindahl_without_sizes_is_refused(sizes: list[int]) -> None:
    """There is no concentration of nothing."""
    with pytest.raises(ValueError, match="size"):
        herfindahl(sizes)
