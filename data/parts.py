"""The parts of one installation as ports: what frameworks, retrieval and the API are built from.

Filled by the composition root (``cluster.wiring``): with objects of this process, or with links to shared
actors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data.lookup import KnowledgeReader
from data.ports import Clock, Embedder, KeyValueStore, Scorer, StanceModel, TextAnalyser, VectorIndex
from data.verdicts import Probabilities, VerdictLabel


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that is shared. A framework's ``needs`` are names of these fields.

    ``prediction_set`` gives the labels that cannot be ruled out at a level (``data.models.conformal``).
    """

    reader: KnowledgeReader
    vectors: VectorIndex
    analyser: TextAnalyser
    embedder: Embedder
    stance: StanceModel
    scorer: Scorer
    store: KeyValueStore
    clock: Clock
    prediction_set: Callable[[Probabilities, float], tuple[VerdictLabel, ...]]
