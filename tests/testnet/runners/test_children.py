"""Processes of a testnet that end without being told to."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from node.testnet.runners.live import wait_until
from node.testnet.runners.proc import ProcRunner
from tests.testnet.plans import plan_of

pytestmark = pytest.mark.loopback


def test_a_node_that_ends_by_itself_is_told_of_and_stays_down(testnets: Path) -> None:
    runner = ProcRunner("dying", lease=None)
    runner.up(plan_of(2))
    try:
        os.kill(runner.keeper_status()["nodes"]["node-1"]["pid"], signal.SIGKILL)
        assert wait_until(lambda: any(event["event"] == "died" for event in runner.history()), 3.0)
        died = [event for event in runner.history() if event["event"] == "died"]
        assert [(event["node"], event["reason"]) for event in died] == [("node-1", "signal SIGKILL")]
        assert runner.keeper_status()["nodes"]["node-1"]["state"] == "down"
    finally:
        runner.down()
    assert not (testnets / "dying").exists()
