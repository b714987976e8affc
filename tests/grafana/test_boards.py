"""The boards against the catalogue of metrics, the recording rules, and what a board must be to be readable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import generate
from node.metrics.names import CATALOGUE, Kind
from node.testnet.boards import BOARDS
from node.testnet.boards.spec import COLUMNS, PANELS_MAX, Board, Panel, Shape

ROOT = Path(__file__).parent.parent.parent
PROVISIONING = ROOT / "grafana" / "provisioning"
RULES = ROOT / "docker" / "prometheus" / "rules.yml"
ALERTS = ROOT / "docker" / "prometheus" / "alerts.yml"
SUFFIXES = ("_bucket", "_count", "_sum")
UNITS = {"short", "s", "percentunit", "pps", "cps", "bytes", "Bps"}
"""Units of Grafana that the boards use; another one is checked against Grafana's list before it is added here."""

PANELS = [pytest.param(board, panel, id=f"{board.uid}-{panel.number}") for board in BOARDS for panel in board.panels]


def rules() -> dict[str, str]:
    """Expression by name of the recording rule."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


def alerts() -> dict[str, str]:
    """Expression by name of the alert."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def expressions() -> Iterator[str]:
    for board in BOARDS:
        for panel in board.panels:
            yield from (query.expression for query in panel.queries)
    yield from rules().values()
    yield from alerts().values()


