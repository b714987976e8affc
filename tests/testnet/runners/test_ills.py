"""What happens to processes: begins, and ends by itself at its limit."""

from __future__ import annotations

import time
from typing import Any

import pytest

from node.testnet.runners.directory import ask_keeper
from node.testnet.runners.ills import KINDS
from node.testnet.runners.live import wait_until
from node.testnet.runners.proc import PROCESS_KINDS, ProcRunner

pytestmark = pytest.mark.loopback

SECONDS = 0.6


def begin(runner: ProcRunner, kind: str, seconds: float = SECONDS, **parameters: Any) -> None:
    request = {"do": "fault", "step": "f", "kind": kind, "node": "node-1", "seconds": seconds}
    ask_keeper(runner._running(), {**request, "parameters": parameters})


def node(runner: ProcRunner) -> dict[str, Any]:
    found: dict[str, Any] = runner.keeper_status()["nodes"]["node-1"]
    return found


def is_running(runner: ProcRunner) -> bool:
    return node(runner)["state"] == "running" and runner._live().request("node-1", "/healthz")[0] == 200


def test_every_kind_of_the_runner_is_known_here() -> None:
    assert set(KINDS) == set(PROCESS_KINDS)


@pytest.mark.parametrize(("kind", "state"), [("kill", "down"), ("stop", "down"), ("pause", "paused")])
def test_a_node_that_is_down_or_frozen_is_back_at_the_limit(whole: ProcRunner, kind: str, state: str) -> None:
    before, began = node(whole), time.monotonic()
    begin(whole, kind)
    assert wait_until(lambda: node(whole)["state"] == state, SECONDS)
    assert wait_until(lambda: is_running(whole), 3.0)
    assert time.monotonic() - began >= SECONDS
    assert node(whole)["starts"] == before["starts"] + (kind != "pause")
    assert whole.keeper_status()["faults"] == []


def test_a_restart_has_no_end_and_leaves_the_node_its_key(whole: ProcRunner) -> None:
    before = whole._live().ask("node-1", "/api/v1/node")
    starts = node(whole)["starts"]
    begin(whole, "restart", 0.0)
    assert wait_until(lambda: node(whole)["starts"] == starts + 1 and is_running(whole), 5.0)
    after = whole._live().ask("node-1", "/api/v1/node")
    assert before is not None
    assert after is not None
    assert after["node_id"] == before["node_id"]


def test_state_is_lost_if_that_was_asked_for_and_the_key_is_not(whole: ProcRunner) -> None:
    data = whole._running().data("node-1")
    mark = data / "state-of-this-test"
    mark.touch()
    begin(whole, "kill", lose_state=True)
    assert wait_until(lambda: not mark.exists(), SECONDS)
    assert (data / "identity.key").exists()
    assert wait_until(lambda: is_running(whole), 3.0)


def test_a_slow_processor_stops_and_goes_on_all_the_while(whole: ProcRunner) -> None:
    seen: dict[str, None] = {}

    def has_seen_both() -> bool:
        seen[node(whole)["state"]] = None
        return len(seen) == 2

    begin(whole, "cpu", share=0.4)
    assert wait_until(has_seen_both, SECONDS, 0.005)
    assert wait_until(lambda: not whole.keeper_status()["faults"] and is_running(whole), 3.0)


def test_what_is_larger_than_it_may_be_is_killed_and_started_again(whole: ProcRunner) -> None:
    starts = node(whole)["starts"]
    begin(whole, "memory", limit=1 << 20)
    assert wait_until(lambda: node(whole)["state"] == "down", SECONDS)
    assert wait_until(lambda: node(whole)["starts"] > starts and is_running(whole), 5.0)
    whole.refresh()
    assert [event["reason"] for event in whole._events if event["event"] == "stopped"][-1] == "memory"


def test_healing_ends_a_fault_before_its_limit(whole: ProcRunner) -> None:
    begin(whole, "pause", 600.0)
    assert node(whole)["state"] == "paused"
    whole.heal("f")
    assert is_running(whole)
