"""The containers of a testnet, through the Docker SDK; the only module that knows it.

Containers are found by the labels that Compose gives them, so nothing has to be remembered between two commands.
Answers of nodes are JSON objects; what they mean is the caller's affair.
"""

from __future__ import annotations

import io
import ipaddress
import json
import socket
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from node.cli.client import Client
from node.cli.errors import CommandFailed
from node.testnet.errors import TestnetFailed
from node.testnet.render import NODE_LABEL

__all__ = ["ALL_MEMORY", "PATIENT_TIMEOUT", "Engine", "NodeContainer", "engine"]

T = TypeVar("T")
SERVICES = ("seed", "node")
API_PORT = 9464
WORKERS = 8
"""Questions asked at once; each costs the engine or a node some milliseconds of processor time."""

REMOVALS_MAX = 4
REMOVAL_PAUSE = 1.0
"""Seconds between two attempts to remove what an engine says is in use."""

CONNECT_TIMEOUT = 0.5
"""Seconds; where the engine's networks can be reached at all, they are one hop away."""

SILENCE_MAX = 86_400
"""Seconds without an event after which nobody listens any more."""

ENGINE_TIMEOUT = 20
"""Seconds for one request to the engine that somebody waits for."""

PATIENT_TIMEOUT = 120
"""Seconds for one request of whoever has many containers started at once, on a slow machine."""

NFT_TRIAL = (
    "table netdev t { set s { type ipv4_addr; flags timeout; }; chain c { "
    "type filter hook ingress device lo priority 0; ip saddr @s numgen random mod 2 0 drop; }; }"
)
"""Everything that `impair drops` needs."""

ALL_MEMORY = 1 << 62
"""Bytes that no machine has: engines refuse to lift a limit once it is set, and take a larger one."""

