"""Backups of a home: ``python -m tasks.backup create|list|verify|restore|prune|delete|stream``.

Each command prints one JSON report, and exits with 1 and one clear line when it cannot do what was asked.
Nothing has to be running: a backup is taken beside the keeper. ``--ray`` spreads the work on files over the
running cluster; ``restore --into-running`` writes through its keeper.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from cluster import head as ray_head
from cluster.head import home_of
from cluster.remote import RemoteReader
from configs.schema import Settings
from data.backups.creation import Created, Place, Wanted, create
from data.backups.manifest import KINDS, Manifest, read_catalogue
from data.backups.marks import CHECK, DRILL
from data.backups.merging import STORES, Merge, merge
from data.backups.plan import Plan, plan
from data.backups.recovery import Recovered, recover
from data.backups.restoration import Scope, restore
from data.backups.retention import Policy, delete_backup, prune
from data.backups.schedule import due
from data.backups.sealing import KEY_FILE_VARIABLE, sealer_from
from data.backups.stream import Follower, stream_lock
from data.backups.targets import open_target
from data.backups.verification import check_stream, verify_backup
from data.backups.worker import Runner, Worker
from data.claims import TenantId
from data.clock import SystemClock
from data.errors import InvalidValueError, KiteError, NotFoundError, UnavailableError
from tasks.backup_marks import Teller
from tasks.session import add_settings_arguments, connect, settings_from

#: Environment variables: where backups go, and the URL of an S3-compatible server.
TARGET_VARIABLE, ENDPOINT_VARIABLE = "KITE_BACKUP_TARGET", "KITE_BACKUP_ENDPOINT"
#: Seconds between two steps of the stream.
EVERY_S = 2.0

Command = Callable[[Settings, argparse.Namespace], Any]


@dataclass(frozen=True, slots=True)
class NotDue:
    """The schedule did not ask for a backup yet; ``last`` is when the newest of its kind was taken."""

    due: bool
    last: str


def create_command(settings: Settings, options: argparse.Namespace) -> dict[str, Any] | NotDue:
    """Take a backup."""
    place, teller = place_of(settings, options), Teller(settings)
    last = _last(place, options.kind) if options.schedule else None
    if last and not due(options.schedule, datetime.now(UTC), datetime.fromisoformat(last)):
        return NotDue(due=False, last=last)
    wanted = Wanted(options.kind, options.name, options.views)
    with _runner(settings, options, place) as runner:
        created = create(place, SystemClock(), wanted=wanted, runner=runner)
    told = _told(created)
    teller.tell(created.manifest.kind, size_bytes=told["size_bytes"], seq=told["head_seq"])
    return told


def list_command(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """List the backups, oldest first."""
    place = place_of(settings, options)
    catalogue = read_catalogue(place.target, place.sealer)
    return {
        "backups": [_summary(manifest) for manifest in catalogue.backups],
        "damaged": [asdict(one) for one in catalogue.damaged],
    }


def verify_command(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Read every byte of a backup (of all without an id) and of what was streamed."""
    place, teller = place_of(settings, options), Teller(settings)
    catalogue = read_catalogue(place.target, place.sealer)
    known = [one.id for one in catalogue.backups] + [one.id for one in catalogue.damaged]
    ids = [options.id] if options.id else known
    if not ids:
        raise NotFoundError("The target holds no backup: create one first.")
    with _runner(settings, options, place) as runner:
        done = [verify_backup(catalogue, one, sealer=place.sealer, runner=runner) for one in sorted(ids)]
    faults = [] if options.id else [asdict(one) for one in check_stream(place, catalogue)]
    whole = not faults and not any(one.faults for one in done)
    if not options.id:
        teller.tell(CHECK, faults=len(faults) + sum(len(one.faults) for one in done))
    return {"whole": whole, "backups": [asdict(one) for one in done], "stream_faults": faults}


def restore_command(settings: Settings, options: argparse.Namespace) -> Any:
    """Bring a home back from a backup, or what is missing into the running system."""
    place, teller = place_of(settings, options), Teller(settings)
    chosen = _plan(place, options)
    tenant = TenantId(options.tenant) if options.tenant else None
    stores = frozenset(options.stores) if options.stores else None
    if options.into_running:
        wanted = Merge(tenant, stores, options.exact)
        with connect(settings):
            return merge(place, chosen, RemoteReader(), wanted=wanted, dry_run=options.dry_run)
    if stores or options.exact:
        raise InvalidValueError(
            "--store and --exact go with --into-running: a home is brought back as a whole."
        )
    if not options.dry_run:
        require_stopped(settings)
    with _runner(settings, options, place) as runner:
        restored = restore(place, chosen, scope=Scope(tenant, options.dry_run), runner=runner)
    if options.dry_run and tenant is None:
        teller.tell(DRILL)
    return restored


