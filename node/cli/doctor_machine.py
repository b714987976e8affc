"""What `positron doctor` looks at on this machine: ports, key file, clock, descriptors, kernel.

Each check stands alone, changes nothing, and ends in one finding. Nothing here sends a packet.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from node.cli.finding import Finding, Verdict
from node.config import FIELDS, NetworkConfig, format_address
from node.config.network import KEY_FILE
from node.errors import StartError
from node.node.probe import KernelFeatures, kernel_features, listening_place

__all__ = ["clock", "descriptors", "kernel", "key", "ports"]

RELEASED_AT = 1_760_000_000
"""Unix time before this program was written: a clock that shows less is wrong."""

_OWN_DESCRIPTORS = 600
"""Of a node beside its peers' TCP connections: half a thousand of the HTTP side, sockets, files."""

_TIME_ERROR = 5
"""What adjtimex(2) returns while nothing keeps the clock right."""


def ports(config: NetworkConfig, running: str) -> Iterator[Finding]:
    """Whether each port can be listened on. running: where a node with these settings runs already, or ""."""
    wanted = (
        ("UDP port", "port", config.enable_udp, config.host, config.port, socket.SOCK_DGRAM),
        ("TCP port", "tcp_port", config.enable_tcp, config.host, config.tcp_port, socket.SOCK_STREAM),
        ("HTTP port", "metrics_port", config.enable_http, config.metrics_host, config.metrics_port, socket.SOCK_STREAM),
    )
    for subject, field, is_enabled, host, port, kind in wanted:
        where = format_address((host, port))
        if not is_enabled:
            yield Finding(subject=subject, verdict=Verdict.SKIPPED, detail="switched off")
            continue
        try:
            _listen(host, port, kind)
        except StartError as error:
            cure = "choose an address of this machine, or check the spelling of the name and the DNS of this machine"
            yield Finding(subject=subject, verdict=Verdict.FAILED, detail=str(error), cure=cure)
        except OSError as error:
            yield _taken(subject, field, where, error, running)
        else:
            detail = f"{where} is free" if port else "the system will choose one"
            yield Finding(subject=subject, verdict=Verdict.OK, detail=detail)


def _listen(host: str, port: int, kind: socket.SocketKind) -> None:
    host, _ = listening_place("TCP" if kind == socket.SOCK_STREAM else "UDP", (host, port))
    found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
    with socket.socket(found[0], kind) as sock:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(found[4])
        if kind == socket.SOCK_STREAM:
            sock.listen(1)


def _taken(subject: str, field: str, where: str, error: OSError, running: str) -> Finding:
    if error.errno == errno.EADDRINUSE and running:
        return Finding(subject=subject, verdict=Verdict.OK, detail=f"{where} is in use by the node at {running}")
    flag = FIELDS[field].flag
    match error.errno:
        case errno.EADDRINUSE:
            reason, cure = "is taken by another program", f"stop that program (ss -lntup shows it), or choose {flag}"
        case errno.EACCES:
            reason, cure = "needs a privilege", f"choose a port above 1023 with {flag}"
        case _:
            host = FIELDS["metrics_host" if field == "metrics_port" else "host"].flag
            reason = f"cannot be listened on: {error.strerror or error}"
            cure = f"choose an address of this machine: {host}"
    return Finding(subject=subject, verdict=Verdict.FAILED, detail=f"{where} {reason}", cure=cure)


def key(config: NetworkConfig, running: str) -> Finding:
    """Whether there is a key that this user, and nobody else, can read; or a place where one can be made.

    running: as for `ports`; a node that runs has its key, even where this user cannot look at it.
    """
    subject = "key file"
    if not config.data_dir:
        detail = "none: the key is kept in memory, so every start is another node"
        return Finding(subject=subject, verdict=Verdict.WARNING, detail=detail, cure="choose a --data-dir to keep it")
    path = Path(config.data_dir) / KEY_FILE
    if running and not os.access(path.parent, os.R_OK | os.X_OK):
        detail = f"{path} is another user's, as whom the node at {running} runs"
        return Finding(subject=subject, verdict=Verdict.SKIPPED, detail=detail)
    if os.path.lexists(path):
        from node.storage.keyfile import load

        try:
            identity = load(path)
        except StartError as error:
            detail, _, cure = str(error).rpartition(": ")
            if not cure.startswith(("chmod ", "chown ", "restore ")):
                detail, cure = str(error), "move it away for a new identity, or choose another --data-dir"
            return Finding(subject=subject, verdict=Verdict.FAILED, detail=detail, cure=cure)
        return Finding(subject=subject, verdict=Verdict.OK, detail=f"{path} is node {identity.node_id[:8]}")
    there = _nearest_directory(path.parent)
    if not os.access(there, os.W_OK | os.X_OK):
        reason, cure = "is not this user's to write", "choose another --data-dir"
    elif _is_full(there):
        reason, cure = "has no space left", "make room there, or choose another --data-dir"
    else:
        detail = f"{path} will be made at the first start"
        return Finding(subject=subject, verdict=Verdict.OK, detail=detail)
    detail = f"{path} cannot be made: {there} {reason}"
    return Finding(subject=subject, verdict=Verdict.FAILED, detail=detail, cure=cure)


