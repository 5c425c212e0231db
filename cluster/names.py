"""Names by which processes of one cluster find one another, and the node with the home."""

from __future__ import annotations

from configs.schema import Settings

#: Ray namespace of the shared actors.
NAMESPACE = "kite"
KEEPER = "keeper"
MODELS = "models"
PASSAGE_INDEX = "index/passages"
VECTORS = "vectors"
#: What each takes of the resource that marks the node with the home: it says where, not how many.
HOME_SHARE = 0.001


def vectors_actor(number: int) -> str:
    """Return the name of an actor that holds vector datasets; they count from 0."""
    return f"{VECTORS}-{number}"


def vectors_copy(number: int) -> str:
    """Return the name of a copy of the vector datasets; they count from 0."""
    return f"{VECTORS}/copy-{number}"


def at_home(settings: Settings) -> dict[str, float]:
    """Return the resources that bind to the node with the home; none where every node is that node."""
    return {settings.ray.home_resource: HOME_SHARE} if settings.ray.home_resource else {}


def for_copies(settings: Settings) -> dict[str, float]:
    """Return the resources that bind a copy to a node for copies: all that such a node has, so one each."""
    return {settings.ray.copy_resource: 1}
