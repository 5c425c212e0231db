"""Verdicts derived again after the knowledge has changed: how many have the same bytes.

``python -m tests.benchmarks.replay`` verifies real claims (FoolMeTwice dev, ``KITE_DATASETS``; else the
demo's) in process with the shipped models and the real stores. Between blocks and afterwards knowledge of
every kind is written, replaced and removed, and feedback is given; then everything is closed, the vectors and
a view are built again from the ledger, and each verdict is replayed in another order and other batches. With
``--restored`` the home is backed up after the changes and first brought back to the moment before them. It
prints one JSON document; ``tests/contract/test_replay.py`` runs the same at a small size and asserts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from cluster.owned import local_parts
from cluster.wiring import embedder_folder
from configs.load import load_settings
from configs.schema import Settings
from data import changes
from data.backups.creation import Place, Wanted, create
from data.backups.manifest import read_catalogue
from data.backups.plan import plan
from data.backups.restoration import restore
from data.backups.sealing import PlainSealer
from data.backups.targets import FolderTarget
from data.changes import Feedback, load_segment
from data.chunks import cut, rows_of
from data.claims import DEFAULT_TENANT, ClaimContext, TenantId, make_claim
from data.clock import SystemClock
from data.knowledge import Change, Document, Fact, Pattern, Source
from data.lookup import KnowledgeReader, LocalReader
from data.parts import Parts
from data.questions import Question
from data.rows import BadRow, read_row
from data.segments import write_documents
from data.verdicts import Verdict
from deployments.replay import Replay, VerdictDesk
from deployments.verification import Verifier
from tasks.build_embedder import build
from tasks.load_demo import DEMO, load_demo, load_patterns
from tests.benchmarks.one_process import built_over

#: Claims verified between two changes of the knowledge; replays at once; documents in one bulk load.
BLOCK, AT_ONCE, SEGMENT = 25, 64, 1_000
OTHER = TenantId("another tenant")
#: How long a framework may take for a batch on a busy machine.
_PATIENCE_S = 600.0
_GOLD = {"SUPPORTS": "SUPPORTED", "REFUTES": "REFUTED"}


@dataclass(frozen=True, slots=True)
class Material:
    """Documents and (claim, gold label or ``None``) to work on."""

    documents: tuple[Document, ...]
    claims: tuple[tuple[str, str | None], ...]


@dataclass(slots=True)
class Report:
    """What came of a run; ``different`` names the parts that differ and how often."""

    verdicts: int = 0
    same: int = 0
    different: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    calibrated: int = 0
    positions: int = 0
    changes_after: int = 0
    restored_to: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    bundle: str = ""
    passages: dict[str, int] = field(default_factory=dict)

    def take(self, replay: Replay) -> None:
        """Count one replay."""
        self.verdicts += 1
        self.same += replay.reason is None
        self.labels[replay.recorded.label] += 1
        self.calibrated += replay.recorded.calibration is not None
        self.bundle = replay.present_bundle
        if replay.reason is not None:
            self.different.update(replay.differences)
            self.reasons[replay.reason] += 1


def material(datasets: Path | None, claims: int, documents: int) -> Material:
    """Return real claims with the corpus they were written from, or the demo's."""
    if datasets is None:
        told = [str(row["claim"]) for row in _rows(DEMO / "claims.jsonl")]
        return Material((), tuple((one, None) for one in told[:claims]))
    corpus = _rows(datasets / "fm2" / "retrieval" / "corpus.jsonl")
    read = (read_row("documents", row) for row in corpus[:documents])
    dev = _rows(datasets / "fm2" / "dev.jsonl")[:claims]
    return Material(
        tuple(one for one in read if isinstance(one, Document)),
        tuple((str(row["claim"]), _GOLD.get(str(row["label"]))) for row in dev),
    )


