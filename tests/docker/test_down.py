"""`testnet down` where the engine cannot remove everything."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.docker.testnet import docker

pytestmark = pytest.mark.timeout(300)

NAME = f"test-{os.getpid()}-held"
PROJECT = f"positron-{NAME}"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node.testnet.main", *words, "--name", NAME]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_a_network_that_somebody_else_uses_is_named_and_goes_another_time(
    images: dict[str, str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**images, "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("rt"))}.items():
        monkeypatch.setenv(name, value)
    begun = run("up", "--runner", "docker", "-n", "1", "--no-build", "--no-monitoring")
    stranger = docker(
        "create", "--network", f"{PROJECT}_mgmt", "--entrypoint", "sleep", images["POSITRON_IMAGE"], "300"
    ).strip()
    try:
        docker("start", stranger)
        held = run("down")
        docker("rm", "--force", stranger)
        again = run("down")
    finally:
        docker("rm", "--force", stranger)
    assert begun.returncode == 0, begun.stderr
    assert held.returncode == 1
    assert "not all of it could be removed: the Docker engine refused network: " in held.stderr
    assert held.stderr.count("\n") == 1
    assert again.returncode == 0, again.stderr
    assert PROJECT not in docker("network", "ls", "--format", "{{.Name}}")
