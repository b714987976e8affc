"""What happens inside the netem lab: containers whose kernel impairs every link by itself, measured; figures as JSON.

Runs as `python -m tests.lab.chaos_run` with the image of the node already in the lab's engine. It judges nothing:
everything it saw goes to $OUT/chaos.json, and `test_chaos.py` on the outside says what it should have been.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, pstdev
from typing import Any

from node.impairment.link import GilbertElliott, LinkSettings, Order
from node.node.probes import PROBE_BYTES
from node.testnet.errors import TestnetError
from node.testnet.run.verification import verify
from node.testnet.runners.base import LinkName, Plan
from node.testnet.runners.contained import DockerRunner
from node.testnet.runners.live import wait_until
from node.testnet.scenario.resolve import LinkFault
from node.testnet.scenario.topology import Topology
from node.types import MILLISECOND, SECOND

START_TIMEOUT = 300.0
"""Seconds; the lab has one slow processor."""

PROBES = 2000
BURST, BURST_INTERVAL = 500, 0.0002
PACKET_BITS = 8 * (PROBE_BYTES + 8 + 20 + 14)
"""Of a probe with the headers of UDP, IP and Ethernet, which the kernel counts."""

SEED, ONE, TWO = "seed", "node-1", "node-2"
LINKS = {
    (SEED, ONE): LinkSettings(loss=0.2),
    (ONE, SEED): LinkSettings(delay=40 * MILLISECOND),
    (SEED, TWO): LinkSettings(bursts=GilbertElliott(p=0.02, r=0.2)),
    (TWO, SEED): LinkSettings(delay=30 * MILLISECOND, jitter=10 * MILLISECOND),
    (ONE, TWO): LinkSettings(rate=125_000),
    (TWO, ONE): LinkSettings(),
}


def main() -> None:
    figures: dict[str, Any] = {}
    try:
        with started() as runner:
            figures["backend"] = [runner.backend, runner.reason]
            figures["links"] = measured(runner)
            figures["natural"] = natural_jitter(runner)
            figures["rate"] = rate(runner)
            figures["changes"] = changed_in_place(runner)
            figures["one_way"] = one_way(runner)
            figures["by_hand"] = by_hand(runner)
    except TestnetError as error:
        figures["error"] = str(error)
        raise
    finally:
        Path(os.environ["OUT"], "chaos.json").write_text(json.dumps(figures, indent=2))


@contextmanager
def started() -> Iterator[DockerRunner]:
    """Three nodes whose six links are all different."""
    runner = DockerRunner("lab", lease=None, timeout=START_TIMEOUT)
    note("starting")
    runner.up(Plan(topology=Topology(nodes=3), links=LINKS, seed=1, backend="netem"))
    note("whole")
    try:
        yield runner
    finally:
        runner.down()
        note("down")


def measured(runner: DockerRunner) -> dict[str, dict[str, float]]:
    """Counted probes over one link after the other: the lab's processor is slow."""
    found = {" > ".join(link): counted(runner, link) for link in LINKS}
    note("measured")
    return found


def counted(runner: DockerRunner, link: LinkName) -> dict[str, float]:
    (count,) = runner.probe([link], PROBES)
    return {
        "sent": count.sent,
        "loss": 1 - count.received / count.sent,
        "delay": median(count.delays),
        "deviation": pstdev(count.delays),
        "machine": count.machine,
    }


def natural_jitter(runner: DockerRunner) -> dict[str, float]:
    """A link whose packets may overtake each other."""
    link = (TWO, ONE)
    settings = LinkSettings(delay=30 * MILLISECOND, jitter=10 * MILLISECOND, order=Order.NATURAL)
    runner.set_links({link: settings})
    found = counted(runner, link)
    runner.set_links({link: LinkSettings()})
    note("natural jitter")
    return found


