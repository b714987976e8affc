"""`testnet up` on containers and what can be done to such a testnet, as a person calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from node.testnet.runners import attach
from tests.docker.test_chaos import attached, effects
from tests.docker.testnet import docker, fetch, free_port, until

pytestmark = pytest.mark.timeout(300)

NODES = 3
NAME = f"test-{os.getpid()}"
PROJECT = f"positron-{NAME}"
PORTS = {"PROMETHEUS_PORT": str(free_port()), "GRAFANA_PORT": str(free_port())}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "node.testnet.main", *words, "--name", NAME]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=120, check=False)


def everything() -> list[str]:
    """What the engine has of this testnet."""
    label = f"label=com.docker.compose.project={PROJECT}"
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return [name for kind in kinds for name in docker(*kind, "--quiet", "--filter", label).split()]


@pytest.fixture(scope="module", autouse=True)
def up(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A testnet with all that watches it; what `up` has said."""
    variables = {**images, **PORTS, "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("rt"))}
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        done = run("up", "--runner", "docker", "-n", str(NODES - 1), "--no-build", "--loss", "20%")
        assert done.returncode == 0, done.stderr
        yield done.stderr
    finally:
        done = run("down")
        os.environ.clear()
        os.environ.update(before)
    assert done.returncode == 0, done.stderr
    assert everything() == []


def test_up_says_what_runs_and_that_a_broadcast_is_everywhere(up: str) -> None:
    assert "runner docker, backend " in up
    assert f"{NODES} nodes, one broadcast at {NODES} of them" in up


def test_status_and_a_second_up_know_it() -> None:
    done = run("status", "--json")
    assert [one["members"] for one in json.loads(done.stdout)] == [NODES - 1] * NODES
    again = run("up", "--runner", "docker", "--no-build")
    assert again.returncode == 2
    assert "runs already" in again.stderr


def test_prometheus_sees_every_node() -> None:
    url = f"http://127.0.0.1:{PORTS['PROMETHEUS_PORT']}/api/v1/query?query=positron_node_info"

    def are_scraped() -> bool:
        return len(json.loads(fetch(url))["data"]["result"]) == NODES

    until(are_scraped, 30, "every node is scraped")


def test_links_do_what_was_asked_faults_included() -> None:
    words = ("fault", "loss", "--share", "50%", "--target", "node-1", "--for", "60s", "--detach")
    assert run(*words).returncode == 0
    assert verified() == pytest.approx([0.6, 0.6])
    assert run("heal").returncode == 0
    assert verified() == pytest.approx([0.2, 0.2])


def verified() -> list[float]:
    """The losses asked of the links between two nodes, which have them."""
    done = run("links", "verify", "--from", "node-1", "--to", "seed", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return [one["loss_asked"] for one in json.loads(done.stdout)]


@pytest.mark.parametrize(
    ("kind", "words", "seen_as"),
    [
        ("partition", ["--shape", "one", "--target", "node-1"], "partition"),
        ("pause", ["--target", "node-1"], "paused"),
        ("kill", ["--target", "node-1"], "down"),
        ("disk-full", ["--target", "node-1"], "disk_full"),
    ],
)
def test_ctrl_c_heals_a_fault(kind: str, words: list[str], seen_as: str) -> None:
    process = subprocess.Popen(
        command("fault", kind, *words, "--for", "60s"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: seen_as in effects(attached(), kernels=False)["node-1"], 30, f"{kind} has begun")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert "healed" in errors

    def is_healed() -> bool:
        wrong = {name: kinds - {"dropping"} for name, kinds in effects(attached(), kernels=True).items()}
        return not any(wrong.values())

    until(is_healed, 20, "nothing is wrong any more")
    until(lambda: all(one["state"] == "running" for one in attach(NAME).keeper_status()["nodes"].values()), 20, "runs")
