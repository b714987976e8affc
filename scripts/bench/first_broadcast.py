"""Prints how long a testnet of containers takes until a broadcast is at every node, and what its nodes weigh.

Usage: scripts/bench/run first_broadcast [--nodes N] [--compose] [--json]
The image must be built. Prometheus and Grafana stay out of it. `testnet up` starts it, or `docker compose up`. The
second figure compares with the time that the engine takes for as many containers of the same image that do nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "positron-bench"
IMAGE = os.environ.get("POSITRON_IMAGE", "positron-testnet:local")
PATIENCE = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=5, help="replicas of `node`, the seed is one more (default 5)")
    parser.add_argument("--compose", action="store_true", help="start it with docker compose up")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    try:
        figures = measure_compose(arguments.nodes) if arguments.compose else measure_testnet(arguments.nodes)
    finally:
        testnet("down", "--name", PROJECT)
    idle = measure_idle(arguments.nodes + 1)
    figures = {**figures, "idle_containers": idle, "ratio": round(figures["first_broadcast"] / idle, 1)}
    if arguments.json:
        print(json.dumps(figures))
    else:
        print(
            f"{figures['nodes']} nodes: first broadcast at all of them after {figures['first_broadcast']:.1f} s "
            f"of {'docker compose' if arguments.compose else 'testnet'} up; as many idle containers {idle:.1f} s; "
            f"largest node {figures['rss_mib_max']:.1f} MiB"
        )
    return 0


def measure_testnet(nodes: int) -> dict[str, Any]:
    """Seconds until `testnet up` has seen a broadcast of the seed at every other node."""
    began = time.monotonic()
    words = ("--runner", "docker", "--no-build", "--no-monitoring", "--nodes", str(nodes), "--name", PROJECT)
    testnet("up", *words)
    return described(time.monotonic() - began)


def measure_compose(nodes: int) -> dict[str, Any]:
    """Seconds from `docker compose up` until every other node has the seed's broadcast."""
    began = time.monotonic()
    compose(nodes, "up", "--detach", "seed", "node")
    names = docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
    addresses = {name: address_of(name) for name in names}
    (seed,) = docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}",
                     "--filter", "label=com.docker.compose.service=seed").split()  # fmt: skip
    wait_for(lambda: get(addresses[seed], "/api/v1/stats").get("active_peers") == nodes)
    request = urllib.request.Request(f"http://{addresses[seed]}:9464/api/v1/broadcast", b'{"hello": "all"}')
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=5).close()
    others = [address for name, address in addresses.items() if name != seed]
    wait_for(lambda: all(get(other, "/api/v1/stats")["gossip_stats"]["delivered"] >= 1 for other in others))
    return described(time.monotonic() - began)


def described(first_broadcast: float) -> dict[str, Any]:
    """That time, and what the nodes weigh."""
    names = docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
    rss = [resident_mib(name) for name in names]
    return {"nodes": len(names), "first_broadcast": round(first_broadcast, 2), "rss_mib_max": round(max(rss), 1)}


def measure_idle(count: int) -> float:
    """Seconds that the engine takes to start as many containers that only sleep."""
    began = time.monotonic()
    command = ["docker", "run", "--detach", "--rm", "--entrypoint", "sleep", IMAGE, "60"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    names = [process.communicate()[0].strip() for process in processes]
    took = time.monotonic() - began
    docker("kill", *names)
    return round(took, 2)


def resident_mib(name: str) -> float:
    """Resident memory of the node, process 1 of its container."""
    text = docker("exec", name, "cat", "/proc/1/status")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) / 1024


def address_of(name: str) -> str:
    """The container's address on the network of the API."""
    networks: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", name))
    return str(next(network["IPAddress"] for key, network in networks.items() if key.endswith("mgmt")))


def get(address: str, path: str) -> dict[str, Any]:
    """A node's answer; empty while it gives none."""
    try:
        with urllib.request.urlopen(f"http://{address}:9464{path}", timeout=2) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except OSError:
        return {}


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {PATIENCE:.0f} s; see docker compose --project-name {PROJECT} logs")
        time.sleep(0.02)


def compose(nodes: int, *words: str) -> None:
    environment = {**os.environ, "NODES": str(nodes), "API_PORT": "0"}
    command = ["docker", "compose", "--project-directory", str(ROOT), "--project-name", PROJECT, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def testnet(*words: str) -> None:
    command = [sys.executable, "-m", "node.testnet.main", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
