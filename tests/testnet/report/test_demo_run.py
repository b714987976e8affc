"""The recorded run, 20 % loss on every link of node-3 for 30 s, as the boards show it: asked of a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from grafana import generate
from node.testnet.boards import BOARDS
from node.testnet.report.page import render_report
from node.testnet.report.replay import Replay, replayed
from node.testnet.report.stored import StoredRun, load

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")), reason="prometheus is not installed"
    ),
]

BAD = "node-3"
BEFORE, DURING, AFTER = (0, 2), (8, 32), (38, 43)
"""Seconds of the run; the fault acts from 3 to 33, rates look back for 4."""

Series = dict[tuple[str, ...], list[float]]


@pytest.fixture(scope="module")
def run() -> StoredRun:
    return load(Path(__file__).parents[3] / "docs" / "demo-run")


@pytest.fixture(scope="module")
def replay(run: StoredRun) -> Iterator[Replay]:
    with replayed(run) as served:
        yield served


class Panel:
    """The lines of a panel of a board."""

    def __init__(self, replay: Replay, run: StoredRun, uid: str, title: str) -> None:
        (board,) = [board for board in BOARDS if board.uid == uid]
        (self._panel,) = [panel for panel in board.panels if panel.title == title]
        self._replay, self._run = replay, run

    def during(self, seconds: tuple[int, int], *labels: str, query: int = 0) -> Series:
        """Values in those seconds, by the values of those labels."""
        return ask(self._replay, self._run, self._panel.queries[query].expression, seconds, labels)


def ask(replay: Replay, run: StoredRun, expression: str, seconds: tuple[int, int], labels: tuple[str, ...]) -> Series:
    for name, value in (("$node", ".+"), ("$peer", ".+"), ("$__rate_interval", "4s")):
        expression = expression.replace(name, value)
    start, end = (run.began + second for second in seconds)
    words = urlencode({"query": expression, "start": start, "end": end, "step": 1})
    with urlopen(f"{replay.address}/api/v1/query_range?{words}", timeout=20) as answer:
        found = json.load(answer)["data"]["result"]
    return {
        tuple(one["metric"].get(label, "") for label in labels): [float(value) for _, value in one["values"]]
        for one in found
    }


def test_the_fault_is_shaded_for_as_long_as_it_acts(replay: Replay, run: StoredRun) -> None:
    (expression,) = {json.loads(generate.render(board))["annotations"]["list"][0]["expr"] for board in BOARDS}
    shaded = ask(replay, run, expression, (0, 43), ("step", "kind"))
    assert list(shaded) == [("lossy", "loss")]
    (seconds,) = shaded.values()
    assert 29 <= len(seconds) <= 35


def test_the_loss_that_was_asked_for_is_shown_as_applied(replay: Replay, run: StoredRun) -> None:
    panel = Panel(replay, run, "chaos", "Loss, asked and applied")
    for query in (0, 1):
        assert max(panel.during(BEFORE, "node", query=query)[BAD,]) == 0
        assert min(panel.during(DURING, "node", query=query)[BAD,]) == pytest.approx(0.2)
        assert max(panel.during(AFTER, "node", query=query)[BAD,]) == 0


def test_only_the_links_of_that_node_retransmit_and_all_are_quiet_again_afterwards(
    replay: Replay, run: StoredRun
) -> None:
    panel = Panel(replay, run, "links", "Retransmission ratio")
    before, after = (panel.during(seconds, "node", "peer_name") for seconds in (BEFORE, AFTER))
    assert {value for values in before.values() for value in values} <= {0.0}
    for (node, peer), values in panel.during(DURING, "node", "peer_name").items():
        if BAD in (node, peer):
            assert max(values) > 0.02, (node, peer)
        else:
            assert max(values) == 0, (node, peer)
    # A matrix shows the last ten seconds, which reach into the fault for a while; the timeline shows four.
    timeline = Panel(replay, run, "chaos", "Retransmission ratio by node")
    assert {value for values in timeline.during(AFTER, "node").values() for value in values} <= {0.0}
    assert max(timeline.during(DURING, "node")[BAD,]) == max(
        value for values in timeline.during(DURING, "node").values() for value in values
    )
    assert len(before) == len(after) == 30


def test_the_links_of_a_node_go_by_the_names_of_its_peers(replay: Replay, run: StoredRun) -> None:
    for title in ("Smoothed RTT, the five slowest links", "Retransmission timeout, the five longest", "Links"):
        shown = Panel(replay, run, "node", title).during(DURING, "peer_name")
        assert {name for (name,) in shown} <= {"seed", *(f"node-{number}" for number in range(1, 6))}, title
        assert len(shown) >= 5, title


def test_timeouts_follow_round_trips_and_probes_the_loss(replay: Replay, run: StoredRun) -> None:
    timeouts = Panel(replay, run, "chaos", "Retransmission timeout by node")
    smoothed = "max by (node) (positron_link_rtt_smoothed_seconds)"
    for seconds in (DURING, AFTER):
        trips = ask(replay, run, smoothed, seconds, ("node",))
        for node, values in timeouts.during(seconds, "node").items():
            # Loss alone does not lengthen a round trip: the timeout stays just above it, but for a link that backs off.
            assert all(value > trip for value, trip in zip(values, trips[node], strict=True))
            assert sorted(values)[len(values) // 2] < 2 * max(trips[node])
    probes = "sum by (node) (rate(positron_tail_loss_probes_total[4s]))"
    assert max(ask(replay, run, probes, BEFORE, ("node",))[BAD,], default=0) == 0
    assert max(ask(replay, run, probes, DURING, ("node",))[BAD,]) > 0
    assert max(ask(replay, run, probes, AFTER, ("node",))[BAD,]) == 0


def test_the_report_shows_the_same(run: StoredRun) -> None:
    page = render_report(run).text
    assert page.count('class="band"') >= 8
    assert "<title>lossy: loss</title>" in page
    (matrix,) = re.findall(r"<h2>Retransmissions, link by link</h2>(.*?)</section>", page, re.DOTALL)
    cells = re.findall(r"<title>(\S+) &gt; (\S+): ([\d.e+-]+) %</title>", matrix)
    assert len(cells) == 30
    for node, peer, share in cells:
        assert (float(share) > 0) == (BAD in (node, peer))
