"""``docs/command-line.md``, made of the parser: ``python -m tests.unit.cli.command_page`` writes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tasks.commands.told import EXIT_CODES
from tasks.kite import COMMANDS, Command, build_parser

PAGE = Path(__file__).resolve().parents[3] / "docs" / "command-line.md"
#: Options that every command takes, told once.
COMMON = ("-h, --help", "--json", "--env ENV", "--config FILE", "--set KEY=VALUE", "--url URL")

INTRODUCTION = """# The command line

`kite` is `.venv/bin/kite`; `python -m tasks.kite` is the same. `make docs` makes this page from the parser.

Answers go to standard output; steps, progress and errors to standard error. On a terminal lists are tables;
in a pipe they are lines of fields with a tab between them and no heading. With `--json` every command prints
one JSON document, and those that go on (`verify` of many claims, `jobs logs`, `tasks submit`, `audit export`)
one a line.

A command asks the installation that `kite up` started for this home, with its administrator's key. `--url` or
`KITE_URL` names a service elsewhere, and `KITE_API_KEY` the key to show it. Calls that are safe to repeat are
repeated while the service is away or busy, never sooner than its `Retry-After`.

```sh
cat claims.txt | kite verify --jsonl | jq -r 'select(.verdict.label == "REFUTED") | .claim'
```

`kite verify` reads lines as they come (text, or JSON objects as `POST /verify` takes them), verifies together
what is there, and writes an answer for each line in its order as soon as it has it; of a full pipe, four
requests of up to 256 lines are on their way. A line that cannot be verified has an answer with
`metadata.error`.

Completion: `eval "$(kite completion bash)"` in `~/.bashrc`; `kite completion zsh > ~/.zfunc/_kite`;
`kite completion fish > ~/.config/fish/completions/kite.fish`.

From Python it is `KiteClient`, or `AsyncKiteClient` of `deployments.client.async_client`:

```python
from deployments.client.client import KiteClient

with KiteClient("http://127.0.0.1:8000") as kite:
    answer = kite.verify("Mount Everest is 8,849 metres high.")
    print(answer["verdict"]["label"])
```

Their errors are the classes of `data.errors`, with the service's sentence and `request_id`.
"""


def page() -> str:
    """Return the page."""
    parser = build_parser()
    (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    parts = [INTRODUCTION, "## Exit codes\n", "| code | means |\n|---|---|"]
    parts += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    parts += ["\n## Every command takes\n", "| option | does |\n|---|---|"]
    parts += [
        "| `--json` | print JSON, for programs |",
        "| `--env`, `--config FILE`, `--set KEY=VALUE` | settings: file to start from, one more, a value |",
        "| `--url URL` | those that ask the service: which one |",
    ]
    for command in COMMANDS:
        parts += section(command, action.choices[command.name])
    return "\n".join(parts) + "\n"


def section(command: Command, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the lines about one command."""
    yield f"\n## kite {command.name}\n"
    yield f"{command.help[0].upper()}{command.help[1:]}.\n"
    yield "```sh\n" + "\n".join(command.examples) + "\n```"
    yield from rows(parser)
    subs = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if subs:
        helps = {one.dest: one.help for one in subs[0]._choices_actions}
        for name, sub in subs[0].choices.items():
            yield f"\n**{command.name} {name}**: {helps.get(name) or ''}"
            yield from rows(sub)


def rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the table of a parser's own arguments, if it has any."""
    lines = [
        f"| `{label}` | {_text(action)} |"
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction) and (label := _label(action)) not in COMMON
    ]
    if lines:
        yield "\n| argument | is |\n|---|---|"
        yield from lines


def _label(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else None
    if not action.option_strings:
        return metavar or action.dest
    name = ", ".join(action.option_strings)
    return name if action.nargs == 0 else f"{name} {metavar or action.dest.upper()}"


def _text(action: argparse.Action) -> str:
    told = (action.help or "").replace("|", "\\|")
    choices = "" if action.choices is None else "one of " + ", ".join(f"`{one}`" for one in action.choices)
    return "; ".join(part for part in (told, choices) if part)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
