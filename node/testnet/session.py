"""A testnet in a program's hands: up at the beginning of a `with`, broken by its faults, judged and gone at the end.

    with Session(nodes=5) as testnet:
        with testnet.faults.partition("halves"):
            message = testnet.broadcast("node-1")
            testnet.run(3)
        testnet.wait_until_everywhere(message)

Faults are those of scenarios, by the same names and with the same words; each has a limit at which it ends by itself.
The same program runs on local processes and in virtual time, where `run` is what lets time pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from node.testnet.checker import Run, Violation, check
from node.testnet.errors import TestnetFailed, TestnetMisused, TestnetUnsupported

if TYPE_CHECKING:
    from node.testnet.runners.base import Fault
    from node.testnet.runners.proc import ProcRunner
    from node.testnet.runners.sim import SimRunner
    from node.testnet.scenario.scenario import Scenario

__all__ = ["INVARIANTS", "Faults", "Session"]

INVARIANTS = ("no_duplicate_delivery", "only_published", "every_message_everywhere", "no_unasked_restart")
"""What is judged at the end, unless it is told otherwise."""

FAULT_SECONDS = 60.0
SETTLE_SECONDS = 30.0
STEP = 0.05
NODES_MAX = 100


class Session:
    """See the module.

    nodes: the seed included. runner: proc, sim, or auto for the first of them that works here. links, settings: as
    `links` and `topology.settings` of a scenario. invariants: judged at the end, an empty tuple for none.
    Raises TestnetMisused for what cannot be, TestnetFailed when something does not come about.
    """

    def __init__(
        self,
        *,
        nodes: int = 5,
        runner: str = "auto",
        links: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        seed: int = 1,
        invariants: Sequence[str] = INVARIANTS,
    ) -> None:
        if not 2 <= nodes <= NODES_MAX:
            raise TestnetMisused(f"nodes {nodes}: allowed is 2 to {NODES_MAX}")
        self._values = {"links": dict(links or {}), "topology": {"nodes": nodes, "settings": dict(settings or {})}}
        self._seed = seed
        self._invariants = tuple(invariants)
        self._scenario = self._parsed([])
        self.runner = _runner(runner)
        self.faults = Faults(self)
        self._begun: list[tuple[Fault, float]] = []

    def __enter__(self) -> Session:
        from node.testnet.runners.base import Plan
        from node.testnet.scenario.resolve import resolve

        scenario = self._scenario
        self.runner.up(Plan(topology=scenario.topology, links=resolve(scenario).links, seed=self._seed))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            violations = [] if kind is not None else self.violations()
        finally:
            self.runner.down()
        if violations:
            raise TestnetFailed("; ".join(str(one) for one in violations))

    # --- nodes and messages -----------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Every node, the seed first."""
        return self._scenario.topology.names

    def broadcast(self, node: str = "seed", size: int = 200) -> str:
        """Lets a node send a message of so many bytes to all; its id. TestnetFailed if it cannot."""
        if node not in self.names:
            raise TestnetMisused(f"node {node!r}: there are {', '.join(self.names)}")
        message = self.runner.publish(node, size)
        if message is None:
            raise TestnetFailed(f"{node} does not take a broadcast: is it down?")
        return message

    def holders(self, message: str) -> set[str]:
        """The nodes that have the message, its author included."""
        return {event["node"] for event in self.runner.history() if event.get("message") == message}

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        self.runner.sleep_until(self.runner.now() + seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str = "the condition") -> None:
        """Returns as soon as it holds; TestnetFailed that says what did not come about in time."""
        end = self.runner.now() + seconds
        while not condition():
            if self.runner.now() >= end:
                raise TestnetFailed(f"{what} did not hold within {seconds:g} s")
            self.run(STEP)

    def wait_until_everywhere(self, message: str, seconds: float = SETTLE_SECONDS) -> None:
        """Returns as soon as every node has the message; TestnetFailed names those that lack it."""
        try:
            self.wait_until(lambda: self.holders(message) >= set(self.names), seconds)
        except TestnetFailed as late:
            lacking = [name for name in self.names if name not in self.holders(message)]
            raise TestnetFailed(f"message {message[:8]} is not at {', '.join(lacking)} after {seconds:g} s") from late

    def stats(self) -> dict[str, dict[str, Any] | None]:
        """The statistics of every node; None of one that does not answer."""
        return self.runner.stats()

    # --- judging ----------------------------------------------------------------------------------------------------

    def violations(self) -> list[Violation]:
        """Heals everything, lets messages arrive, and says which invariants do not hold."""
        self.runner.heal()
        end = self.runner.now() + SETTLE_SECONDS
        while (found := check(self._judged(), dict.fromkeys(self._invariants, 0.0))) and self.runner.now() < end:
            self.run(1.0)
        return found

    def _judged(self) -> Run:
        from node.testnet.run.conductor import disturbances

        now = self.runner.now()
        return Run(
            nodes=self.names,
            events=self.runner.history(),
            disturbances=[one for fault, origin in self._begun for one in disturbances(fault, origin, now)],
            end=now,
            settle=SETTLE_SECONDS,
            members=self.runner.members(),
        )

    # --- faults -----------------------------------------------------------------------------------------------------

    def begin(self, entry: Mapping[str, Any]) -> str:
        """Begins what an entry of a timeline says, and waits for its last part to begin; the name of its step."""
        from node.testnet.scenario.resolve import resolve
        from node.types import to_seconds

        faults = resolve(self._parsed([dict(entry)])).faults
        missing = self.runner.missing(faults, {})
        if missing:
            raise TestnetUnsupported("; ".join(missing))
        origin = self.runner.now()
        for fault in faults:
            self.runner.sleep_until(origin + to_seconds(fault.at))
            self.runner.apply(fault, origin)
            self._begun.append((fault, origin))
        return faults[0].step

    def _parsed(self, timeline: Sequence[Mapping[str, Any]]) -> Scenario:
        from node.testnet.commands.local import parsed

        document = {"schema": 1, "title": "session", "seed": self._seed, **self._values, "timeline": list(timeline)}
        scenario: Scenario = parsed(document, "testnet")
        return scenario


