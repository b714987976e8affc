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

from node.testnet.errors import TestnetError
from node.testnet.runners import attach
from node.testnet.runners.docker import ALL_MEMORY
from node.testnet.runners.proc import ProcRunner
from tests.docker.test_impairment import has_netem
from tests.docker.testnet import docker, until
from tests.testnet.killed import LIMIT, ON_LINKS, ON_NODES, SEEN_AS, names, run_command, trial

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
LABEL = "org.positron.testnet.node"


@pytest.fixture
def start(
    images: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], subprocess.Popen[str]]]:  # fmt: skip
    """Starts `testnet chaos run` with a scenario of that text."""
    # A short path: that of the keeper's socket must not be long.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("rt")))
    environment = {**os.environ, **images}
    started = []

    def start(text: str) -> subprocess.Popen[str]:
        done = subprocess.Popen(
            [*run_command(tmp_path, text, "docker"), "--json"],
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
    found = ids()
    found += [name for name in docker("network", "ls", "--format", "{{.Name}}").split() if "positron-run-" in name]
    return found


def outcome(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=240)
    assert output, errors
    found: dict[str, Any] = json.loads(output)
    return found | {"status": process.returncode, "errors": errors}


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


def effects(runner: ProcRunner, *, kernels: bool) -> dict[str, set[str]]:
    """What is wrong with each container right now, as the engine, its node and, with `kernels`, its kernel say."""
    said, containers = runner.chaos_status(), ids()
    found: dict[str, set[str]] = {}
    for one in json.loads(docker("inspect", *containers)):
        name, limits, state = one["Config"]["Labels"][LABEL], one["HostConfig"], one["State"]["Status"]
        answer = said.get(name)
        kinds = {"down"} if state == "exited" else {"paused"} if state == "paused" else set()
        kinds |= {"cpu"} if limits["CpuQuota"] > 0 else set()
        kinds |= {"memory"} if 0 < limits["Memory"] < ALL_MEMORY else set()
        if state == "running" and answer is not None:
            kinds |= {fault["kind"] for fault in answer["faults"] + answer["afflictions"]}
            kinds |= {"dropping"} if kernels and is_dropping(one["Id"]) else set()
        found[name] = kinds
    return found


def is_dropping(container: str) -> bool:
    """Whether its kernel drops packets at ingress for a time."""
    command = ["docker", "exec", "--user", "0", container, "nft", "list", "ruleset"]
    return "expires" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def ids() -> list[str]:
    """The containers of testnets that were started for one run."""
    return docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}").split()


def attached() -> ProcRunner:
    """The testnet that the command under test has brought up."""
    found = names()
    assert len(found) == 1, found
    try:
        return attach(found[0])
    except TestnetError as error:
        raise AssertionError(f"{found[0]}: {error}") from error


def outlive(start: Callable[[str], subprocess.Popen[str]], faults: list[str], wanted: dict[str, str]) -> None:
    """Kills the controller once each node has what is wanted; all has to be well within the limit and a second."""
    process = start(trial(faults, max(3, len(wanted) + 1)))
    seen: dict[str, set[str]] = {}

    def have_begun() -> bool:
        assert process.poll() is None, outcome(process)
        seen.update(effects(attached(), kernels=len(faults) == 1))
        return all(what in seen.get(name, set()) for name, what in wanted.items())

    until(have_begun, 60, f"the faults have begun: {wanted}")
    process.send_signal(signal.SIGKILL)
    ends = time.monotonic() + LIMIT + 1

    def are_healed() -> bool:
        looked_at = time.monotonic()
        left = {name: kinds for name, kinds in effects(attached(), kernels=len(faults) == 1).items() if kinds}
        assert looked_at > ends or not left, left
        return looked_at <= ends

    until(are_healed, LIMIT + 1, "all is healed")
    until(lambda: leftovers() == [], 60, "the testnet is gone")


@pytest.mark.slow
def test_what_a_keeper_or_a_node_does_ends_though_the_controller_is_killed(
    start: Callable[[str], subprocess.Popen[str]],
) -> None:
    faults = [f"{fault}, target: node-{number}" for number, fault in enumerate(ON_NODES.values(), 1)]
    outlive(start, faults, {f"node-{number}": SEEN_AS.get(kind, kind) for number, kind in enumerate(ON_NODES, 1)})


def test_what_a_kernel_drops_ends_though_the_controller_is_killed(
    start: Callable[[str], subprocess.Popen[str]],
) -> None:
    outlive(start, ["loss: 30%, target: node-1"], {"node-1": "loss" if has_netem() else "dropping"})


@pytest.mark.longer
@pytest.mark.parametrize("kind", [*ON_NODES, *ON_LINKS])
def test_each_fault_ends_though_the_controller_is_killed(
    start: Callable[[str], subprocess.Popen[str]], kind: str
) -> None:
    fault = {**ON_NODES, **ON_LINKS}[kind]
    outlive(start, [f"{fault}, target: node-1"], {"node-1": SEEN_AS.get(kind, kind)})


def test_an_interrupted_run_is_aborted_and_leaves_nothing(start: Callable[[str], subprocess.Popen[str]]) -> None:
    before = volumes()
    process = start(
        "schema: 1\ntitle: interrupted\ntopology: {nodes: 3}\ntimeline:\n"
        "  - {at: 0s, id: gone, kill: , target: node-1, for: 30s}\n"
    )

    def has_begun() -> bool:
        assert process.poll() is None, outcome(process)
        return "down" in effects(attached(), kernels=False)["node-1"]

    until(has_begun, 60, "the fault has begun")
    process.send_signal(signal.SIGINT)
    found = outcome(process)
    assert (found["verdict"], found["reason"], found["status"]) == ("aborted", "interrupted", 1)
    assert leftovers() == []
    assert volumes() <= before


@pytest.mark.parametrize(
    ("number", "is_for_all"), [(signal.SIGINT, True), pytest.param(signal.SIGTERM, False, marks=pytest.mark.slow)]
)
def test_an_interrupted_start_leaves_nothing(
    number: signal.Signals,
    is_for_all: bool,
    images: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = f"positron-test-{os.getpid()}-up"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("rt")))

    def containers() -> list[str]:
        return docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={project}").split()

    command = [sys.executable, "-m", "node.testnet.main", "up", "--runner", "docker", "-n", "4", "--name", project]
    process = subprocess.Popen(
        [*command, "--no-build", "--no-monitoring"], env={**os.environ, **images}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until(lambda: bool(containers()), 60, "a container is there")
        # A terminal tells the command and Compose below it, a service manager the command alone.
        (os.killpg if is_for_all else os.kill)(process.pid, number)
        output, errors = process.communicate(timeout=60)
        assert process.returncode != 0, output + errors
        assert containers() == []
        assert f"{project}_" not in docker("network", "ls", "--format", "{{.Name}}")
        assert f"{project}_" not in docker("volume", "ls", "--format", "{{.Name}}")
    finally:
        process.kill()
        process.communicate()
        docker("compose", "--project-name", project, "down", "--volumes", "--timeout", "1")
