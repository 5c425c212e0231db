"""Labelled claims as a verifier meets them: with evidence that retrieval finds, gold or not, and false twins.

Called by ``tasks.train_aggregator``. Every claim of a split is shown with its gold evidence among what a
search of the pool brings up, or with the gold taken away, or (VitaminC) with both versions of it; supported
claims are also altered and shown beside the evidence of the original, which then refutes them. Deterministic:
every choice comes from a hash of the texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data.analysis import Span
from data.evidence import Evidence, RetrievalScores
from data.ports import Embedder
from tasks.counterfactuals import change_month, change_number, names_in, negate, swap_name
from tasks.labelled import STANCE_OF, LabelledClaim, LabelledPair, read_claims, read_rows, share_of
from tasks.pooled_evidence import PooledEvidence

#: Sets whose claims are shown; their dev splits teach, their test splits measure.
SETS = ("vitaminc", "fever_dev", "fm2", "scifact")
#: Sets of other domains, with disputed claims; their licences allow measuring only.
OUTSIDE_SETS = ("climate_fever", "averitec", "healthver")
#: Column of CONFLICTING in ``VERDICT_LABELS``.
CONFLICTING = 3
#: How often (per cent) a decided claim loses its evidence, by set: few where undecided claims abound.
REMOVED_SHARE = {"vitaminc": 15, "fever_dev": 15, "fm2": 35, "scifact": 20}
#: How often (per cent) a VitaminC claim that has them is shown with both versions of its evidence.
BOTH_VERSIONS_SHARE = 25
#: How often (per cent) a supported claim is also shown altered.
ALTERED_SHARE = 20
#: How often (per cent) evidence comes without retrieval scores, as evidence given by a caller does.
UNSCORED_SHARE = 25
MOST_ITEMS = 8
#: Most gold passages of one side shown together.
MOST_ALIKE = 3
#: Sets whose passages of one page are versions of each other: others of the page may decide the claim too.
_VERSIONED = ("vitaminc", "fever_dev")


@dataclass(frozen=True, slots=True)
class Shown:
    """A claim with the evidence it is shown with; ``label`` is a column of ``VERDICT_LABELS``.

    Claims of one ``page`` never stand on both sides of a division. ``way`` says how it is shown: gold,
    removed, both, altered; outside sets: given, disputed.
    """

    text: str
    label: int
    page: str
    items: tuple[Evidence, ...]
    source: str
    way: str


def shown_claims(datasets: Path, split: str, embedder: Embedder, *, unseen_share: int = 0) -> Iterator[Shown]:
    """Yield the claims of all ``SETS``, set by set.

    ``unseen_share`` leaves out the FM2 pages (per cent) that the stance model has learned from.
    """
    for name in SETS:
        claims, pool = read_claims(datasets, name, split)
        yield from shown_of(name, claims, PooledEvidence(pool, embedder), unseen_share=unseen_share)


def shown_of(
    name: str, claims: Sequence[LabelledClaim], found: PooledEvidence, *, unseen_share: int = 0
) -> Iterator[Shown]:
    """Yield each claim of one set once, in the way that its hash chooses, and some altered."""
    versions: dict[str, list[LabelledClaim]] = {}
    for claim in claims:
        versions.setdefault(claim.text, []).append(claim)
    names = names_in([LabelledPair(claim.text, "", claim.label, name) for claim in claims])
    for claim in claims:
        if name == "fm2" and share_of(_page(claim, found)) < unseen_share:
            continue
        yield from _nonempty(_shown(name, claim, versions[claim.text], found))
        if claim.label == 0 and claim.gold and share_of("altered" + claim.id) < ALTERED_SHARE:
            yield from _nonempty(_altered(name, claim, names, found))


def outside_claims(datasets: Path) -> Iterator[Shown]:
    """Yield claims of ``OUTSIDE_SETS`` with the evidence their sets give: dev splits, and all disputed ones.

    They measure only: nothing shipped may learn from them.
    """
    for name in OUTSIDE_SETS:
        for part in ("dev", "dev_disputed", "train_disputed"):
            for row in read_rows(datasets, f"{name}/{part}.jsonl"):
                label = STANCE_OF.get(row["label"], CONFLICTING)
                items = tuple(_given(item) for item in row["evidence"][:MOST_ITEMS] if item["text"].strip())
                if items:
                    way = "disputed" if label == CONFLICTING else "given"
                    yield Shown(row["claim"], label, row["claim"], items, name, way)


def _given(item: dict[str, Any]) -> Evidence:
    text = item["text"]
    title = item.get("title") or ""
    return Evidence(item["id"], item["id"], text, Span(0, len(text)), title=title)


def _nonempty(shown: Shown | None) -> Iterator[Shown]:
    if shown is not None and shown.items:
        yield shown


def _page(claim: LabelledClaim, found: PooledEvidence) -> str:
    named = claim.gold or claim.beside
    return (found.title(named[0]) if named else "") or claim.text


def _shown(
    name: str, claim: LabelledClaim, versions: Sequence[LabelledClaim], found: PooledEvidence
) -> Shown | None:
    """Return the claim with its evidence, without it, or with both versions of it."""
    draw = share_of("shown" + claim.id)
    # All that say the same of it are shown together: two relevant passages alone are no sign of a conflict.
    alike = tuple(dict.fromkeys(each for one in versions if one.label == claim.label for each in one.gold))
    label, gold, way = claim.label, (claim.gold and alike[:MOST_ALIKE]) or claim.beside, "gold"
    both = tuple(dict.fromkeys(each for version in versions for each in version.gold))
    if name == "vitaminc" and {0, 1} <= {each.label for each in versions} and draw < BOTH_VERSIONS_SHARE:
        label, gold, way = CONFLICTING, both, "both"
    elif claim.gold and draw >= 100 - REMOVED_SHARE[name]:
        label, gold, way = 2, (), "removed"
    items = _evidence(name, claim, claim.text, gold=gold, avoid={*both, *claim.gold}, found=found)
    return Shown(claim.text, label, _page(claim, found), items, name, way)


def _altered(name: str, claim: LabelledClaim, names: Sequence[str], found: PooledEvidence) -> Shown | None:
    """Return a supported claim made false by one change, beside the evidence of the original."""
    passage = " ".join(found.text(each) for each in claim.gold)
    changes = (
        negate(claim.text),
        change_number(claim.text, passage) or change_month(claim.text, passage),
        swap_name(claim.text, passage, names),
    )
    made = [change for change in changes if change is not None]
    if not made:
        return None
    text = made[share_of("change" + claim.id, len(made))]
    items = _evidence(name, claim, text, gold=claim.gold, avoid=set(claim.gold), found=found)
    return Shown(text, 1, _page(claim, found), items, name, "altered")


def _evidence(
    name: str,
    claim: LabelledClaim,
    text: str,
    *,
    gold: Sequence[str],
    avoid: set[str],
    found: PooledEvidence,
) -> tuple[Evidence, ...]:
    """Return the gold items and what retrieval adds for ``text``, at most ``MOST_ITEMS``, some unscored.

    Near misses (other passages of the page, or what the set puts beside the claim) stay where they cannot
    decide it.
    """
    page = _page(claim, found) if name in _VERSIONED else ""
    extra = share_of("extra" + claim.id, MOST_ITEMS + 1)
    others = [
        item
        for item in found.find(text, MOST_ITEMS)
        if item.id not in avoid and item.id not in gold and not (page and item.title == page)
    ]
    items = [*(found.get(each, text) for each in gold), *others[: max(extra, 0 if gold else 1)]]
    if share_of("unscored" + claim.id) < UNSCORED_SHARE:
        items = [replace(item, scores=RetrievalScores()) for item in items]
    return tuple(items[:MOST_ITEMS])
