"""Runs a testnet as containers of a Docker engine whose networks can be reached from here.

A keeper owns the containers, as it owns local processes for `ProcRunner`, and speaks to the engine; so faults end in
time whatever becomes of this process. The project's compose file is rendered with one service per node, because links
are tables of addresses and addresses have to stay. No container sees the engine's socket.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from node.impairment.link import LinkSettings
from node.testnet.compose import DEFAULT_PROJECT, Compose, find_compose_file
from node.testnet.errors import NotApplied, TestnetError, TestnetFailed, TestnetMisused
from node.testnet.render import PORT, Addresses, Rendering, addresses_for, render
from node.testnet.runners.asked import as_answer, asked_of
from node.testnet.runners.base import Event, Fault, LinkName, Plan
from node.testnet.runners.containers import FOR_NODE, TRACES
from node.testnet.runners.directory import Directory, ask_keeper
from node.testnet.runners.docker import API_PORT, Engine, engine
from node.testnet.runners.live import wait_until
from node.testnet.runners.proc import LEASE, START_TIMEOUT, ProcRunner
from node.testnet.runners.subnets import free_subnets, routed
from node.testnet.scenario.resolve import LinkFault
from node.testnet.scenario.topology import SEED

__all__ = ["DEFAULT_IMAGE", "NODES_MAX", "DockerRunner", "image_of_nodes", "project_of"]

DEFAULT_IMAGE = "positron-testnet:local"
NODES_MAX = 200
MONITORING = ("prometheus", "grafana")
SCRAPE_SETTINGS = ("docker/prometheus/prometheus.yml", "/etc/prometheus/prometheus.yml")
"""Of the project's Prometheus: beside the compose file, and in its container."""

HEALTH_INTERVAL = "1h"
"""Each look at a container's health costs the engine more than the node costs; here the API is asked instead."""

LOG_BYTES_MAX = 16 << 20
BACKENDS = ("auto", "netem", "nft", "wire")
SETTLE_TIMEOUT = 20.0
"""Seconds that kernels have to take a table of links."""


