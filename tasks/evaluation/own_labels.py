"""What a few labels of one's own are worth: a learner over what the shipped models say.

Called by ``tasks.evaluate``. A tenant with labels learns with the product's own learners
(``data.models.few_labels``) from the shipped models' answers; the sets here only measure that and train
nothing that ships. Which rows are the tenant's follows from a hash of their ids: the same at every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cluster.wiring import Models
from data.evidence import STANCES
from data.models.few_labels import FOLDS, LEARNERS, fit_few_labels
from tasks.evaluation.runs import Run, described, say
from tasks.evaluation.sets import Example, LabelledFile, read_set
from tasks.evaluation.told import Told, tell

Rows = NDArray[np.float64]

#: Figures of decisions; probabilities that were weighed for rare labels are none to believe.
_FIGURES = ("rows", "accuracy", "macro_f1", "balanced_accuracy", "auroc", "classes", "confusion", "slices")


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose labels: a set, the part of it that is answered, the split of the labels, how many there are.

    ``articles``: the evidence is a whole article, sentence by sentence. ``learner`` is one of ``LEARNERS``,
    chosen by cross-validation on the dev split; ``None`` leaves the choice to the cross-validation over the
    labels themselves. ``even``: as many of each label, where there are fewer than the split has.
    """

    set: str
    part: str
    learned: str
    counts: tuple[int, ...]
    articles: bool = False
    learner: str | None = None
    even: bool = False


TENANTS: tuple[Tenant, ...] = (
    # On dev, 349 and 60 labels: trees .759 and .729, mixed .746 and .721, blended .735 and .684.
    Tenant("wice", "wice", "dev", (349, 60), articles=True, learner="trees", even=True),
    # On dev, in parts: trees .55, mixed .53, blended .52; mixed gains most from a better stance model.
    Tenant("healthver", "healthver/pairs", "train", (300,), learner="mixed"),
)


def own_label_runs(
    folder: Path, splits: Sequence[str], models: Models, limit: int | None
) -> Iterator[tuple[str, Run]]:
    """Yield the runs of a set's tenants, by "set/n labels split".

    The split that the labels are from is answered whole, in parts, each by a learner of the others; of other
    splits ``limit`` rows are.
    """
    for tenant in TENANTS:
        if tenant.set == folder.name:
            parts = [part for split in splits if (part := _part(folder, tenant, split, limit)) is not None]
            known = _part(folder, tenant, tenant.learned, None)
            if parts and known is not None:
                yield from _tenant_runs(tenant, known, parts, models)


def chosen(examples: Sequence[Example], count: int, *, even: bool) -> list[int]:
    """Return the places of ``count`` examples by hash of their ids, as many of each label if ``even``."""
    order = sorted(range(len(examples)), key=lambda place: _digest(examples[place].id))
    if even and count < len(examples):
        labels = sorted({each.label for each in examples})
        alike = [[place for place in order if examples[place].label == label] for label in labels]
        order = [place for own in alike for place in own[: count // len(labels)]]
    return sorted(order[:count])


def learned(
    told: Told, examples: Sequence[Example], asked: Told, *, learner: str | None = None
) -> NDArray[np.float32]:
    """Return rows (m, 3) for ``asked``, from a learner of the labels of ``examples``, told of by ``told``.

    Columns are weighed by one over their label's share, so that rare labels are chosen as readily as common
    ones; on dev splits that is worth 2 to 5 points of macro-F1.
    """
    labels = np.array([each.label for each in examples], dtype=np.int64)
    kept = np.unique(labels)
    axes = told.axes()
    mine, theirs = (each.columns(kept, axes) for each in (told, asked))
    places = np.searchsorted(kept, labels)
    if learner is None:
        groups = [each.claim for each in examples]
        found = fit_few_labels(mine, places, classes=len(kept), groups=groups).predict(theirs)
    else:
        found = LEARNERS[learner](mine, places, len(kept)).predict(theirs)
    weighed = found * len(labels) / (np.bincount(places) + 1.0)
    rows = np.zeros((len(theirs), len(STANCES)), dtype=np.float32)
    rows[:, kept] = weighed / weighed.sum(axis=1, keepdims=True)
    return rows


def _tenant_runs(
    tenant: Tenant, known: LabelledFile, parts: Sequence[LabelledFile], models: Models
) -> Iterator[tuple[str, Run]]:
    own_split = any(part.split == tenant.learned for part in parts)
    most = len(known.examples) if own_split else max(tenant.counts)
    sample = [known.examples[place] for place in chosen(known.examples, most, even=False)]
    say(f"{tenant.part}: {len(sample)} rows with labels are read")
    told = tell(sample, models, articles=tenant.articles)
    for part in parts:
        asked = (
            told if part.split == tenant.learned else tell(part.examples, models, articles=tenant.articles)
        )
        for count in tenant.counts:
            name = f"{tenant.set}/{count} labels {part.split}"
            say(name)
            if part.split == tenant.learned:
                yield name, _run(crossed(tenant, count, told, sample), sample, part.skipped)
            else:
                mine = chosen(sample, count, even=tenant.even)
                own = [sample[place] for place in mine]
                rows = learned(told.at(mine), own, asked, learner=tenant.learner)
                yield name, _run(rows, part.examples, part.skipped)


def crossed(tenant: Tenant, count: int, told: Told, examples: Sequence[Example]) -> NDArray[np.float32]:
    """Return rows (n, 3) of the labelled examples, each by a learner that has not seen its claim."""
    folds = np.array([_digest(each.claim) % FOLDS for each in examples])
    rows = np.zeros((len(examples), len(STANCES)), dtype=np.float32)
    for fold in range(FOLDS):
        inside, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold).tolist()
        left = chosen([examples[place] for place in others], count, even=tenant.even)
        mine = [others[place] for place in left]
        own = [examples[place] for place in mine]
        if len(inside):
            rows[inside] = learned(told.at(mine), own, told.at(inside), learner=tenant.learner)
    return rows


def _run(rows: NDArray[np.float32], examples: Sequence[Example], skipped: int) -> Run:
    run = described(rows, examples, STANCES, skipped=skipped)
    return {name: run[name] for name in _FIGURES}


def _part(folder: Path, tenant: Tenant, split: str, limit: int | None) -> LabelledFile | None:
    parts = [each for each in read_set(folder, (split,), limit) if each.name == tenant.part]
    return parts[0] if parts else None


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
