"""Two nodes on two hosts, started as a person would, and a network between them that loses what arrives in silence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.netns.hosts import IPV4, LEFT, RIGHT, Hosts

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
BROADCASTS = 30
DELIVERED = "positron_gossip_delivered_messages_total"


class HostedNode:
    """A `positron run` on one of the hosts, asked through the command line as a person would."""

    def __init__(self, hosts: Hosts, side: str, directory: Path) -> None:
        self.hosts = hosts
        self.side = side
        self.data_dir = directory / side
        self.log = directory / f"{side}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str) -> None:
        settings = ["--port", "9000", "--profile", "testnet", "--data-dir", str(self.data_dir), *flags]
        command = self.hosts.command(self.side, sys.executable, "-m", "node", "run", *settings)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT)

    def stop(self) -> int | None:
        """Ends the node as `docker stop` would; its exit code, None if none was running."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(10)
        finally:
            process.kill()

    def ask(self, *arguments: str) -> Any:
        """What a command says, as JSON; None while no node answers."""
        command = self.hosts.command(self.side, sys.executable, "-m", "node", *arguments, "--port", "9000", "--json")
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def active_peers(self) -> int:
        answer = self.ask("peers") or {"peers": []}
        return sum(peer["state"] == "up" for peer in answer["peers"])

    def link(self) -> dict[str, Any]:
        """The node's one link."""
        (found,) = self.ask("stats")["connections"].values()
        assert isinstance(found, dict)
        return found

    def metric(self, name: str) -> float:
        """Sum of a metric over its labels."""
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9576/metrics').read().decode())"
        lines = self.hosts.run(self.side, sys.executable, "-c", code).splitlines()
        values = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + "{", name + " "))]
        assert values, f"{name} is not there"
        return sum(values)


Pair = tuple[HostedNode, HostedNode]


@pytest.fixture
def nodes(hosts: Hosts, tmp_path: Path) -> Iterator[Pair]:
    """A node on each host, each the other's peer."""
    left, right = (HostedNode(hosts, side, tmp_path) for side in (LEFT, RIGHT))
    try:
        left.start()
        right.start("--bootstrap", f"{IPV4[LEFT]}:9000")
        wait_for(lambda: left.active_peers() == right.active_peers() == 1, 30, "each is the other's peer")
        yield left, right
    finally:
        left.stop()
        right.stop()


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Asks until the condition holds. Each question takes a process, which is pause enough."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"


def test_every_broadcast_arrives_once_although_every_fifth_datagram_is_lost(nodes: Pair, hosts: Hosts) -> None:
    left, right = nodes
    for side in (LEFT, RIGHT):
        hosts.drop_incoming(side, every=5)
    for number in range(BROADCASTS):
        left.ask("broadcast", json.dumps({"number": number}))
    wait_for(lambda: right.metric(DELIVERED) >= BROADCASTS, 30, "all broadcasts arrive")
    assert right.metric(DELIVERED) == BROADCASTS
    assert right.metric("positron_dropped_packets_total") == 0
    assert left.link()["retransmissions"] > 0
    # Had the kernel told the sender, this would not be the loss of a network.
    assert left.metric("positron_udp_send_errors_total") == 0


def test_a_cut_is_noticed_and_forgotten_once_it_is_mended(nodes: Pair, hosts: Hosts) -> None:
    left, right = nodes
    for side in (LEFT, RIGHT):
        hosts.drop_incoming(side, every=1)
    wait_for(lambda: left.active_peers() == right.active_peers() == 0, 60, "both notice the cut")
    for side in (LEFT, RIGHT):
        hosts.run(side, "iptables", "--wait", "--flush", "INPUT")
    wait_for(lambda: left.active_peers() == right.active_peers() == 1, 30, "both find each other again")
    left.ask("broadcast", '{"after": "the cut"}')
    wait_for(lambda: right.metric(DELIVERED) == 1, 20, "the broadcast arrives")


def test_nodes_end_with_exit_code_0_and_without_a_traceback(nodes: Pair) -> None:
    assert [node.stop() for node in nodes] == [0, 0]
    assert ["Traceback" in node.log.read_text() for node in nodes] == [False, False]