def run(
    settings: Settings, chosen: Material, *, more: int, restored: bool = False, say: bool = False
) -> Report:
    """Verify, change, close, build again, replay; return the report. The home must have the embedder.

    ``more`` documents, of those there are, are loaded only after the claims were verified. ``restored``: the
    verdicts are replayed in the state of the moment when the last of them was given.
    """
    report = Report()
    first = chosen.documents[: len(chosen.documents) - more]
    with _timed(report, "verify", say), local_parts(_patient(settings)) as parts:
        _load(parts, settings, first)
        load_patterns(parts.reader)
        load_demo(parts.reader)
        load_demo(parts.reader, OTHER)
        ids = asyncio.run(_verified(parts, settings, replace(chosen, documents=first), report))
    moment = _last_seq(settings)
    with _timed(report, "change", say), local_parts(_patient(settings)) as parts:
        before = parts.reader.position()
        _load(parts, settings, chosen.documents[len(first) :])
        _change_all(parts.reader, first, ids)
        report.changes_after = parts.reader.position() - before
    if restored:
        with _timed(report, "restore", say):
            _brought_back(Path(settings.home), moment)
        assert _last_seq(settings) == moment
        report.restored_to = moment
    shutil.rmtree(Path(settings.home) / "vectors", ignore_errors=True)
    with _timed(report, "open", say):
        context = local_parts(_patient(settings))
        parts = context.__enter__()
    try:
        assert isinstance(parts.reader, LocalReader)
        parts.reader._knowledge.rebuild("passages")  # type: ignore[attr-defined]
        report.passages = parts.vectors.counts()  # type: ignore[attr-defined]
        with _timed(report, "replay", say):
            asyncio.run(_replayed(parts, settings, ids, report))
    finally:
        context.__exit__(None, None, None)
    return report


def _last_seq(settings: Settings) -> int:
    path = Path(settings.home) / "ledger" / "ledger.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT max(seq) FROM entries").fetchone()[0])


def _brought_back(home: Path, moment: int) -> None:
    """Back the home up as it is, then restore it to a moment of its past."""
    with tempfile.TemporaryDirectory(prefix="kite-backup-") as target:
        place = Place(home, FolderTarget(Path(target)), PlainSealer())
        create(place, SystemClock(), wanted=Wanted("full"))
        restore(place, plan(place, read_catalogue(place.target, place.sealer), at=str(moment)))


async def _verified(
    parts: Parts, settings: Settings, chosen: Material, report: Report
) -> list[tuple[TenantId, str]]:
    verifier, _ = _built(parts, settings)
    ids: dict[tuple[TenantId, str], None] = {}
    positions: set[int] = set()
    for number, start in enumerate(range(0, len(chosen.claims), BLOCK)):
        block = chosen.claims[start : start + BLOCK]
        asked = [
            _question(claim, start + i, verifier, parts.reader.position())
            for i, (claim, _) in enumerate(block)
        ]
        verdicts = await verifier.answer(asked)
        told: list[Change] = []
        for (_, gold), verdict in zip(block, verdicts, strict=True):
            assert isinstance(verdict, Verdict), verdict
            assert not verdict.degraded, verdict.justification
            positions.add(verdict.knowledge_seq)
            ids[verdict.claim.tenant, verdict.id] = None
            if gold is not None:
                told.append(changes.put_feedback(Feedback(verdict.id, gold), verdict.claim.tenant))
        parts.reader.append([*told, *_between(number, chosen.documents)])
    report.positions = len(positions)
    return list(ids)


