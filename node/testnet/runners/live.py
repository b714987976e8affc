"""Asks and commands the nodes of a real testnet over their HTTP APIs, many at a time.

Knows where nodes answer and nothing of how they were started: processes and containers look alike from here. What does
not answer is None or empty, never an exception: in a testnet that is broken on purpose silence is an ordinary answer.
Times in histories become seconds since `origin`, by the monotonic clock that all nodes of one machine share.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from node.testnet.runners.base import Event

__all__ = ["LiveNode", "LiveNodes"]

S = TypeVar("S")
T = TypeVar("T")

TIMEOUT = 1.5
"""Seconds that a node on this machine has to answer."""

PATIENT_TIMEOUT = 8.0
"""The same for what a verdict rests on: a slow machine must not look like a silent node."""

ANSWER_BYTES_MAX = 64 << 20
PAGE_ENTRIES = 1000
PAGES_AT_ONCE_MAX = 50
WORKERS_MAX = 24
PRESENT = ("alive", "suspect")


@dataclass(frozen=True, slots=True)
class LiveNode:
    """host, port: of its API. address: `host:port` of its protocol, over UDP."""

    name: str
    host: str
    port: int
    address: str

    @property
    def peer_host(self) -> str:
        """The host alone, as its peers know it."""
        return self.address.rpartition(":")[0]


@dataclass(slots=True)
class _Journal:
    cursor: str = ""
    events: list[Event] = field(default_factory=list)
    missed: int = 0


class LiveNodes:
    """See the module. origin: of every time that is told. silent: names that are not worth asking now."""

    def __init__(self, nodes: Iterable[LiveNode], token: str, origin: float) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.origin = origin
        self.silent: frozenset[str] = frozenset()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._names: dict[str, str] = {}
        self._journals = {name: _Journal() for name in self.nodes}
        self._locks = {name: threading.Lock() for name in self.nodes}
        self._pool = ThreadPoolExecutor(min(WORKERS_MAX, len(self.nodes) or 1), thread_name_prefix="testnet")

    def close(self) -> None:
        """Lets go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    # --- one request ------------------------------------------------------------------------------------------------

    def request(
        self, name: str, path: str, body: Mapping[str, Any] | None = None, *, timeout: float = TIMEOUT
    ) -> tuple[int, bytes]:
        """Status and content of an answer; status 0 if there is none. body: makes it a POST."""
        node = self.nodes[name]
        link = http.client.HTTPConnection(node.host, node.port, timeout=timeout)
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers if data is None else self._headers | {"Content-Type": "application/json"}
        try:
            link.request("GET" if data is None else "POST", path, data, headers)
            response = link.getresponse()
            return response.status, response.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            link.close()

    def ask(
        self, name: str, path: str, body: Mapping[str, Any] | None = None, *, timeout: float = TIMEOUT
    ) -> dict[str, Any] | None:
        """The object that a node answers with; None if it refuses or does not answer."""
        status, content = self.request(name, path, body, timeout=timeout)
        if not 200 <= status < 300:
            return None
        try:
            answer = json.loads(content)
        except ValueError:
            return None
        return answer if isinstance(answer, dict) else None

    def each(self, ask: Callable[[str], T], names: Iterable[str] | None = None) -> dict[str, T]:
        """What `ask` returns for each of those nodes, or all; at the same time."""
        chosen = list(self.nodes if names is None else names)
        return dict(zip(chosen, self.map(ask, chosen), strict=True))

    def map(self, act: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        """The results for all items, in their order; many at a time."""
        return self._pool.map(act, items)

    def awake(self) -> list[str]:
        """The nodes that are worth asking."""
        return [name for name in self.nodes if name not in self.silent]

    # --- what nodes say ---------------------------------------------------------------------------------------------

    def scrape(self) -> dict[str, str | None]:
        """As `Runner.scrape`."""
        found = self.each(lambda name: self.request(name, "/metrics"), self.awake())
        return {name: _text(found.get(name)) for name in self.nodes}

    def stats(self) -> dict[str, dict[str, Any] | None]:
        """As `Runner.stats`."""
        found = self.each(lambda name: self.ask(name, "/api/v1/stats", timeout=PATIENT_TIMEOUT), self.awake())
        return {name: found.get(name) for name in self.nodes}

    def status(self, name: str, path: str) -> int:
        """As `Runner.status`."""
        return self.request(name, path)[0] if name not in self.silent else 0

    def publish(self, name: str, payload: Mapping[str, Any]) -> str | None:
        """Lets a node broadcast that; the message's id."""
        answer = self.ask(name, "/api/v1/broadcast", payload) if name not in self.silent else None
        return None if answer is None else str(answer["message_id"])

    def chaos(self, orders: Sequence[tuple[str, str, Mapping[str, Any]]]) -> dict[str, dict[str, Any] | None]:
        """Has nodes carry out commands of `Chaos`: (node, command, body), one for each node."""
        bodies = {name: (command, body) for name, command, body in orders}
        return self.each(lambda name: self.ask(name, f"/api/v1/chaos/{bodies[name][0]}", bodies[name][1]), bodies)

    def members(self) -> dict[str, list[str]]:
        """As `Runner.members`."""
        self.learn_names()
        found = self.each(lambda name: self.ask(name, "/api/v1/peers", timeout=PATIENT_TIMEOUT), self.awake())
        return {
            name: [self.called(peer["node_id"]) for peer in answer["peers"] if peer["member"] in PRESENT]
            for name, answer in found.items()
            if answer is not None
        }

    # --- who is who -------------------------------------------------------------------------------------------------

    def learn_names(self) -> None:
        """Finds out the keys of nodes whose keys are not known."""
        known = set(self._names.values())
        unknown = [name for name in self.awake() if name not in known]
        answers = self.each(lambda name: self.ask(name, "/api/v1/node", timeout=PATIENT_TIMEOUT), unknown)
        for name, answer in answers.items():
            if answer is not None:
                self._names[answer["node_id"]] = name

    def called(self, node_id: str) -> str:
        """The name of the node with that key; its first digits if nobody here has it."""
        return self._names.get(node_id, node_id[:8])

    # --- histories --------------------------------------------------------------------------------------------------

    def read_histories(self, names: Iterable[str] | None = None) -> None:
        """Fetches what is new in the histories of nodes: whoever is killed takes with it what was not read."""
        self.learn_names()
        self.each(self._read_history, self.awake() if names is None else names)

    def history(self) -> list[Event]:
        """Everything that was read so far, in order of time."""
        events = [event for name in self.nodes for event in list(self._journals[name].events)]
        return sorted(events, key=lambda event: event["at"])

    def _read_history(self, name: str) -> None:
        with self._locks[name]:
            journal = self._journals[name]
            for _ in range(PAGES_AT_ONCE_MAX):
                after = f"&after={journal.cursor}" if journal.cursor else ""
                page = self.ask(name, f"/api/v1/history?limit={PAGE_ENTRIES}{after}", timeout=PATIENT_TIMEOUT)
                if page is None:
                    return
                journal.cursor = page["cursor"]
                journal.missed += page["missed"]
                journal.events += [self._event(name, one) for one in page["events"]]
                if len(page["events"]) < PAGE_ENTRIES:
                    return

    def _event(self, name: str, one: Mapping[str, Any]) -> Event:
        event: Event = {"node": name, "at": one["monotonic"] - self.origin, "event": one["kind"]}
        if "message_id" in one:
            event["message"] = one["message_id"]
        if "origin" in one:
            event["origin"] = self.called(one["origin"])
        if one["kind"] in ("peer_up", "peer_down"):
            event["peer"] = self.called(one["node_id"])
        return event


def wait_until(holds: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    """Asks again and again, and says whether it held within that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def _text(answer: tuple[int, bytes] | None) -> str | None:
    return answer[1].decode(errors="replace") if answer is not None and answer[0] == 200 else None
