"""`testnet watch`: pictures of a running testnet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from threading import Event, Thread

import pytest
from rich.console import Console

from node.testnet.commands.watch import _picture
from node.testnet.commands.watched import Look, Watched
from node.testnet.main import main
from node.testnet.runners.proc import ProcRunner


@contextmanager
def busy(testnet: ProcRunner, node: str) -> Iterator[None]:
    """That node broadcasts for as long as the context lasts."""
    is_over = Event()

    def broadcast() -> None:
        while not is_over.wait(0.02):
            testnet.publish(node, 500)

    thread = Thread(target=broadcast)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.loopback
def test_nodes_and_links_are_shown_with_what_is_asked_of_them_and_seen(
    whole: ProcRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fault", "loss", "--share", "30%", "--target", "node-1", "--for", "60s", "--detach",
                 "--name", "shared"]) == 0  # fmt: skip
    capsys.readouterr()
    with busy(whole, "node-1"):
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


@pytest.mark.parametrize("width", [80, 120])
def test_every_figure_is_whole_on_a_terminal_of_usual_width(width: int) -> None:
    stats = {
        "active_peers": 5,
        "gossip_stats": {"delivered": 42},
        "runtime": {"loop_lag_seconds": 0.0123, "loop_lag_samples": 2},
        "links": [
            {"name": "node-2", "transport": "udp", "state": "established", "established_at": 1.0, "packets_sent": 0,
             "retransmissions": 0, "packets_lost": 0, "rtt_latest": 0.09,
             "rtt_buckets": [[0.0986, 0.0988, 1]], "rto": 0.123},
        ],
    }  # fmt: skip
    chaos = {"hosts": {}, "default": {}, "faults": [{"hosts": None, "step": "lossy", "settings": {"loss": 0.2}}]}
    seen = Watched({"node-1": "127.1.0.1", "node-2": "127.1.0.2"})
    seen.take(Look(at=1.0, states={"node-1": "running"}, stats={"node-1": stats}, chaos={"node-1": chaos}, faults={}))
    console = Console(width=width, file=StringIO())
    console.print(_picture(seen, width, has_links=True))
    drawn = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    assert max(map(len, drawn.splitlines())) <= width
    for whole_word in ("running", "RTT P99", "GOSSIP/S", "98.7 ms", "123.0 ms", "lossy", "LOSS SEEN", "20.0 %"):
        assert whole_word in drawn


def test_an_interval_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--interval", "0"]) == 2
    assert "allowed is 0.1 to 3600 seconds" in capsys.readouterr().err