def _question(claim: str, number: int, verifier: Verifier, newest: int) -> Question:
    """Return a question; every seventh or so asks for something that is not the default."""
    names = tuple(sorted(verifier.breakers))
    tenant = OTHER if number % 11 == 10 else DEFAULT_TENANT
    question = Question(make_claim(claim, tenant=tenant), names)
    context = ClaimContext(speaker="A. Brown", date="2021-03-04", place="Kent")
    odd = {
        1: replace(question, alpha=0.2),
        2: replace(question, risk=0.1),
        3: replace(question, as_of=newest // 2),
        4: replace(question, frameworks=names[:3], weights=dict.fromkeys(names[:3], 0.5)),
        5: replace(question, claim=make_claim(claim, tenant=tenant, context=context)),
    }
    return odd.get(number % 17, question)


def _between(number: int, documents: Sequence[Document]) -> list[Change]:
    """Return changes of every kind; later ones replace and remove what earlier ones wrote."""
    name = f"Thing {number % 5}"
    made: list[Change] = [
        changes.put_document(Document(f"news-{number % 7}", f"{name} has {number} parts.", title=name)),
        changes.put_fact(Fact(f"fact-{number % 3}", name, "parts", str(number), value=float(number))),
        changes.put_graph(f'<urn:t:{number % 4}> <urn:p:parts> "{number}" .', f"load-{number % 4}"),
        changes.put_source(Source("agency", f"Agency {number}", owner="state", cites=("paper",))),
        changes.put_pattern(Pattern("odd", "hedge", "odd", '"some say"', f"Hedged {number}.")),
    ]
    if number % 3 == 2:
        made += [changes.delete_fact("fact-1"), changes.delete_graph("load-2")]
        made += [changes.delete_document("news-2"), changes.delete_pattern("odd")]
    if documents:
        gone = documents[(7 * number) % len(documents)]
        other = documents[(7 * number + 3) % len(documents)]
        made += [changes.delete_document(gone.id)]
        made += [changes.put_document(replace(other, text=f"{other.text} It was revised."))]
    return made


def _change_all(
    reader: KnowledgeReader, documents: Sequence[Document], ids: Sequence[tuple[TenantId, str]]
) -> None:
    """Remove a third of the documents, replace a third, and say something new of every verdict."""
    cut_off = [changes.delete_document(one.id) for one in documents[::3]]
    revised = [changes.put_document(replace(one, text=one.text[::-1])) for one in documents[1::30]]
    said = [changes.put_feedback(Feedback(one, "NOT_ENOUGH_INFO"), tenant) for tenant, one in ids]
    after = [change for number in range(50, 60) for change in _between(number, ())]
    for name in ("agency", "state"):
        after.append(changes.delete_source(name))
    for group in (cut_off, revised, said, after):
        for start in range(0, len(group), SEGMENT):
            reader.append(group[start : start + SEGMENT])


async def _replayed(
    parts: Parts, settings: Settings, ids: Sequence[tuple[TenantId, str]], report: Report
) -> None:
    _, desk = _built(parts, settings)
    shuffled = list(ids)
    random.Random(7).shuffle(shuffled)
    for start in range(0, len(shuffled), AT_ONCE):
        some = shuffled[start : start + AT_ONCE]
        for replayed in await asyncio.gather(*(desk.replay(tenant, one) for tenant, one in some)):
            report.take(replayed)


def _built(parts: Parts, settings: Settings) -> tuple[Verifier, VerdictDesk]:
    built = built_over(parts, _patient(settings))
    assert built.desk is not None
    return built.verifier, built.desk


def _load(parts: Parts, settings: Settings, documents: Sequence[Document]) -> None:
    identity = str(getattr(parts.embedder, "identity", ""))
    for start in range(0, len(documents), SEGMENT):
        block = documents[start : start + SEGMENT]
        ref = write_documents(Path(settings.home), block, embed=parts.embedder.embed, embedder=identity)
        parts.reader.append([load_segment(ref)])


def _patient(settings: Settings) -> Settings:
    """Return settings under which a framework on a busy machine is waited for; no verdict depends on it."""
    serving = msgspec.structs.replace(settings.serving, framework_timeout_s=_PATIENCE_S)
    return msgspec.structs.replace(settings, serving=serving)


@contextmanager
def _timed(report: Report, name: str, say: bool) -> Iterator[None]:
    started = time.perf_counter()
    yield
    report.seconds[name] = round(time.perf_counter() - started, 1)
    if say:
        print(f"{name}: {report.seconds[name]} s", file=sys.stderr, flush=True)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [row for chunk in cut(path) for row in rows_of(chunk) if not isinstance(row, BadRow)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 when a verdict is not the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.replay", description=__doc__)
    parser.add_argument("--verdicts", type=int, default=1_000)
    parser.add_argument("--documents", type=int, default=6_000, help="documents of the corpus")
    parser.add_argument("--later", type=int, default=1_000, help="those of them loaded after the claims")
    parser.add_argument("--restored", action="store_true", help="replay after a restore to that moment")
    parser.add_argument("--embedder", type=Path, help="a folder that has the embedder built already")
    parser.add_argument("--models", type=Path, help="trained models in place of the shipped ones")
    options = parser.parse_args(arguments)
    named = os.environ.get("KITE_DATASETS")
    chosen = material(Path(named) if named else None, options.verdicts, options.documents)
    with tempfile.TemporaryDirectory(prefix="kite-replay-") as folder:
        models = [f"models.folder={options.models}"] if options.models else []
        settings = load_settings(environment="testing", overrides=[f"home={folder}", *models])
        prepare(settings, options.embedder)
        more = min(options.later, len(chosen.documents))
        report = run(settings, chosen, more=more, restored=options.restored, say=True)
    shown = msgspec.to_builtins(report)
    shown["different_verdicts"] = report.verdicts - report.same
    shown["replays_per_s"] = round(report.verdicts / max(report.seconds["replay"], 0.1), 1)
    print(json.dumps(shown, indent=2))
    return int(report.same != report.verdicts)


def prepare(settings: Settings, embedder: Path | None = None) -> None:
    """Build the embedder in the home, or link the one that is built.

    Raises:
        ConfigError: its weights are not installed.
    """
    folder = embedder_folder(settings)
    if embedder is None:
        build(folder)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(embedder.resolve(), target_is_directory=True)


if __name__ == "__main__":
    sys.exit(main())
