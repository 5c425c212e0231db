"""Names by which processes of one cluster find one another."""

from __future__ import annotations

#: Ray namespace of the shared actors.
NAMESPACE = "kite"
KEEPER = "keeper"
MODELS = "models"
PASSAGE_INDEX = "index/passages"
VECTORS = "vectors"


def vectors_actor(number: int) -> str:
    """Return the name of an actor that holds vector datasets; they count from 0."""
    return f"{VECTORS}-{number}"
