"""The parts of one installation as ports: what frameworks, retrieval and the API are built from.

Filled by the composition root (``cluster.wiring``): with objects of this process, or with links to shared
actors.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.datasets.ports import VectorDatasets
from data.lookup import KnowledgeReader
from data.models.conformal import ConformalLabels
from data.ports import Clock, Embedder, KeyValueStore, Scorer, StanceModel, TextAnalyser, VectorIndex
from data.standing import BoardReader
from data.verdicts import Probabilities, VerdictLabel


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that is shared. A framework's ``needs`` are names of these fields.

    ``prediction_set`` gives the labels that cannot be ruled out at a level (``data.models.conformal``);
    ``conformal`` is what it is made from, and without it no tenant is recalibrated. ``reliability`` is the
    aggregator's record of held-out answers (``data.models.reliability``), ``None`` where it has none.
    ``syntax_folder`` is where the syntax pipeline lies; frameworks that may use it open it where they run.
    ``datasets`` are the vector datasets, ``None`` where an installation keeps none. ``board`` tells where the
    knowledge stands without asking the reader, ``None`` where nothing does. ``copies`` raises when a copy of
    the vector datasets does not answer; ``None`` where there are none.
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
    conformal: ConformalLabels | None = None
    reliability: Mapping[str, Any] | None = None
    syntax_folder: Path | None = None
    datasets: VectorDatasets | None = None
    board: BoardReader | None = None
    copies: Callable[[], None] | None = None

    def edition(self) -> Hashable | None:
        """Return what is other after every write but verdicts, ``None`` where only the reader can say."""
        return self.board.edition() if self.board else None
