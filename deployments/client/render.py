"""A verdict as a person wants to read it: label, probability, frameworks as bars, evidence with sources.

Called by the command line with the answer of ``POST /verify``. :func:`render_verdict` makes a rich
renderable; :func:`verdict_text` the same in plain text, for pipes and files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

_COLOURS = {
    "SUPPORTED": "green",
    "REFUTED": "red",
    "CONFLICTING": "yellow",
    "SUPPORTS": "green",
    "REFUTES": "red",
}
#: Characters of half a bar: from the middle to a score of 1.
_HALF = 10
#: Most pieces of evidence shown; the rest is counted.
_SHOWN = 5
#: Most exact findings shown below a piece of evidence, and the mark before each.
_FINDINGS = 2
_MARKS = {"conflicts": "≠", "agrees": "=", "entails": "="}


def render_verdict(answer: Mapping[str, Any]) -> RenderableType:
    """Return the answer of ``/verify`` (or one entry of ``/batch/verify``) as a rich renderable."""
    verdict = answer["verdict"]
    if verdict is None:
        return Group(
            _text(answer["claim"], "bold"), _text(f"not verified: {answer['metadata']['error']}", "red")
        )
    parts: list[RenderableType] = [
        _text(answer["claim"], "bold"),
        _headline(verdict),
        _text(verdict["justification"]),
        Text(""),
        _frameworks(answer["frameworks"]),
    ]
    parts += _evidence(answer["evidence"])
    parts.append(Text(_footer(answer), style="dim"))
    return Group(*parts)


def render_text(answer: Mapping[str, Any]) -> RenderableType:
    """Return the answer of ``/verify/text`` as a rich renderable: each claim with what it leaves open."""
    parts: list[RenderableType] = []
    for claim in answer["claims"]:
        span = claim["span"]
        speaker = f", {printable(claim['speaker'])}" if claim["speaker"] else ""
        where = f"characters {span['start']}-{span['end']}{speaker}"
        parts.append(Text(f"{where}; check-worthy {claim['check_worthiness']:.0%}", style="dim"))
        for flag in claim["depends_on_context"]:
            parts.append(_text(f"depends on its context: {flag['message']}", "yellow"))
        parts += [render_verdict(claim["verification"]), Text("")]
    shown, found = len(answer["claims"]), answer["found"]
    summary = f"{found} claims found, {answer['check_worthy']} worth checking, {shown} verified."
    return Group(*parts, Text(summary, style="dim"))


def verdict_text(answer: Mapping[str, Any], width: int = 100) -> str:
    """Return the same without colour or control characters, at most ``width`` columns wide."""
    console = Console(width=width, no_color=True, force_terminal=False, highlight=False)
    with console.capture() as captured:
        console.print(render_verdict(answer))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def verdict_line(answer: Mapping[str, Any]) -> str:
    """Return the answer of ``/verify`` (or one entry of ``/batch/verify``) as one line."""
    verdict, claim = answer["verdict"], printable(answer["claim"])
    if verdict is None:
        return f"not verified: {printable(answer['metadata']['error'])}  {claim}"
    label = verdict["label"]
    sure = verdict["probabilities"].get(label, verdict["confidence"])
    withheld = f"  (withheld: {printable(verdict['abstained'])})" if verdict["abstained"] else ""
    return f"{label.replace('_', ' ')}  {sure:.0%}  {claim}{withheld}"


def printable(text: str) -> str:
    """Return text without control characters: an imported document must not steer the reader's terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def print_verdict(answer: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a verdict: in colour on a terminal, plain anywhere else."""
    (console or Console(highlight=False)).print(render_verdict(answer))


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)


def _headline(verdict: Mapping[str, Any]) -> Text:
    label = verdict["label"]
    native = verdict.get("native", verdict)["label"]
    line = Text()
    line.append(label.replace("_", " "), style=f"bold {_COLOURS.get(native, 'default')}")
    line.append(f"  {verdict['probabilities'].get(label, verdict['confidence']):.0%}")
    others = [
        f"{name.replace('_', ' ')} {p:.0%}" for name, p in verdict["probabilities"].items() if name != label
    ]
    line.append(f"  ({', '.join(others)})", style="dim")
    if verdict["abstained"]:
        line.append(f"\nwithheld: {verdict['abstained']}", style="yellow")
    likely = verdict["prediction_set"]
    if len(likely) > 1:
        line.append(f"\nnot ruled out at {1 - verdict['alpha']:.0%}: {', '.join(likely)}", style="dim")
    return line


def _frameworks(frameworks: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in frameworks.items():
        if said["abstained"]:
            table.add_row(
                _text(name),
                Text("·" * (2 * _HALF + 1), "dim"),
                "",
                _text(f"abstained: {said['abstained']}", "dim"),
            )
            continue
        numbers = f"{said['score']:+.2f} at {said['confidence']:.0%}"
        table.add_row(
            _text(name), _bar(said["score"]), numbers, _text(f"{said['label']}: {said['rationale']}")
        )
    return table


def _bar(score: float) -> Text:
    """Return a bar from the middle: to the right for the claim, to the left against it."""
    filled = min(_HALF, round(abs(score) * _HALF))
    left = "█" * filled if score < 0 else ""
    right = "█" * filled if score > 0 else ""
    bar = Text(left.rjust(_HALF), "red")
    bar.append("│", "dim")
    return bar.append(right.ljust(_HALF), "green")


def _evidence(items: list[Mapping[str, Any]]) -> list[RenderableType]:
    if not items:
        return [Text("\nNo evidence was found.")]
    parts: list[RenderableType] = [Text(f"\nEvidence ({len(items)})", style="bold")]
    for item in items[:_SHOWN]:
        stance = item["stance"] or "NOT JUDGED"
        sure = (item["stance_probabilities"] or {}).get(stance)
        line = Text(f"{item['rank']}. ")
        line.append(stance + (f" {sure:.0%}" if sure is not None else ""), style=_COLOURS.get(stance, "dim"))
        line.append(f"  “{printable(item['text'])}”\n   ")
        line.append(printable(_citation(item)), style="dim")
        for found in _decisive(item.get("findings", [])):
            line.append(f"\n   {_MARKS[found['outcome']]} {printable(found['detail'])}", style="italic")
        parts.append(line)
    if len(items) > _SHOWN:
        parts.append(Text(f"… and {len(items) - _SHOWN} more", style="dim"))
    return parts


def _decisive(findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the exact findings worth a line: conflicts first, then by strength."""
    telling = [found for found in findings if found["outcome"] in _MARKS]
    return sorted(telling, key=lambda found: (found["outcome"] != "conflicts", -found["strength"]))[
        :_FINDINGS
    ]


def _citation(item: Mapping[str, Any]) -> str:
    span = item["span"]
    place = f"{item['document_id']} [{span['start']}:{span['end']}]"
    digest = f"sha256 {item['sha256'][:12]}" if item["sha256"] else ""
    said = [item["title"], item["source"], item["published_at"], item["url"], place, digest]
    return " · ".join(part for part in said if part)


def _footer(answer: Mapping[str, Any]) -> str:
    degraded = "  (degraded: a framework was away)" if answer["metadata"].get("degraded") else ""
    return (
        f"\nverdict {answer['verdict']['id']}  knowledge seq {answer['knowledge_seq']}  "
        f"models {answer['model_bundle'][:12]}  reward {answer['reward']:.3f}{degraded}"
    )
