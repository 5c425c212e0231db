"""Callers shared out between versions: ``python -m tasks.traffic next HOST:PORT SHARE | back [-- COMMAND]``.

Canary, blue and green. Writes ``configs/nginx/share.conf``, which nginx reads beside its configuration, and
runs COMMAND, if one is given, to have nginx read it: ``docker compose exec -T nginx nginx -s reload``.
Invariants: a caller (credential and address) stays with one version while the share stays; below 100 % only
claims go to the next version, for whatever is written has one home; ``back`` is as it was before.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.head import PROJECT_ROOT
from data.errors import InvalidValueError

FILE = PROJECT_ROOT / "configs" / "nginx" / "share.conf"
#: By what a caller is known.
CALLER = "$http_authorization$http_x_api_key$remote_addr"
_WRITTEN = "# Written by `python -m tasks.traffic`: which installation answers how many callers.\n"
_ADDRESS = re.compile(r"[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9A-Fa-f:]+\]:[0-9]{1,5}")


def share_text(address: str | None = None, percent: float = 0.0) -> str:
    """Return the file that gives ``percent`` of the callers of claims, all calls at 100, to ``address``.

    Raises:
        InvalidValueError: no such address or share can be.
    """
    if address is None or percent == 0.0:
        return _WRITTEN + _split("* kite;", "kite")
    if not _ADDRESS.fullmatch(address):
        raise InvalidValueError(f"{address[:80]!r} is no HOST:PORT, such as kite-next:8000.")
    if not 0.0 < percent <= 100.0 or round(percent, 2) != percent:
        raise InvalidValueError(
            f"{percent:g} is no share: write a percentage from 0 to 100, with two decimals."
        )
    upstream = (
        "upstream kite_next {\n    least_conn;\n"
        f"    server {address} max_fails=3 fail_timeout=5s;\n    keepalive 64;\n}}\n"
    )
    if percent == 100.0:
        return _WRITTEN + upstream + _split("* kite_next;", "kite_next")
    return _WRITTEN + upstream + _split(f"{percent:g}% kite_next;\n    * kite;", "kite")


def _split(claims: str, rest: str) -> str:
    return (
        f'split_clients "{CALLER}" $answers_claims {{\n    {claims}\n}}\n'
        f'split_clients "{CALLER}" $answers_rest {{\n    * {rest};\n}}\n'
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file and have nginx read it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    at = words.index("--") if "--" in words else len(words)
    options = _parser().parse_args(words[:at])
    try:
        text = share_text(getattr(options, "address", None), getattr(options, "share", 0.0))
    except InvalidValueError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    # Written over, not renamed into place: the file itself is what a container has mounted.
    options.file.write_text(text, encoding="utf-8")
    command = words[at + 1 :]
    return subprocess.run(command, check=False).returncode if command else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.traffic", description="Shares callers out.")
    parser.add_argument("--file", type=Path, default=FILE, help="the file that is written")
    acts = parser.add_subparsers(required=True)
    following = acts.add_parser("next", help="give the next version a share")
    following.add_argument("address", metavar="HOST:PORT")
    following.add_argument("share", type=float, help="percent of the callers")
    acts.add_parser("back", help="everything to the present version")
    return parser


if __name__ == "__main__":
    sys.exit(main())