def series_in(expression: str) -> list[str]:
    """Names of the series that an expression selects."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return [
        name
        for name in re.findall(r"[a-z][a-zA-Z0-9_:]*", bare)
        if name.startswith(("positron_", "up", "scrape_")) or ":" in name
    ]


def metric_of(series: str) -> str:
    for suffix in SUFFIXES:
        base = series.removesuffix(suffix)
        if base != series and base in CATALOGUE and CATALOGUE[base].kind is Kind.HISTOGRAM:
            return base
    return series


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_expressions_select_only_what_exists(expression: str) -> None:
    selected = series_in(expression)
    assert selected
    known = {*CATALOGUE, *rules(), "up", "scrape_samples_scraped"}
    unknown = [name for name in selected if metric_of(name) not in known]
    assert not unknown


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_labels_in_expressions_are_labels_of_the_metric(expression: str) -> None:
    for series, matchers in re.findall(r"(positron_\w+)\{([^}]*)\}", expression):
        metric = CATALOGUE[metric_of(series)]
        allowed = {"node", "le", *(label.name for label in metric.labels)}
        values = {label.name: label.values for label in metric.labels}
        for name, value in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            assert name in allowed
            assert value == "$node" or not values.get(name) or value in values[name], (series, name, value)


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_counters_are_only_seen_as_rates_or_differences_and_gauges_never(expression: str) -> None:
    in_range = set(re.findall(r"(?:rate|increase)\((positron_\w+)", expression))
    in_range |= set(re.findall(r"(positron_\w+)(?: offset \w+)? - \1 offset \w+", expression))
    for series in series_in(expression):
        metric = CATALOGUE.get(metric_of(series))
        if metric is not None:
            assert (series in in_range) == (metric.kind is not Kind.GAUGE), series


@pytest.mark.parametrize("expression", sorted(set(expressions()) - {*rules().values(), *alerts().values()}))
def test_windows_on_a_board_follow_what_is_shown(expression: str) -> None:
    assert set(re.findall(r"\[([^\]]+)\]", expression)) <= {"$__rate_interval", "$__range"}


def test_there_are_twelve_alerts_and_each_leads_to_a_board() -> None:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    assert len(group["rules"]) == 12
    for rule in group["rules"]:
        assert rule["alert"].startswith("Positron")
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["board"] in {board.uid for board in BOARDS}


def test_every_alert_is_fired_and_kept_quiet_by_the_tests_of_the_rules() -> None:
    tests = yaml.safe_load((ROOT / "tests" / "grafana" / "rules_test.yml").read_text())["tests"]
    quiet = {one["alertname"] for one in tests[0]["alert_rule_test"]}
    fired = str(tests[1]["promql_expr_test"])
    assert quiet == set(alerts())
    assert all(f'alertname="{name}"' in fired for name in alerts())


@pytest.mark.parametrize(
    ("uid", "title", "alert"),
    [
        ("overview", "Retransmission ratio", "PositronHighRetransmission"),
        ("links", "Retransmission ratio", "PositronHighRetransmission"),
        ("chaos", "Retransmission ratio by node", "PositronHighRetransmission"),
        ("links", "Timeouts in a row", "PositronRtoBackoff"),
        ("node", "Lateness of the event loop", "PositronEventLoopLag"),
        ("overview", "Broadcasts delivered", "PositronGossipDeliveryLow"),
    ],
)
def test_colours_change_where_an_alert_fires(uid: str, title: str, alert: str) -> None:
    (board,) = [board for board in BOARDS if board.uid == uid]
    (panel,) = [panel for panel in board.panels if panel.title == title]
    at = {float(number) for number in re.findall(r"(?:>=|>|<) ([\d.]+)", alerts()[alert])}
    assert at & {threshold.value for threshold in panel.thresholds}


def test_matrices_have_a_row_and_a_column_for_each_cell() -> None:
    for board in BOARDS:
        for panel in board.panels:
            if panel.shape is Shape.MATRIX:
                assert all("by (node, peer_name)" in query.expression for query in panel.queries)


def test_rows_of_matrices_are_sorted_by_the_column_that_the_grouping_makes() -> None:
    for board in BOARDS:
        for panel in rendered(board)["panels"]:
            if "transformations" in panel:
                _, group, sort = (step["options"] for step in panel["transformations"])
                # One backslash between the two names, as groupingToMatrix of @grafana/data puts it.
                assert sort["sort"] == [{"field": group["rowField"] + chr(92) + group["columnField"]}]


def test_a_line_and_a_cell_lead_to_the_node_and_the_link_that_they_stand_for() -> None:
    links = {
        (board.uid, panel["title"]): panel["fieldConfig"]["defaults"]["links"][0]["url"]
        for board in BOARDS
        for panel in rendered(board)["panels"]
        if "links" in panel["fieldConfig"]["defaults"]
    }
    assert all("?${__url_time_range}&" in url for url in links.values())
    of_line, of_cell = links["overview", "Retransmission ratio by node"], links["links", "State"]
    assert of_line.endswith("/d/node?${__url_time_range}&var-node=${__field.labels.node}")
    assert of_cell.endswith("&var-node=${__data.fields[0]}&var-peer=${__field.name}")
    assert links["node", "Links"].endswith("&${node:queryparam}&var-peer=${__field.labels.peer}")


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_faults_are_shaded_on_every_board_by_a_metric_with_a_step_of_a_second(board: Board) -> None:
    (annotation,) = rendered(board)["annotations"]["list"]
    assert "positron_chaos_active" in annotation["expr"]
    assert annotation["step"] == "1s"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_boards_lead_to_each_other_and_keep_time_and_choices(board: Board) -> None:
    (link,) = rendered(board)["links"]
    assert (link["includeVars"], link["keepTime"]) == (True, True)
    names = [variable["name"] for variable in rendered(board)["templating"]["list"]]
    assert names == list(board.variables)
    used = set(
        re.findall(r"\$(node|peer)\b", " ".join(query.expression for panel in board.panels for query in panel.queries))
    )
    assert used <= set(names)


def test_rules_are_named_level_metric_operations() -> None:
    for name in rules():
        assert re.fullmatch(r"(peer|link|node|testnet):positron_\w+:\w+", name)


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_a_panel_says_what_it_shows_in_which_unit(board: Board, panel: Panel) -> None:
    assert panel.title
    assert len(panel.description) > 60
    assert panel.description.endswith(".")
    assert panel.unit in UNITS
    assert panel.queries
    assert all(query.legend for query in panel.queries)


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_legends_name_labels_that_the_expression_keeps(board: Board, panel: Panel) -> None:
    for query in panel.queries:
        for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
            assert re.search(rf"by \((?:\w+, )*{label}\b", query.expression)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_board_has_few_panels_with_ids_of_their_own(board: Board) -> None:
    numbers = [panel.number for panel in board.panels]
    assert len(numbers) == len(set(numbers)) <= PANELS_MAX
    assert len({other.uid for other in BOARDS}) == len(BOARDS)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_panels_fill_the_grid_without_overlapping(board: Board) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in rendered(board)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    height = max(y for _, y in taken) + 1
    assert len(taken) == COLUMNS * height


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_boards_are_read_only_and_ask_the_provisioned_datasource(board: Board) -> None:
    json_board = rendered(board)
    assert json_board["editable"] is False
    assert json_board["graphTooltip"] == 1
    assert "__inputs" not in json_board
    uids = set(re.findall(r'"uid": "([^"]+)"', generate.render(board)))
    assert uids == {board.uid, generate.DATASOURCE_UID}


def test_a_reference_is_dashed(tmp_path: Path) -> None:
    board = next(
        board for board in BOARDS if any(query.is_reference for panel in board.panels for query in panel.queries)
    )
    specified = {
        (panel.number, chr(ord("A") + at))
        for panel in board.panels
        for at, query in enumerate(panel.queries)
        if query.is_reference
    }
    dashed = {
        (panel["id"], override["matcher"]["options"])
        for panel in rendered(board)["panels"]
        for override in panel["fieldConfig"]["overrides"]
    }
    assert dashed == specified


def test_stats_have_no_style_of_lines() -> None:
    for board in BOARDS:
        for panel in rendered(board)["panels"]:
            is_styled = panel["type"] in (Shape.TIME_SERIES, Shape.MATRIX)
            assert ("custom" in panel["fieldConfig"]["defaults"]) == is_styled


def test_the_committed_boards_are_what_the_spec_says() -> None:
    assert generate.main(["--check"]) == 0
    committed = {path.stem for path in generate.DIRECTORY.glob("*.json")}
    assert committed == {board.uid for board in BOARDS}


def test_a_board_that_is_out_of_date_is_reported_and_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "DIRECTORY", tmp_path)
    assert generate.main(["--check"]) == 1
    assert "out of date: overview.json" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_the_datasource_has_the_uid_of_the_boards_and_the_interval_of_the_scrapes() -> None:
    provisioned = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())
    (datasource,) = provisioned["datasources"]
    scraped = yaml.safe_load((ROOT / "docker" / "prometheus" / "prometheus.yml").read_text())
    assert datasource["uid"] == generate.DATASOURCE_UID
    assert datasource["isDefault"] is True
    assert datasource["editable"] is False
    assert datasource["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]


def test_boards_are_provisioned_read_only_and_the_first_is_the_home_board() -> None:
    provisioned = yaml.safe_load((PROVISIONING / "dashboards" / "positron.yaml").read_text())
    (provider,) = provisioned["providers"]
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    assert provider["allowUiUpdates"] is False
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{BOARDS[0].uid}.json"


def rendered(board: Board) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(generate.render(board))
    return value
