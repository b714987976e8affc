"""The keeper: what it refuses, and what it does when nobody speaks to it any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.testnet.errors import TestnetFailed
from node.testnet.runners.directory import ask_keeper, wait_until_gone
from node.testnet.runners.proc import ProcRunner
from tests.testnet.plans import plan_of

pytestmark = pytest.mark.loopback

FAULT = {"do": "fault", "step": "f", "kind": "pause", "node": "node-1", "seconds": 1.0}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"do": "dance"}, "allowed is status"),
        ({}, "KeyError: 'do'"),
        (FAULT | {"node": "node-9"}, "no node 'node-9'; there are seed, node-1"),
        (FAULT | {"kind": "loss"}, "no fault 'loss' of processes"),
        (FAULT | {"seconds": 1e9}, "allowed is 0 to 3600"),
        (FAULT | {"seconds": "x"}, "ValueError"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(shared: ProcRunner, request_: dict[str, Any], reason: str) -> None:
    with pytest.raises(TestnetFailed, match=reason):
        ask_keeper(shared._running(), request_)
    assert shared.keeper_status()["faults"] == []


def test_a_testnet_whose_controller_is_silent_goes_down_after_its_last_fault(testnets: Path) -> None:
    runner = ProcRunner("leased", lease=60.0)
    runner.up(plan_of(2))
    runner._is_watching.set()  # the controller says nothing more
    ask_keeper(runner._running(), FAULT | {"seconds": 1.0})
    ask_keeper(runner._running(), {"do": "lease", "seconds": 0.1})
    assert not wait_until_gone(runner._running(), 0.5)
    assert wait_until_gone(runner._running(), 5.0)
    assert not (testnets / "leased").exists()
    runner.down()
