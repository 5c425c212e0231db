"""The report of a batch as one HTML page with plots: no script, no file beside it. Pure.

Called by ``tasks.verify_batch_run``. Invariant: everything that came from a caller's file is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tasks.evaluation.plots import bars, reliability_plot
from tasks.evaluation.statistics import Bin, Estimate

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1f2933}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .6rem;border-bottom:1px solid #d9e2ec;"
    "text-align:right}td:first-child,th:first-child{text-align:left}figure{display:inline-block;margin:.5rem}"
)
_FIGURES = ("samples", "accuracy", "macro_f1", "brier", "ece", "log_loss", "coverage")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_page(report: Mapping[str, Any]) -> str:
    """Return the whole report as a page that needs no other file."""
    body = [
        "<h1>Claims verified in a batch</h1>",
        _summary(report),
        _labels(report),
        _calibration(report.get("calibration")),
        _throughput(report["this_run"]),
        _errors(report),
        _table("Inputs", ("file", "rows", "bytes", "SHA-256"), [_input(each) for each in report["files"]]),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Brahminy Kite: batch</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style></head>'
        f"<body>{''.join(body)}</body></html>\n"
    )


def _summary(report: Mapping[str, Any]) -> str:
    names = ("rows", "answered", "dead_letters", "abstained", "degraded", "duplicate_ids", "bytes")
    rows = [(name.replace("_", " "), f"{report[name]:,}") for name in names]
    rows += [
        ("CPU a claim", f"{report['cpu_ms_per_claim']:g} ms"),
        ("position of the knowledge", f"{report['knowledge_seq']:,}"),
        ("models", str(report["model_bundle"])[:16]),
    ]
    return _table("", ("", ""), rows)


def _labels(report: Mapping[str, Any]) -> str:
    answered = report["answered"]
    if not answered:
        return "<p>No row could be answered.</p>"
    shares = [
        (f"{name} ({count:,})", Estimate(*3 * (count / answered,)))
        for name, count in report["labels"].items()
    ]
    shares.append((f"withheld ({report['abstained']:,})", Estimate(*3 * (report["abstained"] / answered,))))
    return f"<h2>Verdicts</h2><figure>{bars(shares, 'share of the answered rows')}</figure>"


def _calibration(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    head = "<h2>Against the labels given</h2>"
    if found["unknown_labels"]:
        head += f"<p>{found['unknown_labels']:,} rows have a label that is none of ours.</p>"
    if not found["samples"]:
        return head
    total = found["samples"]
    bins = [Bin(each["samples"] / total, each["confidence"], each["accuracy"]) for each in found["bins"]]
    confusion = found["confusion"]
    said = list(next(iter(confusion.values())))
    crossed = [(gold, *(f"{row[name]:,}" for name in said)) for gold, row in confusion.items()]
    return (
        head
        + _table("", ("", ""), [(name.replace("_", " "), f"{found[name]:g}") for name in _FIGURES])
        + f"<figure>{reliability_plot(bins, 'confidence against the share that was right')}</figure>"
        + _table("Label given (down), verdict (across)", ("", *said), crossed)
    )


def _throughput(run: Mapping[str, Any]) -> str:
    rate = run["rows_per_s"]
    told = (
        f"<h2>This run</h2><p>{run['rows']:,} rows in {run['work_s']:g} s of work"
        f"{f', {rate:g} a second' if rate else ''}, after {run['start_s']:g} s of starting; "
        f"{run['workers']} worker{'s' if run['workers'] > 1 else ''} ({escape(run['by'])}).</p>"
    )
    return told + (f"<figure>{_curve(run['timeline'])}</figure>" if len(run["timeline"]) > 1 else "")


def _curve(points: Sequence[Sequence[float]]) -> str:
    """Return rows done over seconds."""
    most_s, most = points[-1][0] or 1.0, points[-1][1] or 1
    line = " ".join(f"{60 + 480 * at / most_s:.1f},{200 - 170 * rows / most:.1f}" for at, rows in points)
    return (
        '<svg role="img" viewBox="0 0 560 240" width="560" height="240" font-size="11" '
        'font-family="system-ui, sans-serif" fill="#1f2933"><title>rows done over time</title>'
        '<path d="M60 30V200H540" fill="none" stroke="#9aa5b1"/>'
        f'<polyline points="{line}" fill="none" stroke="#2f6f9f" stroke-width="2"/>'
        f'<text x="54" y="34" text-anchor="end">{most:,}</text>'
        '<text x="54" y="204" text-anchor="end">0</text>'
        f'<text x="540" y="218" text-anchor="end">{most_s:g} s</text></svg>'
    )


def _errors(report: Mapping[str, Any]) -> str:
    if not report["errors"]:
        return ""
    rows = [(each["reason"], f"{each['rows']:,}") for each in report["errors"]]
    return _table("Rows that could not be processed", ("reason", "rows"), rows)


def _input(file: Mapping[str, Any]) -> tuple[str, ...]:
    return str(file["name"]), f"{file['rows']:,}", f"{file['size']:,}", str(file["sha256"])[:16]


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    top = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>" if any(head) else ""
    return f"{f'<h2>{escape(title)}</h2>' if title else ''}<table>{top}{cells}</table>"