class DockerRunner(ProcRunner):
    """See the module. file: the project's compose file; the nearest one if None. image: of the nodes; that of
    the environment (`POSITRON_IMAGE`) or DEFAULT_IMAGE if empty. timeout: seconds that the nodes have to find each
    other.
    """

    name = "docker"
    down_timeout = 120.0

    def __init__(
        self,
        name: str = "",
        *,
        lease: float | None = LEASE,
        file: str | None = None,
        image: str = "",
        timeout: float = START_TIMEOUT,
    ) -> None:
        super().__init__(name, lease=lease)
        self.start_timeout = timeout
        self.backend = "auto"
        self.reason = "chosen when the engine's kernel is known"
        self._file = file
        self._image = image or image_of_nodes()
        self._compose: Path | None = None
        self._addresses: Addresses | None = None

    @property
    def project(self) -> str:
        """The name under which Compose and the engine know this testnet."""
        return project_of(self.testnet)

    def start_monitoring(self) -> None:
        """Starts Prometheus and Grafana, and returns when they are healthy."""
        directory = self._running()
        variables = {"POSITRON_API_TOKEN": directory.token.read_text()}
        compose = Compose(file=directory.compose_file, project=self.project, variables=variables)
        compose.up(MONITORING, timeout=self.start_timeout)

    def missing(self, faults: Sequence[Fault], _links: Mapping[LinkName, LinkSettings]) -> list[str]:
        missing = self._unknown(faults)
        try:
            with engine() as docker:
                docker.version  # noqa: B018
        except TestnetError as error:
            missing.append(str(error))
        return missing

    def history(self) -> list[Event]:
        found = super().history()
        refused = [event for event in found if event["event"] == "refused"]
        if refused:
            raise TestnetFailed(f"{refused[0]['node']}: {refused[0]['reason']}")
        return found

    def logs(self) -> dict[str, list[str]]:
        if self._nodes is None:
            return {}
        with engine() as docker:
            found = docker.by_node(self.project)
            return {name: docker.log(one, LOG_BYTES_MAX).splitlines() for name, (one, _) in sorted(found.items())}

    def traces(self) -> dict[str, dict[str, bytes]]:
        if self._nodes is None:
            return {}
        with engine() as docker:
            found = docker.by_node(self.project)
            return {name: docker.files(one, str(TRACES)) for name, (one, _) in sorted(found.items())}

    def up(self, plan: Plan) -> None:
        super().up(plan)
        try:
            self._settle()
        except (TestnetError, KeyboardInterrupt):
            self.down()
            raise

    def apply(self, fault: Fault, origin: float) -> None:
        super().apply(fault, origin)
        if isinstance(fault, LinkFault):
            self._settle()

    def set_links(self, links: Mapping[LinkName, LinkSettings]) -> None:
        super().set_links(links)
        self._settle()

    def asked(self, links: Sequence[LinkName]) -> dict[LinkName, LinkSettings]:
        if self.backend not in FOR_NODE:
            return super().asked(links)
        # A node knows its part alone; what kernels are told the keeper knows.
        told = ask_keeper(self._running(), {"do": "told"})["nodes"]
        answers = {name: as_answer(orders) for name, orders in told.items()}
        return {link: asked_of(answers[link[0]], self.host_of(link[1])) for link in links}

    def _tell(self, orders: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
        if self.backend in FOR_NODE:
            reduced = FOR_NODE[self.backend]
            orders = [(name, command, reduced(command, body)) for name, command, body in orders]
        super()._tell(orders)

    def _settle(self) -> None:
        """Returns when every kernel has what was asked of it; NotApplied if one has not."""
        if self.backend not in FOR_NODE:
            return

        def is_settled() -> bool:
            with suppress(TestnetFailed):  # a keeper that is busy is asked again
                nodes = self.keeper_status()["nodes"].values()
                return all(one["is_settled"] for one in nodes if one["state"] != "down")
            return False

        is_done = wait_until(is_settled, SETTLE_TIMEOUT)
        for name, one in self.keeper_status()["nodes"].items():
            if one["refusal"]:
                raise NotApplied(f"{name}: {one['refusal']}")
        if not is_done:
            raise NotApplied(f"the kernels did not take the links within {SETTLE_TIMEOUT:g} s")

    def _choose(self, asked: str, docker: Engine) -> None:
        """Fixes the backend and why it is that one; of several that work the one that does most."""
        if asked == "wire":
            self.backend, self.reason = asked, "asked for"
        elif asked in ("auto", "netem") and docker.has_netem(self._image):
            self.backend, self.reason = "netem", "asked for" if asked == "netem" else "the engine's kernel has it"
        elif asked == "netem":
            raise NotApplied("backend netem: the engine's kernel has no sch_netem; load it there, or give auto or wire")
        elif docker.has_nft(self._image):
            why = "asked for" if asked == "nft" else "the engine's kernel has nftables and no netem"
            self.backend, self.reason = "nft", f"{why}; what is not loss the nodes do"
        elif asked == "nft":
            raise NotApplied("backend nft: the engine's kernel or the image has no nftables; give auto or wire")
        else:
            self.backend, self.reason = "wire", "the engine's kernel has neither netem nor nftables"

    def _recall(self, plan: Mapping[str, Any]) -> None:
        super()._recall(plan)
        self.backend, self.reason = plan["backend"], plan["backend_reason"]

    def _check(self, plan: Plan) -> None:
        if plan.backend not in BACKENDS:
            raise TestnetMisused(f"backend {plan.backend}: containers have {', '.join(BACKENDS)}")
        if len(plan.topology.names) > NODES_MAX:
            raise TestnetMisused(f"{len(plan.topology.names)} nodes: allowed are up to {NODES_MAX} as containers")

    def _place(self, plan: Plan) -> dict[str, str]:
        self._compose = find_compose_file(self._file)
        with engine() as docker:
            if docker.has_containers(self.project):
                raise TestnetMisused(
                    f"containers of the project {self.project} are there already; remove them with `testnet down "
                    f"--name {self.testnet}`, or choose another --name"
                )
            p2p, mgmt = free_subnets(self.testnet, [*docker.subnets(), *routed()])
            if not docker.has_image(self._image):
                variables = {"POSITRON_IMAGE": self._image}
                Compose(file=self._compose, project=self.project, variables=variables).build(SEED)
            self._choose(plan.backend, docker)
        self._addresses = addresses_for(plan.topology, p2p, mgmt)
        return dict(self._addresses.peers)

    def _written(self, plan: Plan, hosts: Mapping[str, str], token: str) -> dict[str, Any]:
        directory, addresses, compose = self._directory, self._addresses, self._compose
        assert directory is not None
        assert addresses is not None
        assert compose is not None
        settings = {**plan.topology.settings, **plan.tracing(TRACES)}
        environment = {
            "POSITRON_NETWORK_ID": f"testnet-{self.testnet}",
            "POSITRON_CHAOS_CONTROL": "true",
            # The token itself is in no file that outlives the testnet, and the keeper hands it over.
            "POSITRON_API_TOKEN": "${POSITRON_API_TOKEN}",
            "POSITRON_DATA_DIR": "/var/lib/positron",
            "BACKEND": self.backend, "LOSS": "", "DELAY": "", "JITTER": "", "RATE": "",
            **{f"POSITRON_{name.upper()}": _written_out(value) for name, value in settings.items()},
        }  # fmt: skip
        wanted = Rendering(
            topology=plan.topology,
            addresses=addresses,
            images={"all": self._image},
            environment=environment,
            health_interval=HEALTH_INTERVAL,
            mounts=_scraping(compose, directory, token),
        )
        directory.compose_file.touch(mode=0o600)
        directory.compose_file.write_text(render(compose, wanted))
        nodes = {
            name: {
                "host": host,
                "port": PORT,
                "metrics_host": addresses.management[name],
                "metrics_port": API_PORT,
            }
            for name, host in hosts.items()
        }
        return self._described(plan, hosts, nodes) | {
            "project": self.project,
            "runner": self.name,
            "backend": self.backend,
            "backend_reason": self.reason,
        }

    def _tail(self, name: str) -> str:
        with engine() as docker:
            container, _ = docker.by_node(self.project)[name]
            return (docker.last_words(container) or "it wrote nothing")[:200]


def project_of(testnet: str) -> str:
    """The project of the testnet of that name, for Compose and the engine."""
    return testnet if testnet.startswith(DEFAULT_PROJECT) else f"{DEFAULT_PROJECT}-{testnet}"


def _scraping(compose: Path, directory: Directory, token: str) -> dict[str, Path]:
    """What Prometheus gets in the place of its settings: the same with the token that the nodes ask for."""
    source, target = SCRAPE_SETTINGS
    try:
        settings = yaml.safe_load((compose.parent / source).read_text())
        for job in settings["scrape_configs"]:
            job["authorization"] = {"credentials": token}
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return {}  # another compose file watches its nodes in its own way
    # Another user reads it, in a container; here nobody can reach it, since the directory is private.
    directory.scrape_file.write_text(yaml.safe_dump(settings, sort_keys=False))
    directory.scrape_file.chmod(0o644)
    return {target: directory.scrape_file}


def image_of_nodes() -> str:
    """The image that nodes run from where no other is named."""
    return os.environ.get("POSITRON_IMAGE") or DEFAULT_IMAGE


def _written_out(value: object) -> str:
    """A setting as the environment has it."""
    return value if isinstance(value, str) else json.dumps(value)
