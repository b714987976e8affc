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
from node.testnet.boards.names import named
from node.testnet.boards.spec import COLUMNS, Board, Panel, Query, Shape

__all__ = ["DATASOURCE_UID", "DIRECTORY", "main", "render"]

DIRECTORY = Path(__file__).parent / "dashboards"
DATASOURCE_UID = "prometheus"
"""As in `provisioning/datasources/prometheus.yaml`."""

ROW_NAMES = "node\\peer_name"
"""The column of a matrix that Grafana's grouping makes of the nodes in its rows."""

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
        "annotations": {"list": [_faults()]},
        "links": [_link_to_boards()],
        "templating": {"list": [_variable(name, is_single=board.is_single) for name in board.variables]},
        "panels": _panels(board),
    }


_PEERS = named('positron_link_state{node=~"$node"}')
_CHOICES = {
    "node": ("label_values(positron_node_info, node)", ""),
    "peer": (
        f"query_result(max by (peer, peer_name) ({_PEERS}))",
        '/peer="(?<value>[^"]+)",peer_name="(?<text>[^"]+)"/',
    ),
}
"""Query and pattern of each variable: nodes, and the peers that the chosen nodes have, which are shown by name."""


def _variable(name: str, *, is_single: bool) -> Json:
    query, pattern = _CHOICES[name]
    variable: dict[str, Json] = {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _datasource(),
        "definition": query,
        "query": {"query": query, "refId": name},
        "regex": pattern,
        "refresh": 2,  # when the time range changes
        "sort": 7,  # natural, ascending: node-2 before node-10
        "multi": not is_single,
        "includeAll": not is_single,
        "options": [],
    }
    if not is_single:
        variable["allValue"] = ".+"
        variable["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return variable


def _faults() -> Json:
    """Shades the time in which a fault of a chaos run is active. Samples a step apart become one region."""
    return {
        "name": "Faults",
        "enable": True,
        "hide": False,
        "iconColor": "orange",
        "datasource": _datasource(),
        "expr": "max by (step, kind) (positron_chaos_active) == 1",
        "step": "1s",
        "titleFormat": "{{step}}",
        "textFormat": "{{kind}}",
    }


def _link_to_boards() -> Json:
    return {
        "type": "dashboards",
        "title": "Boards",
        "tags": ["positron"],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
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
        "targets": [_target(query, chr(ord("A") + at), panel.shape) for at, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        **_form(panel),
    }


def _form(panel: Panel) -> dict[str, Json]:
    """What the panel needs to draw its shape."""
    match panel.shape:
        case Shape.STAT:
            return {"options": _stat_options()}
        case Shape.TIME_SERIES:
            return {"options": _time_series_options()}
        case Shape.MATRIX:
            return {"options": {"showHeader": True, "cellHeight": "sm"}, "transformations": _matrix()}
        case Shape.STATES:
            legend: Json = {"displayMode": "list", "placement": "bottom", "showLegend": True}
            return {"options": {"mergeValues": True, "showValue": "never", "rowHeight": 0.9, "legend": legend}}
        case Shape.HEATMAP:
            return {"options": {"calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Oranges"}}}


def _matrix() -> Json:
    """Nodes in rows and peers in columns. Both sorts are needed: columns come in order of first appearance."""
    return [
        {"id": "sortBy", "options": {"sort": [{"field": "peer_name"}]}},
        {
            "id": "groupingToMatrix",
            "options": {"rowField": "node", "columnField": "peer_name", "valueField": "Value", "emptyValue": "null"},
        },
        {"id": "sortBy", "options": {"sort": [{"field": ROW_NAMES}]}},
    ]


def _target(query: Query, letter: str, shape: Shape) -> Json:
    is_instant = shape is Shape.MATRIX
    formats = {Shape.MATRIX: "table", Shape.HEATMAP: "heatmap"}
    return {
        "refId": letter,
        "datasource": _datasource(),
        "expr": query.expression,
        "legendFormat": query.legend,
        "editorMode": "code",
        "range": not is_instant,
        "instant": is_instant,
        "format": formats.get(shape, "time_series"),
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": threshold.colour, "value": threshold.value} for threshold in panel.thresholds]
    defaults: dict[str, Json] = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "palette-classic" if panel.shape is Shape.TIME_SERIES else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "noValue": "No data",
    }
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.words:
        options: Json = {
            str(value): {"text": text, "color": colour, "index": value} for value, text, colour in panel.words
        }
        defaults["mappings"] = [{"type": "value", "options": options}]
    if panel.leads_to:
        defaults["links"] = [_drill_down(panel)]
    if panel.shape is Shape.MATRIX:
        defaults["custom"] = {"cellOptions": {"type": "color-background", "mode": "basic"}, "align": "center"}
    if panel.shape is Shape.TIME_SERIES:
        defaults["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 0, "showPoints": "never"}
    return defaults


def _drill_down(panel: Panel) -> Json:
    """Leads to the board behind a line or a cell; time and choices stay."""
    board = next(board for board in BOARDS if board.uid == panel.leads_to)
    node, peer = "${node:queryparam}", "&var-peer=${__field.labels.peer}"
    if panel.shape is Shape.MATRIX:
        # A peer may be chosen by its name as well.
        node, peer = "var-node=${__data.fields[0]}", "&var-peer=${__field.name}"
    elif "{{node}}" in panel.queries[0].legend:
        node = "var-node=${__field.labels.node}"
    url = f"/d/{board.uid}?${{__url_time_range}}&{node}{peer if 'peer' in board.variables else ''}"
    return {"title": board.title, "url": url, "targetBlank": False}


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
