"""What the stance model learns from, chooses on and is tested on: real pairs, and pairs made from them.

Called by ``tasks.train_stance`` and by the trainers that must not learn from what it has seen. Only sets
that may be redistributed are named here (``tasks.labelled.LICENCES``). Deterministic: every choice comes
from a hash of the texts, so the same files give the same pairs in the same order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data.best_sentence import without_asides
from data.text.framing import unframed
from data.titles import titled as behind_title
from tasks.composed_pairs import conjoined, questioned
from tasks.counterfactuals import altered, restated
from tasks.labelled import STANCE_OF, LabelledPair, file_record, read_pairs, read_rows, share_of
from tasks.scientific_pairs import abstract_pairs

#: Sets whose train split is learned from, whole.
TRAIN_SETS = ("vitaminc", "fever_dev", "fever_nei", "scifact", "citation_integrity", "snli_cad")
#: FM2 has no train split here: this share (per cent) of its dev pages is learned from, the rest measures.
FM2_TRAIN_SHARE = 75
DEV_SETS = ("vitaminc", "fever_dev", "fever_nei", "scifact", "citation_integrity", "snli_cad", "fm2")
TEST_SETS = (
    "vitaminc",
    "fever_symmetric",
    "fever_dev",
    "fever_nei",
    "fm2",
    "scifact",
    "citation_integrity",
    "snli_cad",
)
#: How often a set is met in one pass: small sets that stand for a domain of their own are met more often.
REPEATS = {"scifact": 3, "scifact_rationale": 2, "fm2": 3}
#: Sets whose claims are asked as questions and joined: plain sentences of an encyclopaedia.
COMPOSED_SETS = ("vitaminc", "fever_dev", "fever_nei", "fm2")
#: Share of pages (per cent) whose supported claims are altered, and whose passages are restated.
ALTERED_SHARE, RESTATED_SHARE = 35, 25
#: Share of decided claims (per cent) that are also met beside another passage of the same page.
NEAR_SHARE = 30
#: Passages of one page that share more of their words than this may tell the same, so no label is certain.
NEAR_OVERLAP = 0.45

_WORD = re.compile(r"\w+")
#: What a label becomes when its claim is denied.
_DENIED = (1, 0, 2)


def training_pairs(datasets: Path) -> list[LabelledPair]:
    """Return the pairs of one pass: the train splits, most of FM2 dev, and what is made of them."""
    real = [pair for name in TRAIN_SETS for pair in read_pairs(datasets, name, "train")]
    real += [pair for pair in read_pairs(datasets, "fm2", "dev") if share_of(pair.title) < FM2_TRAIN_SHARE]
    made = [*scifact_rationales(datasets, "train"), *near_misses(real), *constructed(real)]
    plain = [pair for pair in real if pair.source in COMPOSED_SETS]
    made += [*abstract_pairs(datasets), *questioned(plain), *conjoined(plain)]
    return titled([pair for pair in (*real, *made) for _ in range(REPEATS.get(pair.source, 1))])


def development_pairs(datasets: Path) -> dict[str, list[LabelledPair]]:
    """Return the pairs that choose and calibrate, by set; ``constructed`` are made from the others."""
    sets = {name: read_pairs(datasets, name, "dev") for name in DEV_SETS}
    sets["fm2"] = [pair for pair in sets["fm2"] if share_of(pair.title) >= FM2_TRAIN_SHARE]
    sets["fever_symmetric"] = read_pairs(datasets, "fever_symmetric", "dev")
    some = [*sets["vitaminc"], *sets["fever_dev"], *sets["fm2"]]
    sets["near_miss"] = list(near_misses(some))
    sets["constructed"] = constructed(some)
    return {name: as_served(pairs) for name, pairs in sets.items()}


def test_pairs(datasets: Path) -> dict[str, list[LabelledPair]]:
    """Return the pairs of the test splits by set."""
    return {name: as_served(read_pairs(datasets, name, "test")) for name in TEST_SETS}


def data_files(datasets: Path) -> list[dict[str, str]]:
    """Return name, SHA-256 and licence of every file learned from or chosen on."""
    names = []
    for name in ("vitaminc", "fever_dev", "citation_integrity", "snli_cad"):
        names += [f"{name}/train.jsonl", f"{name}/dev.jsonl"]
    names += ["fever_dev/nei_nearest_train.jsonl", "fever_dev/nei_nearest_dev.jsonl"]
    names += ["fever_symmetric/dev.jsonl", "fm2/dev.jsonl"]
    names += ["scifact/pairs_train.jsonl", "scifact/pairs_dev.jsonl", "scifact/train.jsonl"]
    names += ["scifact/retrieval/corpus.jsonl"]
    return [file_record(datasets, name) for name in sorted(names)]


def constructed(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """Return the altered and restated pairs of a share of the encyclopaedic sets."""
    plain = [pair for pair in pairs if pair.source in ("vitaminc", "fever_dev", "fm2")]
    some = [pair for pair in plain if share_of("altered" + (pair.title or pair.claim)) < ALTERED_SHARE]
    others = [pair for pair in plain if share_of("restated" + (pair.title or pair.claim)) < RESTATED_SHARE]
    return [*altered(some), *restated(others)]


def scifact_rationales(datasets: Path, split: str) -> Iterator[LabelledPair]:
    """Yield decided SciFact claims beside all sentences of one abstract that decide them together."""
    for row in read_rows(datasets, f"scifact/{split}.jsonl"):
        sentences: dict[str, list[str]] = defaultdict(list)
        for item in row["evidence"]:
            if item["label"] == row["label"] != "NOT_ENOUGH_INFO":
                sentences[item["doc"]].append(item["text"])
        for parts in sentences.values():
            if len(parts) > 1:
                text = " ".join(parts)
                yield LabelledPair(row["claim"], text, STANCE_OF[row["label"]], "scifact_rationale")


def near_misses(pairs: Sequence[LabelledPair]) -> Iterator[LabelledPair]:
    """Yield decided claims beside another passage of the same page, which leaves them open."""
    pages: dict[tuple[str, str], dict[str, frozenset[str]]] = defaultdict(dict)
    for pair in pairs:
        if pair.title:
            pages[pair.source, pair.title].setdefault(
                pair.passage, frozenset(_WORD.findall(pair.passage.lower()))
            )
    for pair in pairs:
        page = pages.get((pair.source, pair.title), {})
        if pair.label == 2 or len(page) < 2 or share_of("near" + pair.claim) >= NEAR_SHARE:
            continue
        own = page[pair.passage]
        others = [text for text, words in page.items() if _overlap(words, own) < NEAR_OVERLAP]
        if others:
            text = others[share_of(pair.claim + pair.passage, len(others))]
            yield LabelledPair(pair.claim, text, 2, "near_miss", pair.title)


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, min(len(one), len(other)))


def titled(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """Put the title before half of the passages: both are learned."""
    return [
        replace(pair, passage=f"{pair.title}: {pair.passage}")
        if pair.title and pair.title not in pair.passage and share_of("titled" + pair.passage, 2)
        else pair
        for pair in pairs
    ]


def as_served(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """Return the pairs as the model meets them: denials taken off, passages behind titles, without asides."""
    return [_as_served(pair) for pair in pairs]


def _as_served(pair: LabelledPair) -> LabelledPair:
    framed = unframed(pair.claim)
    passage = behind_title(pair.title, without_asides(framed.claim, pair.title, pair.passage))
    label = _DENIED[pair.label] if framed.denied else pair.label
    return replace(pair, claim=framed.claim, passage=passage, label=label)
