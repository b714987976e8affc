"""The process that keeps a testnet of local processes or containers: starts nodes, and does to them what it is asked.

`python -m node.testnet.runners.keeper DIRECTORY LOCK` with the descriptor of the directory's lock. It outlives the
command that started it and answers on a socket in the directory, one JSON object a line. Every fault carries its end,
which is enforced here: a controller that dies leaves nothing that does not heal. A controller may hold a lease; when it
is not renewed, the testnet goes down once the last fault is over. Nodes die with the keeper.

Nodes that are processes are forked, so that twenty of them cost the imports of one: nothing here runs threads or an
event loop. Containers have threads of their own (`containers.py`), and nothing is forked.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import itertools
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from node.testnet.errors import TestnetFailed
from node.testnet.runners.children import Children
from node.testnet.runners.directory import Directory
from node.testnet.runners.ills import CONTAINER_KINDS, KINDS, Ill
from node.testnet.runners.process import Order

__all__ = ["Keeper"]

REQUEST_TIMEOUT = 0.5
"""Seconds that a client may take to say what it wants: everything else waits for that long."""

REQUEST_BYTES_MAX = 4 << 20
EVENTS_MAX = 10_000
FAULTS_MAX = 1_000
TURN = 1.0
"""Longest sleep in seconds, so that nothing rests on a single wake-up."""

TIMER_SLACK = 0.001
"""Seconds after which a fault that has ended is over by every clock."""

LONGEST_FAULT = 3600.0


class Refused(Exception):
    """What was asked cannot be done."""


class Keeper:
    """See the module."""

    def __init__(self, directory: Directory) -> None:
        plan = directory.read_plan()
        self.directory = directory
        self.children, self._kinds = self._make_children(plan)
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._ills: dict[tuple[str, str], Ill] = {}
        self._links: dict[str, dict[str, Any]] = plan["links"]
        self._orders: dict[tuple[str, str, str], tuple[dict[str, Any], float]] = {}
        self._lease: float | None = plan["lease"]
        self._lease_until: float | None = None
        self._is_over = False

    def run(self) -> None:
        """Keeps the testnet until it is told to end, or its lease does; removes the directory."""
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_is_over", True))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        listener = socket.socket(socket.AF_UNIX)
        self.children.inherited += [listener.fileno(), wake.fileno(), waker.fileno()]
        try:
            self.children.start_all()
            self._lease_until = None if self._lease is None else time.monotonic() + self._lease
            listener.bind(str(self.directory.socket))
            listener.listen(16)
            while not self._is_over:
                self._turn(listener, wake)
        finally:
            listener.close()
            self.children.end_all()
            self.directory.remove()

    def _turn(self, listener: socket.socket, wake: socket.socket) -> None:
        now = time.monotonic()
        soonest = self._timers[0][0] - now if self._timers else TURN
        readable, _, _ = select.select([listener, wake], [], [], min(TURN, max(0.0, soonest)))
        if wake in readable:
            with contextlib.suppress(OSError):
                wake.recv(4096)
        self.children.reap()
        if listener in readable:
            self._serve(listener)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
        if self._lease_until is not None and time.monotonic() > max(self._lease_until, self._last_end()):
            self._is_over = True

    def _make_children(self, plan: dict[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        """What is kept, and the kinds of faults that it can have."""
        if "project" not in plan:
            return Children(self.directory, plan["nodes"], self._orders_for), KINDS
        from node.testnet.runners.containers import Containers

        return Containers(self.directory, plan, self._orders_for, self.at), CONTAINER_KINDS

    def at(self, instant: float, act: Callable[[], None]) -> None:
        """Does something at that time of the monotonic clock."""
        heapq.heappush(self._timers, (instant, next(self._count), act))

    # --- requests -------------------------------------------------------------------------------------------------

    def _serve(self, listener: socket.socket) -> None:
        link, _ = listener.accept()
        with link, contextlib.suppress(OSError):
            link.settimeout(REQUEST_TIMEOUT)
            with link.makefile("rb") as stream:
                line = stream.readline(REQUEST_BYTES_MAX)
            try:
                answer = self._answer(json.loads(line))
            except (Refused, ValueError, KeyError, TypeError) as error:
                answer = {"error": f"{type(error).__name__}: {error}" if not isinstance(error, Refused) else str(error)}
            link.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "status":
                return self._status()
            case "events":
                return {"events": self.children.events[int(request["after"]) :]}
            case "fault":
                return self._fault(request)
            case "links":
                self._links = dict(request["nodes"])
                self.children.relink(self._links)
            case "orders":
                self._take_orders(request["orders"])
            case "told":
                return {"nodes": {name: self._orders_for(name) for name in self.children.names}}
            case "heal":
                return {"healed": self.heal(request.get("step"))}
            case "lease":
                seconds = request["seconds"]
                self._lease_until = None if seconds is None else time.monotonic() + float(seconds)
            case "down":
                self._is_over = True
            case other:
                raise Refused(f"{other!r}: allowed is status, events, fault, links, orders, told, heal, lease or down")
        return {}

    def _status(self) -> dict[str, Any]:
        now = time.monotonic()
        faults = [
            {"step": ill.step, "kind": ill.kind, "node": ill.node, "seconds_left": max(0.0, ill.until - now)}
            for ill in self._ills.values()
        ]
        lease = None if self._lease_until is None else max(0.0, self._lease_until - now)
        return {"nodes": self.children.report(), "faults": faults, "lease": lease, "pid": os.getpid()}

    # --- faults ---------------------------------------------------------------------------------------------------

    def _fault(self, request: dict[str, Any]) -> dict[str, Any]:
        node, seconds = str(request["node"]), float(request["seconds"])
        if node not in self.children.names:
            raise Refused(f"no node {node!r}; there are {', '.join(self.children.names)}")
        if not 0 <= seconds <= LONGEST_FAULT:
            raise Refused(f"seconds {seconds:g}: allowed is 0 to {LONGEST_FAULT:g}")
        if len(self._ills) >= FAULTS_MAX:
            raise Refused(f"{FAULTS_MAX} faults are active")
        ill = Ill(
            step=str(request["step"]),
            kind=str(request["kind"]),
            node=node,
            until=time.monotonic() + seconds,
            parameters=dict(request.get("parameters", {})),
        )
        self._end(ill.key)
        try:
            ill.end = self._kinds[ill.kind](ill, self.children, self.at)
        except KeyError as error:
            raise Refused(f"no fault {error} of processes") from error
        if ill.end is not None:
            self._ills[ill.key] = ill
            self.at(ill.until, lambda: self._end_if(ill))
        return {}

    def _end_if(self, ill: Ill) -> None:
        if self._ills.get(ill.key) is ill:
            self._end(ill.key)

    def _end(self, key: tuple[str, str]) -> None:
        ill = self._ills.pop(key, None)
        if ill is not None:
            ill.is_over = True
            if ill.end is not None:
                ill.end()

    def heal(self, step: str | None) -> list[str]:
        """Ends the faults of that step, or all; the steps that were ended."""
        keys = [key for key in self._ills if step in (None, key[0])]
        for key in keys:
            self._end(key)
        healed = [order for order in self._orders if step in (None, order[1])]
        for order in healed:
            del self._orders[order]
        self.children.relink(order[0] for order in healed)
        return list(dict.fromkeys(key[0] for key in keys))

    def _last_end(self) -> float:
        return max(
            (*(ill.until for ill in self._ills.values()), *(end for _, end in self._orders.values())), default=0.0
        )

    # --- what nodes are told when they start ------------------------------------------------------------------------

    def _take_orders(self, orders: list[dict[str, Any]]) -> None:
        """Remembers what nodes were told over their own API, so that a node that starts anew is told again."""
        now = time.monotonic()
        self._orders = {key: order for key, order in self._orders.items() if order[1] > now}
        for one in orders:
            key = (str(one["node"]), str(one["body"].get("step", "")), str(one["command"]))
            self._orders[key] = (dict(one["body"]), now + min(float(one["body"]["seconds"]), LONGEST_FAULT))
        if len(self._orders) > FAULTS_MAX * len(self.children.names):
            raise Refused("too many faults")
        touched = [str(one["node"]) for one in orders]
        self.children.relink(touched)
        for end in {now + float(one["body"]["seconds"]) for one in orders}:
            self.at(end + TIMER_SLACK, lambda: self.children.relink(touched))

    def _orders_for(self, name: str) -> list[Order]:
        now = time.monotonic()
        orders: list[Order] = [("links", self._links[name])] if name in self._links else []
        for (node, _, command), (body, until) in self._orders.items():
            if node == name and until > now:
                orders.append((command, {**body, "seconds": until - now}))
        return orders


def main(arguments: list[str]) -> int:
    """Keeps one testnet. arguments: its directory, and the descriptor of the lock that was taken."""
    directory = Directory(Path(arguments[0]))
    keeper = Keeper(directory)
    keeper.children.inherited.append(int(arguments[1]))
    # Its own master: whoever started it has nothing to wait for.
    if os.fork():
        os._exit(0)
    # What was imported until here is shared with every node; a collection would write to it, and so copy it.
    gc.freeze()
    try:
        keeper.run()
    except TestnetFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
