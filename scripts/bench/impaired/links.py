"""Two hosts and the link between them, made of network namespaces: emulated in user space, or with netem."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.netns.hosts import INTERFACE, IPV4, LEFT, RIGHT, Hosts

__all__ = ["LINKS", "Link", "emulated", "netem"]

_EMULATOR = Path(__file__).with_name("emulator.py")
_DEVICE = "wire"
_ADDRESSES = {LEFT: "10.78.0.1", RIGHT: "10.78.0.2"}
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_PACKET_BYTES = 1_500


@dataclass(frozen=True)
class Link:
    """Both directions. rate: bit/s. rtt: seconds. loss: share of packets. queue: seconds at that rate."""

    rate: float
    rtt: float
    loss: float
    queue: float

    @property
    def name(self) -> str:
        return f"{self.rate / 1e6:g} Mbit/s, {self.rtt * 1e3:g} ms, {self.loss:.0%} loss"


@contextmanager
def emulated(link: Link) -> Iterator[tuple[Hosts, str]]:
    """The hosts and the address of the right one; the packets between them pass through our emulator."""
    hosts = Hosts()
    descriptors = []
    emulator = None
    try:
        for side in (LEFT, RIGHT):
            with hosts.on(side):
                descriptors.append(_open_device())
            hosts.run(side, "ip", "address", "add", f"{_ADDRESSES[side]}/24", "dev", _DEVICE)
            hosts.run(side, "ip", "link", "set", _DEVICE, "up", "txqueuelen", "10000")
        numbers = [str(descriptor) for descriptor in descriptors]
        command = [sys.executable, str(_EMULATOR), *numbers, json.dumps(asdict(link))]
        emulator = subprocess.Popen(command, pass_fds=descriptors)
        yield hosts, _ADDRESSES[RIGHT]
    finally:
        if emulator is not None:
            emulator.kill()
            emulator.wait()
        for descriptor in descriptors:
            os.close(descriptor)
        hosts.close()


@contextmanager
def netem(link: Link) -> Iterator[tuple[Hosts, str]]:
    """As `emulated`, with a cable whose ends both have netem; what its kernel lacks is an error."""
    hosts = Hosts()
    limit = max(20, round((link.queue + link.rtt / 2) * link.rate / 8 / _PACKET_BYTES))
    shape = f"delay {link.rtt / 2 * 1e3}ms loss {link.loss * 100}% rate {link.rate}bit limit {limit}"
    try:
        for side in (LEFT, RIGHT):
            hosts.run(side, "tc", "qdisc", "add", "dev", INTERFACE, "root", "netem", *shape.split())
            # netem would treat a batch as one packet.
            hosts.run(side, "ip", "link", "set", INTERFACE, "gso_max_segs", "1")
        yield hosts, IPV4[RIGHT]
    finally:
        hosts.close()


LINKS = {"emulated": emulated, "netem": netem}


def _open_device() -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor
