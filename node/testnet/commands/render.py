"""The command `testnet render`: a compose file with one service and fixed addresses for each node."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from node.testnet.errors import TestnetFailed, TestnetMisused

__all__ = ["add_render_command"]

P2P, MGMT = "10.64.0.0/22", "10.64.4.0/22"


def add_render_command(commands: Any) -> None:
    """Adds the command to those of `testnet`."""
    command = commands.add_parser(
        "render", help="write a compose file with fixed addresses, groups or versions", allow_abbrev=False
    )
    command.set_defaults(function=render_file)
    command.add_argument("-n", "--nodes", type=int, default=6, help="nodes, the seed included (default: 6)")
    command.add_argument("--group", action="append", default=[], metavar="NAME=SIZE", help="takes nodes in order")
    command.add_argument(
        "--image", action="append", default=[], metavar="WHOM=IMAGE", help="image of a node, a group, or all"
    )
    command.add_argument("--p2p", default=P2P, metavar="NETWORK", help=f"between nodes (default: {P2P})")
    command.add_argument("--mgmt", default=MGMT, metavar="NETWORK", help=f"of scrapes and API (default: {MGMT})")
    command.add_argument("-f", "--file", help="the project's compose file (default: the nearest one)")
    command.add_argument("-o", "--out", help="where to write it (default: standard output)")
    command.add_argument("--json", action="store_true", help="the addresses of all nodes as JSON instead of the file")


def render_file(arguments: argparse.Namespace) -> int:
    """Writes the file, or shows the addresses in it."""
    import json

    from node.testnet.compose import find_compose_file
    from node.testnet.render import Rendering, addresses_for, render
    from node.testnet.scenario.topology import Topology, TopologyError

    try:
        groups = {name: _size(size) for name, size in _pairs("--group", arguments.group)}
        topology = Topology(nodes=arguments.nodes, groups=groups)
        addresses = addresses_for(topology, _network("--p2p", arguments.p2p), _network("--mgmt", arguments.mgmt))
        if addresses.p2p.overlaps(addresses.mgmt):
            raise TestnetMisused(f"--p2p {addresses.p2p} and --mgmt {addresses.mgmt} overlap")
        images = dict(_pairs("--image", arguments.image))
        text = render(
            find_compose_file(arguments.file), Rendering(topology=topology, addresses=addresses, images=images)
        )
    except TopologyError as error:
        raise TestnetMisused(str(error)) from error
    if arguments.out:
        try:
            Path(arguments.out).write_text(text)
        except OSError as error:
            raise TestnetFailed(f"{arguments.out} cannot be written: {error.strerror}") from error
    if arguments.json:
        found = {
            name: {"p2p": address, "mgmt": addresses.management[name]} for name, address in addresses.peers.items()
        }
        print(json.dumps(found, indent=2))
    elif not arguments.out:
        sys.stdout.write(text)
    return 0


def _pairs(option: str, values: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [value.partition("=") for value in values]
    for name, _, text in pairs:
        if not name or not text:
            raise TestnetMisused(f"{option} {name or text!r}: allowed is NAME=VALUE")
    return [(name, text) for name, _, text in pairs]


def _size(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise TestnetMisused(f"--group: {text!r} is no number of nodes")
    return int(text)


def _network(option: str, text: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise TestnetMisused(f"{option} {text}: {error}; allowed is a network such as {P2P}") from error
