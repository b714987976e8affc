"""Writes the boards of `node/testnet/boards` as JSON for Grafana: `python -m grafana.generate`, from the root.

With --check nothing is written; the exit status is 1 if a committed file differs from what would be. The output
depends on the boards alone, so the same boards give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TypeAlias

from node.testnet.boards import BOARDS
from node.testnet.boards.spec import COLUMNS, Board, Panel, Query, Shape

__all__ = ["DATASOURCE_UID", "DIRECTORY", "main", "render"]

DIRECTORY = Path(__file__).parent / "dashboards"
DATASOURCE_UID = "prometheus"
"""As in `provisioning/datasources/prometheus.yaml`."""

SCHEMA_VERSION = 39
"""Of Grafana 11; later ones read it and convert it on loading."""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks every board; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m grafana.generate", description="Writes the boards as JSON.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not up to date")
    is_check = parser.parse_args(arguments).check
    stale = []
    for board in BOARDS:
        path = DIRECTORY / f"{board.uid}.json"
        text = render(board)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if not is_check:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"{'out of date' if is_check else 'written'}: {', '.join(stale)}\n")
    return 1 if is_check and stale else 0


def render(board: Board) -> str:
    """The file of one board."""
    return json.dumps(_board(board), indent=2, ensure_ascii=False) + "\n"


def _board(board: Board) -> Json:
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["positron"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,  # the crosshair is shared by all panels
        "refresh": "2s",
        "time": {"from": "now-15m", "to": "now"},
        "timepicker": {"refresh_intervals": ["1s", "2s", "5s", "10s", "30s", "1m"]},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": [_node_variable()]},
        "panels": _panels(board),
    }


def _node_variable() -> Json:
    query = "label_values(positron_node_info, node)"
    return {
        "name": "node",
        "label": "Node",
        "type": "query",
        "datasource": _datasource(),
        "definition": query,
        "query": {"query": query, "refId": "node"},
        "refresh": 2,  # when the time range changes
        "sort": 7,  # natural, ascending: node-2 before node-10
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def _panels(board: Board) -> list[Json]:
    """Places the panels in reading order, row by row; the height of a row is that of its first panel."""
    placed: list[Json] = []
    x = y = row_height = 0
    for panel in board.panels:
        if x + panel.width > COLUMNS:
            x, y = 0, y + row_height
        if x == 0:
            row_height = panel.height
        placed.append(_panel(panel, x, y))
        x += panel.width
    return placed


def _panel(panel: Panel, x: int, y: int) -> Json:
    return {
        "id": panel.number,
        "type": panel.shape.value,
        "title": panel.title,
        "description": panel.description,
        "datasource": _datasource(),
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "targets": [_target(query, chr(ord("A") + at)) for at, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _stat_options() if panel.shape is Shape.STAT else _time_series_options(),
    }


def _target(query: Query, letter: str) -> Json:
    return {
        "refId": letter,
        "datasource": _datasource(),
        "expr": query.expression,
        "legendFormat": query.legend,
        "editorMode": "code",
        "range": True,
        "instant": False,
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": threshold.colour, "value": threshold.value} for threshold in panel.thresholds]
    defaults: dict[str, Json] = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "thresholds" if panel.shape is Shape.STAT else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "noValue": "No data",
    }
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.shape is Shape.TIME_SERIES:
        defaults["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 0, "showPoints": "never"}
    return defaults


def _overrides(panel: Panel) -> list[Json]:
    """References are dashed and grey, whatever the palette gives the measurements."""
    return [
        {
            "matcher": {"id": "byFrameRefID", "options": chr(ord("A") + at)},
            "properties": [
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 6]}},
                {"id": "color", "value": {"mode": "fixed", "fixedColor": "text"}},
            ],
        }
        for at, query in enumerate(panel.queries)
        if query.is_reference
    ]


def _stat_options() -> Json:
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    }


def _time_series_options() -> Json:
    return {
        "legend": {
            "displayMode": "table",
            "placement": "right",
            "showLegend": True,
            "calcs": ["lastNotNull", "max"],
            "sortBy": "Max",
            "sortDesc": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _datasource() -> Json:
    return {"type": "prometheus", "uid": DATASOURCE_UID}


if __name__ == "__main__":
    sys.exit(main())
