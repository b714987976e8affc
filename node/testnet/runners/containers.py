"""The nodes that a keeper has started as containers: what is asked of them is done by the engine, one by one for each.

Stands where `Children` stands for local processes, and is called by the keeper's own thread alone. The engine is slow
(a start takes some tenths of a second), so every container has a thread that does one thing after the other; what they
find out, and what the engine says of ends, comes back through a queue that `reap` empties.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from node.config.network import KEY_FILE
from node.testnet.compose import Compose
from node.testnet.errors import NotApplied, TestnetError, TestnetFailed
from node.testnet.runners import ingress, kernel
from node.testnet.runners.directory import Directory
from node.testnet.runners.docker import PATIENT_TIMEOUT, Engine, engine
from node.testnet.runners.ills import RESTART_AFTER
from node.testnet.runners.live import LiveNode, LiveNodes, wait_until

__all__ = ["FOR_NODE", "TRACES", "Containers"]

EVENTS_MAX = 10_000
ANSWER_WITHIN = 180.0
"""Seconds that a container has from its start until the API of its node answers."""

ANSWERS_PER_SECOND = 80
"""Questions to all nodes that start, together: each costs time that their starts could use."""

ANSWER_INTERVAL_MIN = 0.1
STARTS_PER_PROCESSOR = 4
"""Of more at once the engine has no gain, and each request would have to wait for all the others."""

HTTP_OK = 200
DATA = "/var/lib/positron"
TRACES = PurePosixPath(DATA, "qlog")
FORGET = f"find {DATA} -mindepth 1 -not -name {KEY_FILE} -not -path '{TRACES}*' -delete"
"""Deletes all that a node remembers, the key excepted; its traces are ours."""

FOR_NODE = {"netem": kernel.for_node, "nft": ingress.for_node}
"""What of a command is left to the node, where kernels do the rest."""

At = Callable[[float, Callable[[], None]], None]
Order = tuple[str, Mapping[str, Any]]
Orders = Callable[[str], list[Order]]


@dataclass(slots=True)
class _Child:
    """state: down, starting, or running, beside the reasons for which it stands still. limit: of its memory.

    turn: counts starts and ends, so that whoever waits for one sees that it has been overtaken. asked, applied: tables
    of links that its kernel was given, and the last one that it has. refusal: why it does not have that one. dropped:
    what that table drops at ingress, None before the first one.
    """

    worker: ThreadPoolExecutor
    id: str = ""
    image: str = ""
    state: str = "down"
    since: float = 0.0
    starts: int = 0
    wish: str = ""
    turn: int = 0
    asked: int = 0
    applied: int = 0
    refusal: str = ""
    limit: int | None = None
    dropped: list[tuple[str, float, str]] | None = None
    holds: dict[str, None] = field(default_factory=dict)
    after: Callable[[], None] | None = None


class Containers:
    """See the module. plan: what was brought up. orders: what a node that starts is told. at: a timer of the keeper."""

    def __init__(self, directory: Directory, plan: Mapping[str, Any], orders: Orders, at: At) -> None:
        self.names = tuple(plan["nodes"])
        self.events: list[dict[str, Any]] = []
        self.inherited: list[int] = []
        self._project = str(plan["project"])
        self._compose_file = directory.compose_file
        self._orders = orders
        self._at = at
        self._backend = str(plan["backend"])
        self._hosts = {name: str(one["host"]) for name, one in plan["nodes"].items()}
        self._stack = ExitStack()
        self._engine: Engine = self._stack.enter_context(engine(timeout=PATIENT_TIMEOUT))
        nodes = [LiveNode(name, one["metrics_host"], one["metrics_port"], "") for name, one in plan["nodes"].items()]
        self._live = LiveNodes(nodes, directory.token.read_text(), 0.0)
        self._token = directory.token.read_text()
        self._found: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._children = {name: _Child(ThreadPoolExecutor(1, thread_name_prefix=name)) for name in self.names}
        self._starts = threading.BoundedSemaphore(STARTS_PER_PROCESSOR * (os.cpu_count() or 1))

    def start_all(self) -> None:
        """Brings the project up, many containers at a time; raises TestnetFailed if Compose does."""
        threading.Thread(target=self._listen, name="engine-events", daemon=True).start()
        compose = Compose(
            file=self._compose_file, project=self._project, variables={"POSITRON_API_TOKEN": self._token}
        )  # fmt: skip
        compose.create(self.names)
        found = self._engine.by_node(self._project)
        for name, child in self._children.items():
            child.id, child.image = found[name]
            self.start(name)

    def start(self, name: str) -> None:
        """Starts a node that does not run."""
        child = self._children[name]
        if child.state == "down":
            self._submit(name, lambda: self._start(child))
            self._has_started(name, child)

    def _start(self, child: _Child) -> None:
        with self._starts:
            self._engine.start(child.id)

    def end(self, name: str, number: signal.Signals, wish: str, after: Callable[[], None] | None = None) -> None:
        """Has a node end by that signal, because of that wish. after: called once it has."""
        child = self._children[name]
        if child.state == "down":
            if after is not None:
                after()
            return
        child.wish, child.after = wish, after
        child.turn += 1
        is_held = bool(child.holds)
        self._submit(name, lambda: self._engine.signal(child.id, number.name))
        if is_held:
            child.holds.clear()
            self._submit(name, lambda: self._engine.unpause(child.id))

    def hold(self, name: str, reason: str) -> None:
        """Has a node stand still, for as long as any reason says so."""
        child = self._children[name]
        if not child.holds:
            self._submit(name, lambda: self._engine.pause(child.id))
        child.holds[reason] = None

    def release(self, name: str, reason: str) -> None:
        """Ends that reason."""
        child = self._children[name]
        if child.holds.pop(reason, 0) is None and not child.holds:
            self._submit(name, lambda: self._engine.unpause(child.id))
            # Nothing could be run in it meanwhile.
            child.dropped = None
            self.relink([name])

    def lose_state(self, name: str) -> None:
        """Deletes all that a node remembers, the key excepted."""
        child = self._children[name]
        self._submit(name, lambda: self._engine.forget(child.id, child.image, FORGET))

    def limit_cpu(self, name: str, share: float | None) -> None:
        """Gives a node that share of one processor; None for all that it can get."""
        child = self._children[name]
        self._submit(name, lambda: self._engine.limit_cpu(child.id, share))

    def limit_memory(self, name: str, limit: int | None) -> None:
        """Gives a node so much memory, and starts it again when the kernel has killed it for that; None for all."""
        child = self._children[name]
        child.limit = limit

        def change() -> None:
            try:
                self._engine.limit_memory(child.id, limit)
            except TestnetFailed:
                if limit is None:
                    raise
                # Some kernels refuse a limit below what is in use; then the end comes from here, and the limit after.
                self._engine.signal(child.id, "SIGKILL")
                self._engine.await_end(child.id)
                self._engine.limit_memory(child.id, limit)

        self._submit(name, change)

    def relink(self, names: Iterable[str]) -> None:
        """Has the kernels of these nodes impair what is asked now, where that is theirs to do."""
        if self._backend == "netem":
            for name in dict.fromkeys(names):
                self._change_kernel(name, partial(self._apply_table, orders=self._orders(name)))
        elif self._backend == "nft":
            self._drop_at_ingress()

    def _drop_at_ingress(self) -> None:
        """Tells the receivers whose losses have changed: a sender's orders are its receivers' drops."""
        orders = {name: self._orders(name) for name in self.names}
        for name, child in self._children.items():
            drops = ingress.drops(orders, self._hosts, name)
            known = sorted((drop.sender, drop.share, drop.order) for drop in drops)
            if known != child.dropped and self._change_kernel(name, partial(self._apply_drops, drops=drops)):
                child.dropped = known

    def _change_kernel(self, name: str, change: Callable[[_Child], None]) -> bool:
        """Has the node's thread do that; whether it can be done now. A node that starts, or thaws, is told then."""
        child = self._children[name]
        if child.state == "down" or child.holds:
            return False
        child.asked += 1
        self._submit(name, partial(self._settle, child, child.asked, change))
        return True

    def _settle(self, child: _Child, number: int, change: Callable[[_Child], None]) -> None:
        refusal = ""
        try:
            # Another change that waits says all that this one does.
            if child.asked == number:
                change(child)
        except TestnetFailed as error:
            refusal = str(error)

        def note() -> None:
            child.refusal = refusal
            child.applied = max(child.applied, number)

        self._find(note)

    def _apply_drops(self, child: _Child, *, drops: Sequence[ingress.Drop]) -> None:
        self._impair(child, "drops", [ingress.line(drop) for drop in drops])

    def _impair(self, child: _Child, verb: str, lines: Sequence[str]) -> str:
        """What `impair` answers to these lines; NotApplied if it refuses."""
        text = "\n".join(lines)
        status, output = self._engine.run(child.id, ["sh", "-c", f"impair {verb} <<'END'\n{text}\nEND"])
        if status != 0:
            raise NotApplied(output.strip())
        return output

    def _apply_table(self, child: _Child, *, orders: Sequence[Order]) -> None:
        links = next(body for command, body in orders if command == "links")
        asked = kernel.table(links, [body for command, body in orders if command == "faults"])
        lines = [f"{host} {' '.join(kernel.words(settings))}" for host, settings in asked.items()]
        kernel.compare(asked, self._impair(child, "table", lines))

    def reap(self) -> None:
        """Takes note of what the engine and the threads have found out."""
        while True:
            try:
                note = self._found.get_nowait()
            except queue.Empty:
                return
            note()

    def end_all(self) -> None:
        """Removes every container, its volumes, and the networks."""
        for child in self._children.values():
            child.turn += 1
        wait([child.worker.submit(lambda: None) for child in self._children.values()], timeout=ANSWER_WITHIN)
        self._engine.remove(self._project)
        self._live.close()
        self._stack.close()

    def report(self) -> dict[str, dict[str, Any]]:
        """Each node with its state: starting, running, paused or down."""
        return {
            name: {
                "pid": 0,
                "state": "paused" if child.holds else child.state,
                "since": child.since,
                "starts": child.starts,
                "is_settled": child.asked == child.applied,
                "refusal": child.refusal,
            }
            for name, child in self._children.items()
        }

    # --- starts ------------------------------------------------------------------------------------------------------

    def _has_started(self, name: str, child: _Child) -> None:
        child.state, child.since, child.wish, child.after = "starting", time.monotonic(), "", None
        child.dropped = []  # its kernel is new
        child.starts += 1
        child.turn += 1
        turn = child.turn

        def is_overtaken() -> bool:
            return child.turn != turn

        def await_answer() -> None:
            interval = max(ANSWER_INTERVAL_MIN, len(self.names) / ANSWERS_PER_SECOND)
            if wait_until(lambda: is_overtaken() or self._answers(name), ANSWER_WITHIN, interval):
                self._find(lambda: None if is_overtaken() else self._tell(name, child))
            else:
                self._find(lambda: self._note(name, "died", reason=f"no answer within {ANSWER_WITHIN:g} s"))

        self._submit(name, await_answer)

    def _answers(self, name: str) -> bool:
        return self._live.request(name, "/healthz")[0] == HTTP_OK

    def _tell(self, name: str, child: _Child) -> None:
        """Tells a node that answers what it has to know: its links, and the faults that run."""
        orders, turn = self._orders(name), child.turn
        # Its entry point has told the node of the backend already.
        self.relink([name])

        def tell() -> None:
            for command, body in orders:
                if self._backend in FOR_NODE:
                    body = FOR_NODE[self._backend](command, body)
                self._order(name, child, command, body)
            self._find(has_heard)

        def has_heard() -> None:
            if child.turn == turn:
                child.state = "running"

        self._submit(name, tell)

    def _order(self, name: str, child: _Child, command: str, body: Mapping[str, Any]) -> None:
        """Tells a node something; one that is too busy to answer is told again."""
        turn, status = child.turn, 0

        def is_told() -> bool:
            nonlocal status
            status, _ = self._live.request(name, f"/api/v1/chaos/{command}", body)
            return status != 0 or child.turn != turn

        wait_until(is_told, ANSWER_WITHIN, ANSWER_INTERVAL_MIN)
        if child.turn == turn and not HTTP_OK <= status < HTTP_OK + 100:
            said = f"refuses {command}, with status {status}" if status else f"is silent about {command}"
            raise TestnetFailed(f"{name} {said}")

    # --- what is found out -------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            for name, status in self._engine.ends(self._project):
                self._find(partial(self._ended, name, status))
        except TestnetFailed as error:
            reason = str(error)
            self._find(lambda: self._note(self.names[0], "died", reason=f"the engine is silent: {reason}"))

    def _ended(self, name: str, status: int) -> None:
        child = self._children[name]
        if child.state == "down":
            return
        child.turn += 1
        child.state = "down"
        wish = child.wish or ("memory" if child.limit is not None else "")
        self._note(name, "stopped" if wish else "died", reason=wish or f"exit status {status}")
        child.wish = ""
        after, child.after = child.after, None
        if after is not None:
            after()
        elif child.limit is not None:
            self._at(time.monotonic() + RESTART_AFTER, lambda: self.start(name))

    def _note(self, name: str, event: str, *, reason: str) -> None:
        if len(self.events) < EVENTS_MAX:
            self.events.append({"node": name, "at": time.monotonic(), "event": event, "reason": reason})

    def _find(self, note: Callable[[], None]) -> None:
        """Hands that over to the keeper's thread, and wakes it as the end of a child would."""
        self._found.put(note)
        os.kill(os.getpid(), signal.SIGCHLD)

    def _submit(self, name: str, act: Callable[[], None]) -> None:
        def run() -> None:
            try:
                act()
            except (TestnetError, OSError, subprocess.SubprocessError) as error:
                reason = str(error)
                self._find(lambda: self._note(name, "refused", reason=reason))

        self._children[name].worker.submit(run)
