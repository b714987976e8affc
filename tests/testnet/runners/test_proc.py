"""Testnets of local processes from beginning to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.impairment.link import LinkSettings
from node.impairment.wire import Wire
from node.testnet.errors import NotApplied, TestnetFailed, TestnetMisused
from node.testnet.runners.directory import Directory, directory_of, wait_until_gone
from node.testnet.runners.live import wait_until
from node.testnet.runners.proc import ProcRunner
from node.testnet.scenario.resolve import LinkFault, NodeFault
from node.types import SECOND
from tests.testnet.plans import plan_of

pytestmark = pytest.mark.loopback

CONTROLLER = """
import sys, time
from node.testnet.runners.directory import ask_keeper
from node.testnet.runners.proc import ProcRunner
from node.testnet.scenario.resolve import LinkFault
from node.types import SECOND
from node.impairment.link import LinkSettings
from tests.testnet.plans import plan_of
runner = ProcRunner("killed", lease=4.0)
runner.up(plan_of(3))
links = (("seed", "node-1"), ("node-1", "seed"))
runner.apply(LinkFault(step="cut", kind="partition", at=0, until=2 * SECOND, links=links,
                       settings=LinkSettings(loss=1.0)), runner.now())
ask_keeper(runner._running(), {"do": "fault", "step": "p", "kind": "pause", "node": "node-2", "seconds": 2.0})
print("ready", flush=True)
time.sleep(60)
"""


def cut(first: str, second: str, seconds: int) -> LinkFault:
    links = ((first, second), (second, first))
    settings = LinkSettings(loss=1.0)
    return LinkFault(step="cut", kind="partition", at=0, until=seconds * SECOND, links=links, settings=settings)


def test_five_nodes_are_up_have_heard_a_broadcast_and_are_gone_in_seconds(testnets: Path) -> None:
    began = time.monotonic()
    runner = ProcRunner("quick", lease=None)
    runner.up(plan_of(5))
    message = runner.publish("seed", 100)
    assert wait_until(
        lambda: len({event["node"] for event in runner.history() if event.get("message") == message}) == 5, 5.0
    )
    runner.down()
    # Two to three where nothing else runs; no wait of the runner's own is in it.
    assert time.monotonic() - began < 20.0
    assert not (testnets / "quick").exists()


def test_a_second_testnet_of_the_same_name_is_refused_and_found_by_that_name(shared: ProcRunner) -> None:
    with pytest.raises(TestnetMisused, match="runs already"):
        ProcRunner("shared", lease=None).up(plan_of(2))
    found = ProcRunner.attach("shared")
    assert set(found.stats()) == set(shared.stats())
    assert (shared._running().token.stat().st_mode & 0o777, shared._running().path.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )


def test_backends_that_processes_do_not_have_are_refused() -> None:
    plan = plan_of(2)
    other = type(plan)(topology=plan.topology, links=plan.links, seed=1, backend="netem")
    with pytest.raises(NotApplied, match="wire alone"):
        ProcRunner("other", lease=None).up(other)


def test_a_cut_link_carries_nothing_until_its_limit_even_if_the_node_starts_anew(whole: ProcRunner) -> None:
    links = [("seed", "node-1"), ("node-1", "seed"), ("seed", "node-2")]
    whole.apply(cut("seed", "node-1", 4), whole.now())
    began = time.monotonic()
    fault = NodeFault(step="again", kind="restart", at=0, until=0, node="node-1")
    whole.apply(fault, whole.now())
    assert wait_until(lambda: whole.status("node-1", "/healthz") == 200, 2.0)
    received = [count.received for count in whole.probe(links, 50)]
    assert received == [0, 0, 50]
    assert wait_until(lambda: whole.probe(links[:2], 5)[0].received == 5, 6.0)
    assert 3.5 < time.monotonic() - began < 6.0


def test_the_fate_of_every_packet_follows_from_the_seed_its_link_and_its_number(testnets: Path) -> None:
    for name in ("first", "second"):
        runner = ProcRunner(name, lease=None)
        runner.up(plan_of(2, LinkSettings(loss=0.3), seed=7))
        try:
            answer = runner._live().ask("seed", "/api/v1/chaos")
            assert answer is not None
            (counts,) = answer["links"].values()
        finally:
            runner.down()
        assert counts["lost"] == lost_of_the_first(counts["offered"]) > 0


def lost_of_the_first(packets: int) -> int:
    """How many of them a link like that loses, whoever sends them."""
    wire = Wire(seed="7", name="seed", default=LinkSettings(loss=0.3), names={"h": "node-1"})
    return sum(not wire.send(("h", 1), b"", 0) for _ in range(packets))


def test_a_node_that_ends_at_its_start_ends_the_start_in_its_own_words(testnets: Path) -> None:
    runner = ProcRunner("stillborn", lease=None)
    with pytest.raises(TestnetFailed, match=r"did not start: .*exit status \d+: .*network_id"):
        runner.up(plan_of(2, network_id="not/allowed " * 40))
    assert not (testnets / "stillborn").exists()


def test_what_a_killed_controller_has_broken_heals_in_time_and_the_testnet_goes(testnets: Path) -> None:
    command = [sys.executable, "-c", CONTROLLER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        assert controller.stdout.readline() == "ready\n"
        found = ProcRunner.attach("killed")
        controller.send_signal(signal.SIGKILL)
    began = time.monotonic()
    assert found.keeper_status()["faults"][0]["kind"] == "pause"

    def is_healed() -> bool:
        answer = found._live().ask("seed", "/api/v1/chaos")
        states = [one["state"] for one in found.keeper_status()["nodes"].values()]
        return answer is not None and not answer["faults"] and states == ["running"] * 3

    assert wait_until(is_healed, 3.0)
    assert 1.0 < time.monotonic() - began < 3.0
    pids = [one["pid"] for one in found.keeper_status()["nodes"].values()]
    assert wait_until_gone(directory_of("killed"), 8.0)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_a_keeper_that_ends_before_all_is_removed_is_not_waited_for(
    testnets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = ProcRunner("ended")
    runner.up(plan_of(2))

    def kill(directory: Directory) -> bool:
        directory.keeper_log.write_text("something is in use\n")
        os.kill(runner.keeper_status()["pid"], signal.SIGKILL)
        return True

    monkeypatch.setattr("node.testnet.runners.proc.tell_to_end", kill)
    runner.down_timeout = 3600.0  # which the limit of a test is below
    with pytest.raises(TestnetFailed, match="not all of it could be removed: something is in use"):
        runner.down()
    assert not (testnets / "ended").exists()