class Faults:
    """Every kind of fault of scenarios as a method: `faults.loss("20%", target="node-1")`, `faults.kill("node-2")`.

    First comes what the kind is given in a scenario, or whom it concerns where it is given nothing; further parameters,
    `target`, `peers` and `direction` go by their names there. seconds: its limit. What is returned ends the fault at
    the end of a `with`; without one it ends at its limit.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._number = 0

    def __getattr__(self, kind: str) -> Callable[..., Active]:
        from node.testnet.scenario.faults import KINDS

        if kind not in KINDS:
            raise AttributeError(f"there is no fault {kind!r}; there are {', '.join(KINDS)}")

        def begin(value: object = None, *, seconds: float = FAULT_SECONDS, **words: Any) -> Active:
            self._number += 1
            entry: dict[str, Any] = {"at": 0, "id": f"{kind.replace('_', '-')}-{self._number}"}
            for name in ("target", "peers", "direction"):
                if name in words:
                    entry[name] = words.pop(name)
            one = KINDS[kind]
            if value is not None and one.shorthand:
                words[one.shorthand] = value
            elif value is not None:
                entry.setdefault("target", value)
            entry[kind] = words or None
            if one.has_end:
                entry["for"] = f"{seconds:g}s"
            return Active(self._session, self._session.begin(entry))

        return begin


class Active:
    """A fault that has begun. step: its name."""

    def __init__(self, session: Session, step: str) -> None:
        self._session = session
        self.step = step

    def heal(self) -> None:
        """Ends it now; does nothing if it is over."""
        self._session.runner.heal(self.step)

    def __enter__(self) -> Active:
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()


def _runner(name: str) -> ProcRunner | SimRunner:
    from node.testnet.runners.loopback import has_loopback_network
    from node.testnet.runners.proc import ProcRunner
    from node.testnet.runners.sim import SimRunner

    if name not in ("auto", "proc", "sim"):
        raise TestnetMisused(f"runner {name!r}: allowed are auto, proc and sim")
    if name == "sim" or (name == "auto" and not has_loopback_network()):
        return SimRunner()
    return ProcRunner()
