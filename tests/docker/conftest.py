"""Images and running testnets for the tests of this tier; everything that is started here is removed here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.docker.testnet import ROOT, Testnet

LAB = ROOT / "tests" / "lab"
IMAGE = "positron-testnet:local"
GRAFANA_STAND_IN = "positron-testnet/grafana-stand-in"


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """Variables that name the images: the node's is built, those that cannot be pulled everywhere are stand-ins."""
    base = _default("Dockerfile", r"^ARG BASE_IMAGE=(.+)$")
    prometheus = _default("docker-compose.yml", r"\$\{PROMETHEUS_IMAGE:-([^}]+)\}")
    _succeed(str(LAB / "base-image"), base)
    _succeed(str(LAB / "prometheus-image"), prometheus, base)
    context = str(ROOT / "tests" / "docker" / "grafana-stand-in")
    _succeed("docker", "build", "--quiet", "--build-arg", f"BASE_IMAGE={base}", "--tag", GRAFANA_STAND_IN, context)
    _succeed("docker", "build", "--quiet", "--build-arg", f"BASE_IMAGE={base}", "--tag", IMAGE, str(ROOT))
    return {"POSITRON_IMAGE": IMAGE, "PROMETHEUS_IMAGE": prometheus, "GRAFANA_IMAGE": GRAFANA_STAND_IN}


@pytest.fixture(scope="session")
def testnet(images: dict[str, str]) -> Iterator[Testnet]:
    """A seed and four nodes without an impairment, with everything else, started with the command of the README.

    Every test leaves it running and whole.
    """
    network = Testnet(f"positron-test-{os.getpid()}", nodes=4, **images)
    try:
        network.up("--build")
        network.wait_until_whole(within=30)
        yield network
    finally:
        network.down()


def _default(file: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)
    assert found is not None
    return found.group(1)


def _succeed(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
