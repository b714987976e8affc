"""Each invariant holds for what is right and not for what is wrong, by histories alone."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

from node.testnet import checker
from node.testnet.checker import Disturbance, Run, check

NODES = ("seed", "node-1", "node-2")


def event(node: str, at: float, kind: str, **facts: Any) -> dict[str, Any]:
    return {"node": node, "at": at, "event": kind, **facts}


def history() -> list[dict[str, Any]]:
    """Three nodes start, and one message of the seed reaches both others."""
    events = [event(node, 0.0, "started") for node in NODES]
    events.append(event("seed", 10.0, "published", message="m1"))
    return events + [event(node, 10.1, "delivered", message="m1", origin="seed") for node in ("node-1", "node-2")]


def run(events: list[dict[str, Any]], *disturbances: Disturbance, **facts: Any) -> Run:
    members = {node: [other for other in NODES if other != node] for node in NODES}
    return Run(
        nodes=NODES,
        events=events,
        disturbances=disturbances,
        end=60.0,
        settle=10.0,
        **{"members": members, **facts},
    )


def violated(judged: Run, name: str, limit: float = 0.0) -> bool:
    return bool(check(judged, {name: limit}))


def test_a_quiet_run_violates_nothing() -> None:
    names = dict.fromkeys(checker._CHECKS, 1.0)
    assert check(run(history()), names) == []


def test_a_second_delivery_is_told_with_node_and_times() -> None:
    events = [*history(), event("node-1", 12.0, "delivered", message="m1", origin="seed")]
    (violation,) = check(run(events), {"no_duplicate_delivery": 0.0})
    assert str(violation) == "no_duplicate_delivery: node-1 delivered m1 at 10.10 s and again at 12.00 s"


@pytest.mark.parametrize(
    ("reason", "killed", "is_wrong"), [("kill", 10.9, False), ("kill", 11.9, True), ("stop", 10.9, True)]
)
def test_what_was_delivered_just_before_a_kill_may_come_once_more(reason: str, killed: float, is_wrong: bool) -> None:
    events = [
        *history(),
        event("node-1", killed, "stopped", reason=reason),
        event("node-1", 13.0, "delivered", message="m1", origin="seed"),
    ]
    assert violated(run(events), "no_duplicate_delivery") == is_wrong
    events.append(event("node-1", 14.0, "delivered", message="m1", origin="seed"))
    assert violated(run(events), "no_duplicate_delivery")


def test_a_message_that_nobody_published_is_told() -> None:
    events = [*history(), event("node-1", 12.0, "delivered", message="m2", origin="seed")]
    assert violated(run(events), "only_published")
    hostile = Disturbance("node-2", "hostile", 0.0, 60.0)
    events = [*history(), event("node-1", 12.0, "delivered", message="m2", origin="node-2")]
    assert not violated(run(events, hostile), "only_published")


def test_a_message_under_another_name_is_told() -> None:
    events = history()
    events[-1]["origin"] = "node-1"
    assert violated(run(events), "only_published")


def test_a_message_that_did_not_reach_everybody_is_told() -> None:
    assert violated(run(history()[:-1]), "every_message_everywhere")


@pytest.mark.parametrize(
    ("start", "end", "is_excused"), [(9.0, 12.0, True), (15.0, 16.0, True), (0.0, 5.0, False), (25.0, 30.0, False)]
)
def test_who_was_down_while_it_travelled_is_excused_and_nobody_else(start: float, end: float, is_excused: bool) -> None:
    disturbance = Disturbance("node-2", "down", start, end)
    assert violated(run(history()[:-1], disturbance), "every_message_everywhere") != is_excused


@pytest.mark.parametrize("kind", ["cut", "frozen", "disturbed"])
def test_who_was_cut_off_or_frozen_still_has_to_get_everything(kind: str) -> None:
    disturbance = Disturbance("node-2", kind, 9.0, 12.0)
    assert violated(run(history()[:-1], disturbance), "every_message_everywhere")


def test_a_view_that_misses_one_or_has_one_too_many_is_told() -> None:
    members = {"seed": ["node-1"], "node-1": ["seed", "node-2"], "node-2": ["seed", "node-1", "node-9"]}
    (violation,) = check(run(history(), members=members), {"same_membership_view": 0.0})
    assert violation.examples == ("seed misses node-2", "node-2 still counts node-9")


def test_a_node_that_is_down_at_the_end_is_in_no_view() -> None:
    members = {"seed": ["node-1"], "node-1": ["seed"]}
    down = Disturbance("node-2", "down", 50.0, 60.0)
    assert not violated(run(history(), down, members=members), "same_membership_view")


def test_a_death_without_a_reason_is_told_and_one_with_it_is_not() -> None:
    events = [*history(), event("seed", 20.0, "member", peer="node-1", state="dead")]
    assert violated(run(events), "no_false_death")
    assert not violated(run(events, Disturbance("node-1", "down", 15.0, 30.0)), "no_false_death")
    assert not violated(run(events, Disturbance("node-1", "cut", 15.0, 30.0)), "no_false_death")


def test_a_restart_that_nobody_asked_for_is_told() -> None:
    events = [*history(), event("node-1", 20.0, "started")]
    assert violated(run(events), "no_unasked_restart")
    assert not violated(run(events, Disturbance("node-1", "down", 15.0, 20.0)), "no_unasked_restart")


@pytest.mark.parametrize(
    ("started", "published", "is_excused"),
    [(9.5, 9.0, True), (9.5, 11.0, True), (9.5, 12.0, False), (3.0, 9.0, False), (None, 9.0, False)],
)
def test_a_node_that_starts_late_is_down_until_then(started: float | None, published: float, is_excused: bool) -> None:
    events = [event(node, 0.0, "started") for node in NODES]
    events += [event("node-2", 1.0, "stopped", reason="kill")]
    if started is not None:
        events.append(event("node-2", started, "started"))
    events.append(event("seed", published, "published", message="m1"))
    events.append(event("node-1", published + 0.1, "delivered", message="m1", origin="seed"))
    judged = run(sorted(events, key=lambda one: one["at"]), Disturbance("node-2", "down", 1.0, 3.0))
    assert violated(judged, "every_message_everywhere") != is_excused
    assert not violated(judged, "no_unasked_restart")


def test_a_late_start_excuses_no_other_one() -> None:
    events = [event(node, 0.0, "started") for node in NODES]
    events += [event("node-2", 1.0, "stopped", reason="kill"), event("node-2", 9.0, "started")]
    events += [event("node-2", 20.0, "stopped", reason="kill"), event("node-2", 24.0, "started")]
    assert violated(run(events, Disturbance("node-2", "down", 1.0, 3.0)), "no_unasked_restart")


def test_errors_in_logs_and_too_much_memory_are_told() -> None:
    assert violated(run(history(), logs={"node-1": ["12:00 ERROR it broke"]}), "clean_logs")
    assert not violated(run(history(), logs={"node-1": ["12:00 WARNING hm"]}), "clean_logs")
    assert violated(run(history(), rss={"node-1": 200.0}), "rss_below", 100.0)
    assert not violated(run(history(), rss={"node-1": 200.0}), "rss_below", 300.0)


def test_many_violations_are_counted_and_few_are_shown() -> None:
    events = history() + [event("node-1", 11.0, "delivered", message="m1", origin="seed") for _ in range(20)]
    (violation,) = check(run(events), {"no_duplicate_delivery": 0.0})
    assert violation.count == 20
    assert str(violation).endswith("and 15 more")


def test_the_checker_imports_nothing_of_the_node() -> None:
    tree = ast.parse(Path(checker.__file__).read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert all(name.split(".")[0] in {*sys.stdlib_module_names, "__future__"} for name in names)


def test_what_is_no_run_is_refused_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checker.main([str(tmp_path)]) == 2
    assert checker.main([]) == 2
    (tmp_path / "facts.json").write_text("{}")
    (tmp_path / "history.jsonl").write_text("")
    assert checker.main([str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "no node ever began" in told
    assert "Traceback" not in told
