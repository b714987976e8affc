"""Two hosts on one cable, made of network namespaces: real links, addresses and queues, without a second machine.

A socket stays in the namespace in which it was opened, so one event loop can drive both ends: open the sockets of a
host inside `with hosts.on("left")`, and use them anywhere.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000
LEFT, RIGHT = "left", "right"
IPV4 = {LEFT: "10.77.0.1", RIGHT: "10.77.0.2"}
IPV6 = {LEFT: "fd77::1", RIGHT: "fd77::2"}
INTERFACE = "cable"

_libc = ctypes.CDLL(None, use_errno=True)


class HostsError(Exception):
    """This machine refused a command that makes or changes the hosts; the text has the command and the refusal."""


class Hosts:
    """The hosts `left` and `right`; `close` takes them away with everything on them."""

    def __init__(self) -> None:
        self._names = {side: f"positron-{os.getpid()}-{side}" for side in (LEFT, RIGHT)}
        try:
            self._connect()
        except HostsError:
            self.close()
            raise

    def _connect(self) -> None:
        for name in self._names.values():
            _call("ip", "netns", "add", name)
        left, right = (self._names[side] for side in (LEFT, RIGHT))
        peer = ("peer", "name", INTERFACE, "netns", right)
        _call("ip", "-n", left, "link", "add", INTERFACE, "type", "veth", *peer)
        for side, name in self._names.items():
            _call("ip", "-n", name, "address", "add", f"{IPV4[side]}/24", "dev", INTERFACE)
            _call("ip", "-n", name, "address", "add", f"{IPV6[side]}/64", "dev", INTERFACE, "nodad")
            _call("ip", "-n", name, "link", "set", "lo", "up")
        for side in self._names:
            self.plug(side)

    def close(self) -> None:
        for name in self._names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def run(self, side: str, *command: str) -> str:
        """What the command, run on that host, prints; HostsError if it fails."""
        return _call("ip", "netns", "exec", self._names[side], *command)

    def command(self, side: str, *command: str) -> list[str]:
        """The command line that runs the command on that host."""
        return ["ip", "netns", "exec", self._names[side], *command]

    def plug(self, side: str) -> None:
        _call("ip", "-n", self._names[side], "link", "set", INTERFACE, "up")

    def link_address(self, side: str) -> str:
        """The IPv6 address that the host has on the cable alone, once it may be used."""
        while True:
            words = self.run(side, "ip", "-6", "address", "show", "dev", INTERFACE, "scope", "link").split()
            if "inet6" in words and "tentative" not in words:
                return words[words.index("inet6") + 1].partition("/")[0]

    def unplug(self, side: str) -> None:
        _call("ip", "-n", self._names[side], "link", "set", INTERFACE, "down")

    def limit_packets(self, size: int) -> None:
        """Makes the cable carry no larger IP packets; at least 1280."""
        for name in self._names.values():
            _call("ip", "-n", name, "link", "set", INTERFACE, "mtu", str(size))

    def limit_rate(self, side: str, rate: str, queue: str) -> None:
        """Lets the host send no faster; `rate` and `queue` in the words of tc."""
        shaper = ("root", "tbf", "rate", rate, "burst", "16kb", "limit", queue)
        self.run(side, "tc", "qdisc", "replace", "dev", INTERFACE, *shaper)

    def drop_incoming(self, side: str, every: int) -> None:
        """Drops every so-many-th UDP datagram that reaches the host, without a word to anybody."""
        rule = ("-p", "udp", "-m", "statistic", "--mode", "nth", "--every", str(every), "--packet", "0", "-j", "DROP")
        self.run(side, "iptables", "--wait", "--append", "INPUT", *rule)

    def lose_incoming(self, side: str, probability: float) -> None:
        """Drops that share of the UDP datagrams that reach the host, at random and without a word to anybody."""
        rule = ("-p", "udp", "-m", "statistic", "--mode", "random", "--probability", str(probability), "-j", "DROP")
        self.run(side, "iptables", "--wait", "--append", "INPUT", *rule)

    def move(self, side: str, address: str) -> None:
        """Gives the host another IPv4 address in place of the one it has, as a new lease does."""
        self.run(side, "ip", "address", "flush", "dev", INTERFACE, "scope", "global")
        self.run(side, "ip", "address", "add", f"{address}/24", "dev", INTERFACE)

    def impair(self, side: str, *netem: str) -> None:
        """Impairs what the host sends, in netem's words; HostsError where the kernel has no netem."""
        # What the kernel may cut into packets later is one packet to netem: one draw would decide over dozens.
        _call("ip", "-n", self._names[side], "link", "set", "dev", INTERFACE, "gso_max_segs", "1")
        self.run(side, "tc", "qdisc", "replace", "dev", INTERFACE, "root", "netem", *netem)

    @contextmanager
    def on(self, side: str) -> Iterator[None]:
        """Moves this thread to the host."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _move(Path("/run/netns") / self._names[side])
            try:
                yield
            finally:
                _set_namespace(home)
        finally:
            os.close(home)


def _move(path: Path) -> None:
    namespace = os.open(path, os.O_RDONLY)
    try:
        _set_namespace(namespace)
    finally:
        os.close(namespace)


def _set_namespace(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode != 0:
        raise HostsError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
