"""What happens inside the netem lab: a testnet with real loss and delay, measured, then healed; the figures as JSON.

Runs as `python -m tests.lab.netem_run` with the images already in the lab's engine. It judges nothing: everything it
saw goes to $OUT/figures.json, and `test_netem.py` on the outside says what it should have been.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.docker.testnet import Testnet, until

NODES = 4
LOSS, DELAY = "10%", "20ms"
BROADCASTS = 200
SETTLE_SECONDS = 15
"""Round trips measured during the handshakes and the first exchanges have to fade from the averages."""

HEALED_RTT = 0.020
HEALED_RTO = 0.060
"""Seconds: well below what an impaired link can show, and above what the lab's slow processor adds to a clean one."""

BEGAN = time.monotonic()


def main() -> None:
    figures: dict[str, Any] = {}
    # The lab has one slow processor: looking at the health of a container costs it more than running a node.
    testnet = Testnet("lab", nodes=NODES, LOSS=LOSS, DELAY=DELAY, HEALTH_INTERVAL="1h")
    try:
        measure(testnet, figures)
    finally:
        figures["logs"] = {name: testnet.logs(name)[-4000:] for name in testnet.names}
        Path(os.environ["OUT"], "figures.json").write_text(json.dumps(figures, indent=2))


def note(text: str) -> None:
    """Progress, for whoever looks at a run that went wrong."""
    sys.stdout.write(f"{time.monotonic() - BEGAN:6.1f} s  {text}\n")
    sys.stdout.flush()


def measure(testnet: Testnet, figures: dict[str, Any]) -> None:
    began = time.monotonic()
    note("starting")
    testnet.compose("up", "--detach", "--no-build", "seed", "node", "prometheus")
    note("containers started")
    testnet.wait_until_whole(within=120)
    note("whole")
    figures["seconds_to_whole"] = time.monotonic() - began
    figures["qdisc"] = shown(testnet, "node-1")
    figures["status"] = testnet.execute("node-1", "cat", "/proc/1/status").stdout
    figures["denied"] = denied(testnet)

    note("looked around")
    wait_for_scrapes(testnet)
    note("settled")
    figures["impairment"] = by_node(testnet, "positron_impairment_loss_ratio")
    figures["before"] = links(testnet)
    figures["broadcasts"] = broadcast(testnet)
    note("delivered")
    figures["delivered"] = testnet.delivered()
    figures["retransmitted"] = {
        key: value - figures["before"][key]["retransmitted_packets_total"]
        for key, value in by_link(testnet, "retransmitted_packets_total").items()
    }
    wait_for_scrapes(testnet)
    figures["impaired"] = links(testnet)

    note("measured")
    for name in testnet.names:
        done = testnet.execute(name, "impair", "clear", user="0")
        assert done.returncode == 0, done.stderr
    note("cleared")
    healed = time.monotonic()
    figures["healing"] = []

    def is_healed() -> bool:
        found = links(testnet)
        left = {name: link for name, link in found.items() if not is_at_rest(link)}
        figures["healing"].append([round(time.monotonic() - healed, 1), left])
        return len(found) == len(testnet.names) * (len(testnet.names) - 1) and not left

    try:
        until(is_healed, 60, "round trips and timeouts are back")
    finally:
        figures["seconds_to_heal"] = time.monotonic() - healed
        figures["healed"] = links(testnet)
    note("healed")
    figures["impairment_healed"] = by_node(testnet, "positron_impairment_loss_ratio")


def shown(testnet: Testnet, name: str) -> str:
    return testnet.execute(name, "impair", "show").stdout


def denied(testnet: Testnet) -> dict[str, Any]:
    """The node's user tries to remove the impairment of its own network."""
    interface = testnet.execute("node-1", "impair", "interface").stdout.strip()
    done = testnet.execute("node-1", "tc", "qdisc", "delete", "dev", interface, "root")
    return {"interface": interface, "status": done.returncode, "error": done.stderr, "after": shown(testnet, "node-1")}


def broadcast(testnet: Testnet) -> dict[str, int]:
    """Publishes through every node in turn, and waits for the last delivery; how many each node published."""
    before = testnet.delivered()
    published = dict.fromkeys(testnet.names, 0)
    for number in range(BROADCASTS):
        name = testnet.names[number % len(testnet.names)]
        # Larger than what is repeated on lossy paths before a loss is noticed: each link is to send again.
        testnet.broadcast(name, {"number": number, "padding": "x" * 700})
        published[name] += 1
    expected = {name: before[name] + BROADCASTS - published[name] for name in testnet.names}
    until(lambda: all(count >= expected[name] for name, count in testnet.delivered().items()), 60, "deliveries")
    return published


def wait_for_scrapes(testnet: Testnet) -> None:
    """Until Prometheus has seen every link for that long."""
    count = len(testnet.names) * (len(testnet.names) - 1)
    since = time.time()
    expression = (
        f"count(count_over_time(positron_link_rtt_smoothed_seconds[{SETTLE_SECONDS}s]) > 0.8 * {SETTLE_SECONDS})"
    )

    def is_over() -> bool:
        return time.time() - since > SETTLE_SECONDS and [s.value for s in testnet.query(expression)] == [count]

    until(is_over, 120, "every link is scraped each second")


def links(testnet: Testnet) -> dict[str, dict[str, float]]:
    """What Prometheus knows about each link, from one scrape: `NODE>PEER` to figure to value."""
    names = (
        "rtt_smoothed_seconds",
        "rtt_variance_seconds",
        "rto_computed_seconds",
        "rto_effective_seconds",
        "retransmitted_packets_total",
    )
    found: dict[str, dict[str, float]] = {}
    for sample in testnet.query(f'{{__name__=~"positron_link_({"|".join(names)})"}}'):
        key = f"{sample.labels['node']}>{sample.labels['peer']}"
        found.setdefault(key, {})[sample.labels["__name__"].removeprefix("positron_link_")] = sample.value
    return found


def by_link(testnet: Testnet, name: str) -> dict[str, float]:
    samples = testnet.query(f"positron_link_{name}")
    return {f"{sample.labels['node']}>{sample.labels['peer']}": sample.value for sample in samples}


def by_node(testnet: Testnet, name: str) -> dict[str, float]:
    return {sample.labels["node"]: sample.value for sample in testnet.query(name)}


def is_at_rest(link: dict[str, float]) -> bool:
    return link["rtt_smoothed_seconds"] < HEALED_RTT and link["rto_computed_seconds"] < HEALED_RTO


if __name__ == "__main__":
    main()
