"""The command that looks at everything a node with these settings needs, and says how to get what is missing.

Input is the parsed command line; each check is one line, and a line with its cure where it failed. Status 1 if one did.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from node.cli.client import Client
from node.cli.doctor_machine import clock, descriptors, kernel, key, ports
from node.cli.doctor_network import mtu, reachability, skew
from node.cli.errors import CommandFailed, CommandMisused, NodeRefused
from node.cli.finding import Finding, Verdict, finding_lines
from node.cli.flags import config_flags
from node.cli.views import records
from node.config import NetworkConfig, load, parse_address, read_token
from node.config.kinds import Unacceptable
from node.types import Address

__all__ = ["doctor"]


def doctor(arguments: argparse.Namespace) -> int:
    """Examines this machine, and the network as far as addresses are given; 1 if anything failed."""
    config = load(flags=config_flags(arguments), path=arguments.config, unknown_flags=arguments.unknown).config
    peers = list(dict.fromkeys([*config.bootstrap_addresses, *_addresses("--peer", arguments.peer)]))
    streams = _addresses("--peer-tcp", arguments.peer_tcp) or [
        # A node without UDP dials its bootstrap nodes by TCP, at the very ports that they are given with.
        address if address in config.bootstrap_addresses and not config.enable_udp else _next_port(address)
        for address in peers
    ]
    findings = list(_examine(config, peers, streams, arguments.timeout))
    failed = sum(finding.verdict is Verdict.FAILED for finding in findings)
    if arguments.json:
        print(json.dumps({"is_healthy": not failed, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        warned = sum(finding.verdict is Verdict.WARNING for finding in findings)
        print("\n".join([*finding_lines(findings), "", f"{failed} failed, {warned} warnings"]))
    return 1 if failed else 0


def _examine(
    config: NetworkConfig, peers: Sequence[Address], streams: Sequence[Address], seconds: float
) -> Iterator[Finding]:
    is_running, known, refusal = _ask(config)
    where = config.http_url if is_running else ""
    yield from ports(config, where)
    if refusal is not None:
        yield refusal
    yield key(config, where)
    yield clock()
    yield skew(known)
    yield descriptors(config)
    yield from kernel()
    findings, found = reachability(config, peers, streams, seconds)
    yield from findings
    yield from mtu(config, found)


def _ask(config: NetworkConfig) -> tuple[bool, list[dict[str, Any]], Finding | None]:
    """Whether a node with these settings runs, the peers that it tells of, and a finding if it tells of none."""
    if not config.enable_http or not config.metrics_port:
        return False, [], None
    try:
        return True, records(Client(config.http_url, token=read_token(config)).get("/api/v1/peers")["peers"]), None
    except NodeRefused as error:
        cure = "give this command the token of that node: --api-token-file, or POSITRON_API_TOKEN"
        return True, [], Finding(subject="HTTP API", verdict=Verdict.WARNING, detail=str(error), cure=cure)
    except CommandFailed:
        return False, [], None


def _next_port(address: Address) -> Address:
    host, port = address
    return host, min(port + 1, 65535)


def _addresses(flag: str, texts: Sequence[str] | None) -> list[Address]:
    try:
        return [parse_address(text) for text in texts or ()]
    except Unacceptable as error:
        raise CommandMisused(f"{flag} {str(error)[:80]!r}: allowed is HOST:PORT or [IPV6]:PORT") from error
