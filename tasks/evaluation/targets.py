"""What each set asks of the product: the figure, the lexical floor, what must be reached, and the aim.

Read by the reports of ``tasks.evaluate``. Floors were measured with same-set training of lexical features
(``datasets/INDEX.md``); the other two columns are the project's own goals for its first release.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One figure of one set's test split.

    ``unseen``: nothing of the set was trained on; where the name ends in a number of labels, nothing but
    those was learned from, and none of it is shipped.
    """

    set: str
    measure: str
    floor: float | None
    must: float | None
    aim: float | None
    unseen: bool = False


TARGETS: tuple[Target, ...] = (
    Target("vitaminc", "macro_f1", 0.46, 0.66, 0.75),
    Target("fever_symmetric", "accuracy", 0.61, 0.82, 0.87),
    Target("fever_dev", "accuracy", 0.68, 0.91, 0.93),
    Target("fm2", "accuracy", 0.54, 0.70, 0.76),
    Target("scifact/pairs", "macro_f1", 0.46, 0.66, 0.76),
    Target("healthver/pairs", "macro_f1", 0.42, 0.50, 0.60, unseen=True),
    Target("healthver/300 labels", "macro_f1", None, None, 0.65),
    Target("climate_fever", "macro_f1", 0.44, 0.46, 0.55, unseen=True),
    Target("covidfact", "balanced_accuracy", 0.58, 0.62, 0.70, unseen=True),
    Target("wice", "balanced_accuracy", 0.517, 0.62, 0.66, unseen=True),
    Target("wice/60 labels", "balanced_accuracy", 0.672, 0.70, 0.72),
    Target("wice/349 labels", "balanced_accuracy", 0.707, 0.73, 0.75),
    Target("averitec", "macro_f1", 0.45, 0.42, 0.48, unseen=True),
    Target("folio", "macro_f1", 0.541, None, None, unseen=True),
    Target("negation_nli", "macro_f1", None, None, None, unseen=True),
    Target("conj_nli", "macro_f1", None, None, None, unseen=True),
    Target("breaking_nli", "macro_f1", None, None, None, unseen=True),
    Target("scifact/beir", "ndcg_10", 0.665, 0.70, 0.74),
    Target("scifact/open", "macro_f1", None, 0.52, 0.62),
    Target("claimbuster", "f1_positive", 0.872, 0.88, 0.90),
    Target("ud_ewt", "uas", None, 0.86, 0.90),
    Target("ud_ewt", "las", None, 0.82, 0.87),
    Target("ud_ewt", "upos", None, 0.93, 0.95),
)
