"""``kite search``: what is known about a text, and what a vector dataset holds that is like it.

Without ``--dataset`` it shows the evidence that ``kite verify`` would weigh for the text, best first, and
records nothing; that asks the running installation of this home. Datasets are asked over HTTP.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from configs.schema import Settings
from data.claims import DEFAULT_TENANT
from data.errors import InvalidValueError
from tasks.commands.reach import add_service_arguments, client_for
from tasks.commands.told import Rows, Told
from tasks.session import connect

if TYPE_CHECKING:
    from data.evidence import Evidence

#: Characters of a text that are shown in a table.
SHOWN_CHARS = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite search`` takes."""
    parser.add_argument("text", help="words to look for")
    parser.add_argument("--dataset", metavar="ID", help="search this vector dataset and not the knowledge")
    parser.add_argument("--mode", choices=("bm25", "semantic"), help="how a dataset is searched")
    parser.add_argument(
        "--filters", metavar="EXPRESSION", help="of a dataset: \"year > 2020 AND kind = 'a'\""
    )
    parser.add_argument("--limit", type=int, default=10, help="most that is shown (10)")
    parser.add_argument("--tenant", default=DEFAULT_TENANT, help="whose knowledge")
    add_service_arguments(parser)


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Find passages, facts and statements about a text, or texts like it in a dataset."""
    if options.dataset is None and options.url:
        raise InvalidValueError("search: knowledge is searched in the installation of this home: no --url.")
    if options.dataset is None:
        return Told(known(settings, options), _show_known)
    wanted = {"top_k": options.limit, "include_content": True}
    if options.filters:
        wanted["filters"] = options.filters
    with client_for(settings, options) as client:
        found = client.search_text(options.dataset, options.text, mode=options.mode, **wanted)
    return Told(found, _show_found)


def known(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the evidence that is known about a text, best first.

    Raises:
        InvalidValueError: the text is none that can be searched for. UnavailableError: nothing is running.
    """
    from cluster.remote import RemoteModels, RemoteReader, RemoteVectors
    from data.claims import make_claim, tenant_id
    from data.questions import Question
    from deployments.retrieval import RetrievalConfig, Retriever

    question = Question(make_claim(options.text, tenant=tenant_id(options.tenant)), ())
    chosen = settings.retrieval
    config = RetrievalConfig(
        passages=options.limit,
        candidates=max(options.limit * 2, chosen.candidates),
        facts=min(options.limit, chosen.facts),
        statements=min(options.limit, chosen.statements),
        lexical_weight=chosen.lexical_weight,
        min_dense=chosen.min_dense,
    )
    with connect(settings):
        reader, models = RemoteReader(), RemoteModels()
        retriever = Retriever(
            reader, analyser=models, embedder=models, vectors=RemoteVectors(), model_bundle="", config=config
        )
        batch = retriever.gather([question], reader.position())
    return [_evidence(one, rank) for rank, one in enumerate(batch.evidence[0][: options.limit], 1)]


def _evidence(item: Evidence, rank: int) -> dict[str, Any]:
    return {
        "rank": rank,
        "id": item.id,
        "document_id": item.document_id,
        "kind": item.kind,
        "text": item.text,
        "span": {"start": item.span.start, "end": item.span.end},
        "title": item.title,
        "url": item.url,
        "source": item.source,
        "published_at": item.published_at,
        "scores": {"bm25": item.scores.bm25, "dense": item.scores.dense, "fused": item.scores.fused},
    }


def _show_known(found: Any) -> Rows:
    rows = [
        (
            one["rank"],
            one["kind"],
            f"{one['scores']['fused']:.3f}",
            one["title"] or one["document_id"],
            one["text"][:SHOWN_CHARS],
        )
        for one in found
    ]
    return Rows(("rank", "kind", "score", "from", "text"), rows, "Nothing is known about this.")


def _show_found(found: Any) -> Rows:
    rows = [
        (
            one["rank"],
            f"{one['score']:.3f}",
            one["vector"]["id"],
            one["vector"]["document_id"],
            (one["vector"]["content"] or "")[:SHOWN_CHARS],
        )
        for one in found["results"]
    ]
    return Rows(("rank", "score", "id", "document", "text"), rows, "Nothing is like this.")
