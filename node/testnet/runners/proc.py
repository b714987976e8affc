"""Runs a testnet as processes of this machine, each node on a loopback address of its own: no root, no containers.

Needs a system on which all of 127.0.0.0/8 is loopback (Linux). A keeper (`keeper.py`) owns the processes and ends every
fault of them in time; faults of links and those inside a node end in the node. This class is the controller: it may die
at any moment. `ProcRunner.attach` finds a testnet again that another command has brought up.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

from node.impairment.combination import combined
from node.impairment.link import LinkSettings
from node.impairment.plain import from_plain, to_plain
from node.testnet.errors import NotApplied, TestnetError, TestnetFailed, TestnetMisused
from node.testnet.runners.asked import asked_of
from node.testnet.runners.base import Event, Fault, LinkCount, LinkName, Plan
from node.testnet.runners.directory import Directory, ask_keeper, directory_of, running, wait_until_gone
from node.testnet.runners.keeping import claim, last_words, start_keeper, tell_to_end, write_plan
from node.testnet.runners.live import LiveNode, LiveNodes, wait_until
from node.testnet.runners.loopback import HTTP_PORT, PORT, TCP_PORT, as_number, free_hosts, has_loopback_network
from node.testnet.runners.measuring import Meter
from node.testnet.scenario.resolve import LinkFault, NodeFault
from node.testnet.scenario.topology import SEED
from node.testnet.wholeness import is_linked, living_members
from node.types import to_seconds

__all__ = ["NODES_MAX", "ProcRunner", "look_interval"]

NODES_MAX = 200
START_TIMEOUT = 90.0
WATCH_TIMEOUT = 10.0
LEASE = 10.0
"""Seconds without a sign of its controller after which a testnet that was brought up for one scenario goes down."""

READ_INTERVAL = 0.5
"""Seconds between two looks at histories and at the keeper."""

LOOKS_PER_SECOND = 100
"""Looks at all nodes together while they find each other: each costs time that they could use."""

LOOK_INTERVAL_MIN = 0.1
LOG_BYTES_MAX = 16 << 20
MARK_SECONDS = 2.0
"""How long the metrics tell of what happened at once: longer than the time between two scrapes."""

AFFLICTIONS = ("disk_full", "dns", "clock", "nat_rebind", "hostile")
"""Kinds that happen inside a node."""

DURATIONS = ("ahead", "behind")
PROCESS_KINDS = ("kill", "stop", "restart", "pause", "cpu", "memory")


class ProcRunner:
    """See the module. lease: None for a testnet that stays when its controller goes. prepare: see `process.py`."""

    name = "proc"
    backend = "wire"
    reason = "local processes impair their own links"
    down_timeout = 10.0
    """Seconds that the keeper has to end all nodes."""

    start_timeout = START_TIMEOUT
    """Seconds that all nodes have to start and to find each other."""

    def __init__(self, name: str = "", *, lease: float | None = LEASE, prepare: str = "") -> None:
        self.testnet = name or f"run-{os.getpid()}-{secrets.token_hex(2)}"
        self._lease = lease
        self._prepare = prepare
        self._directory: Directory | None = None
        self._nodes: LiveNodes | None = None
        self._links: dict[LinkName, LinkSettings] = {}
        self._faults: list[tuple[LinkFault, float]] = []
        self._events: list[Event] = []
        self._refreshing = threading.Lock()
        self._meter = Meter()
        self._began = time.monotonic()
        self._is_watching = threading.Event()
        self._watcher: threading.Thread | None = None

    @classmethod
    def attach(cls, name: str) -> Self:
        """The testnet of that name, which runs already; TestnetFailed if it does not."""
        directory = running(name)
        plan = directory.read_plan()
        found = cls(name, lease=None)
        found._directory = directory
        found._recall(plan)
        found._nodes = LiveNodes(_live(plan), directory.token.read_text(), plan["began"])
        found.refresh()
        return found

    def _recall(self, plan: Mapping[str, Any]) -> None:
        """Takes over what another command has written."""
        self._began = plan["began"]
        self._links = {
            (source, target): from_plain(settings)
            for source, links in plan["settings"].items()
            for target, settings in links.items()
        }

    # --- up and down ------------------------------------------------------------------------------------------------

    def missing(self, faults: Sequence[Fault], _links: Mapping[LinkName, LinkSettings]) -> list[str]:
        missing = self._unknown(faults)
        if not has_loopback_network():
            missing.append("this system does not lend out the addresses 127.0.0.0/8 beside 127.0.0.1")
        return missing

    def _unknown(self, faults: Sequence[Fault]) -> list[str]:
        kinds = dict.fromkeys(fault.kind for fault in faults if isinstance(fault, NodeFault))
        return [f"nodes have no {kind}" for kind in kinds if kind not in (*PROCESS_KINDS, *AFFLICTIONS)]

    def up(self, plan: Plan) -> None:
        self._check(plan)
        directory = self._directory = directory_of(self.testnet)
        lock = claim(directory)
        try:
            token = secrets.token_urlsafe(24)
            directory.token.touch(mode=0o600)
            directory.token.write_text(token)
            self._links = dict(plan.links)
            written = self._written(plan, self._place(plan), token)
            write_plan(directory, written)
            self._nodes = LiveNodes(_live(written), token, self._began)
            start_keeper(directory, lock)
        finally:
            os.close(lock)
        if self._lease is not None:
            # From now on, not from when all are there: that may take longer than the lease.
            self._watcher = threading.Thread(target=self._watch, name="testnet-watch", daemon=True)
            self._watcher.start()
        try:
            self._wait_until_whole()
        except (TestnetError, KeyboardInterrupt):
            self.down()
            raise

    def down(self) -> None:
        self._is_watching.set()
        if self._watcher is not None:
            self._watcher.join(WATCH_TIMEOUT)
        directory = self._directory
        if directory is not None and directory.path.is_dir():
            if directory.is_alive():
                wait_until(lambda: tell_to_end(directory), START_TIMEOUT)
                if not wait_until_gone(directory, self.down_timeout):
                    self._abandon(directory)
            directory.remove()
        if self._nodes is not None:
            self._nodes.close()
            self._nodes = None

    def _abandon(self, directory: Directory) -> NoReturn:
        """TestnetFailed: the keeper does not end, or could not remove everything."""
        if directory.is_alive():
            raise TestnetFailed(f"the keeper of testnet {self.testnet!r} does not end; see {directory.keeper_log}")
        words = last_words(directory)
        directory.remove()
        raise TestnetFailed(f"testnet {self.testnet!r} is down, but not all of it could be removed: {words}")

    def _check(self, plan: Plan) -> None:
        """TestnetMisused and NotApplied for what cannot be brought up."""
        if plan.backend not in ("auto", "wire"):
            raise NotApplied(f"backend {plan.backend}: local processes have wire alone; give --runner docker")
        if len(plan.topology.names) > NODES_MAX:
            raise TestnetMisused(f"{len(plan.topology.names)} nodes: allowed are up to {NODES_MAX} as local processes")

    def _place(self, plan: Plan) -> dict[str, str]:
        """The address of each node."""
        names = plan.topology.names
        return dict(zip(names, free_hosts(self.testnet, len(names)), strict=True))

    def _written(self, plan: Plan, hosts: Mapping[str, str], token: str) -> dict[str, Any]:
        """What the keeper and later commands read."""
        seed = f"{as_number(hosts[SEED])}:{PORT}"
        directory = self._directory
        assert directory is not None
        nodes = {
            name: {
                "host": host,
                "port": PORT,
                "tcp_port": TCP_PORT,
                "metrics_host": host,
                "metrics_port": HTTP_PORT,
                "bootstrap_nodes": [] if name == SEED else [seed],
                "is_seed": name == SEED,
                "network_id": f"testnet-{self.testnet}",
                "name": name,
                "data_dir": str(directory.data(name)),
                "profile": "testnet",
                "api_token": token,
                "chaos_control": True,
                "prepare": self._prepare,
                **plan.topology.settings,
                **plan.tracing(directory.traces(name)),
            }
            for name, host in hosts.items()
        }
        return self._described(plan, hosts, nodes)

    def _described(self, plan: Plan, hosts: Mapping[str, str], nodes: Mapping[str, Any]) -> dict[str, Any]:
        """What is written for every kind of node alike."""
        settings: dict[str, dict[str, Any]] = {name: {} for name in hosts}
        for (source, target), link in plan.links.items():
            settings[source][target] = to_plain(link)
        return {
            "testnet": self.testnet,
            "began": self._began,
            "lease": self._lease,
            "seed": plan.seed,
            "nodes": dict(nodes),
            "links": {name: _links_body(name, settings[name], hosts, plan.seed) for name in hosts},
            "settings": settings,
        }

    def _are_running(self) -> bool:
        """Whether every node runs and knows its links; False as well while the keeper is too busy to answer."""
        with contextlib.suppress(TestnetFailed):
            # A slow start is no reason to take the controller for dead.
            ask_keeper(self._running(), {"do": "lease", "seconds": self._lease})
            return all(one["state"] == "running" for one in self.keeper_status()["nodes"].values())
        return False

    def _wait_until_whole(self) -> None:
        nodes = self._live()
        size = len(nodes.nodes)
        waiting = list(nodes.nodes)

        def is_whole() -> bool:
            if not self._running().is_alive():
                raise TestnetFailed(f"the keeper ended: {last_words(self._running())}")
            if not self._is_listening():
                return False
            self._check_starts()
            if not self._are_running():
                return False
            # Who has seen all others is not asked again: each answer costs time that the others could use.
            answers = nodes.each(lambda name: nodes.ask(name, "/api/v1/stats"), waiting)
            waiting[:] = [
                name
                for name, one in answers.items()
                if one is None or not is_linked(living_members(one), one["active_peers"], size)
            ]
            return not waiting

        if not wait_until(is_whole, self.start_timeout, look_interval(size)):
            raise TestnetFailed(
                f"not every node had every other as a peer within {self.start_timeout:g} s; on a busy machine give it "
                "more time, or fewer nodes"
            )
        nodes.learn_names()

    def _check_starts(self) -> None:
        """TestnetFailed if a node has ended already: it would not come back by itself."""
        self.refresh()
        ended: dict[str, list[str]] = {}
        for event in self._events:
            if event["event"] in ("died", "refused"):
                said = self._tail(event["node"]) if event["event"] == "died" else ""
                ended.setdefault(f"{event['reason']}{said and f': {said}'}", []).append(event["node"])
        if ended:
            text = "; ".join(f"{', '.join(names)}: {said}" for said, names in ended.items())
            raise TestnetFailed(f"the testnet did not start: {text}")

    def _is_listening(self) -> bool:
        """Whether the keeper answers already."""
        try:
            self.keeper_status()
        except TestnetFailed:
            return False
        return True

    # --- time -------------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return time.monotonic() - self._began

    def sleep_until(self, time: float) -> None:
        self._is_watching.wait(max(0.0, time - self.now()))

    # --- faults -----------------------------------------------------------------------------------------------------

    def apply(self, fault: Fault, origin: float) -> None:
        seconds = origin + to_seconds(fault.until) - self.now()
        if isinstance(fault, LinkFault):
            if seconds > 0:
                self._faults.append((fault, origin))
                self._order(self._link_orders(fault, seconds))
            return
        if fault.kind in PROCESS_KINDS:
            # What was delivered until now would die with the node.
            self._live().read_histories([fault.node])
            # A busy machine takes its time for that, which is not to be added to the fault.
            seconds = origin + to_seconds(fault.until) - self.now()
            request: dict[str, Any] = {"do": "fault", "step": fault.step, "kind": fault.kind, "node": fault.node}
            request |= {"seconds": max(0.0, seconds), "parameters": _plain(fault)}
            ask_keeper(self._running(), request)
            self.refresh()
            mark = {"step": fault.step, "kind": fault.kind, "seconds": max(seconds, MARK_SECONDS)}
            self._order([(name, "mark", mark) for name in self._live().awake()])
        elif fault.kind in AFFLICTIONS:
            # What happens at once has no time to last, and every order has a limit.
            body = {"step": fault.step, "kind": fault.kind, "seconds": max(seconds, 0.001), **_plain(fault)}
            self._order([(fault.node, "afflict", body)])
        else:
            raise TestnetMisused(f"local processes have no {fault.kind}")

    def heal(self, step: str | None = None) -> None:
        """step: None for every fault."""
        if self._directory is None or not self._directory.is_alive():
            return
        self._faults = [one for one in self._faults if step not in (None, one[0].step)]
        ask_keeper(self._directory, {"do": "heal", "step": step})
        body = {} if step is None else {"step": step}
        self._live().chaos([(name, "heal", body) for name in self._live().nodes])
        self.refresh()

    def set_links(self, links: Mapping[LinkName, LinkSettings]) -> None:
        """Gives these links other settings from now on."""
        self._links.update(links)
        plan = self._running().read_plan()
        hosts = {name: one["host"] for name, one in plan["nodes"].items()}
        for (source, target), settings in links.items():
            plan["settings"][source][target] = to_plain(settings)
        plan["links"] = {name: _links_body(name, plan["settings"][name], hosts, plan["seed"]) for name in hosts}
        write_plan(self._running(), plan)
        ask_keeper(self._running(), {"do": "links", "nodes": plan["links"]})
        changed = dict.fromkeys(source for source, _ in links)
        # Without seed and name, so that the fates of packets go on where they were.
        kept = {name: {key: plan["links"][name][key] for key in ("hosts", "names")} for name in changed}
        self._tell([(name, "links", body) for name, body in kept.items()])

    def settings_of(self, link: LinkName) -> LinkSettings:
        """What is asked of a link now, faults included."""
        settings = self._links[link]
        now = self.now()
        for fault, origin in self._faults:
            if link in fault.links and now < origin + to_seconds(fault.until):
                settings = combined(settings, fault.settings)
        return settings

    def _link_orders(self, fault: LinkFault, seconds: float) -> list[tuple[str, str, dict[str, Any]]]:
        targets: dict[str, list[str]] = {}
        for source, target in fault.links:
            targets.setdefault(source, []).append(self._live().nodes[target].peer_host)
        shared = {"step": fault.step, "kind": fault.kind, "settings": to_plain(fault.settings), "seconds": seconds}
        return [(source, "faults", {**shared, "hosts": hosts}) for source, hosts in targets.items()]

    def _order(self, orders: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
        """Tells the keeper, so that a node that starts anew is told again, then the nodes."""
        told = [{"node": name, "command": command, "body": body} for name, command, body in orders]
        ask_keeper(self._running(), {"do": "orders", "orders": told})
        self._tell(orders)

    def _tell(self, orders: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
        self._live().chaos(orders)

    # --- questions --------------------------------------------------------------------------------------------------

    def probe(self, links: Sequence[LinkName], count: int) -> list[LinkCount]:
        in_nodes = self.backend != "netem"
        return self._meter.measure(self._live(), links, count, self.settings_of, in_nodes=in_nodes)

    def publish(self, node: str, size: int) -> str | None:
        return self._live().publish(node, {"text": "x" * max(0, size - 10)})

    def scrape(self) -> dict[str, str | None]:
        return self._live().scrape()

    def stats(self) -> dict[str, dict[str, Any] | None]:
        return self._live().stats()

    def status(self, node: str, path: str) -> int:
        return self._live().status(node, path)

    def members(self) -> dict[str, list[str]]:
        return self._live().members() if self._nodes is not None else {}

    def history(self) -> list[Event]:
        if self._nodes is None:
            return []
        self.refresh()
        self._nodes.read_histories()
        return sorted([*self._nodes.history(), *self._events], key=lambda event: float(event["at"]))

    def logs(self) -> dict[str, list[str]]:
        return {} if self._nodes is None else {name: self._log(name) for name in self._nodes.nodes}

    def traces(self) -> dict[str, dict[str, bytes]]:
        return {} if self._nodes is None else {name: self._running().read_traces(name) for name in self._nodes.nodes}

    def digest(self) -> str:
        return ""

    def host_of(self, node: str) -> str:
        """The address of a node."""
        return self._live().nodes[node].peer_host

    def asked(self, links: Sequence[LinkName]) -> dict[LinkName, LinkSettings]:
        """What is asked of links now, whoever asked; TestnetFailed if a node does not say."""
        answers = self.chaos_status()
        silent = [source for source, _ in links if answers[source] is None]
        if silent:
            raise TestnetFailed(
                f"no answer from {', '.join(dict.fromkeys(silent))}: what is asked of its links is unknown"
            )
        return {link: asked_of(answers[link[0]] or {}, self.host_of(link[1])) for link in links}

    def chaos_status(self) -> dict[str, dict[str, Any] | None]:
        """What each node says is asked of its links and of itself; None for one that does not answer."""
        nodes = self._live()
        found = nodes.each(lambda name: nodes.ask(name, "/api/v1/chaos"), nodes.awake())
        return {name: found.get(name) for name in nodes.nodes}

    def keeper_status(self) -> dict[str, Any]:
        """What the keeper says of processes and their faults."""
        return ask_keeper(self._running(), {"do": "status"})

    def refresh(self) -> None:
        """Finds out which processes run, and what became of them."""
        directory, nodes = self._directory, self._nodes
        if directory is None or nodes is None or not directory.is_alive():
            return
        # The watching thread refreshes as well, and each event is to be taken once.
        with self._refreshing, contextlib.suppress(TestnetFailed):
            report = ask_keeper(directory, {"do": "status"})["nodes"]
            nodes.silent = frozenset(name for name, one in report.items() if one["state"] != "running")
            events = ask_keeper(directory, {"do": "events", "after": len(self._events)})["events"]
            self._events += [event | {"at": event["at"] - self._began} for event in events]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Renews the lease and reads histories, until the testnet goes down."""
        while not self._is_watching.wait(READ_INTERVAL):
            with contextlib.suppress(TestnetError):
                ask_keeper(self._running(), {"do": "lease", "seconds": self._lease})
                self.refresh()
                self._live().read_histories()

    def _live(self) -> LiveNodes:
        if self._nodes is None:
            raise TestnetMisused("the testnet was not brought up")
        return self._nodes

    def _running(self) -> Directory:
        if self._directory is None:
            raise TestnetMisused("the testnet was not brought up")
        return self._directory

    def _log(self, name: str) -> list[str]:
        try:
            with self._running().log(name).open("rb") as file:
                return file.read(LOG_BYTES_MAX).decode(errors="replace").splitlines()
        except OSError:
            return []

    def _tail(self, name: str) -> str:
        return (self._log(name) or ["it wrote nothing"])[-1][:200]


def look_interval(nodes: int) -> float:
    """Seconds between two looks at so many nodes that are all being waited for."""
    return max(LOOK_INTERVAL_MIN, nodes / LOOKS_PER_SECOND)


def _live(plan: Mapping[str, Any]) -> list[LiveNode]:
    return [
        LiveNode(name, one["metrics_host"], one["metrics_port"], f"{one['host']}:{one['port']}")
        for name, one in plan["nodes"].items()
    ]


def _links_body(
    name: str, settings: Mapping[str, Any], hosts: Mapping[str, str], seed: int
) -> dict[str, Any]:  # fmt: skip
    """The command `links` for one node."""
    return {
        "hosts": {hosts[target]: link for target, link in settings.items() if link},
        "names": {hosts[target]: target for target in settings},
        "seed": str(seed),
        "name": name,
    }


def _plain(fault: NodeFault) -> dict[str, object]:
    """The parameters as nodes and the keeper take them: durations in seconds."""
    return {
        name: to_seconds(int(float(str(value)))) if name in DURATIONS else value
        for name, value in fault.parameters.items()
    }
