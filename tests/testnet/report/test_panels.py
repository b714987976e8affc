"""Panels of every shape are drawn from a recording."""

from __future__ import annotations

from node.testnet.boards.spec import Panel, Query, Shape
from node.testnet.metrics.recording import Recording
from node.testnet.report.panels import View, natural


def recording() -> Recording:
    made = Recording()
    for second in range(10):
        for node, peer, value in (("a", "b", 0.25), ("b", "a", 0.5)):
            made.add(float(second), "x", (("node", node), ("peer_name", peer)), value)
        if 3 <= second < 6:
            made.add(float(second), "fault", (("step", "cut"),), 1.0)
    return made


def panel(shape: Shape, expression: str, legend: str = "here", words: tuple[tuple[int, str, str], ...] = ()) -> Panel:
    queries = (Query(expression=expression, legend=legend),)
    return Panel(number=1, title="T", description="D.", unit="s", shape=shape, queries=queries, words=words)


def view(rules: dict[str, str] | None = None, choices: dict[str, str] | None = None) -> View:
    return View(recording(), (0.0, 9.0), rules=rules or {}, choices=choices or {})


def test_a_stat_tells_the_latest_value_in_its_unit() -> None:
    assert "<b>500 ms</b> here" in view().figure(panel(Shape.STAT, "max(x)"))


def test_a_matrix_has_a_cell_for_each_pair() -> None:
    drawn = view().figure(panel(Shape.MATRIX, "max by (node, peer_name) (x)"))
    assert "<title>a &gt; b: 250 ms</title>" in drawn
    assert "<title>b &gt; a: 500 ms</title>" in drawn


def test_states_are_one_stretch_while_they_last() -> None:
    drawn = view().figure(panel(Shape.STATES, "max by (step) (fault)", "{{step}}", ((1, "active", "orange"),)))
    assert drawn.count("fill:#ff9830") == 1
    assert "<title>cut: active</title>" in drawn


def test_a_recorded_rule_is_computed_and_a_choice_is_kept_to() -> None:
    seen = view(rules={"link:x:max": "max by (node) (x)"}, choices={"node": "a"})
    (line,) = seen.lines(Query(expression='link:x:max{node=~"$node"} or max by (node) (x{node=~"$node"})', legend="l"))[
        :1
    ]
    assert {value for _, value in line.points} <= {0.25, 0.5}
    (chosen,) = seen.lines(Query(expression='x{node=~"$node"}', legend="{{node}}"))
    assert chosen.name == "a"


def test_what_cannot_be_answered_is_no_data_and_a_heat_map_is_left_out() -> None:
    assert "No data" in view().figure(panel(Shape.TIME_SERIES, "max(holt_winters(x[5s], 1, 1))"))
    assert view().figure(panel(Shape.HEATMAP, "x")) == ""


def test_nodes_are_sorted_as_people_count() -> None:
    assert sorted(["node-10", "node-2", "seed"], key=natural) == ["node-2", "node-10", "seed"]
