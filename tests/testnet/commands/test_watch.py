"""`testnet watch`: what changes between two looks."""

from __future__ import annotations

import json

import pytest

from node.testnet.commands.watch import spark
from node.testnet.main import main
from node.testnet.runners.proc import ProcRunner


def test_a_row_of_values_becomes_bars() -> None:
    assert spark([]) == ""
    assert spark([0.0, 0.0]) == "▁▁"
    assert spark([1.0, 4.0, 8.0]) == "▂▅█"


@pytest.mark.loopback
def test_nodes_and_links_are_shown_with_what_is_asked_of_them_and_seen(
    whole: ProcRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fault", "loss", "--share", "30%", "--target", "node-1", "--for", "60s", "--detach",
                 "--name", "shared"]) == 0  # fmt: skip
    for _ in range(20):
        whole.publish("node-1", 500)
    capsys.readouterr()
    assert main(["watch", "--once", "--json", "--name", "shared"]) == 0
    seen = json.loads(capsys.readouterr().out)
    nodes = {one["name"]: one for one in seen["nodes"]}
    assert set(nodes) == {"seed", "node-1", "node-2", "node-3"}
    assert nodes["node-1"]["faults"] == ["loss"]
    assert nodes["node-1"]["rtt_p50"] > 0
    links = {(one["from"], one["to"]): one for one in seen["links"]}
    assert links["node-1", "seed"]["loss_asked"] == pytest.approx(0.3)
    assert links["node-2", "seed"]["loss_asked"] == 0.0
    assert sum(one["retransmitted"] or 0 for one in links.values()) > 0


@pytest.mark.loopback
def test_without_a_terminal_it_is_plain_lines(whole: ProcRunner, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--once", "--links", "--name", "shared"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["NODE", "STATE", "PEERS"]
    assert lines[1].split()[:3] == ["seed", "running", "3"]
    assert lines[5].split()[:2] == ["FROM", "TO"]
    assert len(lines) == 6 + 12


def test_an_interval_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--interval", "0"]) == 2
    assert "allowed is 0.1 to 3600 seconds" in capsys.readouterr().err
