"""Prints what a testnet costs its Prometheus: series per node, processor, memory; and which alerts fired meanwhile.

Usage: scripts/bench/run prometheus [--nodes N ...] [--seconds S] [--json]
Real nodes as local processes, 20 and 50 of them unless told otherwise, and a real Prometheus with the rules and alerts
of docker/prometheus that scrapes each of them every second; one broadcast a second. Nothing is broken, so no alert
should fire: --seconds 300 is the check of a quiet testnet. Needs `prometheus` on PATH; ends with 1 if an alert fired.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from node.impairment.link import LinkSettings
from node.testnet.errors import TestnetError
from node.testnet.report.server import free_port, need_programs, serving
from node.testnet.runners.base import Plan
from node.testnet.runners.directory import Directory, running
from node.testnet.runners.proc import ProcRunner
from node.testnet.scenario.topology import Topology, link_table

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIGURATION = ROOT / "docker" / "prometheus"
SETTLING_SECONDS = 20
PATIENCE = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[20, 50], help="sizes of the testnet (default 20 50)")
    parser.add_argument("--seconds", type=int, default=60, help="measured for each (default 60)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    arguments = parser.parse_args()
    try:
        need_programs("prometheus")
    except TestnetError as error:
        parser.error(str(error))
    alerts: set[str] = set()
    for nodes in arguments.nodes:
        found = measure(nodes, arguments.seconds)
        alerts |= set(found["alerts"])
        if arguments.json:
            print(json.dumps(found), flush=True)
            continue
        fired = ", ".join(found["alerts"]) or "none"
        print(
            f"{nodes:3} nodes  {found['series_per_node']:6.0f} series each  Prometheus {found['cpu']:5.1%} of a core, "
            f"{found['rss_mib']:.0f} MiB  scrape p99 {found['scrape_p99_ms']:.0f} ms  alerts fired: {fired}",
            flush=True,
        )
    return 1 if alerts else 0


def measure(nodes: int, seconds: int) -> dict[str, Any]:
    """One testnet, watched for so long after it has settled."""
    topology = Topology(nodes=nodes)
    runner = ProcRunner(f"bench-{nodes}")
    with tempfile.TemporaryDirectory() as place:
        runner.up(Plan(topology=topology, links=link_table(topology, LinkSettings(), ()), seed=1))
        try:
            with prometheus(Path(place), running(runner.testnet)) as address:
                broadcast(runner, SETTLING_SECONDS)
                before = cpu(address)
                broadcast(runner, seconds)
                used = (cpu(address) - before) / seconds
                return {"nodes": nodes, "cpu": used} | figures(address, nodes, seconds)
        finally:
            runner.down()


def figures(address: str, nodes: int, seconds: int) -> dict[str, Any]:
    fired = f'max by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s]))'
    slowest = f"quantile(0.99, max_over_time(scrape_duration_seconds[{seconds}s]))"
    return {
        "series_per_node": value(address, 'count({job="positron"})') / nodes,
        "rss_mib": own(address, "process_resident_memory_bytes") / (1 << 20),
        "scrape_p99_ms": value(address, slowest) * 1000,
        "alerts": sorted(one["metric"]["alertname"] for one in ask(address, fired)),
    }


def broadcast(runner: ProcRunner, seconds: int) -> None:
    """One message a second, from one node after another."""
    names = list(runner.stats())
    began = time.monotonic()
    for second in range(seconds):
        runner.publish(names[second % len(names)], 300)
        time.sleep(max(0.0, began + second + 1 - time.monotonic()))


@contextmanager
def prometheus(place: Path, testnet: Directory) -> Iterator[str]:
    """A Prometheus with the testnet's own configuration, but for where the nodes are."""
    configuration = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    (job,) = configuration["scrape_configs"]
    del job["dns_sd_configs"]
    targets = [f"{node['metrics_host']}:{node['metrics_port']}" for node in testnet.read_plan()["nodes"].values()]
    job["static_configs"] = [{"targets": targets}]
    job["authorization"] = {"credentials_file": str(testnet.token)}
    (place / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    for name in configuration["rule_files"]:
        shutil.copy(CONFIGURATION / name, place)
    port = free_port()
    with serving(place, port):
        address = f"http://127.0.0.1:{port}"
        wait_for(address, len(targets))
        yield address


def wait_for(address: str, nodes: int) -> None:
    """Returns when every node was scraped."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if value(address, 'sum(up{job="positron"})') == nodes:
                return
        except (OSError, IndexError):
            pass
        time.sleep(0.5)
    raise SystemExit(f"Prometheus did not find {nodes} nodes within {PATIENCE:.0f} s")


def ask(address: str, expression: str) -> Sequence[dict[str, Any]]:
    words = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{address}/api/v1/query?{words}", timeout=20) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


def value(address: str, expression: str) -> float:
    return float(ask(address, expression)[0]["value"][1])


def own(address: str, name: str) -> float:
    """A figure of Prometheus itself."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def cpu(address: str) -> float:
    return own(address, "process_cpu_seconds_total")


if __name__ == "__main__":
    sys.exit(main())
