"""An impairment that cannot be applied, or makes no sense, ends the container with one line, and nothing runs."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.docker.testnet import Testnet

pytestmark = pytest.mark.timeout(300)


def start(images: dict[str, str], *variables: str) -> subprocess.CompletedProcess[str]:
    """One node without any peer, ended after a second if it does not end by itself."""
    words = [word for one in variables for word in ("--env", one)]
    capabilities = [word for one in ("NET_ADMIN", "SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", one)]
    image = images["POSITRON_IMAGE"]
    return subprocess.run(
        ["docker", "run", "--rm", "--cap-drop", "ALL", *capabilities, *words, image, "timeout", "1", "positron", "run"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def has_netem() -> bool:
    command = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_without_netem_the_container_says_so_and_how_to_go_on(images: dict[str, str]) -> None:
    if has_netem():
        pytest.skip("this kernel has netem")
    done = start(images, "LOSS=10%", "DELAY=20ms")
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("impair: this kernel has no sch_netem, so LOSS=10% DELAY=20ms")
    assert "modprobe sch_netem" in line
    assert "or start without" in line


def test_an_impossible_value_ends_the_container_with_status_2(images: dict[str, str]) -> None:
    done = start(images, "LOSS=ten")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "impair: LOSS=ten: allowed is a percentage from 0% to 100%, such as 5%\n"


def test_a_testnet_that_cannot_be_impaired_does_not_come_up(images: dict[str, str]) -> None:
    if has_netem():
        pytest.skip("this kernel has netem")
    network = Testnet(f"positron-test-{os.getpid()}-netem", nodes=1, LOSS="10%", **images)
    try:
        done = network.try_compose("up", "--detach", "--wait", "seed", "node")
        assert done.returncode != 0
        assert network.inspect("node-1")["State"]["ExitCode"] == 3
    finally:
        network.down()
