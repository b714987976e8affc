"""The containers of a testnet, through the Docker SDK; the only module that knows it.

Containers are found by the labels that Compose gives them, so nothing has to be remembered between two commands.
Answers of nodes are JSON objects; what they mean is the caller's affair.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from node.cli.client import Client
from node.cli.errors import CommandFailed
from node.testnet.errors import TestnetFailed

__all__ = ["Engine", "NodeContainer", "engine"]

SERVICES = ("seed", "node")
API_PORT = 9464
WORKERS = 8
"""Questions asked at once; each costs the engine or a node some milliseconds of processor time."""

CONNECT_TIMEOUT = 0.5
"""Seconds; where the engine's networks can be reached at all, they are one hop away."""

ENGINE_TIMEOUT = 20
"""Seconds for one request to the engine."""

LOG_LINES = 20
LOG_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContainer:
    """One container with a node.

    name: `seed`, `node-1` ... state: of the engine, such as `running` or `exited`. health: `healthy`, `unhealthy`,
    `starting`, or "" when it does not run. address: on the network mgmt, or "". exit_code: 0 while it runs.
    """

    id: str
    name: str
    state: str
    health: str
    address: str
    exit_code: int


class Engine:
    """A Docker engine that has answered."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    @property
    def version(self) -> str:
        return str(self._client.version().get("Version", "unknown"))

    def nodes(self, project: str) -> list[NodeContainer]:
        """The containers with nodes of one project, the seed first, in order of their numbers."""
        labels = [f"com.docker.compose.project={project}", "com.docker.compose.oneoff=False"]
        found = self._client.containers.list(all=True, filters={"label": labels})
        nodes = [(_order(one), _described(one, project)) for one in found if _service(one) in SERVICES]
        return [node for _, node in sorted(nodes, key=lambda pair: pair[0])]

    def ask(
        self, nodes: Sequence[NodeContainer], path: str, command: Sequence[str]
    ) -> dict[str, dict[str, Any] | None]:
        """What each running node answers, by name; None for one that gives no answer.

        path: of the HTTP API, where the engine's networks can be reached from here. command: says the same inside
        the container, for engines in a virtual machine.
        """
        running = [node for node in nodes if node.state == "running" and node.address]
        is_direct = bool(running) and _reaches(running[0].address)

        def question(node: NodeContainer) -> dict[str, Any] | None:
            return _over_http(node, path) if is_direct else self._inside(node, command)

        answers: dict[str, dict[str, Any] | None] = {node.name: None for node in nodes}
        with ThreadPoolExecutor(WORKERS) as pool:
            answers.update(zip((node.name for node in running), pool.map(question, running), strict=True))
        return answers

    def last_words(self, node: NodeContainer) -> str:
        """The last line that a container wrote."""
        try:
            output: bytes = self._client.containers.get(node.id).logs(tail=LOG_LINES)
        except NotFound:
            return ""
        lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:LOG_CHARACTERS_MAX] if lines else ""

    def has_netem(self, image: str) -> bool | None:
        """Whether the engine's kernel has netem, by trying it in a container; None if the image is not there."""
        try:
            container = self._client.containers.create(
                image,
                entrypoint=["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"],
                command=[],
                network_mode="none",
                cap_drop=["ALL"],
                cap_add=["NET_ADMIN"],
            )
        except ImageNotFound:
            return None
        try:
            container.start()
            return bool(container.wait(timeout=ENGINE_TIMEOUT)["StatusCode"] == 0)
        finally:
            container.remove(v=True, force=True)

    def _inside(self, node: NodeContainer, command: Sequence[str]) -> dict[str, Any] | None:
        try:
            status, output = self._client.containers.get(node.id).exec_run(list(command), stderr=False)
        except APIError:  # it ended meanwhile
            return None
        if status != 0 or not isinstance(output, bytes):
            return None
        try:
            answer = json.loads(output)
        except ValueError:
            return None
        return answer if isinstance(answer, dict) else None


@contextmanager
def engine() -> Iterator[Engine]:
    """The engine that the environment names; raises TestnetFailed when none answers, or when it stops to."""
    try:
        client = docker.from_env(timeout=ENGINE_TIMEOUT)
    except DockerException as error:
        raise TestnetFailed(f"no Docker engine answers: {_one_line(error)}; see `testnet doctor`") from error
    try:
        client.ping()
        yield Engine(client)
    except (DockerException, OSError) as error:
        raise TestnetFailed(f"the Docker engine failed: {_one_line(error)}") from error
    finally:
        client.close()


def _service(container: Container) -> str:
    return str(container.labels.get("com.docker.compose.service", ""))


def _order(container: Container) -> tuple[int, int]:
    number = container.labels.get("com.docker.compose.container-number", "0")
    return SERVICES.index(_service(container)), int(number) if number.isdecimal() else 0


def _described(container: Container, project: str) -> NodeContainer:
    state = container.attrs["State"]
    networks = container.attrs["NetworkSettings"]["Networks"]
    _, number = _order(container)
    service = _service(container)
    return NodeContainer(
        id=str(container.id),
        name=service if service == "seed" else f"{service}-{number}",
        state=str(state["Status"]),
        health=str(state.get("Health", {}).get("Status", "")) if state["Running"] else "",
        address=str((networks.get(f"{project}_mgmt") or {}).get("IPAddress", "")),
        exit_code=int(state["ExitCode"]),
    )


def _reaches(address: str) -> bool:
    try:
        with socket.create_connection((address, API_PORT), timeout=CONNECT_TIMEOUT):
            return True
    except OSError:
        return False


def _over_http(node: NodeContainer, path: str) -> dict[str, Any] | None:
    try:
        return Client(f"http://{node.address}:{API_PORT}").get(path)
    except CommandFailed:
        return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:LOG_CHARACTERS_MAX]
