"""Makes a compose file with one service per node out of the project's own, for topologies with fixed addresses.

Replicas of one service get their addresses in the order in which they start, and another one when they come back; a
table of links needs addresses that stay. Everything else of a node (image, capabilities, limits) is taken over as it
stands. Knows YAML and Compose, no engine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.scenario.topology import SEED, Topology

__all__ = ["NODE_LABEL", "PORT", "Addresses", "Rendering", "addresses_for", "render"]

NODE_LABEL = "org.positron.testnet.node"
"""Label of a container with the name of its node."""

PORT = 8888
RESERVED = 10
"""Addresses at the beginning of each network that belong to the engine and to Prometheus and Grafana."""

Subnet = ipaddress.IPv4Network


@dataclass(frozen=True, slots=True)
class Addresses:
    """The two networks of a testnet, and where each node is on them."""

    p2p: Subnet
    mgmt: Subnet
    peers: Mapping[str, str]
    management: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What a compose file is made for.

    images: of the nodes of a group, or of one node, where it is not that of the base file: how versions are mixed.
    environment: of every node, beside that of the base file. health_interval: of every node, that of the base file if
    empty. mounts: files that take the place of what the base file mounts there, by their paths in a container.
    """

    topology: Topology
    addresses: Addresses
    images: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    health_interval: str = ""
    mounts: Mapping[str, Path] = field(default_factory=dict)


def addresses_for(topology: Topology, p2p: Subnet, mgmt: Subnet) -> Addresses:
    """Gives each node an address on both networks; TestnetMisused if they are too small."""
    room = min(p2p.num_addresses, mgmt.num_addresses) - RESERVED - 1
    if len(topology.names) > room:
        raise TestnetMisused(f"{len(topology.names)} nodes: {p2p} and {mgmt} have room for {max(0, room)}")

    def placed(network: Subnet) -> dict[str, str]:
        return {name: str(network[RESERVED + index]) for index, name in enumerate(topology.names)}

    return Addresses(p2p, mgmt, placed(p2p), placed(mgmt))


def render(base: Path, wanted: Rendering) -> str:
    """The text of the compose file. base: the project's. TestnetFailed if that one is not as it has to be."""
    try:
        project = yaml.safe_load(base.read_text())
        services = project["services"]
        seed, node = services["seed"], services["node"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise TestnetFailed(f"{base} is not a compose file with the services seed and node: {error}") from error
    images = _images(wanted)
    rendered: dict[str, Any] = {}
    for name in wanted.topology.names:
        rendered[name] = _service(seed if name == SEED else node, name, wanted, base.parent)
        if name in images:
            rendered[name]["image"] = images[name]
            rendered[name].pop("build", None)
    others = {
        name: _mounted(_absolute(one, base.parent), wanted.mounts)
        for name, one in services.items()
        if name not in ("seed", "node")
    }
    document = {
        "services": rendered | others,
        "networks": {
            "p2p": {"internal": True, "ipam": {"config": [{"subnet": str(wanted.addresses.p2p)}]}},
            "mgmt": {"ipam": {"config": [{"subnet": str(wanted.addresses.mgmt)}]}},
        },
    }
    head = f"# Made by `testnet render` from {base.name}: {len(wanted.topology.names)} nodes with fixed addresses.\n"
    return head + yaml.dump(document, Dumper=_Plain, sort_keys=False, width=120)


class _Plain(yaml.SafeDumper):
    """Writes everything out: anchors are for people, and this is made."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _service(base: Mapping[str, Any], name: str, wanted: Rendering, directory: Path) -> dict[str, Any]:
    addresses = wanted.addresses
    service = _absolute({key: value for key, value in base.items() if key not in ("deploy", "ports")}, directory)
    environment = {**base.get("environment", {}), "POSITRON_NAME": name, **wanted.environment}
    if name != SEED:
        environment["POSITRON_BOOTSTRAP_NODES"] = f"seed.p2p:{PORT}"
    service["environment"] = environment
    if wanted.health_interval:
        service["healthcheck"] = {**base.get("healthcheck", {}), "interval": wanted.health_interval}
    service["labels"] = {NODE_LABEL: name, "org.positron.testnet.group": wanted.topology.group_of(name)}
    service["networks"] = {
        "p2p": {"ipv4_address": addresses.peers[name], **({"aliases": ["seed.p2p"]} if name == SEED else {})},
        "mgmt": {"ipv4_address": addresses.management[name], "aliases": ["nodes.mgmt"]},
    }
    return service


def _absolute(service: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The same with paths that do not depend on where the file is."""
    changed = dict(service)
    if "build" in changed:
        changed["build"] = {**changed["build"], "context": str(directory / changed["build"]["context"])}
    if "volumes" in changed:
        changed["volumes"] = [
            f"{directory / volume}" if volume.startswith("./") else volume for volume in changed["volumes"]
        ]
    return changed


def _mounted(service: dict[str, Any], mounts: Mapping[str, Path]) -> dict[str, Any]:
    """The same with those files in the place of its own."""
    volumes = []
    for volume in service.get("volumes", ()):
        _, _, rest = volume.partition(":")
        target, _, options = rest.partition(":")
        volumes.append(f"{mounts[target]}:{target}:{options or 'ro'}" if target in mounts else volume)
    return {**service, "volumes": volumes} if volumes else service


def _images(wanted: Rendering) -> dict[str, str]:
    """Image by node; a later entry wins."""
    return {name: image for whom, image in wanted.images.items() for name in wanted.topology.members(whom)}
