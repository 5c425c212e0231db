"""``kite datasets``: vector datasets listed, shown, made and removed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from configs.schema import Settings
from tasks.commands.reach import add_service_arguments, client_for
from tasks.commands.told import Rows, Told, report_fields

if TYPE_CHECKING:
    from deployments.client.client import KiteClient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite datasets`` takes."""
    acts = parser.add_subparsers(required=True, dest="act", metavar="ACT")
    add_service_arguments(acts.add_parser("list", help="list datasets"))
    show = acts.add_parser("show", help="show a dataset with its figures")
    show.add_argument("id")
    create = acts.add_parser("create", help="make an empty dataset")
    create.add_argument("name")
    create.add_argument("--dimensions", type=int, default=384, help="numbers of a vector (384)")
    create.add_argument(
        "--metric", default="cosine", choices=("cosine", "euclidean", "manhattan", "dot_product")
    )
    create.add_argument("--shards", type=int, default=1, help="parts, spread over actors (1)")
    create.add_argument("--description", default="")
    delete = acts.add_parser("delete", help="remove a dataset and all that is in it")
    delete.add_argument("id")
    delete.add_argument("--yes", action="store_true", required=True, help="it cannot be brought back")
    for one in (show, create, delete):
        add_service_arguments(one)


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """List, show, make and remove vector datasets."""
    with client_for(settings, options) as client:
        return _ACTS[options.act](client, options)


def _list(client: KiteClient, options: argparse.Namespace) -> Told:
    del options
    found: list[Any] = []
    page = 1
    while some := client.datasets(page=page, page_size=100):
        found, page = found + some, page + 1
    return Told(found, _table)


def _show(client: KiteClient, options: argparse.Namespace) -> Told:
    return Told(client.dataset_stats(options.id), report_fields)


def _create(client: KiteClient, options: argparse.Namespace) -> Told:
    made = client.create_dataset(
        options.name,
        options.dimensions,
        metric_type=options.metric,
        shards=options.shards,
        description=options.description,
    )
    return Told(made, report_fields)


def _delete(client: KiteClient, options: argparse.Namespace) -> Told:
    return Told(client.delete_dataset(options.id), lambda told: str(told["message"]))


def _table(found: Any) -> Rows:
    rows = [
        (
            one["id"],
            one["name"],
            one["dimensions"],
            one["metric_type"],
            one["vector_count"],
            one["created_at"],
        )
        for one in found
    ]
    return Rows(("id", "name", "dimensions", "metric", "vectors", "made"), rows)


_ACTS: dict[str, Callable[[KiteClient, argparse.Namespace], Told]] = {
    "list": _list,
    "show": _show,
    "create": _create,
    "delete": _delete,
}
