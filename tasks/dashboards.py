"""Writes the Grafana dashboards from the table of panels: ``python -m tasks.dashboards [--check]``.

``--check`` writes nothing and exits with 1 if a file is not what the table says. Invariant: the same table
gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from cluster.head import PROJECT_ROOT

GRAFANA = PROJECT_ROOT / "configs" / "monitoring" / "grafana"
TABLE, FOLDER = GRAFANA / "panels.yaml", GRAFANA / "dashboards"
#: Grafana's grid is 24 wide; a panel takes a third of a row, or all of it.
GRID_WIDTH, PANEL_WIDTH, PANEL_HEIGHT = 24, 8, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Panel(Struct, frozen=True, forbid_unknown_fields=True):
    """One panel; ``queries`` are PromQL by legend. ``limit`` is a line at the objective."""

    title: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    wide: bool = False
    limit: float | None = None


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """Panels under a heading."""

    heading: str
    panels: list[Panel]


class Dashboard(Struct, frozen=True, forbid_unknown_fields=True):
    """One dashboard."""

    uid: str
    title: str
    rows: list[Row]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or compare every dashboard."""
    parser = argparse.ArgumentParser(prog="python -m tasks.dashboards", description="Writes the dashboards.")
    parser.add_argument("--check", action="store_true", help="only say which files differ")
    options = parser.parse_args(arguments)
    wanted = {FOLDER / f"{one.uid}.json": rendered(one) for one in table()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    stale += [path for path in FOLDER.glob("*.json") if path not in wanted]
    if options.check:
        print("\n".join(f"{path.name} is not what the table says" for path in stale))  # noqa: T201
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        if path in wanted:
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


def table() -> list[Dashboard]:
    """Return the dashboards of the table.

    Raises:
        msgspec.ValidationError: the table has a key that means nothing, or lacks one.
    """
    return msgspec.convert(yaml.safe_load(TABLE.read_bytes()), list[Dashboard])


def rendered(dashboard: Dashboard) -> str:
    """Return a dashboard as Grafana reads it."""
    return json.dumps(_document(dashboard), indent=1, ensure_ascii=False) + "\n"


def _document(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["kite"],
        "timezone": "utc",
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [{"type": "dashboards", "title": "Kite", "tags": ["kite"], "asDropdown": True}],
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
            ]
        },
        "panels": _panels(dashboard),
    }


def _panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    placed: list[dict[str, Any]] = []
    top = 0
    for row in dashboard.rows:
        grid = {"x": 0, "y": top, "w": GRID_WIDTH, "h": 1}
        placed.append(
            {
                "id": len(placed) + 1,
                "type": "row",
                "title": row.heading,
                "gridPos": grid,
                "collapsed": False,
                "panels": [],
            }
        )
        top, left = top + 1, 0
        for panel in row.panels:
            width = GRID_WIDTH if panel.wide else PANEL_WIDTH
            if left + width > GRID_WIDTH:
                top, left = top + PANEL_HEIGHT, 0
            grid = {"x": left, "y": top, "w": width, "h": PANEL_HEIGHT}
            placed.append({"id": len(placed) + 1, "gridPos": grid, **_panel(panel)})
            left += width
        top += PANEL_HEIGHT
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries" and panel.limit is not None:
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expr, "legendFormat": legend}
            for number, (legend, expr) in enumerate(panel.queries.items())
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
