"""Links that are measured with the probes of real nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Any

import pytest

from node.impairment.link import LinkSettings
from node.testnet.run.verification import verify
from node.testnet.runners.live import LiveNode, LiveNodes
from node.testnet.runners.measuring import BEHIND, LATE, Meter
from node.testnet.runners.proc import ProcRunner
from node.types import MILLISECOND

LINK = ("a", "b")


@pytest.mark.loopback
def test_what_was_asked_of_links_is_measured_on_them_and_on_no_others(whole: ProcRunner) -> None:
    bad = LinkSettings(loss=0.3, delay=20 * MILLISECOND)
    narrow = LinkSettings(rate=20_000)
    whole.set_links({("seed", "node-1"): bad, ("node-2", "node-3"): narrow})
    links = [("seed", "node-1"), ("node-1", "seed"), ("node-2", "node-3")]
    try:
        counts = whole.probe(links, 300)
    finally:
        whole.set_links({link: LinkSettings() for link in links})
    assert [count.link for count in counts] == links
    assert [count.sent for count in counts[:2]] == [300, 300]
    assert not [one.text for one in verify(counts[:1], {links[0]: bad}) if not one.is_applied]
    assert counts[1].received == 300
    assert median(counts[1].delays) < 0.01
    assert counts[2].received == counts[2].sent


class Slow(LiveNodes):
    """Two nodes whose machine adds so much to each probe, and to the sending of all."""

    def __init__(self, own: float, late: float, behind: float) -> None:
        self.nodes = {name: LiveNode(name, name, 1, f"{name}:2") for name in LINK}
        self.sent: list[dict[str, Any]] = []
        self._own, self._told = own, {"late": late, "behind": behind}

    def map(self, act: Callable[[Any], Any], items: Iterable[Any]) -> Any:
        return map(act, items)

    def ask(
        self, name: str, path: str, body: Mapping[str, Any] | None = None, *, timeout: float = 0.0
    ) -> dict[str, Any]:
        assert body is not None
        match path.rpartition("/")[2]:
            case "listen":
                return {"port": 7}
            case "probes":
                self.sent.append(dict(body))
                return {"measurement": "x"}
            case _:
                return self._arrived(name)

    def _arrived(self, name: str) -> dict[str, Any]:
        delay = self._own if name == "a" else 0.020 + self._own + self._told["late"]
        return {"delays": {"a": [delay] * 10}, "sent": self._told if name == "a" else None}


@pytest.mark.parametrize(
    ("own", "late", "behind", "in_nodes", "paces"),
    [
        (LATE / 2, 0.0, 0.0, True, 1),
        (LATE / 2, LATE, 0.0, True, 2),
        (LATE / 2, LATE, 0.0, False, 1),
        (2 * LATE, 0.0, 0.0, False, 2),
        (0.0, 0.0, 2 * BEHIND, False, 2),
    ],
)
def test_what_the_machine_adds_is_taken_off_and_a_late_one_is_asked_for_less(
    monkeypatch: pytest.MonkeyPatch, own: float, late: float, behind: float, in_nodes: bool, paces: int
) -> None:
    monkeypatch.setattr("node.testnet.runners.measuring.time.sleep", lambda _: None)
    nodes, meter, settings = Slow(own, late, behind), Meter(), LinkSettings(delay=20 * MILLISECOND)
    (count,) = meter.measure(nodes, [LINK], 10, lambda _: settings, in_nodes=in_nodes)
    machine = own + (late if in_nodes else 0.0)
    assert count.machine == pytest.approx(machine)
    assert median(count.delays) == pytest.approx(0.020 + own + late - machine)
    assert nodes.sent[0]["targets"] == ["b:7", "a:7"]
    assert len(nodes.sent) == paces
    # It is remembered.
    meter.measure(nodes, [LINK], 10, lambda _: settings, in_nodes=in_nodes)
    assert len(nodes.sent) == paces + 1
    assert (nodes.sent[-1]["interval"] > nodes.sent[0]["interval"]) is (paces == 2)