def rate(runner: DockerRunner) -> dict[str, float]:
    """Bits per second that come through the narrow link, by bursts of probes that come faster; headers included."""
    link, ask = (ONE, TWO), runner._live().ask
    port = (ask(TWO, "/api/v1/chaos/listen", {}) or {})["port"]
    body = {"targets": [f"{runner.host_of(TWO)}:{port}"], "count": BURST, "interval": BURST_INTERVAL}
    bits, seconds, arrived = 0.0, 0.0, 0
    for _ in range(PROBES // BURST):
        begun = ask(ONE, "/api/v1/chaos/probes", body)
        assert begun is not None
        question = {"measurement": begun["measurement"]}

        def is_sent(question: dict[str, Any] = question) -> bool:
            return (ask(ONE, "/api/v1/chaos/arrived", question) or {}).get("sent") is not None

        assert wait_until(is_sent, 30.0)
        runner.sleep_until(runner.now() + BURST * PACKET_BITS / (LINKS[link].rate * 8) + 0.5)
        told = ask(ONE, "/api/v1/chaos/arrived", question)
        found = ask(TWO, "/api/v1/chaos/arrived", question)
        assert told is not None
        assert found is not None
        (delays,) = found["delays"].values()
        arrived += len(delays)
        bits += len(delays) * PACKET_BITS
        # The last one leaves when all are sent, and arrives when all have come through.
        seconds += (BURST - 1) * BURST_INTERVAL + told["sent"]["behind"] + max(delays)
    note("rate")
    return {"arrived": arrived, "rate": bits / seconds}


def changed_in_place(runner: DockerRunner) -> dict[str, int]:
    """Changes the delay of a link again and again while packets are under way on it."""
    link = (TWO, ONE)
    runner.set_links({link: LinkSettings(delay=20 * MILLISECOND)})
    port = (runner._live().ask(ONE, "/api/v1/chaos/listen", {}) or {})["port"]
    target = f"{runner.host_of(ONE)}:{port}"
    answer = runner._live().ask(
        TWO, "/api/v1/chaos/probes", {"targets": [target], "count": PROBES, "interval": 0.004}
    )  # fmt: skip
    assert answer is not None
    ends, changes = time.monotonic() + PROBES * 0.004, 0
    while time.monotonic() < ends:
        runner.set_links({link: LinkSettings(delay=(20 + changes % 2 * 10) * MILLISECOND)})
        changes += 1
    runner.sleep_until(runner.now() + 1.0)
    arrived = runner._live().ask(ONE, "/api/v1/chaos/arrived", {"measurement": answer["measurement"]})
    assert arrived is not None
    runner.set_links({link: LinkSettings()})
    note("changed")
    return {"changes": changes, "arrived": sum(map(len, arrived["delays"].values()))}


def one_way(runner: DockerRunner) -> dict[str, Any]:
    """Cuts one direction for a while; nothing renews or ends it but its limit."""
    link, back = (TWO, ONE), (ONE, TWO)
    before = errors(runner)
    runner.apply(
        LinkFault(step="cut", kind="partition", at=0, until=4 * SECOND, links=(link,), settings=LinkSettings(loss=1.0)),
        runner.now(),
    )
    ends = runner.now() + 5.0
    cut, other = runner.probe([link, back], 200)
    after = errors(runner)
    runner.sleep_until(ends)
    (healed,) = runner.probe([link], 200)
    note("cut and healed")
    return {
        "cut": cut.received,
        "other": other.received,
        "healed": healed.received,
        "send_errors": [before, after],
    }


def errors(runner: DockerRunner) -> float:
    """How often the kernel of node-2 has told its node that a packet could not be sent."""
    text = runner.scrape()[TWO] or ""
    lines = [line for line in text.splitlines() if line.startswith("positron_") and "send_error" in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def by_hand(runner: DockerRunner) -> str:
    """Slips a correlated loss under the table; what verification says of it."""
    link = (TWO, ONE)
    slip_in(runner, link)
    (count,) = runner.probe([link], 500)
    (finding,) = verify([count], {link: LinkSettings(loss=0.2)})
    note("slipped in")
    return finding.text


def slip_in(runner: DockerRunner, link: tuple[str, str]) -> None:
    """Gives a link a loss of 20 % that is correlated, as a well-meaning person might."""
    source, target = link
    container = subprocess.run(
        ["docker", "ps", "--quiet", "--filter", f"label=org.positron.testnet.node={source}"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    third, fourth = runner.host_of(target).split(".")[2:]
    minor = f"504e:{int(third) * 256 + int(fourth):x}"
    script = f'tc qdisc replace dev "$(impair interface)" parent {minor} netem loss 20% 75%'
    subprocess.run(["docker", "exec", "--user", "0", container, "sh", "-c", script], check=True)


BEGAN = time.monotonic()


def note(text: str) -> None:
    """Progress, for whoever looks at a run that went wrong."""
    sys.stdout.write(f"{time.monotonic() - BEGAN:6.1f} s  {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
