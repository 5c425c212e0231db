"""How independent the bodies behind some evidence are: ownership, citation, concentration.

Called by the power-dynamics framework and its tools. Pure functions of the sources given: the same sources
in any order give the same numbers. Invariant: every id that is asked about has exactly one voice, known or
not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from data.knowledge import Source

#: Chance of following a citation rather than starting anew. Source: Page et al. 1999, "The PageRank Citation
#: Ranking".
DAMPING = 0.85
#: Distinct source sets whose measures are kept: evidence of one topic comes from the same few sources.
CACHED_NETWORKS = 512


@dataclass(frozen=True, slots=True)
class Mention:
    """One item of evidence as to its voice. Equal ``words`` of two sources are one voice repeated."""

    source: str
    document: str
    words: str


@dataclass(frozen=True, slots=True)
class Voice:
    """Sources that cannot be told apart as witnesses.

    ``name`` is the id of the owner they have in common, or else their first id; ``documents`` counts what
    they contributed, the same words once.
    """

    name: str
    sources: tuple[str, ...]
    documents: int


@dataclass(frozen=True, slots=True)
class SourceNetwork:
    """What follows from a set of sources alone; build it with :func:`network_of`.

    ``roots`` maps an id to the body at the top of its ownership. ``ranks`` are PageRank values over
    citations, which sum to 1. ``circles`` are sets of two or more sources that cite one another in a
    circle.
    """

    roots: Mapping[str, str]
    ranks: Mapping[str, float]
    circles: tuple[tuple[str, ...], ...]


def reachable(ids: Iterable[str], sources: Mapping[str, Source]) -> tuple[Source, ...]:
    """Return the known sources among ``ids`` and all they lead to by ownership or citation, sorted by id."""
    found: dict[str, Source] = {}
    waiting = sorted(set(ids))
    while waiting:
        source = sources.get(waiting.pop())
        if source is None or source.id in found:
            continue
        found[source.id] = source
        waiting.extend((*source.cites, *((source.owner,) if source.owner else ())))
    return tuple(found[key] for key in sorted(found))


@lru_cache(maxsize=CACHED_NETWORKS)
def network_of(sources: tuple[Source, ...]) -> SourceNetwork:
    """Return the measures of these sources; each distinct set is computed once a process."""
    ordered = sorted(sources, key=lambda source: source.id)
    return SourceNetwork(
        MappingProxyType(_roots(ordered)), MappingProxyType(_ranks(ordered)), _circles(ordered)
    )


def voices_of(mentions: Sequence[Mention], network: SourceNetwork) -> tuple[Voice, ...]:
    """Return the independent voices behind some evidence, the largest first, ties by name.

    Sources count once when they have one owner, when they cite each other in a circle (neither can be shown
    to be the origin), or when they brought the same words (a syndicated text).
    """
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(sorted({mention.source for mention in mentions}))
    present = set(graph)
    for group in (*_by_root(present, network), *network.circles, *_by_words(mentions)):
        together = [source for source in group if source in present]
        nx.add_path(graph, together)
    voices = [_voice(sorted(members), mentions, network) for members in nx.connected_components(graph)]
    return tuple(sorted(voices, key=lambda voice: (-voice.documents, voice.name)))


def herfindahl(sizes: Sequence[int]) -> float:
    """Return the sum of squared shares, in (0, 1]: 1 is one voice alone, 1/n is n equal voices.

    Raises:
        ValueError: no size, or one that is not positive.

    Source: Rhoades 1993, "The Herfindahl-Hirschman Index", Federal Reserve Bulletin 79.
    """
    if not sizes or min(sizes) <= 0:
        raise ValueError("a concentration needs at least one size, and every size above 0")
    total = sum(sizes)
    return float(sum((size / total) ** 2 for size in sizes))


def standing(ids: Iterable[str], network: SourceNetwork) -> float:
    """Return how near these sources are to being the most cited ones of their network, in [0, 1].

    It is the sum of their ranks over the sum of as many of the highest ranks. 0 for sources not in the
    network.
    """
    held = sorted((network.ranks[key] for key in set(ids) if key in network.ranks), reverse=True)
    best = sorted(network.ranks.values(), reverse=True)[: len(held)]
    return sum(held) / sum(best) if held else 0.0


def _roots(sources: Sequence[Source]) -> dict[str, str]:
    owners = {source.id: source.owner for source in sources}
    return {source.id: _top(source.id, owners) for source in sources}


def _top(start: str, owners: Mapping[str, str | None]) -> str:
    """Follow the owners up; bodies that own each other in a circle are named by their first id."""
    path = [start]
    while owner := owners.get(path[-1]):
        if owner in path:
            return min(path[path.index(owner) :])
        path.append(owner)
    return path[-1]


def _citations(sources: Sequence[Source]) -> list[tuple[str, str]]:
    known = {source.id for source in sources}
    return sorted(
        {(one.id, cited) for one in sources for cited in one.cites if cited in known and cited != one.id}
    )


def _ranks(sources: Sequence[Source]) -> dict[str, float]:
    import networkx as nx

    if not sources:
        return {}
    graph = nx.DiGraph()
    graph.add_nodes_from(source.id for source in sources)
    graph.add_edges_from(_citations(sources))
    return {key: round(float(rank), 6) for key, rank in nx.pagerank(graph, alpha=DAMPING).items()}


def _circles(sources: Sequence[Source]) -> tuple[tuple[str, ...], ...]:
    import networkx as nx

    graph = nx.DiGraph(_citations(sources))
    found = (tuple(sorted(part)) for part in nx.strongly_connected_components(graph) if len(part) > 1)
    return tuple(sorted(found))


def _by_root(present: set[str], network: SourceNetwork) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for source in sorted(present):
        groups.setdefault(network.roots.get(source, source), []).append(source)
    return list(groups.values())


def _by_words(mentions: Sequence[Mention]) -> list[list[str]]:
    groups: dict[str, set[str]] = {}
    for mention in mentions:
        groups.setdefault(mention.words, set()).add(mention.source)
    return [sorted(group) for group in groups.values()]


def _voice(members: list[str], mentions: Sequence[Mention], network: SourceNetwork) -> Voice:
    owners = Counter(network.roots.get(source, source) for source in members)
    name = next(iter(owners)) if len(owners) == 1 else members[0]
    texts: dict[str, str] = {}
    for mention in sorted(mentions, key=lambda one: (one.document, one.source, one.words)):
        if mention.source in members:
            texts.setdefault(mention.words, mention.document)
    return Voice(name, tuple(members), len(set(texts.values())))
