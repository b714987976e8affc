"""A testnet in containers as a test sees it from outside: Compose, the engine's command line, and HTTP.

Imports nothing of the node. Runs wherever a Docker engine does: on the machine, and inside the netem lab.
"""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.testnet.wholeness import is_linked, living_members

__all__ = ["ROOT", "Sample", "Testnet", "free_port", "until"]

ROOT = Path(__file__).parent.parent.parent
API_PORT = 9464
POLL_INTERVAL = 0.25
HTTP_TIMEOUT = 10.0
COMMAND_TIMEOUT = 300.0

_NEVER = threading.Event()


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer of Prometheus."""

    labels: Mapping[str, str]
    value: float


class Testnet:
    """The project `project` of the repository's compose file, with `nodes` replicas beside the seed.

    variables: of the compose file, such as LOSS="10%".
    """

    __test__ = False  # named for what it is about, not a test

    def __init__(self, project: str, *, nodes: int, **variables: str) -> None:
        self.project = project
        self.names = ("seed", *(f"node-{number}" for number in range(1, nodes + 1)))
        ports = {name: str(free_port()) for name in ("API_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")}
        cleared = dict.fromkeys(("LOSS", "DELAY", "JITTER", "RATE"), "")
        self.variables = {**ports, **cleared, "NODES": str(nodes), "HEALTH_INTERVAL": "1s", **variables}
        self._containers: dict[str, str] = {}
        self._urls: dict[str, str] = {}

    # ------------------------------------------------------------------------------------------------- as a whole

    def up(self, *arguments: str) -> None:
        """`docker compose up -d --wait` with these arguments more; the words of Compose when it fails."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "240", *arguments)

    def down(self) -> None:
        self.forget()
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def forget(self) -> None:
        """The containers are, or will be, others, or have other addresses."""
        self._containers.clear()
        self._urls.clear()

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Output of a command of Compose on this project."""
        done = self.try_compose(*arguments)
        if check and done.returncode != 0:
            logs = self.try_compose("logs", "--tail", "20", "--no-color").stdout
            raise AssertionError(f"docker compose {' '.join(arguments)}: {done.stderr[-3000:]}\n{logs[-5000:]}")
        return done.stdout

    def try_compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        file = str(ROOT / "docker-compose.yml")
        command = ["docker", "compose", "--file", file, "--project-name", self.project, *arguments]
        return _run(command, {**os.environ, **self.variables})

    def wait_until_whole(self, within: float) -> None:
        """Until every node counts every other as a member and has its links, by its own account."""

        def is_whole() -> bool:
            answers = [self.get(name, "stats") for name in self.names]
            return all(is_linked(living_members(one), one["active_peers"], len(answers)) for one in answers)

        until(is_whole, within, f"{len(self.names)} nodes are members of one network")

    # ------------------------------------------------------------------------------------------------ one container

    def container(self, name: str) -> str:
        """Id of the container with that node, or with a service of one container."""
        if name not in self._containers:
            service, _, number = name.partition("-")
            filters = [f"project={self.project}", f"service={service}", f"container-number={number or 1}"]
            words = [word for one in filters for word in ("--filter", f"label=com.docker.compose.{one}")]
            found = docker("ps", "--all", "--quiet", "--no-trunc", *words).split()
            assert len(found) == 1, f"{name}: {len(found)} containers"
            self._containers[name] = found[0]
        return self._containers[name]

    def inspect(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(docker("inspect", self.container(name)))
        return found[0]

    def execute(self, name: str, *command: str, user: str = "10001") -> subprocess.CompletedProcess[str]:
        """Runs a command in the container, as the user of the node unless another is named."""
        return _run(["docker", "exec", "--user", user, self.container(name), *command])

    def logs(self, name: str) -> str:
        done = _run(["docker", "logs", self.container(name)])
        return done.stdout + done.stderr

    # ----------------------------------------------------------------------------------------------------- over HTTP

    def get(self, name: str, what: str) -> dict[str, Any]:
        """JSON of the node's API."""
        answer: dict[str, Any] = json.loads(fetch(f"{self._url(name)}/api/v1/{what}"))
        return answer

    def broadcast(self, name: str, message: Mapping[str, Any]) -> str:
        """Publishes through one node; the id of the message."""
        answer = json.loads(fetch(f"{self._url(name)}/api/v1/broadcast", json.dumps(message).encode()))
        return str(answer["message_id"])

    def delivered(self) -> dict[str, int]:
        """Broadcasts of others that each node has handed to its application so far."""
        return {name: int(self.get(name, "stats")["gossip_stats"]["delivered"]) for name in self.names}

    def query(self, expression: str) -> list[Sample]:
        """What Prometheus answers now, without what is no number."""
        url = f"http://127.0.0.1:{self.variables['PROMETHEUS_PORT']}/api/v1/query"
        answer = json.loads(fetch(f"{url}?{urllib.parse.urlencode({'query': expression})}"))
        samples = [Sample(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]
        return [sample for sample in samples if not math.isnan(sample.value)]

    def _url(self, name: str) -> str:
        if name not in self._urls:
            networks = self.inspect(name)["NetworkSettings"]["Networks"]
            self._urls[name] = f"http://{networks[f'{self.project}_mgmt']['IPAddress']}:{API_PORT}"
        return self._urls[name]


def until(condition: Callable[[], bool], within: float, what: str) -> None:
    """Looks again and again until the condition holds; what cannot be reached yet does not hold."""
    deadline = time.monotonic() + within
    last: Exception | None = None
    while True:
        try:
            if condition():
                return
            last = None
        except (OSError, AssertionError, KeyError) as error:
            last = error
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}" + (f" ({last!r})" if last else "")
        _NEVER.wait(POLL_INTERVAL)


def docker(*arguments: str) -> str:
    """Output of a command of the engine."""
    done = _run(["docker", *arguments])
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def fetch(url: str, body: bytes | None = None) -> bytes:
    """The answer to a GET, or to a POST of that JSON."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=HTTP_TIMEOUT) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.code} {error.read()[:500]!r}") from error
    return content


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False
    )
