"""Runs `docker compose` on the project's compose file.

Knows the commands of Compose and the variables of the file; what runs afterwards is seen by `runners/docker.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.testnet.errors import TestnetFailed, TestnetMisused

__all__ = ["COMPOSE_FILE", "DEFAULT_PROJECT", "Compose", "compose_version", "find_compose_file"]

COMPOSE_FILE = "docker-compose.yml"
DEFAULT_PROJECT = "positron"
"""The `name` in the compose file."""

VERSION_TIMEOUT = 20.0
"""Seconds; the plugin answers from its own code, without the engine."""

_STANDARD_ERROR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """One project of Compose.

    file: path of the compose file. project: name under which containers, networks and volumes are found again.
    variables: of the compose file, beside those of the environment.
    """

    file: Path
    project: str = DEFAULT_PROJECT
    variables: Mapping[str, str]

    def up(self, services: Sequence[str], *, timeout: float) -> None:
        """Starts services and waits for so many seconds until they are healthy; progress goes to standard error."""
        wait = ["--wait", "--wait-timeout", str(max(1, round(timeout)))]
        if self._run("up", "--detach", *wait, "--no-build", *services).returncode != 0:
            raise TestnetFailed("docker compose up failed; its own message is above")

    def build(self, service: str) -> None:
        """Builds the image of a service; the progress goes to standard error."""
        if self._run("build", service).returncode != 0:
            raise TestnetFailed("docker compose build failed; its own message is above")

    def create(self, services: Sequence[str]) -> None:
        """Makes networks, volumes and containers of those services, and starts none."""
        if self._run("--progress", "quiet", "up", "--no-start", "--no-build", *services).returncode != 0:
            raise TestnetFailed("docker compose up --no-start failed; its own message is above")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = ["docker", "compose", "--file", str(self.file), "--project-name", self.project, *arguments]
        try:
            # Progress, also that of the builder, is no result: standard output is for tables and JSON.
            return subprocess.run(command, env={**os.environ, **self.variables}, stdout=_STANDARD_ERROR, check=False)
        except FileNotFoundError as error:
            raise TestnetFailed("docker is not installed; see `testnet doctor`") from error


def compose_version() -> str | None:
    """The version of the Compose plugin; None if there is none."""
    if shutil.which("docker") is None:
        return None
    command = ["docker", "compose", "version", "--short"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=VERSION_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def find_compose_file(given: str | None) -> Path:
    """The compose file that was given, or the nearest one from the working directory upwards."""
    if given is not None:
        path = Path(given)
        if not path.is_file():
            raise TestnetMisused(f"--file {given}: there is no such file")
        return path.resolve()
    directory = Path.cwd()
    for candidate in (directory, *directory.parents):
        path = candidate / COMPOSE_FILE
        if path.is_file():
            return path
    raise TestnetMisused(
        f"no {COMPOSE_FILE} in {directory} or above it: run this in a checkout, or name it with --file"
    )