CPU_PERIOD = 100_000
"""Microseconds over which the kernel counts a quota of processor time; its own default."""

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

    # --- one container, by its id: what is done to it; TestnetFailed if the engine refuses -------------------------

    def signal(self, container: str, name: str) -> None:
        """Sends its process a signal. Nothing happens if it does not run."""
        try:
            self._client.api.kill(container, name)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise _refused(f"signal {name}", error) from error

    def start(self, container: str) -> None:
        """Starts it, unless it runs."""
        self._do("start", lambda: self._client.api.start(container))

    def await_end(self, container: str) -> None:
        """Returns when it does not run."""
        self._do("wait", lambda: self._client.api.wait(container, timeout=ENGINE_TIMEOUT))

    def pause(self, container: str) -> None:
        """Freezes its processes."""
        self._do("pause", lambda: self._client.api.pause(container))

    def unpause(self, container: str) -> None:
        """Thaws its processes."""
        self._do("unpause", lambda: self._client.api.unpause(container))

    def limit_cpu(self, container: str, share: float | None) -> None:
        """Lets it have that share of one processor; None for all it can get."""
        quota = -1 if share is None else round(CPU_PERIOD * share)
        api = self._client.api
        self._do("cpu limit", lambda: api.update_container(container, cpu_period=CPU_PERIOD, cpu_quota=quota))

    def limit_memory(self, container: str, limit: int | None) -> None:
        """Lets it have so many bytes of memory and no swap; None for all it can get."""
        most, api = limit or ALL_MEMORY, self._client.api
        self._do("memory limit", lambda: api.update_container(container, mem_limit=most, memswap_limit=most))

    def run(self, container: str, command: Sequence[str], *, user: str = "0") -> tuple[int, str]:
        """Runs a command in it; status and everything that it wrote."""

        def execute() -> tuple[int, str]:
            api = self._client.api
            created = api.exec_create(container, list(command), user=user)
            output: bytes = api.exec_start(created["Id"])
            return int(api.exec_inspect(created["Id"])["ExitCode"]), output.decode(errors="replace")

        return self._do(f"exec {command[0]}", execute)

    def forget(self, container: str, image: str, script: str) -> None:
        """Runs a script of sh over the volumes of a container that does not run."""
        self._do(
            "helper",
            lambda: self._client.containers.run(
                image, [script], entrypoint=["sh", "-c"], volumes_from=[container], network_mode="none",
                user="0", remove=True,
            ),
        )  # fmt: skip

    def log(self, container: str, most: int) -> str:
        """The end of what it wrote, up to so many bytes."""
        output: bytes = self._do("logs", lambda: self._client.containers.get(container).logs(tail=100_000))
        return output[-most:].decode(errors="replace")

    def last_words(self, container: str) -> str:
        """The last line that it wrote."""
        try:
            output: bytes = self._client.containers.get(container).logs(tail=LOG_LINES)
        except NotFound:
            return ""
        lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:LOG_CHARACTERS_MAX] if lines else ""

    def files(self, container: str, directory: str) -> dict[str, bytes]:
        """The files in one of its directories, by name, whether it runs or not; none where there is no such one."""

        def read() -> dict[str, bytes]:
            try:
                parts, _ = self._client.containers.get(container).get_archive(directory)
            except NotFound:
                return {}
            with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
                return {
                    PurePosixPath(member.name).name: file.read()
                    for member in archive
                    if member.isfile() and (file := archive.extractfile(member)) is not None
                }

        return self._do("archive", read)

    # --- one project -------------------------------------------------------------------------------------------------

    def by_node(self, project: str) -> dict[str, tuple[str, str]]:
        """Id and image of each container that was made for a node, by the node's name."""
        labels = [f"com.docker.compose.project={project}", NODE_LABEL]
        found = self._client.containers.list(all=True, filters={"label": labels})
        return {str(one.labels[NODE_LABEL]): (str(one.id), str(one.attrs["Image"])) for one in found}

    def ends(self, project: str) -> Iterator[tuple[str, int]]:
        """The project's nodes that end from now on, each with its exit status."""
        filters = {"type": "container", "label": f"com.docker.compose.project={project}", "event": "die"}
        try:
            # Its own connection: nothing may happen for long.
            for event in docker.from_env(timeout=SILENCE_MAX).api.events(filters=filters, decode=True):
                attributes: Mapping[str, str] = event["Actor"]["Attributes"]
                if NODE_LABEL in attributes:
                    yield attributes[NODE_LABEL], int(attributes.get("exitCode", "0"))
        except (DockerException, OSError) as error:
            raise _refused("events", error) from error

    def has_containers(self, project: str) -> bool:
        """Whether any container of that project is there, in whatever state."""
        return bool(self._client.containers.list(all=True, filters=_of(project)))

    def remove(self, project: str) -> None:
        """Removes containers, their volumes and networks of a project, whatever state they are in.

        An engine that is busy says of what it is still removing that it is in use: it is asked more than once.
        TestnetFailed with its last answer.
        """
        for _ in range(REMOVALS_MAX - 1):
            try:
                return self._remove(project)
            except TestnetFailed:
                time.sleep(REMOVAL_PAUSE)
        return self._remove(project)

    def _remove(self, project: str) -> None:
        filters = _of(project)

        def remove(container: Container) -> None:
            with suppress(NotFound):
                container.remove(v=True, force=True)

        with ThreadPoolExecutor(WORKERS) as pool:
            found = self._client.containers.list(all=True, filters=filters)
            self._do("containers", lambda: list(pool.map(remove, found)))
        for network in self._client.networks.list(filters=filters):
            self._do("network", network.remove)
        for volume in self._client.volumes.list(filters=filters):
            self._do("volume", volume.remove)

    def subnets(self) -> Iterator[ipaddress.IPv4Network]:
        """The IPv4 networks that the engine has given away."""
        for network in self._client.networks.list():
            for one in (network.attrs.get("IPAM") or {}).get("Config") or ():
                found = ipaddress.ip_network(one["Subnet"]) if "Subnet" in one else None
                if isinstance(found, ipaddress.IPv4Network):
                    yield found

    def has_image(self, image: str) -> bool:
        """Whether the engine has an image of that name."""
        try:
            self._client.images.get(image)
        except ImageNotFound:
            return False
        return True

    def _do(self, what: str, act: Callable[[], T]) -> T:
        try:
            return act()
        except (DockerException, OSError) as error:
            raise _refused(what, error) from error

    def has_netem(self, image: str) -> bool | None:
        """Whether the engine's kernel has netem, by trying it in a container; None if the image is not there."""
        return self._can(image, ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"])

    def has_nft(self, image: str) -> bool | None:
        """Whether it can drop at ingress with nftables, by trying; None if the image is not there."""
        return self._can(image, ["nft", NFT_TRIAL])

    def _can(self, image: str, command: Sequence[str]) -> bool | None:
        try:
            container = self._client.containers.create(
                image,
                entrypoint=list(command),
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
        except APIError:  # an image without that program
            return False
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
def engine(*, timeout: int = ENGINE_TIMEOUT) -> Iterator[Engine]:
    """The engine that the environment names; raises TestnetFailed when none answers, or when it stops to.

    timeout: seconds for one request.
    """
    try:
        client = docker.from_env(timeout=timeout)
    except DockerException as error:
        raise TestnetFailed(f"no Docker engine answers: {_one_line(error)}; see `testnet doctor`") from error
    try:
        client.ping()
        yield Engine(client)
    except (DockerException, OSError) as error:
        raise TestnetFailed(f"the Docker engine failed: {_one_line(error)}") from error
    finally:
        client.close()


def _of(project: str) -> dict[str, str | list[str] | bool]:
    """What chooses all that Compose has made for a project."""
    return {"label": f"com.docker.compose.project={project}"}


def _refused(what: str, error: Exception) -> TestnetFailed:
    return TestnetFailed(f"the Docker engine refused {what}: {_one_line(error)}")


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
