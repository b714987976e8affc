"""Nodes as processes: they end with their keeper, and say why when they cannot begin."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from node.testnet.errors import TestnetFailed
from node.testnet.runners import proc
from node.testnet.runners.directory import known
from node.testnet.runners.live import wait_until
from node.testnet.runners.proc import ProcRunner
from tests.testnet.plans import plan_of

pytestmark = pytest.mark.loopback


def is_there(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}") and "zombie" not in Path(f"/proc/{pid}/status").read_text()


def test_nodes_die_with_their_keeper_and_the_rest_is_swept_away(testnets: Path) -> None:
    runner = ProcRunner("orphans", lease=None)
    runner.up(plan_of(3))
    status = runner.keeper_status()
    pids = [one["pid"] for one in status["nodes"].values()]
    assert all(is_there(pid) for pid in pids)
    os.kill(status["pid"], signal.SIGKILL)
    assert wait_until(lambda: not any(is_there(pid) for pid in pids), 3.0)
    assert "orphans" not in known()
    assert not (testnets / "orphans").exists()
    runner.down()


def test_a_node_that_cannot_begin_is_named_with_its_last_words(testnets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "START_TIMEOUT", 5.0)
    runner = ProcRunner("broken", lease=None, prepare="tests.testnet.runners.test_process:fails")
    with pytest.raises(TestnetFailed, match="exit status 70: ZeroDivisionError"):
        runner.up(plan_of(2))
    assert not (testnets / "broken").exists()


def fails(_engine: object) -> None:
    raise ZeroDivisionError
