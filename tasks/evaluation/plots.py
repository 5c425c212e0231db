"""Plots of a report as inline SVG: no script, no file beside the page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tasks.evaluation.statistics import Bin, Estimate

_INK, _BLUE, _GREY = "#1f2933", "#2f6f9f", "#9aa5b1"


def bars(rows: Sequence[tuple[str, Estimate]], title: str) -> str:
    """Return horizontal bars from 0 to 1 with their intervals."""
    height = 24 * len(rows) + 30
    parts = []
    for place, (name, estimate) in enumerate(rows):
        top = 24 * place + 22
        low, high = 190 + 360 * estimate.low, 190 + 360 * estimate.high
        parts += [
            f'<text x="182" y="{top + 11}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="190" y="{top}" width="{360 * estimate.value:.1f}" height="14" fill="{_BLUE}"/>',
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{top + 7}" y2="{top + 7}" stroke="{_INK}"/>',
            f'<text x="{high + 6:.1f}" y="{top + 11}">{estimate.value:.3f}</text>',
        ]
    return _svg(600, height, title, "".join(parts))


def reliability_plot(bins: Sequence[Bin], title: str) -> str:
    """Return accuracy against confidence; the nearer to the diagonal, the more honest."""
    parts = [_frame(), f'<line x1="40" y1="240" x2="260" y2="20" stroke="{_GREY}" stroke-dasharray="4"/>']
    for each in bins:
        x, y = 40 + 220 * each.confidence, 240 - 220 * each.accuracy
        radius = 2 + 12 * each.share**0.5
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{_BLUE}" opacity=".7"/>')
    return _svg(280, 280, title, "".join(parts) + _axes("confidence", "accuracy"))


def risk_plot(risks: Sequence[float], title: str) -> str:
    """Return the error among the surest share of the rows."""
    count = len(risks)
    kept = range(0, count, max(1, count // 200))
    points = " ".join(f"{40 + 220 * (k + 1) / count:.1f},{240 - 220 * min(1.0, risks[k]):.1f}" for k in kept)
    line = f'<polyline points="{points}" fill="none" stroke="{_BLUE}" stroke-width="2"/>'
    return _svg(280, 280, title, _frame() + line + _axes("share answered", "error"))


def _frame() -> str:
    return f'<rect x="40" y="20" width="220" height="220" fill="none" stroke="{_GREY}"/>'


def _axes(across: str, up: str) -> str:
    return (
        f'<text x="150" y="262" text-anchor="middle">{across}</text>'
        f'<text x="16" y="130" text-anchor="middle" transform="rotate(-90 16 130)">{up}</text>'
        '<text x="40" y="254" text-anchor="middle">0</text>'
        '<text x="260" y="254" text-anchor="middle">1</text>'
        '<text x="34" y="244" text-anchor="end">0</text><text x="34" y="26" text-anchor="end">1</text>'
    )


def _svg(width: int, height: int, title: str, body: str) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="11" fill="{_INK}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )
