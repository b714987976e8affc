"""What `positron doctor` looks at in the network: whether nodes can be reached by UDP and by TCP, MTU, peers' clocks.

Reaching a node means a whole handshake and an acknowledged message, since a port that is open says little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from node.cli.finding import Finding, Verdict
from node.cli.tables import clean, duration
from node.cli.window import measured
from node.config import NetworkConfig, format_address
from node.errors import Code, ConnectionFailed, SendTimeout
from node.node.probe import path_mtu, reach
from node.types import SECOND, Address
from node.wire.limits import CLOCK_SKEW_MAX, MTU_MIN

__all__ = ["mtu", "reachability", "skew"]

Outcome: TypeAlias = tuple[Address, float] | ConnectionFailed | SendTimeout
"""Where somebody was found and how long that took, or why not."""

_ANYWHERE: Address = ("198.51.100.1", 9)
"""An address for documentation (RFC 5737), to which the default route leads; nothing is sent there."""

_HEADERS = {False: 28, True: 48}
"""Bytes of IP and UDP headers, by whether it is IPv6."""

SKEW_MAX = 1.0
SKEW_REFUSED = CLOCK_SKEW_MAX / SECOND
"""Seconds by which clocks may differ before the ages of messages stop making sense, and before they are refused."""

_CURES = {
    "udp": "check that the node runs and that UDP {address} passes every firewall and NAT on the way, both directions",
    "tcp": "check that the node runs and that TCP {address} passes every firewall; another port: --peer-tcp",
}


def reachability(
    config: NetworkConfig, udp: Sequence[Address], tcp: Sequence[Address], seconds: float
) -> tuple[list[Finding], list[Address]]:
    """A finding per address and carrier, and where UDP found somebody. All are tried at once."""
    wanted = [("udp", address) for address in udp if config.enable_udp]
    wanted += [("tcp", address) for address in tcp if config.enable_tcp]
    if not wanted:
        detail = "no address given: name one with --bootstrap or --peer"
        return [Finding(subject="reachability", verdict=Verdict.SKIPPED, detail=detail)], []
    results = asyncio.run(_try_all(wanted, config.network_id, seconds))
    tried = list(zip(wanted, results, strict=True))
    findings = [_finding(carrier, address, result, config) for (carrier, address), result in tried]
    return findings, [result[0] for _, result in tried if isinstance(result, tuple)]


async def _try_all(wanted: Sequence[tuple[str, Address]], network_id: str, seconds: float) -> list[Outcome]:
    async def attempt(carrier: str, address: Address) -> Outcome:
        try:
            return await reach(carrier, address, network_id=network_id, seconds=seconds)
        except (ConnectionFailed, SendTimeout) as error:
            return error

    return await asyncio.gather(*(attempt(carrier, address) for carrier, address in wanted))


def _finding(
    carrier: str,
    address: Address,
    result: Outcome,
    config: NetworkConfig,
) -> Finding:
    text = format_address(address)
    subject = f"{carrier.upper()} to {text}"
    if isinstance(result, tuple):
        detail = f"shook hands and acknowledged a message in {duration(result[1])}"
        return Finding(subject=subject, verdict=Verdict.OK, detail=detail)
    cure = _CURES[carrier].format(address=text)
    if "look up" in str(result) or "looking up" in str(result):
        cure = "check the spelling of the name and the DNS of this machine"
    elif "network_mismatch" in str(result):
        cure = f"it belongs to another network than {config.network_id!r}: choose its --network-id"
    elif "version_mismatch" in str(result):
        cure = "it speaks another version of the protocol: update the older of the two"
    elif isinstance(result, ConnectionFailed) and result.code is Code.CONNECTION_LIMIT:
        cure = "it has as many connections as it allows: try another node, or raise its --max-connections"
    return Finding(subject=subject, verdict=Verdict.FAILED, detail=_reason(result), cure=cure)


def _reason(error: ConnectionFailed | SendTimeout) -> str:
    text = str(error)
    return text if len(text) <= 200 else text[:200] + "..."


def mtu(config: NetworkConfig, found: Sequence[Address]) -> Iterator[Finding]:
    """Whether datagrams of `mtu` bytes fit the routes to those who were found, as far as this kernel knows them."""
    if not config.enable_udp:
        return
    routes = {address: path_mtu(address) for address in dict.fromkeys((host, 9) for host, _ in found) or [_ANYWHERE]}
    known = {address: size for address, size in routes.items() if size is not None}
    if not known:
        yield Finding(subject="MTU", verdict=Verdict.SKIPPED, detail="the kernel knows no route")
    for address, size in known.items():
        headers = _HEADERS[":" in address[0]]
        room = size - headers
        subject = "MTU, default route" if address == _ANYWHERE else f"MTU to {address[0]}"
        if config.mtu <= room:
            detail = f"{size} bytes leave {room} for a datagram; {config.mtu} are used"
            yield Finding(subject=subject, verdict=Verdict.OK, detail=detail)
        elif room >= MTU_MIN:
            detail = f"{size} bytes leave {room} for a datagram, and mtu is {config.mtu}: the largest will not pass"
            yield Finding(
                subject=subject, verdict=Verdict.WARNING, detail=detail, cure=f"start the node with --mtu {room}"
            )
        else:
            detail = f"{size} bytes leave {room} for a datagram, and a handshake over UDP needs {MTU_MIN}"
            cure = (
                f"let the route carry {MTU_MIN + headers} bytes (ip link set mtu), or use TCP alone: "
                "--enable-udp false, and TCP ports in --bootstrap"
            )
            yield Finding(subject=subject, verdict=Verdict.FAILED, detail=detail, cure=cure)


def skew(peers: Sequence[Any]) -> Finding:
    """How far the clocks of the running node's peers are from its own, where the node has measured that."""
    skews = [value for peer in peers if (value := _skew_of(peer)) is not None]
    if not skews:
        return Finding(
            subject="peers' clocks", verdict=Verdict.SKIPPED, detail="no running node that has measured them"
        )
    middle = sorted(skews)[len(skews) // 2]
    detail = f"the middle one of {len(skews)} differs by {duration(abs(middle))}"
    if abs(middle) <= SKEW_MAX:
        off = [_named(peer) for peer in peers if abs(_skew_of(peer) or 0.0) > SKEW_REFUSED]
        if not off:
            return Finding(subject="peers' clocks", verdict=Verdict.OK, detail=detail)
        return Finding(
            subject="peers' clocks",
            verdict=Verdict.WARNING,
            detail=f"{detail}; by more than {duration(SKEW_REFUSED)}, so that others refuse them: {', '.join(off[:5])}",
            cure="set the clocks of those machines, and keep them right (timedatectl set-ntp true, or chrony)",
        )
    side = "behind" if middle > 0 else "ahead of"
    return Finding(
        subject="peers' clocks",
        verdict=Verdict.FAILED,
        detail=f"{detail}: this machine's clock is {side} theirs",
        cure="set this machine's clock, and keep it right (timedatectl set-ntp true, or chrony)",
    )


def _skew_of(peer: object) -> float | None:
    return measured(peer, "clock_skew") if isinstance(peer, dict) else None


def _named(peer: dict[str, Any]) -> str:
    return clean(str(peer.get("name") or peer.get("node_id") or "?")[:64])