def _nearest_directory(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _is_full(path: Path) -> bool:
    disk = os.statvfs(path)
    return disk.f_blocks > 0 and disk.f_bavail == 0


def clock(now: float | None = None) -> Finding:
    """Whether the wall clock can be right: peers refuse messages of the far past and of the future."""
    seconds = time.time_ns() / 1e9 if now is None else now
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    cure = "set the clock, and keep it right (timedatectl set-ntp true, chrony, or systemd-timesyncd)"
    if seconds < RELEASED_AT:
        detail = f"{text} is before this program was made: peers will refuse this node's messages"
        return Finding(subject="clock", verdict=Verdict.FAILED, detail=detail, cure=cure)
    if _is_unsynchronised():
        detail = f"{text}; the kernel knows of nothing that keeps it right"
        return Finding(subject="clock", verdict=Verdict.WARNING, detail=detail, cure=cure)
    return Finding(subject="clock", verdict=Verdict.OK, detail=f"{text}, kept right as the kernel says")


def _is_unsynchronised() -> bool:
    """What adjtimex(2) says; True where it cannot be asked."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return True
    # `struct timex` is 208 bytes on 64-bit Linux; its first word, the modes to change, stays 0: nothing is set.
    answer = int(adjtimex(ctypes.create_string_buffer(512)))
    return answer in (-1, _TIME_ERROR)


def descriptors(config: NetworkConfig) -> Finding:
    """Whether the limit of open files has room for max_connections."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    needed = _OWN_DESCRIPTORS + (config.max_connections if config.enable_tcp else 0)
    if limit == resource.RLIM_INFINITY or limit >= needed:
        shown = "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
        return Finding(subject="open files", verdict=Verdict.OK, detail=f"{shown} allowed, {needed} needed at most")
    return Finding(
        subject="open files",
        verdict=Verdict.WARNING,
        detail=f"{limit} allowed, {needed} needed if all {config.max_connections} connections are used",
        cure=f"raise it (ulimit -n {needed}; LimitNOFILE= of systemd), or lower --max-connections",
    )


def kernel(features: KernelFeatures | None = None) -> Iterator[Finding]:
    """What the kernel offers a UDP socket; nothing of it is needed, all of it helps."""
    found = kernel_features() if features is None else features
    newer = "a Linux kernel of 5.0 or newer offers it; without it a node needs more processor time"
    for subject, has, what, cure in (
        ("UDP GSO", found.has_segmentation, "several datagrams per send", newer),
        ("UDP GRO", found.has_coalescing, "several datagrams per read", newer),
        ("drop counter", found.has_drop_counter, "SO_RXQ_OVFL: drops of a full socket are counted", "Linux offers it"),
        ("ECN", found.has_ecn, "congestion marks can be sent and seen", "Linux offers it; some sandboxes forbid it"),
    ):
        if has:
            yield Finding(subject=subject, verdict=Verdict.OK, detail=what)
        else:
            yield Finding(subject=subject, verdict=Verdict.WARNING, detail=f"not there ({what})", cure=cure)
    for subject, granted, name in (
        ("receive buffer", found.receive_buffer, "rmem_max"),
        ("send buffer", found.send_buffer, "wmem_max"),
    ):
        if granted >= found.buffer_wanted:
            yield Finding(subject=subject, verdict=Verdict.OK, detail=f"{granted} bytes")
        else:
            yield Finding(
                subject=subject,
                verdict=Verdict.WARNING,
                detail=f"{granted} bytes of {found.buffer_wanted} wanted: bursts overflow it",
                cure=f"sysctl -w net.core.{name}={found.buffer_wanted}",
            )
