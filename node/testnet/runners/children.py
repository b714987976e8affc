"""The nodes that a keeper has started: processes that begin, end, stand still and go on.

Tells an end that was wished from one that was not. Knows nothing of faults and their times.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from node.config.network import KEY_FILE
from node.testnet.runners.directory import Directory
from node.testnet.runners.process import Order, become_node

__all__ = ["Children"]

END_TIMEOUT = 3.0
"""Seconds that nodes have to take leave, before they are killed."""

EVENTS_MAX = 10_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class _Child:
    """pid: 0 while it does not run. holds: reasons for which it stands still. wish: why it may end, "" if it may not.

    after: what happens when it has ended.
    """

    pid: int = 0
    since: float = 0.0
    starts: int = 0
    wish: str = ""
    holds: dict[str, None] = field(default_factory=dict)
    after: Callable[[], None] | None = None


class Children:
    """See the module. settings: of each node, by name. orders: what a node that starts is told first."""

    def __init__(
        self, directory: Directory, settings: Mapping[str, Mapping[str, Any]], orders: Callable[[str], list[Order]]
    ) -> None:
        self.names = tuple(settings)
        self.events: list[dict[str, Any]] = []
        self.inherited: list[int] = []
        self._directory = directory
        self._settings = settings
        self._orders = orders
        self._children = {name: _Child() for name in settings}

    def start_all(self) -> None:
        """Starts every node."""
        for name in self.names:
            self.start(name)

    def start(self, name: str) -> None:
        """Starts a node that does not run."""
        child = self._children[name]
        if child.pid:
            return
        self._directory.data(name).mkdir(parents=True, exist_ok=True, mode=0o700)
        orders = self._orders(name)
        pid = os.fork()
        if pid == 0:
            self._detach()
            become_node(self._directory, name, self._settings[name], orders)
        child.pid, child.since, child.wish, child.after = pid, time.monotonic(), "", None
        child.starts += 1
        if child.holds:
            self._signal(name, signal.SIGSTOP)

    def end(self, name: str, number: signal.Signals, wish: str, after: Callable[[], None] | None = None) -> None:
        """Has a node end by that signal, because of that wish. after: called once it has."""
        child = self._children[name]
        if not child.pid:
            if after is not None:
                after()
            return
        child.wish, child.after = wish, after
        self._signal(name, number)
        if number is not signal.SIGKILL and child.holds:
            self._signal(name, signal.SIGCONT)

    def hold(self, name: str, reason: str) -> None:
        """Has a node stand still, for as long as any reason says so."""
        holds = self._children[name].holds
        if not holds:
            self._signal(name, signal.SIGSTOP)
        holds[reason] = None

    def release(self, name: str, reason: str) -> None:
        """Ends that reason."""
        holds = self._children[name].holds
        if holds.pop(reason, 0) is None and not holds:
            self._signal(name, signal.SIGCONT)

    def lose_state(self, name: str) -> None:
        """Deletes all that a node remembers, the key excepted."""
        data = self._directory.data(name)
        for entry in data.iterdir() if data.is_dir() else ():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != KEY_FILE:
                entry.unlink(missing_ok=True)

    def memory(self, name: str) -> int:
        """Resident bytes of a node; 0 if it does not run or that cannot be known."""
        try:
            with open(f"/proc/{self._children[name].pid}/statm") as file:
                return int(file.read().split()[1]) * PAGE_BYTES
        except (OSError, IndexError, ValueError):
            return 0

    def reap(self) -> None:
        """Takes note of every process that has ended."""
        for name, child in self._children.items():
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._ended(name, child, status)

    def end_all(self) -> None:
        """Ends every node, in order if they can, at the latest after END_TIMEOUT."""
        for name, child in self._children.items():
            if child.pid:
                self.end(name, signal.SIGTERM, "down")
                child.after = None
                self._signal(name, signal.SIGCONT)
        deadline = time.monotonic() + END_TIMEOUT
        while any(child.pid for child in self._children.values()) and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.01)
        for name, child in self._children.items():
            if child.pid:
                self._signal(name, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.pid = 0

    def relink(self, names: Iterable[str]) -> None:
        """Nothing: local processes share one kernel, and impair their links themselves."""

    def report(self) -> dict[str, dict[str, Any]]:
        """Each node with its state: running, paused or down."""
        return {
            name: {
                "pid": child.pid,
                "state": "down" if not child.pid else "paused" if child.holds else "running",
                "since": child.since,
                "starts": child.starts,
            }
            for name, child in self._children.items()
        }

    def _ended(self, name: str, child: _Child, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        event = {"node": name, "at": time.monotonic()}
        event |= {"event": "stopped", "reason": child.wish} if child.wish else {"event": "died", "reason": how}
        if len(self.events) < EVENTS_MAX:
            self.events.append(event)
        child.pid, child.wish = 0, ""
        after, child.after = child.after, None
        if after is not None:
            after()

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self._children[name].pid
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _detach(self) -> None:
        """Lets go of what belongs to the keeper alone."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in self.inherited:
            with contextlib.suppress(OSError):
                os.close(descriptor)
