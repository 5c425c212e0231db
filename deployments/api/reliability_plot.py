"""The reliability plot: confidence against the share that was right, as one SVG. Pure; called by the routes.

No script, no link, no font but the reader's own; title and description stand for the picture where it cannot
be seen. The same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

SVG_TYPE = "image/svg+xml"
#: Nothing in the picture may load or run anything, wherever it is shown.
SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

_SIDE, _LEFT, _TOP, _COUNTS = 360, 60, 58, 70
_WIDTH, _HEIGHT = _LEFT + _SIDE + 30, _TOP + _SIDE + _COUNTS + 96
#: Told apart by shape as well as by colour (Okabe & Ito's palette, safe for colour-blind readers).
_STYLES = (("shipped", "#0072b2", "circle"), ("feedback", "#d55e00", "square"))
_CSS = (
    "text{font:13px system-ui,sans-serif;fill:#222}.axis{stroke:#222;fill:none}.grid{stroke:#ddd}"
    ".ideal{stroke:#777;stroke-dasharray:5 4}.small{font-size:11px}"
)


def reliability_svg(report: Mapping[str, Any]) -> bytes:
    """Return the plot of a report of ``GET /calibration``: its shipped answers and its feedback."""
    series = [
        (name, colour, shape, report[name])
        for name, colour, shape in _STYLES
        if report.get(name) and report[name]["samples"]
    ]
    about = ", ".join(str(report[name]) for name in ("framework", "domain") if report.get(name))
    title = f"Reliability of verdicts{f' ({about})' if about else ''}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title><desc id="desc">{escape(_described(series))}</desc>',
        f'<style>{_CSS}</style><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{_LEFT}" y="20" font-weight="bold">{escape(title)}</text>',
        *_axes(),
        *(part for entry in series for part in _curve(*entry)),
        *_bars(series),
        *_legend(series),
        "</svg>",
    ]
    return "".join(parts).encode("utf-8", "replace")


def _described(series: Sequence[tuple[str, str, str, Mapping[str, Any]]]) -> str:
    if not series:
        return "There is no labelled answer yet, so the plot is empty."
    told = []
    for name, _, _, part in series:
        bins = "; ".join(
            f"of {row['samples']} answers with a mean confidence of {row['confidence']:.2f}, "
            f"{row['accuracy']:.0%} were right"
            for row in part["bins"]
        )
        told.append(
            f"{name.capitalize()}: {part['samples']} labelled answers, Brier score {part['brier']:.3f}, "
            f"expected calibration error {part['ece']:.3f}; {bins}."
        )
    return "Confidence against the share that was right; on the diagonal both agree. " + " ".join(told)


def _x(value: float) -> str:
    return f"{_LEFT + _SIDE * value:.1f}"


def _y(value: float) -> str:
    return f"{_TOP + _SIDE * (1.0 - value):.1f}"


def _axes() -> list[str]:
    bottom, middle = _TOP + _SIDE, _TOP + _SIDE / 2
    parts = []
    for step in range(0, 11, 2):
        value = step / 10
        parts.append(f'<path class="grid" d="M{_x(value)} {_y(0)}V{_y(1)}M{_x(0)} {_y(value)}H{_x(1)}"/>')
        parts.append(_text(_x(value), bottom + 16, f"{value:g}", anchor="middle"))
        parts.append(_text(_LEFT - 8, float(_y(value)) + 4, f"{value:g}", anchor="end"))
    parts.append(f'<path class="ideal" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>')
    parts.append(f'<rect class="axis" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>')
    turned = _text(18, middle, "share right", anchor="middle")
    parts.append(f'<g transform="rotate(-90 18 {middle:g})">{turned}</g>')
    parts.append(_text(_x(0.5), bottom + 34, "confidence in the likeliest label", anchor="middle"))
    return parts


def _text(x: float | str, y: float, words: str, *, anchor: str = "start") -> str:
    return f'<text class="small" x="{x}" y="{y:g}" text-anchor="{anchor}">{words}</text>'


def _curve(name: str, colour: str, shape: str, part: Mapping[str, Any]) -> list[str]:
    points = [(_x(row["confidence"]), _y(row["accuracy"]), row) for row in part["bins"]]
    line = "L".join(f"{x} {y}" for x, y, _ in points)
    parts = [f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>']
    for x, y, row in points:
        seen = f"confidence {row['confidence']:.3f}, right {row['accuracy']:.3f}"
        said = f"{name}: {row['samples']} answers, {seen}"
        mark = (
            f'<circle cx="{x}" cy="{y}" r="4.5" fill="{colour}">'
            if shape == "circle"
            else f'<rect x="{float(x) - 4:.1f}" y="{float(y) - 4:.1f}" width="8" height="8" fill="{colour}">'
        )
        parts.append(f"{mark}<title>{said}</title></{'circle' if shape == 'circle' else 'rect'}>")
    return parts


def _bars(series: Sequence[tuple[str, str, str, Mapping[str, Any]]]) -> list[str]:
    """How many answers each bin has, as a share of its series: bars under the plot."""
    base = _TOP + _SIDE + 46 + _COUNTS
    parts = []
    for place, (_, colour, _, part) in enumerate(series):
        for row in part["bins"]:
            width = _SIDE * (row["to"] - row["from"]) / max(1, len(series)) - 2
            height = max(1.0, _COUNTS * row["samples"] / part["samples"])
            left = _LEFT + _SIDE * row["from"] + 1 + place * (width + 2)
            parts.append(
                f'<rect x="{left:.1f}" y="{base - height:.1f}" width="{width:.1f}" height="{height:.1f}" '
                f'fill="{colour}" fill-opacity="0.6"/>'
            )
    parts.append(f'<path class="axis" d="M{_LEFT} {base}H{_LEFT + _SIDE}"/>')
    parts.append(_text(8, base - 4, "answers"))
    return parts


def _legend(series: Sequence[tuple[str, str, str, Mapping[str, Any]]]) -> list[str]:
    if not series:
        return [_text(_x(0.5), float(_y(0.5)), "no labelled answer yet", anchor="middle")]
    parts = []
    for place, (name, colour, _, part) in enumerate(series):
        y = _TOP + _SIDE + _COUNTS + 66 + 16 * place
        text = f"{name}: {part['samples']} answers, Brier {part['brier']:.3f}, ECE {part['ece']:.3f}"
        parts.append(f'<rect x="{_LEFT}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(_LEFT + 16, y, text))
    return parts
