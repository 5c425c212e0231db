"""``kite verify``: one claim, the lines of a file or a pipe, or the claims of a text."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.schema import Settings
from data.errors import InvalidValueError
from tasks.commands.claim_lines import answers, batches, is_rejected
from tasks.commands.reach import add_service_arguments, client_for
from tasks.commands.told import FINE, PARTLY, Told

if TYPE_CHECKING:
    from deployments.client.client import KiteClient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite verify`` takes."""
    parser.add_argument("claim", nargs="?", help="the claim; without one, lines of standard input")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--file", type=Path, metavar="FILE", help="claims, one a line (text or JSON); - for a pipe"
    )
    what.add_argument("--text", type=Path, metavar="FILE", help="an article: its claims are found first")
    parser.add_argument("--jsonl", action="store_true", help="print one JSON answer a line, as each is there")
    parser.add_argument("--limit", type=int, help="most claims of a --text")
    parser.add_argument("--frameworks", metavar="NAMES", help="only these, as empirical,consistency")
    parser.add_argument("--alpha", type=float, help="level of the prediction set, 0.1 say")
    parser.add_argument(
        "--as-of", metavar="WHEN", help="with the knowledge of then: a day, instant or position"
    )
    parser.add_argument(
        "--context",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="speaker, date, place, domain, source_url; may be repeated",
    )
    add_service_arguments(parser)


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Verify a claim, the claims of a file or pipe as they come, or those of a text."""
    asked = request_options(options)
    if options.claim is not None and (options.file or options.text):
        raise InvalidValueError("verify: give a claim, --file or --text, and only one of them.")
    if options.text is not None:
        text = _text_of(options.text)
        with client_for(settings, options) as client:
            return Told(client.verify_text(text, limit=options.limit, **asked), _show_text)
    if options.claim is not None:
        with client_for(settings, options) as client:
            answer = client.verify(options.claim, **asked)
        return Told(iter([answer]) if options.jsonl else answer, _show_one, is_stream=options.jsonl)
    return _stream(client_for(settings, options), options, asked)


def request_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what goes with every claim.

    Raises:
        InvalidValueError: a ``--context`` is not as KEY=VALUE.
    """
    asked: dict[str, Any] = {}
    if options.frameworks:
        asked["frameworks"] = [name.strip() for name in options.frameworks.split(",")]
    if options.alpha is not None:
        asked["alpha"] = options.alpha
    if options.as_of is not None:
        asked["as_of"] = int(options.as_of) if options.as_of.isdigit() else options.as_of
    context = dict(_pair(one) for one in options.context)
    return {**asked, "context": context} if context else asked


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise InvalidValueError(f"--context: {text!r} is not as speaker=NAME.")
    return key, value


def _stream(client: KiteClient, options: argparse.Namespace, asked: dict[str, Any]) -> Told:
    rejected = [0]

    def answered() -> Iterator[Any]:
        with client, opened(options.file) as descriptor:
            for answer in answers(batches(descriptor), client.verify_batch, asked):
                rejected[0] += is_rejected(answer)
                yield answer

    return Told(answered(), _show_line, lambda: PARTLY if rejected[0] else FINE, is_stream=True)


@contextlib.contextmanager
def opened(file: Path | None) -> Iterator[int]:
    """Lend the descriptor of a file, or that of standard input for none or ``-``.

    Raises:
        InvalidValueError: it cannot be read.
    """
    if file is None or str(file) == "-":
        if sys.stdin.isatty():
            sys.stderr.write("Claims, one a line; Ctrl-D ends.\n")
        yield sys.stdin.fileno()
        return
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as exc:
        raise InvalidValueError(f"{file} cannot be read: {exc.strerror}.") from exc
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise InvalidValueError(f"{file} is a folder: `kite batch` takes folders.")
        yield descriptor
    finally:
        os.close(descriptor)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidValueError(f"verify: {path} cannot be read as UTF-8 text: {exc}.") from exc


def _show_one(answer: Any) -> Any:
    from deployments.client.render import render_verdict

    return render_verdict(answer)


def _show_line(answer: Any) -> str:
    from deployments.client.render import verdict_line

    return verdict_line(answer)


def _show_text(answer: Any) -> Any:
    from deployments.client.render import render_text

    return render_text(answer)