def prune_command(settings: Settings, options: argparse.Namespace) -> Any:
    """Remove the backups that the retention lets go."""
    policy = Policy(options.last, options.daily, options.weekly, options.monthly)
    return prune(place_of(settings, options), policy, dry_run=options.dry_run)


def delete_command(settings: Settings, options: argparse.Namespace) -> Any:
    """Remove one backup that no other builds on."""
    return delete_backup(place_of(settings, options), options.id, dry_run=options.dry_run)


def stream_command(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Copy what is new every few seconds, until Ctrl-C; an unreachable target is tried again."""
    place = place_of(settings, options)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with stream_lock(place.home):
        return _stream(place, options.every, stopped, Teller(settings).streamed)


def recover_command(settings: Settings, options: argparse.Namespace) -> Recovered:
    """Bring this home back from the newest good backup and the rows streamed after it; verify and report."""
    require_stopped(settings)
    return recover(place_of(settings, options))


def place_of(settings: Settings, options: argparse.Namespace) -> Place:
    """Return the home, the target and the sealer that a command's arguments and the environment name.

    Raises:
        InvalidValueError: no target is named, or the key cannot be read.
    """
    address = options.target or os.environ.get(TARGET_VARIABLE)
    if not address:
        raise InvalidValueError(f"Say where the backups are: --target FOLDER or URI, or {TARGET_VARIABLE}.")
    target = open_target(address, endpoint=options.endpoint or os.environ.get(ENDPOINT_VARIABLE))
    return Place(home_of(settings), target, sealer_from(os.environ, key_file=options.key_file))


def require_stopped(settings: Settings) -> None:
    """Raise ``UnavailableError`` while this home's cluster runs."""
    if ray_head.running(settings) is not None:
        raise UnavailableError(f"Kite is running for {settings.home}: stop it with `kite down`, then repeat.")


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--target``, ``--endpoint``, ``--key-file`` and the settings to a command."""
    parser.add_argument(
        "--target", metavar="FOLDER|URI", help=f"where the backups are (or {TARGET_VARIABLE})"
    )
    parser.add_argument(
        "--endpoint", metavar="URL", help="an S3-compatible server, http://127.0.0.1:9000 say"
    )
    parser.add_argument("--key-file", type=Path, help=f"the encryption key (or {KEY_FILE_VARIABLE})")
    add_settings_arguments(parser)


def add_create_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a backup can be asked for."""
    parser.add_argument("--kind", choices=KINDS, default="full")
    parser.add_argument("--name", help="what a snapshot is taken before")
    parser.add_argument("--views", action="store_true", help="copy the views that take long to rebuild")
    parser.add_argument(
        "--schedule", metavar="CRON", help="only if due since the last one, '0 3 * * *' say (UTC)"
    )
    _add_ray(parser)


def add_restore_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a restore can be asked for."""
    parser.add_argument("id", nargs="?", help="a backup; the newest, or the first that reaches --at")
    parser.add_argument("--at", help="a ledger position, an ISO day (its end) or instant, UTC")
    parser.add_argument("--latest", action="store_true", help="add what was streamed after the backup")
    parser.add_argument("--tenant", help="only this tenant's")
    parser.add_argument(
        "--into-running", action="store_true", help="write what is missing through the keeper"
    )
    parser.add_argument("--store", action="append", dest="stores", choices=STORES, help="only this store")
    parser.add_argument("--exact", action="store_true", help="also undo changes and additions made since")
    parser.add_argument("--dry-run", action="store_true", help="read and check everything, change nothing")
    _add_ray(parser)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; print one JSON report; exit 1 with one line when it cannot be done."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        report = command(settings_from(options), options)
    except KiteError as exc:
        print(f"backup: {exc}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return 1
    print(msgspec.json.encode(report).decode())  # noqa: T201 - the report of a command
    return exit_code(report)


def exit_code(report: Any) -> int:
    """Return 1 for a verification that found a fault."""
    return 1 if isinstance(report, Mapping) and report.get("whole") is False else 0


def _plan(place: Place, options: argparse.Namespace) -> Plan:
    catalogue = read_catalogue(place.target, place.sealer)
    return plan(place, catalogue, backup_id=options.id, at=options.at, latest=options.latest)


def _last(place: Place, kind: str) -> str | None:
    taken = [one.created_at for one in read_catalogue(place.target, place.sealer).backups if one.kind == kind]
    return max(taken, default=None)


def _told(created: Created) -> dict[str, Any]:
    return {**_summary(created.manifest), "instead": created.instead, "written_bytes": created.written_bytes}


def _summary(manifest: Manifest) -> dict[str, Any]:
    shown = ("id", "kind", "name", "created_at", "software", "lineage", "key_id", "rows")
    return {
        **{name: getattr(manifest, name) for name in shown},
        "after_seq": manifest.after.seq,
        "head_seq": manifest.head.seq,
        "head_sha256": manifest.head.sha256,
        "parent": manifest.parent.id if manifest.parent else None,
        "files": len(manifest.files),
        "size_bytes": sum(file.size for file in manifest.files),
    }


def _stream(
    place: Place, every_s: float, stopped: threading.Event, tell: Callable[[int], None]
) -> dict[str, Any]:
    follower = Follower(place)
    total = {"seq": 0, "rows": 0, "pieces": 0, "written_bytes": 0}
    try:
        while not stopped.is_set():
            try:
                done = follower.step()
            except UnavailableError as exc:
                print(f"stream: {exc}", file=sys.stderr)  # noqa: T201 - what an operator must see
            else:
                total = {key: value + total[key] for key, value in asdict(done).items()} | {"seq": done.seq}
                tell(done.seq)
            stopped.wait(every_s)
    finally:
        follower.close()
    return total


@contextmanager
def _runner(settings: Settings, options: argparse.Namespace, place: Place) -> Iterator[Runner]:
    if not options.ray:
        yield Worker(place.home, place.target, place.sealer)
        return
    from tasks.backup_runner import RayRunner

    with connect(settings):
        yield RayRunner(
            str(place.home),
            options.target or os.environ[TARGET_VARIABLE],
            endpoint=options.endpoint or os.environ.get(ENDPOINT_VARIABLE),
            key_file=_key_file(options, place),
        )


def _key_file(options: argparse.Namespace, place: Place) -> str | None:
    """Return the file in which a task of the cluster finds the key: it is never sent to one."""
    if place.sealer.key_id is None:
        return None
    path = options.key_file or os.environ.get(KEY_FILE_VARIABLE)
    if path is None:
        raise InvalidValueError(
            f"With --ray the key must be in a file: give --key-file or {KEY_FILE_VARIABLE}."
        )
    return str(Path(path).expanduser().resolve())


def _add_ray(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ray", action="store_true", help="work on the files in the running cluster")


def _add_prune_arguments(parser: argparse.ArgumentParser) -> None:
    for name, number in asdict(Policy()).items():
        parser.add_argument(f"--{name}", type=int, default=number, help=f"how many stay ({number})")
    parser.add_argument("--dry-run", action="store_true", help="say what would go")


def _add_delete_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id")
    parser.add_argument("--dry-run", action="store_true", help="say what would go")


def _add_verify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", help="a backup; all of them, and the stream, if left out")
    _add_ray(parser)


def _add_stream_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--every", type=float, default=EVERY_S, metavar="SECONDS")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.backup", description="Backups of a home.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    table: list[tuple[str, Command, Callable[[argparse.ArgumentParser], None] | None]] = [
        ("create", create_command, add_create_arguments),
        ("list", list_command, None),
        ("verify", verify_command, _add_verify_arguments),
        ("restore", restore_command, add_restore_arguments),
        ("prune", prune_command, _add_prune_arguments),
        ("delete", delete_command, _add_delete_arguments),
        ("stream", stream_command, _add_stream_arguments),
    ]
    for name, command, add_arguments in table:
        sub = commands.add_parser(name, help=(command.__doc__ or "").strip().split("\n")[0])
        sub.set_defaults(command=command)
        if add_arguments is not None:
            add_arguments(sub)
        add_place_arguments(sub)
    return parser


if __name__ == "__main__":
    sys.exit(main())
