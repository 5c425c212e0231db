"""Names by which processes of one cluster find one another."""

from __future__ import annotations

#: Ray namespace of the shared actors.
NAMESPACE = "kite"
KEEPER = "keeper"
MODELS = "models"
PASSAGE_INDEX = "index/passages"
