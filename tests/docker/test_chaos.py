"""Scenarios on containers: what they break is broken, heals by itself, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.test_impairment import has_netem
from tests.docker.testnet import docker, until

pytestmark = pytest.mark.timeout(300)

SCENARIO = """
schema: 1
title: short faults of links and nodes
topology: {nodes: 4}
links: {all: {delay: 5ms}}
load: {publish: 5/s}
timeline:
  - {at: 1s, id: dead, kill: , target: node-1, for: 3s}
  - {at: 5s, id: frozen, pause: , target: node-2, for: 2s}
  - {at: 8s, id: lossy, loss: 20%, target: node-3, for: 5s}
expect:
  - {recover: dead, to: steady, within: 10s}
"""
LONG = """
schema: 1
title: a fault that outlives its controller
topology: {nodes: 3}
timeline:
  - {at: 0s, id: gone, kill: , target: node-1, for: 8s}
  - {at: 0s, id: frozen, pause: , target: node-2, for: 8s}
"""
LIMIT = 8.0
LABEL = "org.positron.testnet.node"


@pytest.fixture
def start(
    images: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], subprocess.Popen[str]]]:  # fmt: skip
    """Starts `testnet chaos run` with a scenario of that text."""
    # A short path: that of the keeper's socket must not be long.
    environment = {**os.environ, **images, "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("rt"))}
    started = []

    def start(text: str) -> subprocess.Popen[str]:
        file = tmp_path / "trial.yaml"
        file.write_text(text)
        command = [sys.executable, "-m", "node.testnet.main", "chaos", "run", str(file), "--runner", "docker"]
        done = subprocess.Popen(
            [*command, "--json", "--out", str(tmp_path / "runs")],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(done)
        return done

    yield start
    for process in started:
        process.kill()
        process.communicate()
    until(lambda: leftovers() == [], 60, "nothing is left")


def leftovers() -> list[str]:
    """Containers, networks and volumes of testnets that were started for one run."""
    found = docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}").split()
    found += [name for name in docker("network", "ls", "--format", "{{.Name}}").split() if "positron-run-" in name]
    return found


def outcome(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=240)
    assert output, errors
    found: dict[str, Any] = json.loads(output)
    return found | {"status": process.returncode, "errors": errors}


def states() -> dict[str, str]:
    """State of each container, by the name of its node."""
    form = '{{.Label "' + LABEL + '"}} {{.State}}'
    lines = docker("ps", "--all", "--filter", f"label={LABEL}", "--format", form).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def volumes() -> set[str]:
    return set(docker("volume", "ls", "--quiet").split())


def test_a_scenario_passes_and_leaves_nothing(start: Callable[[str], subprocess.Popen[str]]) -> None:
    before = volumes()
    found = outcome(start(SCENARIO))
    assert (found["verdict"], found["status"]) == ("passed", 0), (found["reason"], found["errors"])
    assert ("backend netem" if has_netem() else "backend nft (the engine's kernel has nftables") in found["errors"]
    assert leftovers() == []
    assert volumes() <= before


def test_netem_on_a_kernel_without_it_is_not_applied(start: Callable[[str], subprocess.Popen[str]]) -> None:
    if has_netem():
        pytest.skip("this kernel has netem")
    found = outcome(start(SCENARIO + "backend: netem\n"))
    assert (found["verdict"], found["status"]) == ("not-applied", 3), found["reason"]
    assert "has no sch_netem" in found["reason"]
    assert leftovers() == []


def test_faults_heal_and_everything_goes_when_the_controller_is_killed(
    start: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = start(LONG)
    until(lambda: states() == {"seed": "running", "node-1": "exited", "node-2": "paused"}, 60, "the faults have begun")
    began = time.monotonic()
    process.send_signal(signal.SIGKILL)
    until(lambda: states().get("node-1") == states().get("node-2") == "running", LIMIT + 1, "the faults are over")
    assert time.monotonic() - began <= LIMIT + 1
    until(lambda: leftovers() == [], 60, "the testnet is gone")
